"""One change, as the trace keeps it."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One change. ``at`` is in cluster seconds; ``did`` is ``created``, ``changed``, ``deleted`` or, without a
    ``revision``, ``did``; ``by`` names a component, "" when a request came from outside; ``what`` says what is
    different; ``cause`` is the id of another entry or 0; ``told`` are the components it gave work to.
    """

    id: int
    at: float
    did: str
    resource: str
    kind: str
    namespace: str
    name: str
    revision: int
    by: str
    node: str
    user: str
    agent: str
    verb: str
    what: str
    cause: int
    told: tuple[str, ...]
