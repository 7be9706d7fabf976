"""The grader's probe: sends requests from inside the cluster, and keeps traffic flowing by itself.

========================== ===================================================================================
``POST /request``          ``{"url", "method", "timeout_ms", "headers", "body", "count", "characters"}`` -> 200, list of
                           records, with so many characters of each body (default 200)
``POST /traffic``          ``{"url", "interval_ms", "timeout_ms", "max", "connections"}`` -> 201 ``{"id"}``: one
                           request every interval, until ``max`` are sent
``POST /traffic``          ``{"url", "phases", "timeout_ms", "connections"}`` -> the same, through phases
                           ``{"seconds", "rate", "to"}``: requests a second, from ``rate`` evenly ``to``
``GET /traffic/ID``        ``{"running", "began", "sent", "records"}``; ``?after=N`` leaves the first N records out
``DELETE /traffic/ID``     the same, after stopping and letting the requests under way end
``POST /reach``            ``{"targets": [{"host", "port", "protocol"}], "timeout_ms"}`` -> 200, for each target what
                           ``reach`` says; ``protocol`` is ``TCP``, or ``UDP`` for port 53, where names are asked for
``GET /healthz``           200 ``ok``
========================== ===================================================================================

With ``?nonce=N`` what would be answered is the ``answer`` of ``{"nonce": N, "uid": its pod's, "answer"}``: whoever
asked sees that it answers this question, and that it is the pod it was asked of.

Records are those of ``requester``, in the order of sending. A request has a connection of its own, but in traffic with
``connections``: so many are kept open and used in turn. What is not valid JSON or out of bounds is answered 400 with
the reason.
"""

from __future__ import annotations

import json
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flow
import listener
import reach
import requester

MOST_RECORDS = 20_000
MOST_TRAFFIC = 16
UID = os.environ.get("POD_UID", "")
MOST_PHASES = 50
MOST_CONNECTIONS = 64
MOST_RATE = 200
MOST_TARGETS = 200


def make_handler() -> type[listener.Handler]:
    """A handler class with state of its own."""

    class ProbeHandler(Probe):
        flows: dict[str, flow.Flow] = {}  # noqa: RUF012 - shared by the handlers of one process, on purpose

    return ProbeHandler


class Probe(listener.Handler):
    """Answers the table above."""

    flows: dict[str, flow.Flow]
    nonce = ""

    def route(self, method: str, path: str, query: dict[str, str]) -> None:
        """Answer one request."""
        content = self.body()
        self.nonce = query.get("nonce", "")
        place, _, name = path.strip("/").partition("/")
        try:
            if method == "GET" and path in ("/healthz", "/readyz"):
                self.answer(200, "ok\n")
            elif method == "POST" and path == "/request":
                self._request(_fields(content))
            elif method == "POST" and path == "/reach":
                self._reach(_fields(content))
            elif method == "POST" and path == "/traffic":
                self._start(_fields(content))
            elif method in ("GET", "DELETE") and place == "traffic" and name in self.flows:
                found = self.flows[name]
                if method == "DELETE":
                    found.stop()
                    self.flows.pop(name, None)
                after = query.get("after", "0")
                self.answer_json(200, found.seen(int(after) if after.isdigit() else 0))
            else:
                self.answer(404, "not found\n")
        except ValueError as error:
            self.answer(400, str(error) + "\n")

    def answer_json(self, status: int, value: Any) -> None:
        """As the base class does, around it what was asked to be said again."""
        super().answer_json(status, {"nonce": self.nonce, "uid": UID, "answer": value} if self.nonce else value)

    def _request(self, fields: dict[str, Any]) -> None:
        count = int(_number(fields, "count", 1, 1, 1000))
        timeout = _number(fields, "timeout_ms", 2000, 1, 60_000) / 1000
        headers = fields.get("headers") or {}
        if not isinstance(headers, dict):
            raise ValueError("headers must be an object")
        characters = int(_number(fields, "characters", requester.BODY_CHARACTERS, 20, requester.MOST_CHARACTERS))
        body = str(fields.get("body") or "")
        given = (_url(fields), str(fields.get("method") or "GET"), timeout, headers, body, characters)
        if count == 1:
            self.answer_json(200, [requester.request(*given)])
            return
        with ThreadPoolExecutor(min(count, 8)) as pool:
            sent = [pool.submit(requester.request, *given) for _ in range(count)]
            self.answer_json(200, [one.result() for one in sent])

    def _reach(self, fields: dict[str, Any]) -> None:
        timeout = _number(fields, "timeout_ms", 2000, 1, 60_000) / 1000
        targets = [_target(one) for one in _objects(fields, "targets", MOST_TARGETS)]
        with ThreadPoolExecutor(MOST_CONNECTIONS) as pool:
            self.answer_json(200, list(pool.map(lambda one: reach.reach(*one, timeout), targets)))

    def _start(self, fields: dict[str, Any]) -> None:
        if len(self.flows) >= MOST_TRAFFIC:
            raise ValueError(f"at most {MOST_TRAFFIC} flows at once")
        plan = _plan(fields)
        name = uuid.uuid4().hex
        self.flows[name] = flow.Flow(plan)
        self.answer_json(201, {"id": name})

    def log(self, line: str) -> None:
        """The probe keeps records; it has no use for a log."""


def _fields(content: bytes) -> dict[str, Any]:
    fields = json.loads(content)
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
