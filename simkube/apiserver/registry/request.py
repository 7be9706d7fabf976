"""One request to the API server, whoever makes it: the caller, the target, the options.

It refuses option values the API server would refuse, with its Status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from simkube.apimachinery.errors import StatusError, bad_request
from simkube.apiserver.cel.evaluation import Budget
from simkube.apiserver.registry.resources import Resource
from simkube.apiserver.validation.field import FORBIDDEN, INVALID, NOT_SUPPORTED, invalid_option, shown
from simkube.apiserver.webhook.calling import Replies
from simkube.client.client import Caller

_KINDS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}
_PROPAGATION = ("Foreground", "Background", "Orphan")
_VALIDATION = ("", "Ignore", "Strict", "Warn")
_TRUE = ("1", "t", "T", "true", "TRUE", "True")


@dataclass(frozen=True, slots=True)
class Options:
    """What a request may ask for beside its target. ``grace`` is in seconds, None when not given."""

    dry_run: bool = False
    manager: str = ""
    validation: str = ""
    force: bool = False
    grace: int | None = None
    propagation: str | None = None
    preconditions: Mapping[str, str] = field(default_factory=dict)


def options_of(verb: str, given: Mapping[str, Any] | None) -> Options:
    """Options from query parameters, ``DeleteOptions`` fields or keyword arguments, under Kubernetes' names."""
    if not given:
        return Options()
    kind = _KINDS.get(verb, "DeleteOptions")
    return Options(
        dry_run=_dry_run(kind, given.get("dryRun")),
        manager=_manager(kind, str(given.get("fieldManager") or "")),
        validation=_validation(kind, str(given.get("fieldValidation") or "")),
        force=_boolean(given.get("force")),
        grace=integer(given.get("gracePeriodSeconds")),
        propagation=_propagation(given),
        preconditions=_preconditions(given.get("preconditions")),
    )


def integer(value: Any) -> int | None:
    """A number from a query parameter; None when not given, 400 as ``strconv.ParseInt`` says it."""
    if value is None or value == "":
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        raise bad_request(f"strconv.ParseInt: parsing {shown(str(value))}: invalid syntax") from None


def _boolean(value: Any) -> bool:
    return value is True or value in _TRUE


def _dry_run(kind: str, value: Any) -> bool:
    values = [value] if isinstance(value, str) else list(value or [])
    if any(one != "All" for one in values):
        message = f'Unsupported value: {shown(values)}: supported values: "All"'
        raise invalid_option(kind, NOT_SUPPORTED, "dryRun", message)
    return bool(values)


def _manager(kind: str, value: str) -> str:
    if len(value) > 128:
        raise invalid_option(kind, INVALID, "fieldManager", f"Too long: may not be more than 128 bytes: {shown(value)}")
    if not value.isprintable():
        message = f"Invalid value: {shown(value)}: should only contain printable characters"
        raise invalid_option(kind, INVALID, "fieldManager", message)
    return value


def _validation(kind: str, value: str) -> str:
    if value not in _VALIDATION:
        supported = ", ".join(shown(one) for one in _VALIDATION)
        message = f"Unsupported value: {shown(value)}: supported values: {supported}"
        raise invalid_option(kind, NOT_SUPPORTED, "fieldValidation", message)
    return value


def _propagation(given: Mapping[str, Any]) -> str | None:
    value = given.get("propagationPolicy")
    orphan = given.get("orphanDependents")
    if value is not None and orphan is not None:
        message = f"Invalid value: {shown(value)}: orphanDependents and deletionPropagation cannot be both set"
        raise invalid_option("DeleteOptions", INVALID, "propagationPolicy", message)
    if orphan is not None:
        return "Orphan" if _boolean(orphan) else "Background"
    if value is not None and value not in _PROPAGATION:
        supported = ", ".join(shown(one) for one in (*_PROPAGATION, "nil"))
        message = f"Unsupported value: {shown(value)}: supported values: {supported}"
        raise invalid_option("DeleteOptions", NOT_SUPPORTED, "propagationPolicy", message)
    return value


def _preconditions(value: Any) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise bad_request("json: cannot unmarshal into Go struct field DeleteOptions.preconditions")
    return {key: str(one) for key, one in value.items() if one is not None}


@dataclass(slots=True)
class Request:
    """A request on its way. ``checked`` says whether the body is a stranger's (from HTTP) and its schema is checked.

    ``warnings``, ``notes`` and ``created`` are filled on the way: what the caller is to be warned of, what the audit
    is to remember, whether a PUT or an apply created the object. ``answers`` are those of programs in the cluster that
    were asked so far; None when the caller cannot wait for one. ``budget`` is what policies and conditions may cost.
    """

    caller: Caller
    verb: str
    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    options: Options = field(default_factory=Options)
    checked: bool = False
    duplicates: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    created: bool = False
    answers: Replies | None = None
    budget: Budget = field(default_factory=Budget)

    @property
    def manager(self) -> str:
        """Who manages the fields this request sets: the named manager, else the program that calls."""
        return self.options.manager or self.caller.agent

    def about(self, **changes: Any) -> Request:
        """The same request with something changed (another name, another verb)."""
        return replace(self, **changes)


def list_option(path: str, message: str, reason: str = FORBIDDEN) -> StatusError:
    """422 for a parameter of a list or watch."""
    return invalid_option("ListOptions", reason, path, message)
