"""What one may do to a cluster that no real one offers: move its clock, stop its parts, read its trace.

The same for whoever provides clusters (below ``/host/clusters/ID``) and for its administrators with their tokens (below
the cluster's address, ``/simkube``), and answered also while the API server is stopped. JSON in, JSON out:

``GET clock``, ``POST clock`` with one of ``{"speed": 10}``, ``{"pause": true}``, ``{"resume": true}``,
``{"step": "reconcile" | "until-quiet" | SECONDS}``; ``GET components``, ``POST components`` with one of
``{"stop": NAME}``, ``{"start": NAME}``, ``{"cut": NODE}``, ``{"fill": NODE}``, ``{"pause": NODE}``;
``GET trace?since=ID&wait=SECONDS&limit=N&of=ID``; ``GET time``, ``POST sleep`` with ``{"seconds": SECONDS}``, or with
``{"seconds": SECONDS, "every": SECONDS, "since": REVISION}`` to be woken when something has changed.

While a clock is pinned to the wall clock's speed nothing may be changed here.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from math import inf
from typing import Any

from aiohttp import web

from simkube.apimachinery.errors import HostError, StatusError, StoreError, bad_request
from simkube.apiserver.audit.log import MOST_REQUESTS
from simkube.apiserver.http.proof import prove
from simkube.apiserver.http.reading import read_body
from simkube.apiserver.http.responses import refuse
from simkube.apiserver.streams.bridge import wait
from simkube.clock.pace import PacedClock
from simkube.cluster.cluster import Cluster
from simkube.host.tenants import Tenant
from simkube.trace.entry import Entry
from simkube.trace.sentences import journey, sentence, statement
from simkube.trace.trace import MOST, NOTE, Trace

STEP_SECONDS = 10.0
"""So many wall seconds a request waits for the end of a step; the step goes on after that."""
WAIT_SECONDS = 20.0
"""So many wall seconds a request may wait for news of the trace."""
LONGEST_SLEEP = 3600.0
"""Cluster seconds."""
SHORTEST_STEP = 0.01
"""Cluster seconds."""
SLEEP_SECONDS = 20.0
"""So many wall seconds a request waits for the end of a sleep."""
MOST_WAITING = 8
"""So many requests of one cluster may wait for news, or for time to pass, at a time."""
MOST_SHOWN = 20
"""So many of the reconciles that wait are shown."""


class Pinned(HostError):
    """The clock is pinned."""


async def answer(tenant: Tenant, method: str, what: str, query: Mapping[str, str], body: Mapping[str, Any]) -> Any:
    """Do what is asked and say how things stand; HostError for what is not understood, :class:`Pinned`."""
    match (method, what):
        case ("GET", "clock"):
            return clock(tenant)
        case ("POST", "clock"):
            _refuse_while_pinned(tenant)
            return await _set_clock(tenant, body)
        case ("GET", "time"):
            return _time(tenant)
        case ("POST", "sleep"):
            return await sleep(tenant, body)
        case ("GET", "components"):
            return components(tenant)
        case ("POST", "components"):
            _refuse_while_pinned(tenant)
            return _change_components(tenant, body)
        case ("GET", "trace"):
            return await trace(tenant, query)
    raise HostError(f"there is no {method} {what}; there are clock, components, sleep, time and trace (read only)")


async def serve(tenant: Tenant, http: web.Request, path: str) -> web.Response:
    """A request with the token of a kubeconfig; refusals are ``Status`` objects, as kubectl expects."""
    token = http.headers.get("Authorization", "").removeprefix("Bearer ")
    if not tenant.owns(token):
        return refuse(StatusError(401, "Unauthorized", "Unauthorized"))
    try:
        prove(http, tenant.cluster.id)
        await tenant.frontend.share.request()
        raw = await read_body(http)
        body = json.loads(raw) if raw else {}
        if not isinstance(body, dict):
            raise HostError("a request's body is a JSON object")
        return web.json_response(await answer(tenant, http.method, path, http.query, body))
    except StatusError as error:
        return refuse(error)
    except Pinned as error:
        return refuse(StatusError(409, "Conflict", str(error)))
    except (HostError, ValueError, RecursionError) as error:
        return refuse(bad_request(str(error)[:500]))
    except StoreError as error:
        return refuse(StatusError(500, "InternalError", f"Internal error occurred: {error}"))


def _refuse_while_pinned(tenant: Tenant) -> None:
    if _clock_of(tenant).pinned:
        why = tenant.pinned_because or "this clock is pinned"
        raise Pinned(f"{why}; its clock and components can be changed when that is done")


def _clock_of(tenant: Tenant) -> PacedClock:
    return _paced(tenant.cluster)


def _paced(cluster: Cluster) -> PacedClock:
    found = cluster.clock
    assert isinstance(found, PacedClock)  # every cluster of a host has one
    return found


def _one_of(body: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, Any]:
    if len(body) != 1 or next(iter(body)) not in names:
        raise HostError(f"say exactly one of {', '.join(names)}")
    return next(iter(body.items()))


def _number(value: Any, what: str, *, infinite: bool = False) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) or infinite):
        raise HostError(f"{what} is a number, not {str(value)[:40]!r}")
    return float(value)


# -- clock -----------------------------------------------------------------------------------------------------------


def clock(tenant: Tenant) -> dict[str, Any]:
    """How the clock stands, and what waits for it."""
    found, cluster = _clock_of(tenant), tenant.cluster
    pinned, now, due = found.pinned, found.now(), found.next_due()
    waiting = cluster.work.waiting()
    return {
        "time": _stamp(now),
        "speed": 1.0 if pinned else found.speed,
        "paused": found.paused and not pinned,
        "stepping": found.stepping,
        "pinned": pinned,
        "waiting": len(waiting),
        "next": [
            {"component": name, "key": _key(key), "cause": cause, "because": _because(cluster.trace, cause)}
            for name, key, cause in waiting[:MOST_SHOWN]
        ],
        "timer": None if due is None else round(max(0.0, due - now), 3),
    }


async def _set_clock(tenant: Tenant, body: Mapping[str, Any]) -> dict[str, Any]:
    name, value = _one_of(body, ("speed", "pause", "resume", "step"))
    cluster, found = tenant.cluster, _clock_of(tenant)
    before = cluster.trace.last
    did: tuple[str, object] | None = None
    if name == "speed":
        cluster.set_clock(lambda: found.run_at(_number(value, "a speed")))
    elif name == "pause":
        cluster.set_clock(found.pause)
    elif name == "resume":
        cluster.set_clock(found.resume)
    elif value == "reconcile":
        cluster.set_clock(found.pause)
        did = cluster.step()
    else:
        seconds = 0.0 if value == "until-quiet" else _number(value, "a step")
        cluster.set_clock(lambda: found.step_to(seconds))
        await _arrival(tenant)
    if name != "step":
        return clock(tenant)
    changes = [_shown(entry, cluster.trace) for entry in cluster.trace.since(before)]
    reconciled = {"component": did[0], "key": _key(did[1])} if did else None
    return {**clock(tenant), "reconciled": reconciled, "changes": changes}


async def _arrival(tenant: Tenant) -> None:
    """Wait until a step is done, for a while."""
    arrived = asyncio.Event()
    tenant.cluster.when_arrived(arrived.set)
    try:
        async with asyncio.timeout(STEP_SECONDS):
            await arrived.wait()
    except TimeoutError:
        return  # the answer says that it is still on its way


def _time(tenant: Tenant) -> dict[str, Any]:
    return {"time": tenant.cluster.clock.now(), "revision": tenant.cluster.store.revision}


async def sleep(tenant: Tenant, body: Mapping[str, Any]) -> dict[str, Any]:
    """Let ``seconds`` of cluster time pass; ``{"time": NOW, "revision": of the newest object}``, which is early when
    that takes too long on the wall clock.

    With ``every`` and ``since`` it ends early as well after the first ``every`` seconds, or twice as many, and so on,
    by which there is a newer revision than ``since``: just as if somebody had looked so often.
    """
    seconds = _number(body.get("seconds"), "seconds")
    if not 0 <= seconds <= LONGEST_SLEEP:
        raise HostError(f"a sleep is at most {LONGEST_SLEEP:g} seconds, not {seconds:g}")
    every = _number(body.get("every", seconds), "every")
    since = _number(body.get("since", inf), "since", infinite=True)
    if tenant.waiting >= MOST_WAITING:
        raise HostError(f"{MOST_WAITING} requests wait for this cluster already")
    tenant.waiting += 1
    try:
        async with asyncio.timeout(SLEEP_SECONDS):
            await _sleep(tenant.cluster, seconds, max(every, SHORTEST_STEP), since)
    except TimeoutError:
        pass  # the answer says how far it has got
    finally:
        tenant.waiting -= 1
    return _time(tenant)


async def _sleep(cluster: Cluster, seconds: float, every: float, since: float) -> None:
    clock = cluster.clock
    until = clock.now() + seconds
    while True:
        sleeping = clock.sleep(min(every, until - clock.now()))
        try:
            await wait(sleeping, clock)
        finally:
            sleeping.on_cancel()
        await _settled(cluster)
        if clock.now() >= until or cluster.store.revision > since:
            return


async def _settled(cluster: Cluster) -> None:
    """In virtual time, wait until all that happens at this very moment has happened."""
    clock = _paced(cluster)
    while clock.in_virtual_time and (len(cluster.work) or (clock.next_due() or inf) <= clock.now()):
        await asyncio.sleep(0)


# -- components ------------------------------------------------------------------------------------------------------


def components(tenant: Tenant) -> dict[str, Any]:
    """Every component and whether it runs, every node and what is wrong with it."""
    cluster = tenant.cluster
    return {"components": cluster.components(), "nodes": cluster.faults.node_states()}


_FAULTS = {"stop": "stop-component", "start": "start-component", "cut": "cut-node", "fill": "fill-node"}
_OF_NODES = {"stop": "stop-node", "start": "start-node", "pause": "pause-node"}


def _change_components(tenant: Tenant, body: Mapping[str, Any]) -> dict[str, Any]:
    name, target = _one_of(body, ("stop", "start", "pause", "cut", "fill"))
    if not isinstance(target, str):
        raise HostError(f"{name} needs a name")
    node = target.removeprefix("node/")
    if name in _OF_NODES and (node != target or name == "pause"):
        tenant.fault(_OF_NODES[name], node)
    else:
        tenant.fault(_FAULTS[name], node)
    return components(tenant)


# -- trace -----------------------------------------------------------------------------------------------------------


async def trace(tenant: Tenant, query: Mapping[str, str]) -> dict[str, Any]:
    """Changes after ``since``, the oldest first; without any, waits up to ``wait`` seconds for the next."""
    found = tenant.cluster.trace
    since, limit = _whole(query, "since", 0), min(_whole(query, "limit", 500), MOST)
    if "of" in query:
        entries = list(found.following(_whole(query, "of", 0)))[:limit]
    else:
        if since > found.last:
            since = 0  # of an earlier life of the host
        wait = min(_whole(query, "wait", 0), WAIT_SECONDS)
        if wait and since >= found.last:
            await _news(tenant, found, wait)
        entries = found.since(since, limit)
    shown = [_shown(entry, found) for entry in entries]
    _add_audit(tenant, shown)
    return {"entries": shown, "next": entries[-1].id if entries else since, "oldest": found.oldest, "last": found.last}


def _add_audit(tenant: Tenant, shown: list[dict[str, Any]]) -> None:
    """The number under which the audit log has each request from outside, as far as it still has it."""
    asked = {str(entry["id"]): entry for entry in shown if not entry["by"]}
    if asked:
        for event in tenant.cluster.apiserver.audit.events(most=MOST_REQUESTS):
            entry = asked.get(event.get("annotations", {}).get(NOTE, ""))
            if entry is not None:
                entry["audit"] = event["number"]


async def _news(tenant: Tenant, found: Trace, seconds: float) -> None:
    if tenant.waiting >= MOST_WAITING:
        raise HostError(f"{MOST_WAITING} requests wait for news of this trace already")
    news = asyncio.Event()
    back = found.when_more(news.set)
    tenant.waiting += 1
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return
    finally:
        tenant.waiting -= 1
        back()


def _shown(entry: Entry, found: Trace) -> dict[str, Any]:
    return {
        "id": entry.id,
        "time": _stamp(entry.at),
        "by": entry.by,
        "node": entry.node,
        "user": entry.user,
        "agent": entry.agent,
        "verb": entry.verb,
        "did": entry.did,
        "resource": entry.resource,
        "kind": entry.kind,
        "namespace": entry.namespace,
        "name": entry.name,
        "revision": entry.revision,
        "what": entry.what,
        "cause": entry.cause,
        "told": list(entry.told),
        "text": sentence(entry, found.get),
        "statement": statement(entry),
        "journey": journey(entry) if not entry.by else [],
    }


def _because(found: Trace, cause: int) -> str:
    entry = found.get(cause) if cause else None
    return statement(entry) if entry is not None else ""


def _whole(query: Mapping[str, str], name: str, otherwise: int) -> int:
    value = query.get(name, "")
    if not value:
        return otherwise
    if not value.isascii() or not value.isdigit() or len(value) > 15:
        raise HostError(f"{name} is a whole number, not {value[:40]!r}")
    return int(value)


def _key(key: object) -> str:
    return "/".join(str(part) for part in key if part) if isinstance(key, tuple) else str(key)


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


__all__ = ["Pinned", "answer", "serve"]
