"""The ``probe`` fixture: requests from inside the cluster, sent by a pod of the grader's (:mod:`grader.probe_pod`).

What answers is any program of the learner's; the probe reads a bounded part of it, follows no redirect, and says in a
word what became of a request (``labs/images/web/requester.py``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from grader import limits
from grader.answers import Answer, Answers
from grader.clock import Clock
from grader.evidence import Evidence
from grader.load import Load, Phase, Traffic
from grader.matrix import Matrix, Source, Target
from grader.probe_pod import ProbePod
from grader.shapes import fields, rows
from grader.source_pods import Sources, source_pods

FAILED = "failed requests"


class Probe:
    """What a check asks of the probe. URLs may name a pod's address or a DNS name: ``cluster.url("web")``."""

    def __init__(self, pod: ProbePod, evidence: Evidence, clock: Clock) -> None:
        self._pod, self._evidence, self._clock = pod, evidence, clock

    @property
    def node(self) -> str:
        """The node it runs on."""
        self._pod.ready()
        return self._pod.node

    @property
    def ip(self) -> str:
        """The address its requests come from."""
        self._pod.ready()
        return self._pod.ip

    @property
    def host_ip(self) -> str:
        """Its node's address, from which its requests come on other nodes where a pod network hides pods behind it."""
        self._pod.ready()
        return self._pod.host_ip

    @property
    def image(self) -> str:
        """The image it runs."""
        return self._pod.image

    @property
    def image_id(self) -> str:
        """The id of that image, as its kubelet reports it."""
        self._pod.ready()
        return self._pod.image_id

    def get(
        self, url: str, *, timeout: float = 2.0, headers: Mapping[str, str] | None = None, characters: int = 200
    ) -> Answer:
        """One GET. ``timeout`` in seconds, for the whole of it; ``characters`` of its body are kept (at most 65536):
        of a longer one the beginning and the end."""
        return self._kept(_asked(url, timeout, headers=headers, characters=characters))[0]

    def peek(self, url: str, *, timeout: float = 2.0) -> Answer:
        """As :meth:`get`, for who looks often: it is not kept as evidence."""
        return self._ask(_asked(url, timeout))[0]

    def post(self, url: str, *, body: str = "", timeout: float = 2.0) -> Answer:
        """One POST."""
        return self._kept(_asked(url, timeout, method="POST", body=body))[0]

    def requests(self, url: str, n: int, *, timeout: float = 2.0, kept: bool = True) -> Answers:
        """``n`` GETs (at most 1000), eight at a time, each on a connection of its own. ``kept``: as evidence."""
        return (self._kept if kept else self._ask)(_asked(url, timeout, count=n))

    @contextlib.contextmanager
    def traffic(self, url: str, *, interval: float = 0.05, timeout: float = 2.0) -> Iterator[Traffic]:
        """A GET every ``interval`` seconds, sent by the probe itself until the block ends; every one is on record."""
        wanted = {"url": url, "interval_ms": interval * 1000, "timeout_ms": timeout * 1000}
        traffic = Traffic(self._pod, url, self._begin(wanted), timeout)
        try:
            yield traffic
        finally:
            seen = traffic.stop()
            self._evidence.add("traffic", began=_start(seen), url=url, interval=interval, **seen.record())
            self._count(seen)

    @contextlib.contextmanager
    def load(self, url: str, phases: Sequence[Phase], *, connections: int = 0, timeout: float = 2.0) -> Iterator[Load]:
        """GETs through ``phases``, sent by the probe itself until they are over or the block ends.

        ``connections``: so many are kept open and take turns, as a client's pool does (at most 64); a request that is
        due while all are taken waits for one, and the waiting counts. With 0 each request has a connection of its own.
        At most 200 requests a second and 20,000 in all.
        """
        wanted = {
            "url": url,
            "phases": [{"seconds": one.seconds, "rate": one.rate, "to": one.last} for one in phases],
            "connections": connections,
            "timeout_ms": timeout * 1000,
        }
        load = Load(self._pod, url, self._begin(wanted), timeout, tuple(phases), self._clock)
        try:
            yield load
        finally:
            seen = load.stop()
            kept = {"connections": connections, "phases": wanted["phases"], **seen.record(limits.LOAD_ROWS_REQUESTS)}
            self._evidence.add("load", began=_start(seen), url=url, **kept)
            self._count(seen)

    def matrix(self, sources: Sequence[Source], targets: Sequence[Target], *, timeout: float = 2.0) -> Matrix:
        """Who reaches whom: a connection from each source, a pod that is made for it and removed afterwards, to each
        target. To try the same pods again later: :meth:`sources`."""
        with self.sources(sources) as pods:
            return pods.matrix(targets, timeout=timeout)

    @contextlib.contextmanager
    def sources(self, sources: Sequence[Source]) -> Iterator[Sources]:
        """Their pods, which are there until the block ends: ``matrix(targets)`` as often as wanted."""
        with source_pods(self._pod, sources, self._evidence) as pods:
            yield pods

    def _count(self, seen: Answers) -> None:
        self._evidence.measure(FAILED, self._evidence.measures.get(FAILED, 0) + len(seen.failed))

    def _begin(self, wanted: Mapping[str, Any]) -> str:
        return str(fields(self._pod.call("POST", "/traffic", wanted)).get("id"))

    def _kept(self, asked: Mapping[str, Any]) -> Answers:
        """As :meth:`_ask`, kept as evidence."""
        got, method, url = self._ask(asked), asked["method"], asked["url"]
        if asked["count"] == 1:
            self._evidence.add("request", method=method, url=url, answer=str(got[0]), ms=got[0].ms)
        else:
            self._evidence.add("requests", began=_start(got), method=method, url=url, **got.record())
        return got

    def _ask(self, asked: Mapping[str, Any]) -> Answers:
        seconds = limits.SLACK_SECONDS + asked["timeout_ms"] / 1000 * (asked["count"] / 8 + 1)
        records = self._pod.call("POST", "/request", asked, seconds, repeatable=asked["method"] == "GET")
        return self._pod.understood(asked["url"], rows(records))


def _asked(
    url: str,
    timeout: float,
    *,
    method: str = "GET",
    count: int = 1,
    headers: Mapping[str, str] | None = None,
    body: str = "",
    characters: int = 200,
) -> dict[str, Any]:
    """Requests, all alike, as the probe is asked for them."""
    return {
        "url": url,
        "method": method,
        "count": count,
        "timeout_ms": timeout * 1000,
        "headers": dict(headers or {}),
        "body": body,
        "characters": characters,
    }


def _start(answers: Answers) -> float | None:
    return answers[0].t if answers else None
