"""The probe mode of ``kindling/web``: sends requests on the simulated network, and keeps traffic flowing by
itself.

Answers as the image's own: ``POST /request``, ``POST /traffic``, ``GET`` and ``DELETE /traffic/ID``,
``GET /healthz``. Traffic under way ends with the host process; whoever measures sees a probe that does not know its id.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from simkube.clock.clock import Task
from simkube.runtime import httptext
from simkube.runtime.cri import HTTPRequest, HTTPResponse
from simkube.runtime.process import Process
from simkube.runtime.programs import requester

if TYPE_CHECKING:
    from simkube.runtime.programs.web_app import Server

MOST_RECORDS = 20_000
MOST_TRAFFIC = 16


class Traffic:
    """Requests at a steady pace until told to stop."""

    def __init__(self, process: Process, url: str, interval: float, timeout: float, most: int) -> None:
        self._process = process
        self._url, self._interval, self._timeout, self._most = url, interval, timeout, most
        self._sent: list[Task[requester.Record]] = []
        self._stopped = False
        self._flowing = process.spawn(self._flow())

    async def _flow(self) -> None:
        clock = self._process.container.clock
        try:
            target = requester.Target(self._url)
        except requester.BadRequest:
            target = None
        due = clock.now()
        while len(self._sent) < self._most and not self._stopped:
            work = (
                requester.request(self._process, self._url, "GET", self._timeout, {}, "")
                if target is None
                else requester.send(self._process, target, self._timeout)
            )
            self._sent.append(self._process.spawn(work))
            due = max(due + self._interval, clock.now() - self._interval)
            await clock.sleep(max(due - clock.now(), 0.0))

    async def stop(self) -> None:
        """Send no more; returns when every request under way has ended."""
        self._stopped = True
        for task in list(self._sent):
            if not task.done:
                await task

    def seen(self, after: int = 0) -> dict[str, Any]:
        """How it stands; ``records`` ends at the first request that is still under way."""
        records = []
        for task in self._sent[after:]:
            if not task.done:
                break
            records.append(task.result())
        running = not self._stopped and not self._flowing.done
        return {"running": running, "sent": len(self._sent), "records": records}


class Probe:
    """The probe's answers."""

    logs = False

    def __init__(self, process: Process) -> None:
        self._process = process
        self._flows: dict[str, Traffic] = {}

    async def answer(self, server: Server, request: HTTPRequest, path: str, query: dict[str, str]) -> HTTPResponse:
        """The answer to one request."""
        place, _, name = path.strip("/").partition("/")
        try:
            if request.method == "GET" and path in ("/healthz", "/readyz"):
                return httptext.text(200, "ok\n")
            if request.method == "POST" and path == "/request":
                return _json(200, await self._request(_fields(request.body)))
            if request.method == "POST" and path == "/traffic":
                return _json(201, self._start(_fields(request.body)))
            if request.method in ("GET", "DELETE") and place == "traffic" and name in self._flows:
                flow = self._flows[name]
                if request.method == "DELETE":
                    await flow.stop()
                    self._flows.pop(name, None)
                after = query.get("after", "0")
                return _json(200, flow.seen(int(after) if after.isdecimal() and len(after) < 10 else 0))
        except ValueError as error:
            return httptext.text(400, f"{error}\n")
        return httptext.text(404, "not found\n")

    async def _request(self, fields: dict[str, Any]) -> list[requester.Record]:
        count = int(_number(fields, "count", 1, 1, 1000))
        timeout = _number(fields, "timeout_ms", 2000, 1, 60_000) / 1000
        headers = fields.get("headers") or {}
        if not isinstance(headers, dict):
            raise ValueError("headers must be an object")
        given = (_url(fields), str(fields.get("method") or "GET"), timeout, headers, str(fields.get("body") or ""))
        records: list[requester.Record] = []
        for start in range(0, count, 8):
            sent = [self._process.spawn(requester.request(self._process, *given)) for _ in range(min(8, count - start))]
            records.extend([await task for task in sent])
        return records

    def _start(self, fields: dict[str, Any]) -> dict[str, str]:
        if fields.get("keepalive"):
            raise ValueError("keepalive is not supported: each request has a connection of its own")
        if len(self._flows) >= MOST_TRAFFIC:
            raise ValueError(f"at most {MOST_TRAFFIC} flows at once")
        interval = _number(fields, "interval_ms", 100, 5, 60_000) / 1000
        timeout = _number(fields, "timeout_ms", 2000, 1, 60_000) / 1000
        most = int(_number(fields, "max", MOST_RECORDS, 1, MOST_RECORDS))
        name = secrets.token_hex(16)
        self._flows[name] = Traffic(self._process, _url(fields), interval, timeout, most)
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


def _url(fields: dict[str, Any]) -> str:
    if not isinstance(fields.get("url"), str):
        raise ValueError("url must be a string")
    return str(fields["url"])


def _number(fields: dict[str, Any], name: str, default: float, least: float, most: float) -> float:
    value = fields.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise ValueError(f"{name} must be a number from {least:g} to {most:g}")
    return value
