"""What an admission plug-in is asked about: a request, and the object as it was and will be.

After ``apiserver/pkg/admission/attributes.go``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from simkube.apiserver.registry.request import Request
from simkube.client.client import Obj

Operation = Literal["CREATE", "UPDATE", "DELETE"]


def operation_of(new: Obj | None, old: Obj | None) -> Operation:
    """``CREATE``, ``UPDATE`` or ``DELETE``, by what there is and will be."""
    if new is None:
        return "DELETE"
    return "CREATE" if old is None else "UPDATE"


def _nobody(_: Obj) -> None:
    return None


@dataclass(slots=True)
class Attributes:
    """A request on its way through the chain. A plug-in may change ``new`` in place, or put another in its place.

    ``charges`` are the quotas that count the object, as they are and will be: stored together with it. ``reinvoke``
    lets the built-in mutating plug-ins see an object again that a webhook has changed.
    """

    request: Request
    given: Obj | None
    old: Obj | None
    charges: list[tuple[Obj, Obj]] = field(default_factory=list)
    reinvoke: Callable[[Obj], None] = _nobody

    @property
    def new(self) -> Obj:
        """The object as it will be; nobody may ask for it when it is deleted."""
        assert self.given is not None
        return self.given

    @property
    def operation(self) -> Operation:
        """By what there is and will be."""
        return operation_of(self.given, self.old)

    @property
    def name(self) -> str:
        """The object's name as a refusal gives it."""
        return self.request.name or str(((self.given or self.old or {}).get("metadata") or {}).get("name", ""))
