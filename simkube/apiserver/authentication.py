"""Who asks, and whether they may.

A bearer token names a caller; no token is ``system:anonymous``; a wrong one is 401. Roles are not simulated: members of
``system:masters`` may do everything, everyone else may ask about themselves, which is a real cluster without role
bindings. Administrators may act as somebody else (``kubectl --as``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from multidict import CIMultiDictProxy

from simkube.apiserver import tokens
from simkube.apiserver.paths import Target
from simkube.apiserver.reviews import may
from simkube.client import Caller
from simkube.errors import StatusError

if TYPE_CHECKING:
    from simkube.apiserver.server import APIServer

ANONYMOUS = Caller("system:anonymous", ("system:unauthenticated",))
_ALL = "system:authenticated"
_OWN = frozenset({"selfsubjectaccessreviews", "selfsubjectreviews", "selfsubjectrulesreviews"})


class Authenticator:
    """Tokens of one cluster: token -> (user, groups)."""

    def __init__(self, known: Mapping[str, tuple[str, tuple[str, ...]]]) -> None:
        self._known = dict(known)

    def caller(self, headers: CIMultiDictProxy[str], server: APIServer) -> Caller:
        """The caller of a request; 401 for a token nobody has."""
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if not scheme:
            return ANONYMOUS
        agent = _agent(headers.get("User-Agent", ""))
        token = token.strip()
        found = self._known.get(token) if scheme.lower() == "bearer" else None
        if found is not None:
            user, groups = found
            return _as_other(Caller(user, (*groups, _ALL), agent), headers)
        account = tokens.caller_of(token, server) if token.count(".") == 2 else None
        if account is None:
            raise StatusError(401, "Unauthorized", "Unauthorized")
        return Caller(account.user, account.groups, agent)


def _agent(header: str) -> str:
    first = header.partition("/")[0].split(" ")[0][:128]
    return "".join(character for character in first if character.isprintable()) or "unknown"


def _as_other(caller: Caller, headers: CIMultiDictProxy[str]) -> Caller:
    user = headers.get("Impersonate-User")
    if not user:
        return caller
    if not may(caller.groups):
        message = (
            f'users "{user}" is forbidden: User "{caller.user}" cannot impersonate resource "users" in API group ""'
        )
        raise StatusError(403, "Forbidden", f"{message} at the cluster scope", {"name": user, "kind": "users"})
    groups = tuple(headers.getall("Impersonate-Group", []))
    return Caller(user, groups if _ALL in groups else (*groups, _ALL), caller.agent)


def authorize(caller: Caller, verb: str, target: Target) -> None:
    """403 unless the caller may; in the words of the RBAC authorizer."""
    if may(caller.groups) or (target.resource.plural in _OWN and _ALL in caller.groups):
        return
    resource = target.resource
    plural = f"{resource.plural}/{target.subresource}" if target.subresource else resource.plural
    qualified = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    name = f' "{target.name}"' if target.name else ""
    scope = f'in the namespace "{target.namespace}"' if target.namespace else "at the cluster scope"
    message = (
        f'{qualified}{name} is forbidden: User "{caller.user}" cannot {verb} resource "{plural}" in API group '
        f'"{resource.group}" {scope}'
    )
    details = {"kind": resource.plural}
    if target.name:
        details["name"] = target.name
    if resource.group:
        details["group"] = resource.group
    raise StatusError(403, "Forbidden", message, details)
