"""Connections: nobody's idle ones keep those away who have work to do. On loopback only."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.http.encoding import Encodings
from simkube.etcd.journal import Journal
from simkube.host import certificates, connections
from simkube.host.connections import HANDSHAKE_SECONDS, Handshakes, Listener, Place, Places
from simkube.host.protocol import Server
from simkube.host.routing import Router
from simkube.host.tenants import Tenants
from tests.unit.simkube.host.serving import MAPS, TOPOLOGY


def taken(places: Places, address: str = "127.0.0.1", whose: str = "") -> tuple[Place, list[Place]]:
    """A place, and the list that it is in once it was cut."""
    cut: list[Place] = []
    place = places.take(address)
    assert place is not None
    place.cut = lambda: cut.append(place)
    if whose:
        place.prove(whose)
    return place, cut


def test_the_oldest_idle_one_of_nobody_goes_for_a_new_one() -> None:
    places = Places(3)
    known, known_cut = taken(places, whose="a")
    busy, busy_cut = taken(places)
    busy.began()
    _, idle_cut = taken(places)
    taken(places)
    assert (len(known_cut), len(busy_cut), len(idle_cut)) == (0, 0, 1)
    assert known in places.taken


def test_the_address_with_most_gives_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_UNPROVEN", 3)
    places = Places(100)
    _, single_cut = taken(places, "127.0.0.2")
    _, first_cut = taken(places, "127.0.0.1")
    taken(places, "127.0.0.1")
    taken(places, "127.0.0.3")
    assert (len(single_cut), len(first_cut)) == (0, 1)


def test_a_cluster_has_so_many_and_its_idle_ones_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_OF_CLUSTER", 2)
    places = Places(100)
    first, first_cut = taken(places, whose="a")
    _, other_cut = taken(places, whose="b")
    second, _ = taken(places, whose="a")
    third, _ = taken(places, whose="a")
    assert (len(first_cut), len(other_cut)) == (1, 0)
    second.began()
    third.began()
    with pytest.raises(StatusError) as refused:
        taken(places, whose="a")
    assert refused.value.code == 429
    taken(places, whose="b")
    assert first not in places.taken


def test_nobody_is_accepted_when_all_are_in_use() -> None:
    places = Places(1)
    place, _ = taken(places, whose="a")
    place.began()
    assert places.take("127.0.0.1") is None
    place.ended()
    place.leave()
    assert places.take("127.0.0.1") is not None


def test_the_process_may_open_as_many_files_as_the_machine_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, before[1]), before[1]))
    try:
        assert connections.raise_file_limit() == before[1]
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@asynccontextmanager
async def accepting(places: Places, context: Any = None) -> AsyncIterator[tuple[int, str]]:
    """A cluster ``a`` at a port, and its administrator's token."""
    tenants = Tenants(Journal(), Encodings(), address="127.0.0.1:1", ca="")
    token = tenants.create("a", TOPOLOGY, {}).meta["tokens"]["admin"]
    sock = socket.create_server(("127.0.0.1", 0))
    server = Server(Router(tenants, "host.log").handle, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    listener = Listener(sock, context, server.connection, places)
    listener.start()
    try:
        yield sock.getsockname()[1], token
    finally:
        listener.stop()
        tenants.stop()
        await runner.cleanup()


async def asked(stream: tuple[asyncio.StreamReader, asyncio.StreamWriter], token: str) -> bytes:
    reader, writer = stream
    head = f"GET /clusters/a{MAPS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
    writer.write(head.encode())
    said = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    length = next(line for line in said.splitlines() if line.lower().startswith(b"content-length:"))
    await reader.readexactly(int(length.split()[1]))
    return said.split()[1]


async def gone(stream: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bool:
    """Whether the server ends the connection, having said nothing."""
    with suppress(ConnectionResetError):
        return await asyncio.wait_for(stream[0].read(), 10) == b""
    return True


def test_idle_connections_do_not_keep_others_away_nor_fill_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "MOST_UNPROVEN", 5)

    async def live() -> None:
        async with accepting(Places(10)) as (port, token):
            known = await asyncio.open_connection("127.0.0.1", port)
            assert await asked(known, token) == b"200"
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(50)]
            late = await asyncio.open_connection("127.0.0.1", port)
            assert await asked(late, token) == b"200"
            assert await asked(known, token) == b"200"  # it was not cut
            assert await gone(idle[0])
            for _, writer in (known, late, *idle):
                writer.close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(live())
    assert len(caplog.records) <= 1


