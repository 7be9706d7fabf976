"""How one kind differs from the others on the request path.

After the ``strategy.go`` of each registry in ``pkg/registry``. A kind that says nothing takes the general path; this
refuses to hold behaviour that is the same for all kinds (that is :mod:`simkube.apiserver.registry.writing`), and to
know stores, clusters or requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simkube.apiserver.validation import metadata
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Caller, Obj


def _nothing(*_: object) -> None:
    return None


def _no_warnings(*_: object) -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Strategy:
    """What the request path asks of a kind.

    ``name`` checks a name; ``parts`` check what a subresource other than status may change; ``generation`` counts
    changes of anything but metadata and status; ``keeps_status`` says that only the status subresource changes it;
    ``status_keeps_labels`` that a status update leaves labels alone; ``blind_update`` that a PUT needs no
    resourceVersion; ``created_by_put``; ``answers_deleted`` that a delete answers the object instead of a Status;
    ``orphans`` that a delete leaves the dependents unless it says otherwise; ``drops_status`` that a new object has
    none; ``counts_status`` that it counts for the generation; ``counts_annotations`` that they do;
    ``status_keeps_metadata`` that a status update changes nothing of the metadata; ``ratchets`` that
    ``validate_update`` alone looks at a changed object, only at what changed or in an order of its own.

    ``first_status`` is what a new object's status is set to; None leaves it. ``prepare_create`` and ``prepare_update``
    do what only the server may do to a new or changed object, in place, with the time of the request:
    ``(new, now, caller)``, ``(new, old, subresource,
    now)``. ``warnings`` says what is accepted and will not do what was
    meant: ``(new, old or None)``.
    """

    name: Callable[[str], list[str]] = metadata.subdomain
    defaults: Callable[[Obj], None] = _nothing
    validate: Callable[[Obj, Errors], None] = _nothing
    validate_update: Callable[[Obj, Obj, Errors], None] = _nothing
    validate_status: Callable[[Obj, Obj, Errors], None] = _nothing
    parts: Mapping[str, Callable[[Obj, Obj, Errors], None]] = field(default_factory=dict)
    prepare_create: Callable[[Obj, str, Caller], None] = _nothing
    prepare_update: Callable[[Obj, Obj, str, str], None] = _nothing
    warnings: Callable[[Obj, Obj | None], Iterable[str]] = _no_warnings
    first_status: Mapping[str, Any] | None = None
    generation: bool = False
    keeps_status: bool = False
    status_keeps_labels: bool = False
    blind_update: bool = True
    created_by_put: bool = False
    answers_deleted: bool = False
    orphans: bool = False
    drops_status: bool = False
    counts_status: bool = False
    counts_annotations: bool = False
    status_keeps_metadata: bool = False
    ratchets: bool = False


GENERAL = Strategy()
