"""A service of the shop: works, calls other services, answers with what became of it all. ``graph`` says what it is.

================= =============================================================================================
``GET /``         200 ``{SERVICE} {STATE} (CALL=HOW ...) from {hostname}, version {VERSION}``; the calls are those of
                  its own and, as ``CALL/CALL``, those behind them. STATE is ``ok`` or ``degraded``; 503 and ``failed``
                  when a call failed that it cannot do without. With ``?detail=1``, or for who accepts JSON alone, the
                  tree: service, version, hostname, state, ms, calls (to, how, attempts, error, age, answer)
``GET /deep``     200 when every service that it cannot do without answers its own ``/deep``; else 503 and which do not
``GET /shop``     JSON: service, version, calls (how often each ended in which way)
================= =============================================================================================

Everything else is as in ``web``: ``/healthz``, ``/readyz``, ``/info``, ``/work``, ``/hang``, ``/exit``. 503
``starting`` during ``STARTUP_SECONDS``. It refuses to be part of a circle of calls (508).
"""

from __future__ import annotations

import itertools
import json
import time
import urllib.parse
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import calls
import graph
import listener
import web

PROBE_SECONDS = 1.0


def make_handler(environment: Mapping[str, str]) -> type[listener.Handler]:
    """A handler class for the service that ``environment`` describes; ``ValueError``."""

    class ShopHandler(Shop):
        app = web.settings(environment)
        served = itertools.count(1)
        shop = graph.service(environment)
        answers = calls.Answers()
        leaked: list[bytes] = []  # noqa: RUF012 - shared by the handlers of one process, on purpose

    return ShopHandler


class Shop(web.Web):
    """Answers the table above."""

    shop: graph.Service
    answers: calls.Answers
    leaked: list[bytes]

    def route(self, method: str, path: str, query: dict[str, str]) -> None:
        """Answer one request."""
        if method not in ("GET", "HEAD") or path not in ("/", "/deep", "/shop"):
            super().route(method, path, query)
            return
        next(self.served)
        self.body()
        if path == "/shop":
            told = {"service": self.shop.name, "version": self.app.version, "calls": self.answers.counts()}
            self.answer_json(200, told)
        elif self.app.starting():
            self.answer(503, "starting\n")
        elif self.shop.name in self._callers() or len(self._callers()) >= calls.DEEPEST:
            self.answer(508, "a circle of calls: " + " ".join(self._callers()) + "\n")
        elif path == "/deep":
            self._deep()
        else:
            self._page(query)

    def _callers(self) -> list[str]:
        return self.headers.get(calls.PATH_HEADER, "").split()

    def _path(self) -> str:
        return " ".join([*self._callers(), self.shop.name])

    def _page(self, query: dict[str, str]) -> None:
        began = time.monotonic()
        self._work_done()
        tree = self._tree(began)
        status = 503 if tree["state"] == "failed" else 200
        if query.get("detail") or self.headers.get("Accept") == "application/json":
            self.answer_json(status, tree)
        else:
            self.answer(status, line(tree))

    def _work_done(self) -> None:
        """What a request costs here."""
        if self.shop.latency:
            time.sleep(self.shop.latency)
        until = time.thread_time() + self.shop.cpu
        while time.thread_time() < until:
            sum(range(500))
        if self.shop.leak:
            self.leaked.append(b"x" * self.shop.leak)

    def _tree(self, began: float) -> dict[str, Any]:
        path = self._path()
        if self.shop.parallel and len(self.shop.calls) > 1:
            with ThreadPoolExecutor(len(self.shop.calls)) as pool:
                made = list(pool.map(lambda one: self.answers.call(one, path), self.shop.calls))
        else:
            made = []
            for one in self.shop.calls:
                made.append(self.answers.call(one, path))
                if made[-1]["how"] == "failed":
                    break  # nothing can be shown: the others are not asked
        return {
            "service": self.shop.name,
            "version": self.app.version,
            "hostname": self.app.hostname,
            "state": state(made),
            "ms": round((time.monotonic() - began) * 1000, 1),
            "calls": made,
        }

    def _deep(self) -> None:
        path, lost = self._path(), []
        for one in self.shop.calls:
            if one.optional:
                continue
            url = urllib.parse.urljoin(one.url, "/deep")
            try:
                calls.fetch(url, min(one.timeout, PROBE_SECONDS), path)
            except calls.Failed as problem:
                lost.append(one.to + " (" + str(problem) + ")")
        if lost:
            self.answer(503, "does not answer: " + ", ".join(lost) + "\n")
        else:
            self.answer(200, json.dumps({"service": self.shop.name}) + "\n", "application/json")


def state(made: list[dict[str, Any]]) -> str:
    """What becomes of a page by what became of its calls."""
    ways = {one["how"] for one in made}
    behind = {one["answer"]["state"] for one in made if one["answer"]}
    if "failed" in ways:
        return "failed"
    return "degraded" if ways & {"missing", "stale"} or "degraded" in behind else "ok"


def line(tree: dict[str, Any]) -> str:
    """A tree on one line."""
    ways = " ".join(path + "=" + how for path, how in _flat(tree, ""))
    shown = " (" + ways + ")" if ways else ""
    return f"{tree['service']} {tree['state']}{shown} from {tree['hostname']}, version {tree['version']}\n"


def _flat(tree: dict[str, Any], above: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for one in tree["calls"]:
        found.append((above + one["to"], one["how"]))
        if one["answer"]:
            found += _flat(one["answer"], above + one["to"] + "/")
    return found
