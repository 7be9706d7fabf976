"""What is asked of the API server, as an authorizer sees it, and how a refusal is worded.

After ``apiserver/pkg/endpoints/request/requestinfo.go``: the attributes come from the method and the path alone, before
anybody looks whether there is such a resource. That is why a forbidden request for something unknown is a 403.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Caller

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_OF_NAMESPACES = ("status", "finalize")


@dataclass(frozen=True, slots=True)
class Attributes:
    """One question. ``path`` is set for what is no resource (``/metrics``), and nothing else but the verb then is."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def combined(self) -> str:
        """``pods``, ``pods/log``: what a rule names."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


def of_request(method: str, path: str, query: Mapping[str, str]) -> Attributes:
    """The attributes of an HTTP request for ``path`` (decoded, beginning with a slash)."""
    parts = path.strip("/").split("/")
    least = {"api": 3, "apis": 4}.get(parts[0], len(parts) + 1)
    if len(parts) < least:
        return Attributes(method.lower(), path=path)
    group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
    verb = _VERBS.get(method, "")
    if rest[0] in ("watch", "proxy") and len(rest) > 1:
        verb, rest = rest[0], rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _OF_NAMESPACES:
            rest = rest[2:]
    resource, name, subresource = (*rest[:3], "", "")[:3]
    if not name and verb == "get":
        verb = "watch" if query.get("watch") in _TRUE else "list"
        name = _selected_name(query.get("fieldSelector", ""))
    elif not name and verb == "delete":
        verb = "deletecollection"
    return Attributes(verb, group, version, resource, subresource, namespace, name)


def _selected_name(selector: str) -> str:
    """The one name a field selector leaves; a rule that names it allows the list."""
    for term in selector.split(","):
        key, equals, value = term.partition("=")
        if equals and key.strip() == "metadata.name":
            found = value.removeprefix("=").strip()
            return "" if "/" in found or "%" in found else found
    return ""


def refusal(caller: Caller, asked: Attributes, why: str = "") -> StatusError:
    """403 in the words of the API server; ``why`` is what the authorizer had to say."""
    message = f"{denial(caller, asked)}: {why}" if why else denial(caller, asked)
    if asked.path:
        return StatusError(403, "Forbidden", f"forbidden: {message}", {})
    qualified = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
    subject = f'{qualified} "{asked.name}"' if asked.name else qualified
    details = {"name": asked.name, "group": asked.group, "kind": asked.resource}
    found = {key: value for key, value in details.items() if value}
    return StatusError(403, "Forbidden", f"{subject} is forbidden: {message}", found)


def denial(caller: Caller, asked: Attributes) -> str:
    """Who may not do what and where."""
    who = f'User "{caller.user}" cannot {asked.verb}'
    if asked.path:
        return f'{who} path "{asked.path}"'
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    return f'{who} resource "{asked.combined}" in API group "{asked.group}" {where}'
