"""What a service of the shop is, read from data: its costs, and whom it calls for each request.

The graph is a JSON object, service by service, in the file that ``GRAPH`` names (``/etc/shop/graph.json``); variables
say the same for one service alone, and win:

======================= ================== ====================================================================
variable                in the graph       meaning (default)
======================= ================== ====================================================================
``SERVICE``             (the key)          its name (``shop``)
``LATENCY_MS``          ``latency_ms``     each request waits so long, idle (0)
``CPU_MS``              ``cpu_ms``         each request takes so much processor time (0)
``LEAK_KB``             ``leak_kb``        each request takes so much memory, for good (0)
``PARALLEL``            ``parallel``       whether it calls all at once (no: one after the other)
``CALLS``               ``calls``          ``cart=http://cart/ reviews?=http://reviews/``: ``?`` is one it can do
                                           without; in the graph a list of objects
``CALL_TIMEOUT_MS``     ``timeout_ms``     of a call: given up after so long (0: 60 s, which is nearly never)
``CALL_RETRIES``        ``retries``        of a call: tried so often again (0)
``CACHE_SECONDS``       ``cache_seconds``  of a call: an answer is used again for so long without asking (0)
``STALE_SECONDS``       ``stale_seconds``  of a call: an answer is used for so long where asking fails (0)
======================= ================== ====================================================================

A call in the graph has ``to``, ``url``, ``optional`` and the fields above. Everything is read once, at the start:
whoever changes the file starts the service again. What is not understood is refused, never ignored.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GRAPH = "/etc/shop/graph.json"
GRAPH_BYTES = 1 << 20
LONGEST_SECONDS = 60.0
MOST_CALLS = 20
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
CALL = re.compile(r"(?P<to>[^=?]+)(?P<optional>\?)?=(?P<url>.+)")
SERVICE_FIELDS = {"latency_ms": 60_000, "cpu_ms": 60_000, "leak_kb": 1 << 20}
CALL_FIELDS = {"timeout_ms": 60_000, "retries": 10, "cache_seconds": 3600, "stale_seconds": 3600}
VARIABLES = {
    **{field: field.upper() for field in SERVICE_FIELDS},
    "timeout_ms": "CALL_TIMEOUT_MS",
    "retries": "CALL_RETRIES",
    "cache_seconds": "CACHE_SECONDS",
    "stale_seconds": "STALE_SECONDS",
}


@dataclass(frozen=True)
class Call:
    """One call. ``timeout``, ``cache`` and ``stale`` in seconds."""

    to: str
    url: str
    optional: bool
    timeout: float
    retries: int
    cache: float
    stale: float


@dataclass(frozen=True)
class Service:
    """One service. ``latency`` and ``cpu`` in seconds, ``leak`` in bytes."""

    name: str
    latency: float
    cpu: float
    leak: int
    parallel: bool
    calls: tuple[Call, ...]


def service(environment: Mapping[str, str]) -> Service:
    """The service that ``environment`` describes; ``ValueError`` says what is wrong, and where."""
    name = environment.get("SERVICE") or "shop"
    if not NAME.fullmatch(name):
        raise ValueError("SERVICE must be a name of small letters, digits and dashes, not " + repr(name))
    given = _in_graph(name, environment.get("GRAPH") or "")
    calls = given.pop("calls", [])
    parallel = given.pop("parallel", False)
    costs = {field: _number(field, given.pop(field, 0), most) for field, most in SERVICE_FIELDS.items()}
    if given:
        raise ValueError(name + " has unknown fields: " + ", ".join(sorted(given)))
    for field, most in SERVICE_FIELDS.items():
        costs[field] = _variable(environment, VARIABLES[field], most, costs[field])
    if environment.get("PARALLEL"):
        parallel = environment["PARALLEL"] in ("1", "true", "yes")
    if environment.get("CALLS"):
        calls = [_written(one) for one in environment["CALLS"].split()]
    return Service(
        name=name,
        latency=costs["latency_ms"] / 1000,
        cpu=costs["cpu_ms"] / 1000,
        leak=int(costs["leak_kb"] * 1024),
        parallel=parallel is True,
        calls=_calls(calls, environment),
    )


def _in_graph(name: str, path: str) -> dict[str, Any]:
    """What the graph says of a service; {} where there is no graph and none was named."""
    try:
        with open(path or GRAPH, "rb") as file:
            graph = json.loads(file.read(GRAPH_BYTES))
    except OSError as error:
        if path:
            raise ValueError("GRAPH " + path + " cannot be read: " + str(error.strerror)) from None
        return {}
    except (ValueError, RecursionError):
        raise ValueError("GRAPH " + (path or GRAPH) + " is not JSON") from None
    if not isinstance(graph, dict) or not isinstance(graph.get(name), dict):
        raise ValueError("GRAPH " + (path or GRAPH) + " has no service " + name)
    return dict(graph[name])


def _written(text: str) -> dict[str, Any]:
    found = CALL.fullmatch(text)
    if found is None:
        raise ValueError("CALLS must be NAME=URL or NAME?=URL, not " + repr(text))
    return {"to": found["to"], "url": found["url"], "optional": found["optional"] is not None}


def _calls(given: Any, environment: Mapping[str, str]) -> tuple[Call, ...]:
    if not isinstance(given, list) or len(given) > MOST_CALLS:
        raise ValueError("calls must be a list of at most " + str(MOST_CALLS))
    made = tuple(_call(one, environment) for one in given)
    if len({one.to for one in made}) < len(made):
        raise ValueError("calls name a service twice")
    return made


def _call(given: Any, environment: Mapping[str, str]) -> Call:
    if not isinstance(given, dict):
        raise ValueError("a call must be an object")
    rest = dict(given)
    to, url, optional = rest.pop("to", None), rest.pop("url", None), rest.pop("optional", False)
    if not isinstance(to, str) or not NAME.fullmatch(to):
        raise ValueError("a call must have a name of small letters, digits and dashes in to, not " + repr(to))
    if not isinstance(url, str) or not _is_url(url):
        raise ValueError("the call of " + to + " must have a url that begins with http://, not " + repr(url))
    found = {field: _number(field, rest.pop(field, 0), most) for field, most in CALL_FIELDS.items()}
    if rest:
        raise ValueError("the call of " + to + " has unknown fields: " + ", ".join(sorted(rest)))
    for field, most in CALL_FIELDS.items():
        found[field] = found[field] or _variable(environment, VARIABLES[field], most, 0)
    return Call(
        to=to,
        url=url,
        optional=optional is True,
        timeout=found["timeout_ms"] / 1000 or LONGEST_SECONDS,
        retries=int(found["retries"]),
        cache=found["cache_seconds"],
        stale=found["stale_seconds"],
    )


def _is_url(text: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(text)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port != 0 and text.isprintable()
    except ValueError:
        return False


def _variable(environment: Mapping[str, str], name: str, most: float, otherwise: float) -> float:
    text = environment.get(name)
    if not text:
        return otherwise
    try:
        return _number(name, float(text), most)
    except ValueError:
        raise ValueError(f"{name} must be a number from 0 to {most}, not {text!r}") from None


def _number(field: str, value: Any, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise ValueError(f"{field} must be a number from 0 to {most}, not {value!r}")
    return float(value)
