"""What a service of ``kindling/shop`` is, read from data as its image reads it, with the same words for what is wrong.

``GRAPH`` names a JSON file of services (``/etc/shop/graph.json``); variables say the same for one service, and win.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simkube.runtime.httptext import BadURL, parse_url

GRAPH = "/etc/shop/graph.json"
LONGEST_SECONDS = 60.0
MOST_CALLS = 20
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_CALL = re.compile(r"(?P<to>[^=?]+)(?P<optional>\?)?=(?P<url>.+)")
_SERVICE_FIELDS = {"latency_ms": 60_000, "cpu_ms": 60_000, "leak_kb": 1 << 20}
_CALL_FIELDS = {
    "timeout_ms": (60_000, "CALL_TIMEOUT_MS"),
    "retries": (10, "CALL_RETRIES"),
    "cache_seconds": (3600, "CACHE_SECONDS"),
    "stale_seconds": (3600, "STALE_SECONDS"),
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call. ``timeout``, ``cache`` and ``stale`` in seconds."""

    to: str
    url: str
    optional: bool
    timeout: float
    retries: int
    cache: float
    stale: float


@dataclass(frozen=True, slots=True)
class Service:
    """One service. ``latency`` and ``cpu`` in seconds, ``leak`` in bytes."""

    name: str
    latency: float
    cpu: float
    leak: int
    parallel: bool
    calls: tuple[Call, ...]


Read = Callable[[str], "bytes | str"]
"""The content of a file: its bytes, or why it cannot be read."""


def service_of(env: Mapping[str, str], read: Read) -> Service:
    """The service that variables and the graph describe; ``ValueError`` says what is wrong, and where."""
    name = env.get("SERVICE") or "shop"
    if not _NAME.fullmatch(name):
        raise ValueError(f"SERVICE must be a name of small letters, digits and dashes, not {name!r}")
    given = _in_graph(name, env.get("GRAPH") or "", read)
    calls = given.pop("calls", [])
    parallel = given.pop("parallel", False)
    costs = {field: _number(field, given.pop(field, 0), most) for field, most in _SERVICE_FIELDS.items()}
    if given:
        raise ValueError(f"{name} has unknown fields: {', '.join(sorted(given))}")
    for field, most in _SERVICE_FIELDS.items():
        costs[field] = _variable(env, field.upper(), most, costs[field])
    if env.get("PARALLEL"):
        parallel = env["PARALLEL"] in ("1", "true", "yes")
    if env.get("CALLS"):
        calls = [_written(one) for one in env["CALLS"].split()]
    return Service(
        name=name,
        latency=costs["latency_ms"] / 1000,
        cpu=costs["cpu_ms"] / 1000,
        leak=int(costs["leak_kb"] * 1024),
        parallel=parallel is True,
        calls=_calls(calls, env),
    )


def _in_graph(name: str, path: str, read: Read) -> dict[str, Any]:
    content = read(path or GRAPH)
    if isinstance(content, str):
        if path:
            raise ValueError(f"GRAPH {path} cannot be read: {content}")
        return {}
    try:
        graph = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError(f"GRAPH {path or GRAPH} is not JSON") from None
    if not isinstance(graph, dict) or not isinstance(graph.get(name), dict):
        raise ValueError(f"GRAPH {path or GRAPH} has no service {name}")
    return dict(graph[name])


def _written(text: str) -> dict[str, Any]:
    found = _CALL.fullmatch(text)
    if found is None:
        raise ValueError(f"CALLS must be NAME=URL or NAME?=URL, not {text!r}")
    return {"to": found["to"], "url": found["url"], "optional": found["optional"] is not None}


def _calls(given: Any, env: Mapping[str, str]) -> tuple[Call, ...]:
    if not isinstance(given, list) or len(given) > MOST_CALLS:
        raise ValueError(f"calls must be a list of at most {MOST_CALLS}")
    made = tuple(_call(one, env) for one in given)
    if len({one.to for one in made}) < len(made):
        raise ValueError("calls name a service twice")
    return made


def _call(given: Any, env: Mapping[str, str]) -> Call:
    if not isinstance(given, dict):
        raise ValueError("a call must be an object")
    rest = dict(given)
    to, url, optional = rest.pop("to", None), rest.pop("url", None), rest.pop("optional", False)
    if not isinstance(to, str) or not _NAME.fullmatch(to):
        raise ValueError(f"a call must have a name of small letters, digits and dashes in to, not {to!r}")
    if not isinstance(url, str) or not _is_url(url):
        raise ValueError(f"the call of {to} must have a url that begins with http://, not {url!r}")
    found = {field: _number(field, rest.pop(field, 0), most) for field, (most, _) in _CALL_FIELDS.items()}
    if rest:
        raise ValueError(f"the call of {to} has unknown fields: {', '.join(sorted(rest))}")
    for field, (most, variable) in _CALL_FIELDS.items():
        found[field] = found[field] or _variable(env, variable, most, 0)
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
        scheme, _, port, _ = parse_url(text)
    except BadURL:
        return False
    return scheme == "http" and "://" in text and port != 0 and text.isprintable()


def _variable(env: Mapping[str, str], name: str, most: float, otherwise: float) -> float:
    text = env.get(name)
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
