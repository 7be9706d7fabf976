"""Control's part in a connection: requests for several places in turn, answers to their last byte, bounds."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from simkube.host import front as fronts
from simkube.host.connections import Places
from simkube.host.front import Front, Unavailable, body_length
from simkube.host.wire import DATA, FRAME, IDLE, NOTE


class Client(asyncio.Transport):
    """A client's transport that notes what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.got = b""
        self.closed = self.aborted = False
        self.reading = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        self.got += bytes(data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Answers:
    """A backend whose other ends the test holds."""

    def __init__(self, *, there: bool = True) -> None:
        self.ends: list[socket.socket] = []
        self.there = there

    async def connect(self, made: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        if not self.there:
            raise Unavailable
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.ends.append(theirs)
        transport, _ = await asyncio.get_running_loop().create_unix_connection(made, sock=ours)
        return transport


class Table:
    """Paths that begin with ``/b`` go to ``b``, others to ``a``; nothing is ``own`` but what is not there."""

    def __init__(self) -> None:
        self.a, self.b, self.own = Answers(), Answers(), Answers()
        self.notes: list[Any] = []
        self.using = 0

    def backend(self, path: str, token: str) -> Answers:
        assert token == ""
        return self.b if path.startswith("/b") else self.a

    def began(self) -> None:
        self.using += 1

    def ended(self) -> None:
        self.using -= 1

    def noted(self, note: dict[str, Any]) -> None:
        self.notes.append(note)


def frame(kind: int, body: bytes = b"") -> bytes:
    return FRAME.pack(kind, len(body)) + body


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\n\r\n".encode()


async def turns(check: Callable[[], bool]) -> None:
    """Let the loop go round until it is so."""
    async with asyncio.timeout(20):
        while not check():
            await asyncio.sleep(0)


async def heard(end: socket.socket, size: int) -> bytes:
    """So many bytes, less what says who is there."""
    said = b""
    while b"\r\n\r\n" not in said or len(said) < size:
        said += await asyncio.get_running_loop().sock_recv(end, 100_000)
    return said[said.index(b"GET") :] if b"GET" in said else said


def live(work: Callable[[Table, Front, Client], Any]) -> None:
    """With a front, its client and its table."""

    async def run() -> None:
        table, client = Table(), Client()
        place = Places(10).take("127.0.0.1")
        assert place is not None
        front = Front(table, place)
        front.connection_made(client)
        try:
            await work(table, front, client)
        finally:
            front.connection_lost(None)
            for each in (table.a, table.b, table.own):
                for end in each.ends:
                    end.close()
            await asyncio.sleep(0)
        assert table.using == 0
        assert place.busy == 0

    asyncio.run(run())


def test_each_request_goes_where_its_path_says() -> None:
    async def work(table: Table, front: Front, client: Client) -> None:
        for path, connections in (("/a", 1), ("/a/again", 1), ("/b", 2), ("/a", 3)):
            front.data_received(get(path)[:9])
            front.data_received(get(path)[9:])
            await turns(lambda most=connections: len(table.a.ends) + len(table.b.ends) == most)  # type: ignore[misc]
            end = (table.b if path == "/b" else table.a).ends[-1]
            assert (await heard(end, 10)).endswith(get(path))
            assert table.using == 1
            end.sendall(frame(NOTE, b'{"made": "x"}') + frame(DATA, path.encode()) + frame(IDLE))
            await turns(lambda: table.using == 0)
        assert client.got == b"/a/a/again/b/a"
        assert (len(table.a.ends), len(table.b.ends), len(table.notes)) == (2, 1, 4)

    live(work)


def test_what_comes_between_an_answer_and_its_end_waits() -> None:
    """A client has the whole answer before it is known here that it is whole."""

    async def work(table: Table, front: Front, client: Client) -> None:
        front.data_received(get("/a"))
        await turns(lambda: bool(table.a.ends))
        end = table.a.ends[0]
        assert (await heard(end, 10)).endswith(get("/a"))
        end.sendall(frame(DATA, b"one"))
        await turns(lambda: client.got == b"one")
        posted = b"POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\n"
        front.data_received(posted)
        end.sendall(frame(IDLE))
        await turns(lambda: front._left == 4)
        front.data_received(b"bo")
        front.data_received(b"dy" + get("/b"))
        assert (await heard(end, len(posted) + 4)) == posted + b"body"
        assert not table.b.ends
        end.sendall(frame(DATA, b"two") + frame(IDLE))
        await turns(lambda: bool(table.b.ends))
        assert (await heard(table.b.ends[0], 10)).endswith(get("/b"))

    live(work)


@pytest.mark.parametrize(
    "line", ["Transfer-Encoding: chunked", "Upgrade: websocket", "Content-Length: 4\r\nContent-Length: 5"]
)
def test_a_connection_ends_with_a_request_whose_end_cannot_be_told(line: str) -> None:
    async def work(table: Table, front: Front, client: Client) -> None:
        front.data_received(f"POST /a HTTP/1.1\r\n{line}\r\n\r\n".encode())
        await turns(lambda: bool(table.a.ends))
        front.data_received(get("/b"))
        said = b""
        async with asyncio.timeout(20):
            while not said.endswith(get("/b")):
                said += await heard(table.a.ends[0], 10)
        table.a.ends[0].sendall(frame(DATA, b"one") + frame(IDLE))
        await turns(lambda: client.closed)
        assert client.got == b"one"
        assert not table.b.ends

    live(work)


@pytest.mark.parametrize(
    ("lines", "length"),
    [
        ("Host: a", 0),
        ("content-length : 12 ", 12),
        ("X-Content-Length: 3", 0),
        ("Content-Length: -1", None),
        ("Content-Length: 1\r\nContent-Length: 1", None),
        ("transfer-encoding: gzip, chunked\r\nContent-Length: 1", None),
        ("Upgrade: SPDY/3.1\r\nContent-Length: 0", None),
    ],
)
def test_how_long_a_body_is(lines: str, length: int | None) -> None:
    assert body_length(f"POST / HTTP/1.1\r\n{lines}\r\n".encode()) == length


def test_what_was_answered_before_the_end_reaches_a_client_who_still_sends() -> None:
    async def work(table: Table, front: Front, client: Client) -> None:
        front.data_received(get("/a"))
        await turns(lambda: bool(table.a.ends))
        end = table.a.ends[0]
        await heard(end, 10)
        end.sendall(frame(DATA, b"the end"))
        end.close()
        front.data_received(b"still sending")  # nobody takes this: found out before the answer is read
        await turns(lambda: client.closed)
        assert client.got == b"the end"

    live(work)


def test_who_is_not_there_is_answered_for_by_control() -> None:
    async def work(table: Table, front: Front, client: Client) -> None:
        table.a.there = False
        front.data_received(get("/a"))
        await turns(lambda: bool(table.own.ends))
        assert (await heard(table.own.ends[0], 10)).endswith(get("/a"))
        table.own.there = False
        table.own.ends[0].sendall(frame(IDLE))
        await turns(lambda: table.using == 0)
        table.b.there = False
        front.data_received(get("/b"))
        await turns(lambda: client.aborted)

    live(work)


def test_a_head_without_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fronts, "MOST_HEAD", 100)

    async def work(table: Table, front: Front, client: Client) -> None:
        front.data_received(b"GET / HTTP/1.1\r\n" + b"a" * 200)
        await turns(lambda: bool(table.own.ends))
        assert not table.a.ends
        assert client.reading

    live(work)


def test_a_client_who_reads_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fronts, "SLOW_SECONDS", 0.0)

    async def work(table: Table, front: Front, client: Client) -> None:
        front.data_received(get("/a"))
        await turns(lambda: bool(table.a.ends))
        front.pause_writing()
        await turns(lambda: client.aborted)

    live(work)
