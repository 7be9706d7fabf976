"""The ``probe`` fixture: requests from inside the cluster, sent by a pod of the grader's (:mod:`grader.probe_pod`).

What answers is any program of the learner's; the probe reads a bounded part of it, follows no redirect, and says in a
word what became of a request (``labs/images/web/requester.py``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from grader import limits
from grader.answers import Answer, Answers
from grader.evidence import Evidence
from grader.probe_pod import ProbePod
from grader.shapes import fields, rows

FAILED = "failed requests"


class Probe:
    """What a check asks of the probe. URLs may name a pod's address or a DNS name: ``cluster.url("web")``."""

    def __init__(self, pod: ProbePod, evidence: Evidence) -> None:
        self._pod = pod
        self._evidence = evidence

    @property
    def node(self) -> str:
        """The node it runs on."""
        self._pod.ready()
        return self._pod.node

    def get(self, url: str, *, timeout: float = 2.0, headers: Mapping[str, str] | None = None) -> Answer:
        """One GET. ``timeout`` in seconds, for the whole of it."""
        return self._request(url, "GET", 1, timeout, headers, "")[0]

    def post(self, url: str, *, body: str = "", timeout: float = 2.0) -> Answer:
        """One POST."""
        return self._request(url, "POST", 1, timeout, None, body)[0]

    def requests(self, url: str, n: int, *, timeout: float = 2.0) -> Answers:
        """``n`` GETs (at most 1000), eight at a time, each on a connection of its own."""
        return self._request(url, "GET", n, timeout, None, "")

    @contextlib.contextmanager
    def traffic(self, url: str, *, interval: float = 0.05, timeout: float = 2.0) -> Iterator[Traffic]:
        """A GET every ``interval`` seconds, sent by the probe itself until the block ends; every one is on record."""
        wanted = {"url": url, "interval_ms": interval * 1000, "timeout_ms": timeout * 1000}
        name = str(fields(self._pod.call("POST", "/traffic", wanted)).get("id"))
        traffic = Traffic(self._pod, url, name, timeout)
        try:
            yield traffic
        finally:
            seen = traffic.stop()
            self._evidence.add("traffic", url=url, interval=interval, **seen.record())
            self._evidence.measure(FAILED, self._evidence.measures.get(FAILED, 0) + len(seen.failed))

    def _request(
        self, url: str, method: str, n: int, timeout: float, headers: Mapping[str, str] | None, body: str
    ) -> Answers:
        wanted = {
            "url": url,
            "method": method,
            "count": n,
            "timeout_ms": timeout * 1000,
            "headers": dict(headers or {}),
            "body": body,
        }
        seconds = limits.SLACK_SECONDS + timeout * (n / 8 + 1)
        records = self._pod.call("POST", "/request", wanted, seconds, repeatable=method == "GET")
        got = self._pod.understood(url, rows(records))
        if n == 1:
            self._evidence.add("request", method=method, url=url, answer=str(got[0]), ms=got[0].ms)
        else:
            self._evidence.add("requests", method=method, url=url, **got.record())
        return got


class Traffic:
    """Traffic that flows, or has flown."""

    def __init__(self, pod: ProbePod, url: str, name: str, timeout: float) -> None:
        self._pod, self._url, self._path, self._timeout = pod, url, "/traffic/" + name, timeout
        self._records: list[dict[str, Any]] = []
        self._done = False

    def answers(self) -> Answers:
        """Every request so far; after the block, every request there was."""
        if not self._done:
            path = f"{self._path}?after={len(self._records)}"
            self._more(self._pod.call("GET", path, repeatable=True))
        return self._pod.understood(self._url, self._records)

    def stop(self) -> Answers:
        """Stop it; the same answers when called again."""
        if not self._done:
            seconds = limits.SLACK_SECONDS + self._timeout
            query = f"?after={len(self._records)}"
            self._more(self._pod.call("DELETE", self._path + query, seconds=seconds))
            self._done = True
        return self._pod.understood(self._url, self._records)

    def _more(self, told: object) -> None:
        self._records += rows(fields(told).get("records"))
