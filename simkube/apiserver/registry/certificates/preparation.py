"""What the server decides about certificate signing requests itself (``pkg/registry/certificates/certificates``)."""

from __future__ import annotations

from simkube.client.client import Caller, Obj

_DECISIONS = frozenset({"Approved", "Denied"})


def new_request(obj: Obj, _now: str, caller: Caller) -> None:
    """A new request carries who makes it, whatever it says itself; it has no decision yet."""
    spec = obj.setdefault("spec", {})
    for name in ("username", "uid", "groups", "extra"):
        spec.pop(name, None)
    spec["username"] = caller.user
    if caller.uid:
        spec["uid"] = caller.uid
    spec["groups"] = list(caller.groups)
    if caller.extra:
        spec["extra"] = {key: list(values) for key, values in caller.extra}


def changed_request(new: Obj, old: Obj, subresource: str, now: str) -> None:
    """Keep what a request may not change: all but conditions when it approves, the decision when it signs."""
    new["spec"] = dict(old["spec"])
    status, before = dict(new.get("status") or {}), old.get("status") or {}
    if not subresource:
        new["status"] = before
        return
    given, kept = status.get("conditions") or [], before.get("conditions") or []
    if subresource == "approval":
        others = [each for each in kept if each.get("type") not in _DECISIONS]
        status = {**before, "conditions": [*others, *(each for each in given if each.get("type") in _DECISIONS)]}
    else:
        decided = [each for each in kept if each.get("type") in _DECISIONS]
        status["conditions"] = [*decided, *(each for each in given if each.get("type") not in _DECISIONS)]
    status["conditions"] = [_timed(each, kept, now) for each in status["conditions"]]
    if not status["conditions"]:
        del status["conditions"]
    new["status"] = status


def _timed(condition: Obj, before: list[Obj], now: str) -> Obj:
    old = next((each for each in before if each.get("type") == condition.get("type")), None)
    timed = {**condition}
    if not timed.get("lastUpdateTime"):
        timed["lastUpdateTime"] = now
    if old is not None and old.get("status") == condition.get("status"):
        timed["lastTransitionTime"] = old.get("lastTransitionTime", now)
    else:
        timed["lastTransitionTime"] = timed.get("lastTransitionTime") or now
    return timed
