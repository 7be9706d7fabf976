"""What can go wrong, as one tree.

::

    SimkubeError
    ├── StatusError          an answer of the API server that is not a success: a Kubernetes ``Status``
    │     (reasons NotFound, AlreadyExists, Conflict, Invalid, BadRequest, Forbidden, Gone, ... as in
    │      k8s.io/apimachinery/pkg/api/errors)
    ├── StoreError           the store cannot take a write (disk full, database gone)
    │     └── StoreDamaged   what is stored is no database
    └── HostError            the host process cannot do what was asked (unknown cluster, cannot start)

Nothing here knows HTTP beyond the status code that a ``Status`` object carries in Kubernetes itself.
"""

from __future__ import annotations

from typing import Any


class SimkubeError(Exception):
    """The root: every error this package raises on purpose."""


class StoreError(SimkubeError):
    """A write that was not stored. Nothing of it is visible."""


class StoreDamaged(StoreError):
    """The store's file is no database, or a broken one."""


class HostError(SimkubeError):
    """The host process cannot do what was asked of it."""


class ForkGone(HostError):
    """The copy of a cluster has ended."""


class StatusError(SimkubeError):
    """A Kubernetes ``Status`` of kind Failure.

    ``code`` is the HTTP status code, ``reason`` one of Kubernetes' machine-readable reasons, ``details`` the
    ``StatusDetails`` object (``name``, ``group``, ``kind``, ``causes``) or None.
    """

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def body(self) -> dict[str, Any]:
        """The ``Status`` object as the API server sends it."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:  # an internal error has none
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status


def _qualified(plural: str, group: str) -> str:
    return f"{plural}.{group}" if group else plural


def _details(name: str, group: str, plural: str) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name}
    if group:
        details["group"] = group
    details["kind"] = plural
    return details


def not_found(plural: str, name: str, group: str = "") -> StatusError:
    """404 as ``NewNotFound``: ``pods "web" not found``."""
    return StatusError(
        404, "NotFound", f'{_qualified(plural, group)} "{name}" not found', _details(name, group, plural)
    )


def already_exists(plural: str, name: str, group: str = "") -> StatusError:
    """409 as ``NewAlreadyExists``."""
    return StatusError(
        409, "AlreadyExists", f'{_qualified(plural, group)} "{name}" already exists', _details(name, group, plural)
    )


def conflict(plural: str, name: str, why: str, group: str = "") -> StatusError:
    """409 as ``NewConflict``; ``why`` is the sentence after the colon."""
    message = f'Operation cannot be fulfilled on {_qualified(plural, group)} "{name}": {why}'
    return StatusError(409, "Conflict", message, _details(name, group, plural))


STALE = "the object has been modified; please apply your changes to the latest version and try again"


def bad_request(message: str) -> StatusError:
    """400 as ``NewBadRequest``."""
    return StatusError(400, "BadRequest", message)


def method_not_allowed() -> StatusError:
    """405 as ``NewMethodNotSupported`` of a request that no resource takes."""
    return StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def forbidden(plural: str, name: str, why: str, group: str = "") -> StatusError:
    """403 as ``NewForbidden``."""
    message = f'{_qualified(plural, group)} "{name}" is forbidden: {why}'
    return StatusError(403, "Forbidden", message, _details(name, group, plural))


def gone(message: str) -> StatusError:
    """410 as ``NewResourceExpired``: the asked-for revision is compacted."""
    return StatusError(410, "Expired", message)


def not_simulated(feature: str) -> StatusError:
    """501 for what a real API server has and this one does not; names the feature."""
    message = f"{feature} is not simulated here; use a real cluster (kind) for it"
    details = {"causes": [{"reason": "NotSimulated", "message": feature}]}
    return StatusError(501, "NotImplemented", message, details)
