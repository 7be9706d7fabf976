"""The grader's probe: sends requests from inside the cluster, and keeps traffic flowing by itself.

========================== ===================================================================================
``POST /request``          ``{"url", "method", "timeout_ms", "headers", "body", "count"}`` -> 200, list of records
``POST /traffic``          ``{"url", "interval_ms", "timeout_ms", "max"}`` -> 201 ``{"id"}``: one request every
                           interval, whether or not earlier ones have been answered, until ``max`` are sent
``GET /traffic/ID``        ``{"running", "sent", "records"}``; ``?after=N`` leaves the first N records out
``DELETE /traffic/ID``     the same, after stopping and letting the requests under way end
``GET /healthz``           200 ``ok``
========================== ===================================================================================

Records are those of ``requester``, in the order of sending. Each request has a connection of its own
(``"keepalive": true`` is refused). What is not valid JSON or out of bounds is answered 400 with the reason.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import listener
import requester

AT_ONCE = 64
MOST_RECORDS = 20_000
MOST_TRAFFIC = 16


class Traffic:
    """Requests at a steady pace until told to stop."""

    def __init__(self, url: str, interval: float, timeout: float, most: int, pool: ThreadPoolExecutor) -> None:
        self._url, self._interval, self._timeout, self._most, self._pool = url, interval, timeout, most, pool
        self._sent: list[Future[requester.Record]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._flow, daemon=True)
        self._thread.start()

    def _flow(self) -> None:
        due = time.monotonic()
        while len(self._sent) < self._most and not self._stop.is_set():
            self._sent.append(self._pool.submit(requester.request, self._url, "GET", self._timeout))
            due = max(due + self._interval, time.monotonic() - self._interval)
            self._stop.wait(max(due - time.monotonic(), 0))

    def stop(self) -> None:
        """Send no more; returns when every request under way has ended."""
        self._stop.set()
        self._thread.join()
        for under_way in list(self._sent):
            under_way.result()

    def seen(self, after: int = 0) -> dict[str, Any]:
        """How it stands; ``records`` ends at the first request that is still under way."""
        sent = list(self._sent)
        records = []
        for one in sent[after:]:
            if not one.done():
                break
            records.append(one.result())
        return {"running": self._thread.is_alive(), "sent": len(sent), "records": records}


def make_handler() -> type[listener.Handler]:
    """A handler class with state of its own."""

    class ProbeHandler(Probe):
        flows: dict[str, Traffic] = {}  # noqa: RUF012 - shared by the handlers of one process, on purpose
        pool = ThreadPoolExecutor(AT_ONCE)

    return ProbeHandler


class Probe(listener.Handler):
    """Answers the table above."""

    flows: dict[str, Traffic]
    pool: ThreadPoolExecutor

    def route(self, method: str, path: str, query: dict[str, str]) -> None:
        """Answer one request."""
        content = self.body()
        place, _, name = path.strip("/").partition("/")
        try:
            if method == "GET" and path in ("/healthz", "/readyz"):
                self.answer(200, "ok\n")
            elif method == "POST" and path == "/request":
                self._request(_fields(content))
            elif method == "POST" and path == "/traffic":
                self._start(_fields(content))
            elif method in ("GET", "DELETE") and place == "traffic" and name in self.flows:
                flow = self.flows[name]
                if method == "DELETE":
                    flow.stop()
                    del self.flows[name]
                after = query.get("after", "0")
                self.answer_json(200, flow.seen(int(after) if after.isdigit() else 0))
            else:
                self.answer(404, "not found\n")
        except ValueError as error:
            self.answer(400, str(error) + "\n")

    def _request(self, fields: dict[str, Any]) -> None:
        count = int(_number(fields, "count", 1, 1, 1000))
        timeout = _number(fields, "timeout_ms", 2000, 1, 60_000) / 1000
        headers = fields.get("headers") or {}
        if not isinstance(headers, dict):
            raise ValueError("headers must be an object")
        given = (_url(fields), str(fields.get("method") or "GET"), timeout, headers, str(fields.get("body") or ""))
        if count == 1:
            self.answer_json(200, [requester.request(*given)])
            return
        with ThreadPoolExecutor(min(count, 8)) as pool:
            sent = [pool.submit(requester.request, *given) for _ in range(count)]
            self.answer_json(200, [one.result() for one in sent])

    def _start(self, fields: dict[str, Any]) -> None:
        if fields.get("keepalive"):
            raise ValueError("keepalive is not supported: each request has a connection of its own")
        if len(self.flows) >= MOST_TRAFFIC:
            raise ValueError(f"at most {MOST_TRAFFIC} flows at once")
        interval = _number(fields, "interval_ms", 100, 5, 60_000) / 1000
        timeout = _number(fields, "timeout_ms", 2000, 1, 60_000) / 1000
        most = int(_number(fields, "max", MOST_RECORDS, 1, MOST_RECORDS))
        name = uuid.uuid4().hex
        self.flows[name] = Traffic(_url(fields), interval, timeout, most, self.pool)
        self.answer_json(201, {"id": name})

    def log(self, line: str) -> None:
        """The probe keeps records; it has no use for a log."""


def _fields(content: bytes) -> dict[str, Any]:
    fields = json.loads(content)
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
