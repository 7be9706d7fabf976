"""The front without a network: whole requests to Flask, whole answers back, live pages, and what is refused."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask, request

from labs.bootstrap import Kindling
from labs.locks import Locks
from tests.unit.webapp.conftest import LOCAL, Enter, Visitor
from webapp import MAX_REQUEST_BYTES, csrf
from webapp.front import application, events
from webapp.front.application import DISCARDED_BYTES, Front, _busy
from webapp.front.connections import Connections, Place
from webapp.front.proxies import Trusted
from webapp.front.turns import Turns
from webapp.streams import Streams

CLIENT = ("127.0.0.1", 5000)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Exchange:
    """One request that is sent in pieces, and what comes back."""

    method: str = "GET"
    path: str = "/"
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=lambda: [b""])
    client: tuple[str, int] = CLIENT
    status: int = 0
    answered: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    told: Callable[[bytes], Awaitable[None]] | None = None

    async def over(self, front: Front) -> Exchange:
        """Ask ``front``."""
        self._rest, self._gone = list(self.pieces), asyncio.Event()
        path, _, query = self.path.partition("?")
        headers = [(b"host", b"localhost")]
        headers += [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        scope: dict[str, Any] = {"type": "http", "method": self.method, "http_version": "1.1", "scheme": "http"}
        scope |= {"raw_path": path.encode(), "query_string": query.encode(), "headers": headers}
        await front(scope | {"client": self.client, "server": CLIENT}, self._receive, self._send)
        return self

    def leave(self) -> None:
        """The client goes."""
        self._gone.set()

    async def _receive(self) -> dict[str, Any]:
        if self._rest:
            return {"type": "http.request", "body": self._rest.pop(0), "more_body": bool(self._rest)}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.answered = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        self.body += message["body"]
        if self.told is not None and message["body"]:
            await self.told(message["body"])


@pytest.fixture
def front(app: Flask, services: Kindling) -> Iterator[Front]:
    made = Front(app, services.sessions, {}, Trusted(()))
    yield made
    made.close()


def cookie_of(visitor: Visitor) -> str:
    found = visitor.client.get_cookie("kindling-sign-in")
    assert found is not None
    return f"kindling-sign-in={found.value}"


def test_a_page_and_its_length(front: Front) -> None:
    found = asyncio.run(Exchange(path="/sign-in?next=%2Flabs%2F").over(front))
    assert found.status == 200
    assert int(found.answered["content-length"]) == len(found.body)
    assert b"/labs/" in found.body
    assert found.answered["content-security-policy"]


def test_a_body_in_pieces_is_one_body(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    found = asyncio.run(Exchange("POST", "/theme", FORM, [b"theme=", b"da", b"rk"]).over(front))
    assert found.status == 400  # without its token
    monkeypatch.setattr(csrf, "_valid", lambda _: True)
    exchange = Exchange(
        "POST", "/theme", {"Content-Type": "application/x-www-form-urlencoded"}, [b"theme=", b"da", b"rk"]
    )
    assert "theme=dark" in asyncio.run(exchange.over(front)).answered["set-cookie"]


def test_who_asks_and_how_is_what_flask_sees(app: Flask, services: Kindling) -> None:
    seen: list[Any] = []
    app.add_url_rule("/seen/<path:rest>", view_func=lambda rest: seen.append(_seen(rest)) or "")
    trusting = Front(app, services.sessions, {}, Trusted(services.settings.trusted_proxies))
    spoof = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X_Forwarded_For": "7.7.7.7"}
    found = asyncio.run(Exchange(path="/seen/a%20%C3%A9?b=%20", headers=spoof).over(trusting))
    assert found.status == 200
    assert seen == [("a é", "http", "127.0.0.1", " ", "6.6.6.6")]
    trusting.close()


def _seen(rest: str) -> tuple[str, ...]:
    return (rest, request.scheme, request.remote_addr or "", request.args["b"], request.headers["X-Forwarded-For"])


@pytest.mark.parametrize("size", [MAX_REQUEST_BYTES + 1, DISCARDED_BYTES + MAX_REQUEST_BYTES])
def test_what_is_too_long_is_not_kept_and_its_sender_hears_why(front: Front, size: int) -> None:
    piece = b"name=" + b"x" * (MAX_REQUEST_BYTES - 5)
    pieces = [piece] * (size // len(piece)) + [b"y" * (size % len(piece))]
    exchange = Exchange("POST", "/sign-in", FORM, [*pieces, b"never read" if size > DISCARDED_BYTES else b""])
    found = asyncio.run(exchange.over(front))
    assert found.status == 413
    assert b"1 MiB" in found.body
    assert found.answered["connection"] == "close"


def test_a_body_that_does_not_come_is_given_up(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "BODY_SECONDS", 0.01)

    async def never() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    exchange = Exchange("POST", "/sign-in")
    exchange._receive = never  # type: ignore[method-assign]
    found = asyncio.run(exchange.over(front))
    assert (found.status, found.answered["connection"]) == (408, "close")


def test_who_leaves_in_the_middle_of_a_body_is_not_answered(front: Front) -> None:
    async def scenario() -> Exchange:
        exchange = Exchange("POST", "/sign-in", pieces=[b"name=", b"never"])

        async def gone() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        exchange._receive = gone  # type: ignore[method-assign]
        return await exchange.over(front)

    assert asyncio.run(scenario()).status == 0


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_when_too_many_wait_the_answer_comes_at_once_and_says_when_to_try_again(front: Front, accept: str) -> None:
    front._pages = Turns(places=0, of_one=1, waiting=0, waiting_of_one=1)
    found = asyncio.run(Exchange(headers={"Accept": accept}).over(front))
    assert found.status == 503
    assert int(found.answered["retry-after"]) > 0
    assert b"busy" in found.body
    if accept == "application/json":
        assert json.loads(found.body)["error"].startswith("The site is busy")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("accept", [b"text/html", b"application/json"])
def test_what_no_view_answers_forbids_the_browser_as_much(scheme: str, accept: bytes) -> None:
    headers = dict(_busy({"scheme": scheme, "headers": [(b"accept", accept)]}, 503, "Busy.").headers)
    assert b"sandbox" in headers[b"content-security-policy"]
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"cache-control"] == b"no-store"
    assert (b"strict-transport-security" in headers) is (scheme == "https")


def test_passwords_wait_in_a_line_of_their_own(front: Front) -> None:
    front._passwords = Turns(places=0, of_one=1, waiting=0, waiting_of_one=1)
    for path in ("/sign-in", "/register", "/profile/password"):
        assert asyncio.run(Exchange("POST", path).over(front)).status == 503, path
    assert asyncio.run(Exchange("GET", "/sign-in").over(front)).status == 200
    assert asyncio.run(Exchange("POST", "/theme").over(front)).status == 400
    assert asyncio.run(Exchange("POST", "/no-such-page").over(front)).status in (400, 404)


def test_a_connection_becomes_its_accounts_and_a_forged_cookie_nobodys(
    app: Flask, services: Kindling, enter: Enter
) -> None:
    ada = enter("ada")
    places = Connections(10)
    place = places.take("127.0.0.1", lambda: None)
    assert place is not None
    front = Front(app, services.sessions, {CLIENT: place}, Trusted(()))
    asyncio.run(Exchange(headers={"Cookie": cookie_of(ada)[:-3] + "abc"}).over(front))
    assert not place.whose
    asyncio.run(Exchange(headers={"Cookie": cookie_of(ada)}).over(front))
    assert place.whose.startswith("account ")
    assert place.busy  # until the server says that the answer is written
    front.close()


def test_more_connections_than_an_account_may_have_are_told_so(app: Flask, services: Kindling, enter: Enter) -> None:
    class Refusing(Place):
        def prove(self, whose: str) -> bool:
            return False

    place = Refusing(Connections(1), "127.0.0.1", lambda: None, 0.0)
    front = Front(app, services.sessions, {CLIENT: place}, Trusted(()))
    found = asyncio.run(Exchange(headers={"Cookie": cookie_of(enter())}).over(front))
    assert found.status == 429
    front.close()


# Live pages


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "FAST_SECONDS", 0.0)
    monkeypatch.setattr(events, "SLOW_SECONDS", 0.0)


def data_of(text: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text.decode().partition("data: ")[2])
    return found


def test_a_live_page_is_told_what_changes_and_ends_when_its_client_goes(
    front: Front, services: Kindling, enter: Enter, quick: None
) -> None:
    told: list[bytes] = []

    async def hear(text: bytes) -> None:
        if not text.startswith(b":"):
            told.append(text)
        if len(told) == 2:
            session = services.sessions.start("ada", "first")
            await asyncio.to_thread(services.sessions.wait, session.id)
        elif text.startswith(b"event") and "Ready" in data_of(text)["html"]["cluster"]:
            exchange.leave()

    exchange = Exchange(path="/labs/first/events", headers={"Cookie": cookie_of(enter())}, told=hear)
    found = asyncio.run(asyncio.wait_for(exchange.over(front), 60))
    assert found.answered["content-type"].startswith("text/event-stream")
    assert "content-length" not in found.answered
    assert told[0].startswith(b"retry:")
    assert "Not started" in data_of(told[1])["html"]["cluster"]
    assert data_of(told[-1])["say"] == "The cluster is ready."
    assert not list((services.settings.locks / "streams").iterdir())  # the place is given back


@pytest.mark.parametrize("changed", ["BEAT_SECONDS", "SLOW_SECONDS"])
def test_a_page_of_who_was_signed_out_ends(
    front: Front, services: Kindling, enter: Enter, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    """With the next look at all pages, or at this one, whichever comes first."""
    monkeypatch.setattr(events, "BEAT_SECONDS", 3600.0)
    monkeypatch.setattr(events, changed, 0.0)
    ada = enter()
    heard = 0

    async def hear(text: bytes) -> None:
        nonlocal heard
        heard += 1
        if heard == 2:
            services.sign_ins.end_all(services.accounts.get("ada").id)

    exchange = Exchange(path="/labs/first/events", headers={"Cookie": cookie_of(ada)}, told=hear)
    assert asyncio.run(asyncio.wait_for(exchange.over(front), 60)).status == 200
    assert heard >= 2


def test_closing_ends_live_pages_and_later_ones_at_once(front: Front, enter: Enter) -> None:
    cookie = cookie_of(enter())

    async def scenario() -> list[Exchange]:
        async def hear(text: bytes) -> None:
            if text.startswith(b"event"):
                front.events.close()

        first = await Exchange(path="/labs/first/events", headers={"Cookie": cookie}, told=hear).over(front)
        return [first, await Exchange(path="/labs/first/events", headers={"Cookie": cookie}).over(front)]

    first, later = asyncio.run(asyncio.wait_for(scenario(), 60))
    assert b"event: change" in first.body
    assert b"event: change" not in later.body


def test_a_look_that_fails_is_tried_again(front: Front, enter: Enter, quick: None, caplog: Any) -> None:
    looked = threading.Event()
    real, tries = front.events._stamps, []

    def broken(subjects: Any) -> Any:
        tries.append(subjects)
        if len(tries) == 1:
            raise OSError("the database is away")
        looked.set()
        return real(subjects)

    front.events._stamps = broken

    async def scenario() -> None:
        exchange = Exchange(path="/labs/first/events", headers={"Cookie": cookie_of(enter())})
        serving = asyncio.ensure_future(exchange.over(front))
        assert await asyncio.to_thread(looked.wait, 60)
        exchange.leave()
        await serving

    asyncio.run(scenario())
    assert "looking for changes" in caplog.text


def test_one_learner_has_a_share_of_live_pages_in_all_processes(services: Kindling) -> None:
    folder = services.settings.locks / "streams"
    here, elsewhere = Streams(Locks(folder), of_one=2), Streams(Locks(folder), of_one=2)
    first, second = here.take(1), elsewhere.take(1)
    assert first is not None
    assert second is not None
    assert here.take(1) is None
    assert elsewhere.take(1) is None
    assert here.take(2) is not None
    second()
    assert here.take(1) is not None


def test_one_process_has_a_bound_of_live_pages(services: Kindling) -> None:
    streams = Streams(Locks(services.settings.locks / "streams"), limit=1)
    first = streams.take(1)
    assert first is not None
    assert streams.take(2) is None
    first()
    assert streams.take(2) is not None


def test_where_there_is_no_front_the_page_is_told_to_ask(enter: Enter) -> None:
    answer = enter().client.get("/labs/first/events", base_url=LOCAL)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
