"""Changes in words: what is different between two states of an object, and sentences that tell a trace as a story.

:func:`difference` runs for every write, so it looks no deeper than conditions and the first level of spec and status;
it says nothing about fields that are long. It refuses to show the values of Secrets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from simkube.trace.entry import Entry

MOST_PARTS = 4
MOST_CHARACTERS = 40
MOST_REPORT = 160
_SKIPPED = frozenset({"managedFields", "resourceVersion", "generation", "uid"})
_PARTS = ("spec", "status", "data", "binaryData", "stringData", "subsets", "endpoints", "rules", "roleRef", "subjects")
_NO_VALUES = ("data", "binaryData", "stringData")


def report(new: dict[str, Any]) -> str:
    """What a new Event says, and of what; "" for everything else that is new."""
    of = new.get("involvedObject")
    if not isinstance(of, dict):
        return ""
    where = f"{of.get('namespace')}/{of.get('name')}" if of.get("namespace") else of.get("name")
    return f"{of.get('kind')} {where}: {new.get('reason')}: {str(new.get('message') or '')[:MOST_REPORT]}"


def difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    """What changed, such as ``spec.replicas: 1 -> 3, Ready: True``; "" when nothing that is shown did."""
    if "involvedObject" in new:
        return report(new)
    found: list[str] = []
    for part in _differences(old, new):
        found.append(part)
        if len(found) == MOST_PARTS:
            break
    return ", ".join(found)


def _differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    before, after = old["metadata"], new["metadata"]
    if before is not after:
        yield from _fields("", before, after, _SKIPPED)
    for part in _PARTS:
        one, other = old.get(part), new.get(part)
        if one is other or one == other:
            continue
        if part in _NO_VALUES or not isinstance(other, dict) or not isinstance(one, dict | None):
            yield part
        else:
            yield from _fields(f"{part}.", one or {}, other, frozenset({"observedGeneration"}))


def _fields(prefix: str, old: dict[str, Any], new: dict[str, Any], skipped: frozenset[str]) -> Iterator[str]:
    for name, value in new.items():
        was = old.get(name)
        if value is was or value == was or name in skipped:
            continue
        if name == "conditions" and isinstance(value, list):
            yield from _conditions(was or [], value)
        elif isinstance(value, dict | list) or isinstance(was, dict | list):
            yield f"{prefix}{name}"
        else:
            yield (
                f"{prefix}{name}: {_short(value)}"
                if was is None
                else f"{prefix}{name}: {_short(was)} -> {_short(value)}"
            )
    for name in old:
        if name not in new and name not in skipped:
            yield f"{prefix}{name} removed"


def _conditions(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Iterator[str]:
    before = {one.get("type"): one for one in old}
    for one in new:
        was = before.get(one.get("type"), {})
        if was.get("status") != one.get("status"):
            yield f"{one.get('type')}: {one.get('status')}"
        elif was.get("reason") != one.get("reason"):
            yield f"{one.get('type')}: {one.get('reason')}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 3] + "..."


def who(entry: Entry) -> str:
    """Who did it: a component, or the user and program of a request."""
    if entry.by:
        return f"{entry.by} on {entry.node}" if entry.node else entry.by
    return f"{entry.user} ({entry.agent})"


def about(entry: Entry) -> str:
    """What it was done to: ``Pod default/web``."""
    return f"{entry.kind} {entry.namespace}/{entry.name}" if entry.namespace else f"{entry.kind} {entry.name}"


def statement(entry: Entry) -> str:
    """One entry for people, without its cause."""
    if not entry.revision:
        return f"{who(entry)} {entry.what}"
    if entry.kind == "Event" and entry.what:
        return f"{who(entry)} {'reported again' if entry.did == 'changed' else 'reported'}: {entry.what}"
    return f"{who(entry)} {entry.did} {about(entry)}" + (f" ({entry.what})" if entry.what else "")


def sentence(entry: Entry, find: Callable[[int], Entry | None]) -> str:
    """One entry for people, with its cause when that is still kept (``find``)."""
    cause = find(entry.cause) if entry.cause else None
    return statement(entry) if cause is None else f"{statement(entry)} because {_clause(cause)}"


def _clause(entry: Entry) -> str:
    if not entry.revision:
        return f"{who(entry)} {entry.what}"
    return f"{about(entry)} was {entry.did}" + (f" ({entry.what})" if entry.what else "")


def journey(entry: Entry) -> list[str]:
    """What became of a request inside the API server, as steps; [] for what was no request."""
    if not entry.revision:
        return []
    asked = f"{entry.agent or 'a client'} asks kube-apiserver to {entry.verb} {entry.resource}"
    heard = ", ".join(entry.told) if entry.told else "nobody who has to act"
    return [
        f"{asked} {entry.name} as {entry.user}",
        "kube-apiserver authenticates, authorizes, admits and validates it",
        f"etcd stores it as revision {entry.revision}",
        f"the watches tell {heard}",
    ]


__all__ = ["about", "difference", "journey", "report", "sentence", "statement", "who"]