@pytest.mark.parametrize("secure", [False, True])
def test_who_says_nothing_is_cut_off_soon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, secure: bool) -> None:
    monkeypatch.setattr(connections, "UNPROVEN_SECONDS", 0.05)
    context = certificates.load(tmp_path).context if secure else None

    async def live() -> None:
        places = Places(10)
        async with accepting(places, context) as (port, _):
            silent = await asyncio.open_connection("127.0.0.1", port)
            assert await gone(silent)
            assert not places.taken
            silent[1].close()

    asyncio.run(live())


def test_who_is_known_may_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "UNPROVEN_SECONDS", 0.05)

    async def live() -> None:
        async with accepting(Places(10)) as (port, token):
            known = await asyncio.open_connection("127.0.0.1", port)
            assert await asked(known, token) == b"200"
            silent = await asyncio.open_connection("127.0.0.1", port)
            assert await gone(silent)
            assert await asked(known, token) == b"200"
            for _, writer in (known, silent):
                writer.close()

    asyncio.run(live())


def test_a_machine_without_files_is_waited_for_in_silence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "FULL_SECONDS", 0.001)

    async def live() -> bytes:
        loop = asyncio.get_running_loop()
        real, left = loop.sock_accept, 20

        async def accept(sock: socket.socket) -> Any:
            nonlocal left
            if left:
                left -= 1
                raise OSError(24, "Too many open files")
            return await real(sock)

        monkeypatch.setattr(loop, "sock_accept", accept)
        async with accepting(Places(10)) as (port, token):
            stream = await asyncio.open_connection("127.0.0.1", port)
            found = await asked(stream, token)
            stream[1].close()
            return found

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(live()) == b"200"
    assert len([each for each in caplog.records if "Too many open files" in each.getMessage()]) == 1


def test_clients_that_leave_within_their_bodies_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def live() -> None:
        places = Places(10)
        async with accepting(places) as (port, token):
            head = f"POST /clusters/a{MAPS} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n"
            for _ in range(5):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{{".encode())
                await writer.drain()
                while not any(place.busy for place in places.taken):
                    await asyncio.sleep(0.001)
                writer.transport.abort()
                while places.taken:
                    await asyncio.sleep(0.001)
            known = await asyncio.open_connection("127.0.0.1", port)
            assert await asked(known, token) == b"200"
            known[1].close()

    with caplog.at_level(logging.DEBUG, "simkube.host.protocol"):
        asyncio.run(live())
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert any("left before its request was whole" in record.message for record in caplog.records)


def test_no_answer_waits_until_the_client_has_confirmed_what_came_before() -> None:
    """On each new TLS connection that would be 40 ms."""

    async def live() -> None:
        sock = socket.create_server(("127.0.0.1", 0))
        served: asyncio.Queue[asyncio.BaseTransport] = asyncio.Queue()

        class Noting(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                served.put_nowait(transport)

        listener = Listener(sock, None, lambda _: Noting(), Places(10))
        listener.start()
        _, writer = await asyncio.open_connection(*sock.getsockname())
        transport = await asyncio.wait_for(served.get(), 10)
        accepted = transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        writer.close()
        transport.close()
        listener.stop()

    asyncio.run(live())


class TestHandshakes:
    def test_they_begin_in_the_order_of_coming_with_room_between_them(self) -> None:
        now = [100.0]
        turns = Handshakes(lambda: now[0])
        waits = [turns.wait("a") for _ in range(4)]
        assert waits == pytest.approx([number * HANDSHAKE_SECONDS for number in range(4)])
        now[0] += 1.0
        assert turns.wait("a") == 0.0

    def test_those_of_one_address_keep_no_other_waiting(self) -> None:
        turns = Handshakes(lambda: 100.0)
        assert [turns.wait("a") for _ in range(100)][-1] > 0.2
        assert turns.wait("b") == 0.0

    def test_addresses_without_end_take_turns_together(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connections, "MOST_ADDRESSES", 3)
        turns = Handshakes(lambda: 100.0)
        assert [turns.wait(f"address {number}") for number in range(3)] == [0.0, 0.0, 0.0]
        assert [turns.wait(f"other {number}") > 0 for number in range(3)] == [False, True, True]


def test_connections_on_which_nothing_comes_keep_nobody_waiting_for_a_handshake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = certificates.load(tmp_path)
    context = ssl.create_default_context(cadata=made.ca)
    begun: list[str] = []
    monkeypatch.setattr(Handshakes, "wait", lambda _, address: begun.append(address) or 0.0)

    async def live() -> None:
        async with accepting(Places(200), made.context) as (port, token):
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
            known = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            assert await asked(known, token) == b"200"
            assert begun == ["127.0.0.1"]
            for _, writer in (known, *silent):
                writer.close()

    asyncio.run(live())
