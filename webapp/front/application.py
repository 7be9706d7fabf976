"""The site as an ASGI application: whole requests, in turn, to Flask; live pages to :mod:`webapp.front.events`.

A further kind of connection (a terminal, a cluster's API) is one more branch of :meth:`Front.__call__`. Refuses to
keep a thread for anybody who sends or fetches slowly, and answers 503 with ``Retry-After`` before anything waits
without end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Container, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask

from labs.session import SessionService
from webapp import MAX_REQUEST_BYTES
from webapp.front.connections import Place
from webapp.front.events import Events
from webapp.front.proxies import forwarded
from webapp.front.turns import Full, Turns
from webapp.front.wsgi import Answer, Headers, call, environ_of
from webapp.passwords import hashes_passwords
from webapp.security import data_headers
from webapp.site import site_of
from webapp.streams import HANDOVER, Subscription

BODY_SECONDS = 60.0
"""Until a request's body is whole: 1 MiB over a slow line."""
DISCARDED_BYTES = 16 * MAX_REQUEST_BYTES
"""What is read and thrown away of a body that is too long, so that its sender hears why."""
RETRY_SECONDS = 2
PAGES = {"places": 12, "of_one": 4, "waiting": 600, "waiting_of_one": 100}
PASSWORDS = {"places": 4, "of_one": 4, "waiting": 200, "waiting_of_one": 200}
"""A class signs in from one address, all at once."""
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class Front:
    """Between the server and Flask. ``places`` are the connections, by the client's address and port."""

    def __init__(
        self, app: Flask, sessions: SessionService, places: Mapping[Any, Place], trusted: Container[str]
    ) -> None:
        self._app, self._places, self._trusted = app, places, trusted
        self._site = site_of(app)
        self._threads = ThreadPoolExecutor(PAGES["places"] + PASSWORDS["places"], thread_name_prefix="page")
        self._pages, self._passwords = Turns(**PAGES), Turns(**PASSWORDS)
        self.events = Events(sessions.stamps, self._site.kindling.sign_ins.lasting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or one attempt to open a socket (of which there are none yet)."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        place = self._places.get(scope["client"])
        scope["client"], scope["scheme"] = forwarded(scope, self._trusted)
        owner, known = self._owner(scope)
        if place is not None and known and not place.prove(owner):
            await _send(send, _busy(scope, 429, "You have too many connections to this site; close some pages."))
            return
        try:
            body, length = await asyncio.wait_for(_whole(receive), BODY_SECONDS)
        except TimeoutError:
            await _send(send, _plain(scope, 408, b"The request took too long to arrive.\n"))
            return
        except ConnectionError:  # gone before all of it was here
            return
        if place is not None:
            place.busy = True
        await self._answer(scope, body, length, owner, receive, send)

    def close(self) -> None:
        """Give threads back; whoever is asked meanwhile is answered."""
        self.events.close()
        self._threads.shutdown(wait=False)

    async def _answer(self, scope: Scope, body: bytes, length: int, owner: str, receive: Receive, send: Send) -> None:
        environ = environ_of(scope, body, length)
        handed: list[Subscription] = []
        environ[HANDOVER] = handed
        turns = self._passwords if hashes_passwords(self._app, environ) else self._pages
        try:
            async with turns.turn(owner):
                asked = asyncio.get_running_loop().run_in_executor(self._threads, call, self._app, environ)
                answer = await asyncio.shield(asked)
        except Full:
            await _send(send, _busy(scope, 503, "The site is busy. Wait a moment and load the page again."))
            return
        if handed:
            await self.events.serve(handed[0], answer.headers, receive, send)
        elif length > len(body):
            await _send(send, Answer(answer.status, [*answer.headers, (b"connection", b"close")], answer.body))
        else:
            await _send(send, answer)

    def _owner(self, scope: Scope) -> tuple[str, bool]:
        """Whose request it is: an account's, when its cookie was proven before, else an address's."""
        cookies = "; ".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie")
        account = self._site.owners.of_cookies(cookies)
        return (f"account {account}", True) if account else (f"address {scope['client'][0]}", False)


async def _whole(receive: Receive) -> tuple[bytes, int]:
    """A request's body and its length; of one that is too long only the length. ``ConnectionError``: it never came."""
    kept, length = bytearray(), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError
        piece = message.get("body", b"")
        length += len(piece)
        if length <= MAX_REQUEST_BYTES:
            kept += piece
        else:
            kept.clear()
        if not message.get("more_body") or length > DISCARDED_BYTES:
            return bytes(kept), length


async def _send(send: Send, answer: Answer) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.body})


def _busy(scope: Scope, status: int, text: str) -> Answer:
    accepted = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    retry: Headers = [(b"retry-after", str(RETRY_SECONDS).encode())]
    if b"application/json" in accepted and b"text/html" not in accepted:
        said = json.dumps({"error": text, "advice": "", "fix": ""}).encode()
        return Answer(status, [*retry, *_described(scope, b"application/json", said)], said)
    answer = _plain(scope, status, text.encode() + b"\n")
    return Answer(status, [*retry, *answer.headers], answer.body)


def _plain(scope: Scope, status: int, text: bytes) -> Answer:
    return Answer(status, [*_described(scope, b"text/plain; charset=utf-8", text), (b"connection", b"close")], text)


def _described(scope: Scope, kind: bytes, body: bytes) -> Headers:
    headers = data_headers(secure=scope["scheme"] == "https").items()
    said = [(name.lower().encode(), value.encode()) for name, value in headers]
    return [(b"content-type", kind), (b"content-length", str(len(body)).encode()), *said]
