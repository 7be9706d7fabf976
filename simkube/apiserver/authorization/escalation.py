"""Nobody gives a right that they lack: what a new or changed role or binding must pass.

After ``pkg/registry/rbac/*/policybased``. The verbs ``escalate`` (on a role) and ``bind`` (on the role referred to) are
the way around it, and members of ``system:masters`` need none.
"""

from __future__ import annotations

from simkube.apimachinery.errors import forbidden, not_found
from simkube.apiserver.authorization import rules
from simkube.apiserver.authorization.attributes import Attributes
from simkube.apiserver.authorization.rbac import GROUP, MASTERS, Authorizer
from simkube.apiserver.authorization.rules import Rule
from simkube.apiserver.registry.request import Request
from simkube.client.client import Obj

_EVERYTHING: list[Rule] = [
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
]
MOST_SHOWN = 200
"""How many rights that somebody lacks a refusal lists."""
_ROLES = frozenset({"roles", "clusterroles"})
_BINDINGS = frozenset({"rolebindings", "clusterrolebindings"})


def confirm(request: Request, authorizer: Authorizer, new: Obj, old: Obj | None) -> None:
    """403 when a role or binding gives what its author lacks; anything else passes."""
    resource = request.resource
    if resource.group != GROUP or MASTERS in request.caller.groups:
        return
    if resource.plural in _ROLES:
        _role(request, authorizer, new, old)
    elif resource.plural in _BINDINGS:
        _binding(request, authorizer, new, old)


def _role(request: Request, authorizer: Authorizer, new: Obj, old: Obj | None) -> None:
    same = old is not None and new.get("aggregationRule") == old.get("aggregationRule")
    if same and old is not None and (new.get("rules") or []) == (old.get("rules") or []):
        return
    resource = request.resource
    asked = Attributes(
        "escalate", GROUP, resource.version, resource.plural, "", request.namespace, new["metadata"].get("name", "")
    )
    if authorizer.decide(request.caller, asked).allowed:
        return
    if new.get("aggregationRule") or (old or {}).get("aggregationRule"):
        _held(request, authorizer, new, _EVERYTHING, "must have cluster-admin privileges to use the aggregationRule: ")
    _held(request, authorizer, new, new.get("rules") or [], "")


def _binding(request: Request, authorizer: Authorizer, new: Obj, old: Obj | None) -> None:
    if old is not None and all(new.get(each) == old.get(each) for each in ("subjects", "roleRef")):
        return
    ref, resource = new.get("roleRef") or {}, request.resource
    kind, name = ref.get("kind"), ref.get("name", "")
    if kind not in ("Role", "ClusterRole") or not name:
        return  # validation says what is wrong with it
    plural = "clusterroles" if kind == "ClusterRole" else "roles"
    asked = Attributes("bind", GROUP, resource.version, plural, "", request.namespace, name)
    if authorizer.decide(request.caller, asked).allowed:
        return
    role = authorizer.role(ref, request.namespace)
    if role is None:
        raise not_found(resource.plural, name, GROUP)
    _held(request, authorizer, new, role.get("rules") or [], "")


def _held(request: Request, authorizer: Authorizer, new: Obj, wanted: list[Rule], before: str) -> None:
    caller = request.caller
    errors: list[str] = []
    lacking = rules.missing(authorizer.rules_of(caller, request.namespace, errors.append), wanted)
    if not lacking:
        return
    shown = sorted({rules.shown(each) for each in lacking})
    texts = "\n".join(shown[:MOST_SHOWN] + ([f"and {len(shown) - MOST_SHOWN} more"] if len(shown) > MOST_SHOWN else []))
    why = (
        f'{before}user "{caller.user}" (groups={rules.quoted(caller.groups)}) is attempting to grant RBAC permissions '
        f"not currently held:\n{texts}"
    )
    if errors:
        why += f"; resolution errors: [{' '.join(dict.fromkeys(errors))}]"
    raise forbidden(request.resource.plural, new["metadata"].get("name", ""), why, GROUP)
