"""What whoever makes a request may do beside it: ``authorizer.group("apps").resource("deployments").check("get")``.

After ``cel/library/authz.go``. Only policies and conditions of webhooks have a variable ``authorizer``. Field and label
selectors of a check are read and do not narrow it: the authorizers here do not look at them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.errors import EvaluationError
from simkube.apiserver.cel.library.model import Library, method, of_class
from simkube.apiserver.cel.types import Kind
from simkube.apiserver.validation.metadata import dns_label, subdomain


@dataclass(frozen=True)
class Decision:
    """An answer, and what the authorizer had to say."""

    kind: ClassVar[Kind] = t.DECISION
    allowed: bool
    reason: str = ""


@dataclass(frozen=True)
class Question:
    """May somebody do this? ``account`` is (namespace, name) of a service account, None for who makes the request."""

    verb: str
    account: tuple[str, str] | None = None
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""


Ask = Callable[[Question], Decision]


@dataclass(frozen=True)
class Authorizer:
    """Where questions are asked."""

    kind: ClassVar[Kind] = t.AUTHORIZER
    ask: Ask
    account: tuple[str, str] | None = None


@dataclass(frozen=True)
class GroupCheck:
    """Questions about a group."""

    kind: ClassVar[Kind] = t.GROUP_CHECK
    ask: Ask
    about: Question


@dataclass(frozen=True)
class PathCheck:
    """Questions about what is no resource."""

    kind: ClassVar[Kind] = t.PATH_CHECK
    ask: Ask
    about: Question


@dataclass(frozen=True)
class ResourceCheck:
    """Questions about a resource."""

    kind: ClassVar[Kind] = t.RESOURCE_CHECK
    ask: Ask
    about: Question


def _path(given: Authorizer, path: str) -> PathCheck:
    if not path.strip():
        raise EvaluationError("path must not be empty")
    return PathCheck(given.ask, Question("", given.account, path=path))


def _group(given: Authorizer, group: str) -> GroupCheck:
    return GroupCheck(given.ask, Question("", given.account, group=group))


def _account(given: Authorizer, namespace: str, name: str) -> Authorizer:
    if subdomain(name):
        raise EvaluationError("Invalid service account name")
    if dns_label(namespace):
        raise EvaluationError("Invalid service account namespace")
    return replace(given, account=(namespace, name))


def _resource(given: GroupCheck, resource: str) -> ResourceCheck:
    if not resource.strip():
        raise EvaluationError("resource must not be empty")
    return ResourceCheck(given.ask, replace(given.about, resource=resource))


def _narrowed(given: ResourceCheck, **fields: str) -> ResourceCheck:
    return replace(given, about=replace(given.about, **fields))  # type: ignore[arg-type]  # all of them are texts


def _check(given: PathCheck | ResourceCheck, verb: str) -> Decision:
    return given.ask(replace(given.about, verb=verb))


_S, _RESOURCE = t.STRING, t.RESOURCE_CHECK

LIBRARY = Library(
    {
        "path": [method(t.AUTHORIZER, _S, gives=t.PATH_CHECK)],
        "group": [method(t.AUTHORIZER, _S, gives=t.GROUP_CHECK)],
        "serviceAccount": [method(t.AUTHORIZER, _S, _S, gives=t.AUTHORIZER)],
        "resource": [method(t.GROUP_CHECK, _S, gives=_RESOURCE)],
        **{
            name: [method(_RESOURCE, _S, gives=_RESOURCE)]
            for name in ("subresource", "namespace", "name", "fieldSelector", "labelSelector")
        },
        "check": [method(t.PATH_CHECK, _S, gives=t.DECISION), method(_RESOURCE, _S, gives=t.DECISION)],
        **{name: [method(t.DECISION, gives=t.BOOL)] for name in ("allowed", "errored")},
        **{name: [method(t.DECISION, gives=_S)] for name in ("reason", "error")},
    },
    {
        **of_class(Authorizer, {"path": _path, "group": _group, "serviceAccount": _account}),
        **of_class(GroupCheck, {"resource": _resource}),
        **of_class(PathCheck, {"check": _check}),
        **of_class(
            ResourceCheck,
            {
                "subresource": lambda given, part: _narrowed(given, subresource=part),
                "namespace": lambda given, namespace: _narrowed(given, namespace=namespace),
                "name": lambda given, name: _narrowed(given, name=name),
                "fieldSelector": lambda given, _: given,
                "labelSelector": lambda given, _: given,
                "check": _check,
            },
        ),
        **of_class(
            Decision,
            {
                "allowed": lambda given: given.allowed,
                "errored": lambda _: False,
                "reason": lambda given: given.reason,
                "error": lambda _: "",
            },
        ),
    },
)
