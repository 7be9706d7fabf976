"""The RBAC authorizer of one cluster: which rules a user has, and whether they allow what is asked.

After ``plugin/pkg/auth/authorizer/rbac``. Rules are read from the stored roles and bindings at each question, so that a
new binding counts at once. Members of ``system:masters`` are asked nothing. The node authorizer is not simulated:
kubelets here are members of ``system:masters``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from simkube.apiserver.authorization import rules
from simkube.apiserver.authorization.attributes import Attributes, refusal
from simkube.apiserver.authorization.rules import Rule
from simkube.client.client import Caller, Obj
from simkube.etcd.store import Store

GROUP = "rbac.authorization.k8s.io"
MASTERS = "system:masters"
ROLES, BINDINGS = f"roles.{GROUP}", f"rolebindings.{GROUP}"
CLUSTER_ROLES, CLUSTER_BINDINGS = f"clusterroles.{GROUP}", f"clusterrolebindings.{GROUP}"
_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Decision:
    """``why`` names the binding that allows, or the roles that are bound and missing."""

    allowed: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """Rules that a user has through a binding: whose they are, and in words why."""

    rules: list[Rule]
    why: str


class Authorizer:
    """Answers from the roles and bindings in ``store``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def check(self, caller: Caller, asked: Attributes) -> None:
        """403 unless the caller may."""
        if MASTERS in caller.groups:
            return
        decision = self.decide(caller, asked)
        if not decision.allowed:
            raise refusal(caller, asked, decision.why)

    def decide(self, caller: Caller, asked: Attributes) -> Decision:
        """Whether the caller may."""
        if MASTERS in caller.groups:
            return Decision(True)
        errors: list[str] = []
        for grant in self.grants(caller, asked.namespace, errors.append):
            if any(rules.allows(rule, asked) for rule in grant.rules):
                return Decision(True, f"RBAC: allowed by {grant.why}")
        return Decision(False, f"RBAC: {aggregate(errors)}" if errors else "")

    def rules_of(self, caller: Caller, namespace: str, missing: Callable[[str], None]) -> list[Rule]:
        """Every rule a caller has in a namespace ("": at the cluster scope), as often as they have it."""
        held = [rule for grant in self.grants(caller, namespace, missing) for rule in grant.rules]
        if MASTERS in caller.groups:
            everything: list[Rule] = [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
                {"verbs": ["*"], "nonResourceURLs": ["*"]},
            ]
            held = everything + [rule for rule in held if rule not in everything]
        return held

    def grants(self, caller: Caller, namespace: str, missing: Callable[[str], None]) -> Iterator[Grant]:
        """What each binding that applies gives; ``missing`` is told of roles that are bound and not there."""
        for binding in self._store.objects(CLUSTER_BINDINGS):
            yield from self._grant(caller, binding, "", missing)
        if namespace:
            for binding in self._store.objects(BINDINGS, namespace):
                yield from self._grant(caller, binding, namespace, missing)

    def _grant(self, caller: Caller, binding: Obj, namespace: str, missing: Callable[[str], None]) -> Iterator[Grant]:
        who = next((each for each in binding.get("subjects", ()) if _applies(each, caller, namespace)), None)
        if who is None:
            return
        ref = binding["roleRef"]
        found = self.role(ref, namespace)
        if found is None:
            missing(f'{ref["kind"].lower()}.{GROUP} "{ref["name"]}" not found')
            return
        name = binding["metadata"]["name"]
        by = f'RoleBinding "{name}/{namespace}"' if namespace else f'ClusterRoleBinding "{name}"'
        yield Grant(found.get("rules") or [], f'{by} of {ref["kind"]} "{ref["name"]}" to {_subject(who, namespace)}')

    def role(self, ref: Obj, namespace: str) -> Obj | None:
        """The role a binding in ``namespace`` refers to, or None."""
        if ref["kind"] == "ClusterRole":
            return self._store.get(CLUSTER_ROLES, "", ref["name"])
        return self._store.get(ROLES, namespace, ref["name"])


def _applies(subject: Obj, caller: Caller, namespace: str) -> bool:
    kind, name = subject["kind"], subject["name"]
    if kind == "User":
        return bool(caller.user == name)
    if kind == "Group":
        return name in caller.groups
    where = subject.get("namespace") or namespace
    return bool(where) and caller.user == f"{_ACCOUNT}{where}:{name}"


def _subject(subject: Obj, namespace: str) -> str:
    name = subject["name"]
    if subject["kind"] == "ServiceAccount":
        name = f"{name}/{subject.get('namespace') or namespace}"
    return f'{subject["kind"]} "{name}"'


def aggregate(errors: list[str]) -> str:
    """Several errors in one line, each once, as ``utilerrors.NewAggregate`` shows them."""
    found = list(dict.fromkeys(errors))
    return found[0] if len(found) == 1 else f"[{', '.join(found)}]"
