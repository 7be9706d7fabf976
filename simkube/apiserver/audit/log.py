"""Who asked what of one cluster's API server, when, and how it ended: the last requests, in memory.

After ``audit.k8s.io`` at the level Metadata, at the stage ResponseComplete. Bounded: what comes from outside and what
components write are kept apart, so that a busy controller does not push a user's requests out. It refuses to keep
bodies, and to be read by users: only the host's own API shows it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from simkube.apiserver.authorization.attributes import Attributes
from simkube.apiserver.registry.request import Request
from simkube.client.client import Caller

MOST_REQUESTS = 2000
MOST_WRITES = 1000
"""How many requests from outside, and how many writes of components, one cluster remembers."""
_NOTE = 4096
_TEXT = 256
"""So long a text of a request may be in what is remembered."""

_Entry = tuple[int, float, str, tuple[str, ...], str, str, Attributes, int, str, Mapping[str, str] | None]


class Audit:
    """The log of one cluster. Entries have numbers that never repeat within a process."""

    def __init__(self) -> None:
        self._requests: deque[_Entry] = deque(maxlen=MOST_REQUESTS)
        self._writes: deque[_Entry] = deque(maxlen=MOST_WRITES)
        self._number = 0

    def request(
        self,
        when: float,
        caller: Caller,
        real: str,
        asked: Attributes,
        code: int,
        reason: str = "",
        notes: Mapping[str, str] | None = None,
    ) -> None:
        """A request from outside has ended. ``real`` is who impersonated the caller ("" for nobody).

        ``code`` is 0 when whoever asked went away before the end; ``notes`` are what admission has to say.
        """
        self._requests.append(self._entry(when, caller, real, _shortened(asked), code, reason, notes))

    def write(self, when: float, request: Request, code: int, reason: str) -> None:
        """A component has tried to write."""
        resource, caller = request.resource, request.caller
        where = (request.subresource, request.namespace, request.name)
        asked = Attributes(request.verb, resource.group, resource.version, resource.plural, *where)
        self._writes.append(self._entry(when, caller, "", asked, code, reason, None))

    def _entry(
        self,
        when: float,
        caller: Caller,
        real: str,
        asked: Attributes,
        code: int,
        reason: str,
        notes: Mapping[str, str] | None,
    ) -> _Entry:
        self._number += 1
        user, groups = caller.user[:_TEXT], caller.groups[:20]
        return (self._number, when, user, groups, caller.agent, real, asked, code, reason, notes or None)

    def events(self, after: int = 0, most: int = 500, *, components: bool = False) -> list[dict[str, Any]]:
        """Entries with a number above ``after``, the oldest first, at most so many; components' writes if wanted."""
        found = [entry for entry in self._requests if entry[0] > after]
        if components:
            more = (entry for entry in self._writes if entry[0] > after)
            found = sorted([*found, *more], key=lambda entry: entry[0])
        return [_shown(entry) for entry in islice(found, max(0, most))]


def _shortened(asked: Attributes) -> Attributes:
    values = (asked.verb, asked.group, asked.version, asked.resource, asked.subresource, asked.namespace, asked.name)
    if len(asked.path) <= _TEXT and all(len(value) <= _TEXT for value in values):
        return asked
    return Attributes(*(value[:_TEXT] for value in (*values, asked.path)))


def _shown(entry: _Entry) -> dict[str, Any]:
    number, when, user, groups, agent, real, asked, code, reason, notes = entry
    status: dict[str, Any] = {"code": code, **({"reason": reason} if reason else {})}
    shown: dict[str, Any] = {
        "number": number,
        "time": datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "user": {"username": user, "groups": list(groups)},
        "userAgent": agent,
        "verb": asked.verb,
        "responseStatus": status,
    }
    if notes:
        shown["annotations"] = {key: value[:_NOTE] for key, value in notes.items()}
    if real:
        shown["impersonatedBy"] = real
    if asked.path:
        return {**shown, "requestURI": asked.path}
    names = ("resource", "subresource", "namespace", "name")
    about = {name: getattr(asked, name) for name in names if getattr(asked, name)}
    return {**shown, "objectRef": {**about, "apiGroup": asked.group, "apiVersion": asked.version}}
