"""A connection's time-outs, with a loop whose time the test moves and a transport that keeps what is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from webapp.front.connections import PROXY, Connections, Place
from webapp.front.protocol import HEAD_BYTES, HEAD_SECONDS, IDLE_SECONDS, Protocol

ASKED = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Timer:
    def __init__(self, at: float, call: Callable[[], object]) -> None:
        self.at, self.call = at, call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """Its time passes when the test says so; tasks are kept, and never run."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []

    def call_later(self, delay: float, call: Callable[..., object], *given: object) -> Timer:
        timer = Timer(self.now + delay, lambda: call(*given))
        self.timers.append(timer)
        return timer

    def create_task(self, work: Any, **_: object) -> asyncio.Future[None]:
        work.close()  # it would never be awaited
        return asyncio.Future(loop=asyncio.get_event_loop_policy().get_event_loop())

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for timer in [timer for timer in self.timers if timer.at <= self.now]:
            self.timers.remove(timer)
            if not timer.cancelled:
                timer.call()


class Transport:
    """A client's end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.aborted = self.closed = False
        self.unread = 0
        self.written = b""

    def get_extra_info(self, name: str, default: object = None) -> object:
        return {"peername": (self.address, 5000), "sockname": ("127.0.0.1", 8000)}.get(name, default)

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unread

    def pause_reading(self) -> None:
        """Not needed."""

    def resume_reading(self) -> None:
        """Not needed."""


class Opened:
    """One connection to a server of nothing."""

    def __init__(self, address: str = "192.0.2.1", trusted: tuple[str, ...] = (), most: int = 10) -> None:
        self.loop, self.transport = Loop(), Transport(address)
        self.places: dict[Any, Place] = {}
        self.connections = Connections(most, lambda: self.loop.now)
        config = uvicorn.Config(nothing, ws="none", log_config=None, h11_max_incomplete_event_size=HEAD_BYTES)
        config.timeout_keep_alive = IDLE_SECONDS
        given = {"config": config, "server_state": ServerState(), "app_state": {}, "_loop": self.loop}
        self.protocol = Protocol(self.connections, trusted, self.places, **given)
        self.protocol.connection_made(self.transport)  # type: ignore[arg-type]

    def answer(self) -> None:
        """As the application would, in full."""
        import h11

        conn = self.protocol.conn
        conn.send(h11.Response(status_code=204, headers=[]))
        conn.send(h11.EndOfMessage())
        self.protocol.on_response_complete()


async def nothing(scope: object, receive: object, send: object) -> None:
    """An application."""


@pytest.fixture(autouse=True)
def loops() -> Iterator[None]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


def test_a_head_that_comes_by_single_bytes_has_no_more_time_than_one_that_does_not() -> None:
    opened = Opened()
    for byte in ASKED[:14]:
        opened.protocol.data_received(bytes([byte]))
        opened.loop.pass_time(1)
    assert not opened.transport.aborted
    opened.loop.pass_time(HEAD_SECONDS - 14)
    assert opened.transport.aborted


def test_a_connection_on_which_nothing_is_ever_asked_ends() -> None:
    opened = Opened()
    opened.loop.pass_time(HEAD_SECONDS)
    assert opened.transport.aborted


def test_a_whole_request_may_be_answered_slowly_and_the_next_head_has_its_time_again() -> None:
    opened = Opened()
    opened.loop.pass_time(HEAD_SECONDS - 1)
    opened.protocol.data_received(ASKED)
    opened.loop.pass_time(100 * HEAD_SECONDS)
    assert not opened.transport.aborted
    opened.answer()
    opened.loop.pass_time(IDLE_SECONDS - 1)
    opened.protocol.data_received(b"GET ")
    opened.loop.pass_time(HEAD_SECONDS - 1)
    assert not opened.transport.is_closing()
    opened.loop.pass_time(1)
    assert opened.transport.aborted


def test_an_idle_connection_is_closed_and_one_that_is_not_read_is_cut() -> None:
    for unread in (0, 1000):
        opened = Opened()
        opened.protocol.data_received(ASKED)
        opened.answer()
        opened.transport.unread = unread
        opened.loop.pass_time(IDLE_SECONDS)
        assert (opened.transport.closed, opened.transport.aborted) == (not unread, bool(unread))


def test_a_head_without_end_is_refused() -> None:
    opened = Opened()
    opened.protocol.data_received(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * HEAD_BYTES)
    assert opened.transport.written.startswith(b"HTTP/1.1 4")
    assert opened.transport.closed


def test_places_are_taken_and_given_back() -> None:
    opened = Opened(most=1)
    assert list(opened.places) == [("192.0.2.1", 5000)]
    assert not opened.places["192.0.2.1", 5000].whose
    opened.protocol.connection_lost(None)
    assert opened.places == {}
    assert opened.connections.taken == {}
    assert Opened(trusted=("192.0.2.1",)).places["192.0.2.1", 5000].whose == PROXY


def test_without_a_place_it_hangs_up() -> None:
    opened = Opened(most=0)
    assert opened.transport.aborted
    assert opened.places == {}
    opened.protocol.connection_lost(None)
