"""Calls from service to service, and what is kept of their answers.

What became of a call is one word:

============= =============================================================================================
``ok``        it was answered
``cache``     an answer that is young enough was used without asking
``stale``     asking failed, and an older answer was used
``missing``   asking failed, and it can be done without: the page is degraded
``failed``    asking failed, and nothing can be shown
============= =============================================================================================

Nothing is guessed: an answer that is no JSON object of a service, or has a status of 400 or more, is no answer.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.parse
from typing import Any

from graph import MOST_CALLS, Call

PATH_HEADER = "X-Shop-Path"
ANSWER_BYTES = 64 << 10
DEEPEST = 16
Tree = dict[str, Any]


class Failed(Exception):
    """A call got no answer; the text is one word, or a status. ``tree``: what a service said that could not answer."""

    def __init__(self, word: str, tree: Tree | None = None) -> None:
        super().__init__(word)
        self.tree = tree


class Answers:
    """The last answer of each call, and how calls ended so far."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Tree]] = {}
        self._counts: dict[str, dict[str, int]] = {}
        self._lock = threading.Lock()

    def call(self, call: Call, path: str) -> Tree:
        """Ask, or do without: ``{"to", "how", "attempts", "error", "age", "answer"}``. ``path``: who called whom."""
        result = self._ask(call, path)
        with self._lock:
            counts = self._counts.setdefault(call.to, {})
            counts[result["how"]] = counts.get(result["how"], 0) + 1
        return result

    def counts(self) -> dict[str, dict[str, int]]:
        """How often each call ended in which way."""
        with self._lock:
            return {to: dict(counts) for to, counts in self._counts.items()}

    def _ask(self, call: Call, path: str) -> Tree:
        age, kept = self._last(call.to)
        if kept is not None and age < call.cache:
            return _result(call, "cache", kept, age=age)
        error, behind = "", None
        for attempt in range(1, call.retries + 2):
            try:
                answer = fetch(call.url, call.timeout, path)
            except Failed as problem:
                error, behind = str(problem), problem.tree
                continue
            if call.cache or call.stale:
                with self._lock:
                    self._kept[call.to] = (time.monotonic(), answer)
            return _result(call, "ok", answer, attempts=attempt)
        if kept is not None and age < call.stale:
            return _result(call, "stale", kept, age=age, attempts=call.retries + 1, error=error)
        how = "missing" if call.optional else "failed"
        return _result(call, how, behind, attempts=call.retries + 1, error=error)

    def _last(self, to: str) -> tuple[float, Tree | None]:
        with self._lock:
            when, kept = self._kept.get(to, (0.0, None))
        return time.monotonic() - when, kept


def _result(call: Call, how: str, answer: Tree | None, *, age: float = 0.0, attempts: int = 0, error: str = "") -> Tree:
    return {"to": call.to, "how": how, "attempts": attempts, "error": error, "age": round(age, 3), "answer": answer}


def fetch(url: str, timeout: float, path: str) -> Tree:
    """The JSON object at ``url`` within ``timeout`` seconds; :class:`Failed`."""
    deadline = time.monotonic() + timeout
    parts = urllib.parse.urlsplit(url)
    try:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout)
        try:
            connection.connect()
            _hurry(connection, deadline)
            target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
            sent = {"Accept": "application/json", "Connection": "close", PATH_HEADER: path}
            connection.request("GET", target, headers=sent)
            answer = connection.getresponse()
            _hurry(connection, deadline)
            status, content = answer.status, answer.read(ANSWER_BYTES)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as problem:
        raise Failed(_word(problem)) from None
    tree = _tree(content)
    if status >= 400:
        raise Failed("status " + str(status), tree)
    if tree is None:
        raise Failed("bad answer")
    return tree


def _tree(content: bytes) -> Tree | None:
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return sound(tree) if isinstance(tree, dict) and isinstance(tree.get("service"), str) else None


def sound(tree: Tree, depth: int = 0) -> Tree:
    """What a service said, as far as it has the shape of an answer: who answers may be anybody."""
    calls = tree.get("calls") if depth < DEEPEST else None
    ms = tree.get("ms")
    return {
        **{field: _word_of(tree.get(field)) for field in ("service", "version", "hostname", "state")},
        "ms": ms if isinstance(ms, (int, float)) and 0 <= ms < 1e9 else 0,
        "calls": [_sound_call(one, depth) for one in calls[:MOST_CALLS] if isinstance(one, dict)]
        if isinstance(calls, list)
        else [],
    }


def _sound_call(call: Tree, depth: int) -> Tree:
    answer = call.get("answer")
    numbers = {field: call.get(field) for field in ("attempts", "age")}
    return {
        **{field: _word_of(call.get(field)) for field in ("to", "how", "error")},
        **{field: it if isinstance(it, (int, float)) and 0 <= it < 1e9 else 0 for field, it in numbers.items()},
        "answer": sound(answer, depth + 1) if isinstance(answer, dict) else None,
    }


def _word_of(value: Any) -> str:
    return "".join(c for c in value[:63] if c.isprintable()) if isinstance(value, str) else ""


def _hurry(connection: http.client.HTTPConnection, deadline: float) -> None:
    """What comes now gets the time that is left."""
    if connection.sock is not None:
        connection.sock.settimeout(max(deadline - time.monotonic(), 0.001))


def _word(problem: Exception) -> str:
    if isinstance(problem, TimeoutError) or "timed out" in str(problem):
        return "timeout"
    if isinstance(problem, ConnectionRefusedError):
        return "refused"
    if isinstance(problem, (ConnectionError, http.client.RemoteDisconnected, http.client.IncompleteRead)):
        return "reset"
    if type(problem).__name__ == "gaierror":
        return "name not found"
    return "bad answer" if isinstance(problem, (http.client.HTTPException, ValueError)) else "unreachable"
