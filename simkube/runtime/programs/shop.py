"""``kindling/shop``: a service of a call graph. It answers as the one in the image does, request for request.

It works (waits, computes, takes memory), calls other services over the pod network, and says what became of each call:
``ok``, ``cache``, ``stale``, ``missing``, ``failed``. Answers that it keeps and how calls ended are in
``container.durable``: they outlast a restart of the host process, not of the container.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urljoin

from simkube.clock.clock import TimedOut, within
from simkube.runtime import httptext
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.call_graph import MOST_CALLS, Call, service_of
from simkube.runtime.programs.web_app import Server, Web, as_json

PATH_HEADER = "x-shop-path"
ANSWER_BYTES = 64 << 10
DEEPEST = 16
PROBE_SECONDS = 1.0
_WORDS = {"name": "name not found", "refused": "refused", "timeout": "timeout", "reset": "reset"}
Tree = dict[str, Any]


class Failed(Exception):
    """A call got no answer; the text is one word, or a status. ``tree``: what a service said that could not answer."""

    def __init__(self, word: str, tree: Tree | None = None) -> None:
        super().__init__(word)
        self.tree = tree


class Shop(Web):
    """The service's answers; what it has none for of its own, it answers as the web application."""

    def __init__(self, process: Process, startup_seconds: float) -> None:
        """``ValueError`` for a graph or variable that is not understood."""
        super().__init__(process, startup_seconds)
        self._shop = service_of(process.env, self._read)
        self._kept: dict[str, list[Any]] = self._state.setdefault("answers", {})
        self._counts: dict[str, dict[str, int]] = self._state.setdefault("calls", {})

    def _read(self, path: str) -> bytes | str:
        try:
            return self._process.container.files.read(self._process.resolve(path))
        except FileError as error:
            return error.strerror

    async def answer(self, server: Server, request: HTTPRequest, path: str, query: dict[str, str]) -> HTTPResponse:
        """The answer to one request."""
        if request.method not in ("GET", "HEAD") or path not in ("/", "/deep", "/shop"):
            return await super().answer(server, request, path, query)
        self._state["requests"] = self._state.get("requests", 0) + 1
        if path == "/shop":
            return as_json(200, {"service": self._shop.name, "version": self._version, "calls": self._counts})
        if self._clock.now() < self._ready_at:
            return httptext.text(503, "starting\n")
        callers = request.headers.get(PATH_HEADER, "").split()
        if self._shop.name in callers or len(callers) >= DEEPEST:
            return httptext.text(508, f"a circle of calls: {' '.join(callers)}\n")
        way = " ".join([*callers, self._shop.name])
        if path == "/deep":
            return await self._deep(way)
        return await self._page(request, query, way)

    async def _page(self, request: HTTPRequest, query: dict[str, str], way: str) -> HTTPResponse:
        began = self._clock.now()
        if self._shop.latency:
            await self._process.sleep(self._shop.latency)
        if self._shop.cpu:
            await self._process.burn(self._shop.cpu)
        if self._shop.leak:
            await self._process.allocate(self._shop.leak)
        tree = await self._tree(way, began)
        status = 503 if tree["state"] == "failed" else 200
        if query.get("detail") or request.headers.get("accept") == "application/json":
            return as_json(status, tree)
        return httptext.text(status, line(tree))

    async def _tree(self, way: str, began: float) -> Tree:
        made: list[Tree] = []
        if self._shop.parallel:
            tasks = [self._process.spawn(self._call(one, way)) for one in self._shop.calls]
            made = [await task for task in tasks]
        else:
            for one in self._shop.calls:
                made.append(await self._call(one, way))
                if made[-1]["how"] == "failed":
                    break  # nothing can be shown: the others are not asked
        return {
            "service": self._shop.name,
            "version": self._version,
            "hostname": self._hostname,
            "state": state(made),
            "ms": round((self._clock.now() - began) * 1000, 1),
            "calls": made,
        }

    async def _call(self, call: Call, way: str) -> Tree:
        result = await self._ask(call, way)
        counts = self._counts.setdefault(call.to, {})
        counts[result["how"]] = counts.get(result["how"], 0) + 1
        return result

    async def _ask(self, call: Call, way: str) -> Tree:
        when, kept = self._kept.get(call.to, (0.0, None))
        age = self._clock.now() - when
        if kept is not None and age < call.cache:
            return _result(call, "cache", kept, age=age)
        error, behind = "", None
        for attempt in range(1, call.retries + 2):
            try:
                answer = await self._fetch(call.url, call.timeout, way)
            except Failed as problem:
                error, behind = str(problem), problem.tree
                continue
            if call.cache or call.stale:
                self._kept[call.to] = [self._clock.now(), answer]
            return _result(call, "ok", answer, attempts=attempt)
        if kept is not None and age < call.stale:
            return _result(call, "stale", kept, age=age, attempts=call.retries + 1, error=error)
        how = "missing" if call.optional else "failed"
        return _result(call, how, behind, attempts=call.retries + 1, error=error)

    async def _fetch(self, url: str, timeout: float, way: str) -> Tree:
        """The JSON object at a URL within so many seconds; :class:`Failed`."""
        _, host, port, target = httptext.parse_url(url)
        sandbox = self._process.container.sandbox
        asked = {"host": host if port == 80 else f"{host}:{port}", "accept": "application/json", PATH_HEADER: way}
        request = HTTPRequest("GET", target, {**asked, "connection": "close"}, b"")
        try:
            response = await within(self._clock, timeout, sandbox.network.request(sandbox.ip, host, port, request))
        except TimedOut:
            raise Failed("timeout") from None
        except NetworkError as problem:
            raise Failed(_WORDS.get(problem.kind, "unreachable")) from None
        tree = _tree(response.body[:ANSWER_BYTES])
        if response.status >= 400:
            raise Failed(f"status {response.status}", tree)
        if tree is None:
            raise Failed("bad answer")
        return tree

    async def _deep(self, way: str) -> HTTPResponse:
        lost = []
        for one in self._shop.calls:
            if one.optional:
                continue
            try:
                await self._fetch(urljoin(one.url, "/deep"), min(one.timeout, PROBE_SECONDS), way)
            except Failed as problem:
                lost.append(f"{one.to} ({problem})")
        if lost:
            return httptext.text(503, f"does not answer: {', '.join(lost)}\n")
        return as_json(200, {"service": self._shop.name})


