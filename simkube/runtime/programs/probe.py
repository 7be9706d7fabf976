"""The probe mode of ``kindling/web``: sends requests on the simulated network, and keeps traffic flowing by
itself.

Answers as the image's own: ``POST /request``, ``POST /traffic``, ``GET`` and ``DELETE /traffic/ID``, ``POST /reach``,
``GET /healthz``. Traffic under way ends with the host process; whoever measures sees a probe that does not know its id.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from simkube.runtime import httptext
from simkube.runtime.cri import HTTPRequest, HTTPResponse
from simkube.runtime.process import Process
from simkube.runtime.programs import flow, reach, requester

if TYPE_CHECKING:
    from simkube.runtime.programs.web_app import Server

MOST_RECORDS = 20_000
MOST_TRAFFIC = 16
MOST_PHASES = 50
MOST_CONNECTIONS = 64
MOST_RATE = 200
MOST_TARGETS = 200


class Probe:
    """The probe's answers."""

    logs = False

    def __init__(self, process: Process) -> None:
        self._process = process
        self._flows: dict[str, flow.Flow] = {}

    async def answer(self, server: Server, request: HTTPRequest, path: str, query: dict[str, str]) -> HTTPResponse:
        """The answer to one request; around it what was asked to be said again."""
        response = await self._answer(request, path, query)
        nonce = query.get("nonce", "")
        if not nonce or not 200 <= response.status < 300 or path in ("/healthz", "/readyz"):
            return response
        uid = self._process.env.get("POD_UID", "")
        return _json(response.status, {"nonce": nonce, "uid": uid, "answer": json.loads(response.body)})

    async def _answer(self, request: HTTPRequest, path: str, query: dict[str, str]) -> HTTPResponse:
        place, _, name = path.strip("/").partition("/")
        try:
            if request.method == "GET" and path in ("/healthz", "/readyz"):
                return httptext.text(200, "ok\n")
            if request.method == "POST" and path == "/request":
                return _json(200, await self._request(_fields(request.body)))
            if request.method == "POST" and path == "/reach":
                return _json(200, await self._reach(_fields(request.body)))
            if request.method == "POST" and path == "/traffic":
                return _json(201, self._start(_fields(request.body)))
            if request.method in ("GET", "DELETE") and place == "traffic" and name in self._flows:
                found = self._flows[name]
                if request.method == "DELETE":
                    await found.stop()
                    self._flows.pop(name, None)
                after = query.get("after", "0")
                return _json(200, found.seen(int(after) if after.isdecimal() and len(after) < 10 else 0))
        except ValueError as error:
            return httptext.text(400, f"{error}\n")
        return httptext.text(404, "not found\n")

    async def _request(self, fields: dict[str, Any]) -> list[requester.Record]:
        count = int(_number(fields, "count", 1, 1, 1000))
        timeout = _number(fields, "timeout_ms", 2000, 1, 60_000) / 1000
        headers = fields.get("headers") or {}
        if not isinstance(headers, dict):
            raise ValueError("headers must be an object")
        characters = int(_number(fields, "characters", requester.BODY_CHARACTERS, 20, requester.MOST_CHARACTERS))
        body = str(fields.get("body") or "")
        given = (_url(fields), str(fields.get("method") or "GET"), timeout, headers, body, characters)
        records: list[requester.Record] = []
        for start in range(0, count, 8):
            sent = [self._process.spawn(requester.request(self._process, *given)) for _ in range(min(8, count - start))]
            records.extend([await task for task in sent])
        return records

    async def _reach(self, fields: dict[str, Any]) -> list[dict[str, Any]]:
        timeout = _number(fields, "timeout_ms", 2000, 1, 60_000) / 1000
        targets = [_target(one) for one in _objects(fields, "targets", MOST_TARGETS)]
        tried = [self._process.spawn(reach.reach(self._process, *one, timeout)) for one in targets]
        return [await task for task in tried]

    def _start(self, fields: dict[str, Any]) -> dict[str, str]:
        if len(self._flows) >= MOST_TRAFFIC:
            raise ValueError(f"at most {MOST_TRAFFIC} flows at once")
        plan = _plan(fields)
        name = secrets.token_hex(16)
        self._flows[name] = flow.Flow(self._process, plan)
        return {"id": name}


def _json(status: int, value: Any) -> HTTPResponse:
    return httptext.text(status, json.dumps(value) + "\n", "application/json")


def _fields(content: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(content)
    except RecursionError:
        raise ValueError("the body is nested too deeply") from None
    if not isinstance(fields, dict):
        raise ValueError("the body must be a JSON object")
    return fields


def _plan(fields: dict[str, Any]) -> flow.Plan:
    if "keepalive" in fields:
        raise ValueError("keepalive is no setting: give the number of connections to keep open")
    url = _url(fields)
    timeout = _number(fields, "timeout_ms", 2000, 1, 60_000) / 1000
    connections = int(_number(fields, "connections", 0, 0, MOST_CONNECTIONS))
    if "phases" not in fields:
        interval = _number(fields, "interval_ms", 100, 5, 60_000) / 1000
        most = int(_number(fields, "max", MOST_RECORDS, 1, MOST_RECORDS))
        steady = flow.Phase((most + 1) * interval, 1 / interval, 1 / interval)
        return flow.Plan(url, timeout, (steady,), most, connections, steady=True)
    phases = tuple(_phase(one) for one in _objects(fields, "phases", MOST_PHASES))
    if not 0 < sum(one.requests for one in phases) <= MOST_RECORDS:
        raise ValueError(f"phases must come to 1 to {MOST_RECORDS} requests")
    return flow.Plan(url, timeout, phases, MOST_RECORDS, connections)


def _phase(fields: dict[str, Any]) -> flow.Phase:
    rate = _number(fields, "rate", 0, 0, MOST_RATE)
    return flow.Phase(_number(fields, "seconds", 0, 0.1, 3600), rate, _number(fields, "to", rate, 0, MOST_RATE))


def _target(fields: dict[str, Any]) -> tuple[str, int, str]:
    host, protocol = fields.get("host"), fields.get("protocol", "TCP")
    port = int(_number(fields, "port", 0, 1, 65535))
    if not isinstance(host, str) or not 0 < len(host) < 254 or any(ord(c) <= 32 or ord(c) > 126 for c in host):
        raise ValueError("host must be a name or an address")
    if protocol != "TCP" and (protocol, port) != ("UDP", 53):
        raise ValueError("protocol must be TCP, or UDP for port 53")
    return host, port, protocol


def _objects(fields: dict[str, Any], name: str, most: int) -> list[dict[str, Any]]:
    given = fields.get(name)
    if not isinstance(given, list) or not 1 <= len(given) <= most or not all(isinstance(one, dict) for one in given):
        raise ValueError(f"{name} must be a list of 1 to {most} objects")
    return given


def _url(fields: dict[str, Any]) -> str:
    if not isinstance(fields.get("url"), str):
        raise ValueError("url must be a string")
    return str(fields["url"])


def _number(fields: dict[str, Any], name: str, default: float, least: float, most: float) -> float:
    value = fields.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise ValueError(f"{name} must be a number from {least:g} to {most:g}")
    return value