def _tree(content: bytes) -> Tree | None:
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return _sound(tree) if isinstance(tree, dict) and isinstance(tree.get("service"), str) else None


def _sound(tree: Tree, depth: int = 0) -> Tree:
    """What a service said, as far as it has the shape of an answer: who answers may be anybody."""
    calls = tree.get("calls") if depth < DEEPEST else None
    return {
        **{field: _word(tree.get(field)) for field in ("service", "version", "hostname", "state")},
        "ms": _number(tree.get("ms")),
        "calls": [_sound_call(one, depth) for one in calls[:MOST_CALLS] if isinstance(one, dict)]
        if isinstance(calls, list)
        else [],
    }


def _sound_call(call: Tree, depth: int) -> Tree:
    answer = call.get("answer")
    return {
        **{field: _word(call.get(field)) for field in ("to", "how", "error")},
        **{field: _number(call.get(field)) for field in ("attempts", "age")},
        "answer": _sound(answer, depth + 1) if isinstance(answer, dict) else None,
    }


def _word(value: object) -> str:
    return "".join(c for c in value[:63] if c.isprintable()) if isinstance(value, str) else ""


def _number(value: object) -> float:
    return value if isinstance(value, (int, float)) and 0 <= value < 1e9 else 0


def _result(call: Call, how: str, answer: Tree | None, *, age: float = 0.0, attempts: int = 0, error: str = "") -> Tree:
    return {"to": call.to, "how": how, "attempts": attempts, "error": error, "age": round(age, 3), "answer": answer}


def state(made: list[Tree]) -> str:
    """What becomes of a page by what became of its calls."""
    ways = {one["how"] for one in made}
    behind = {one["answer"]["state"] for one in made if one["answer"]}
    if "failed" in ways:
        return "failed"
    return "degraded" if ways & {"missing", "stale"} or "degraded" in behind else "ok"


def line(tree: Tree) -> str:
    """A tree on one line."""
    ways = " ".join(f"{path}={how}" for path, how in _flat(tree, ""))
    shown = f" ({ways})" if ways else ""
    return f"{tree['service']} {tree['state']}{shown} from {tree['hostname']}, version {tree['version']}\n"


def _flat(tree: Tree, above: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for one in tree["calls"]:
        found.append((above + one["to"], one["how"]))
        if one["answer"]:
            found += _flat(one["answer"], f"{above}{one['to']}/")
    return found
