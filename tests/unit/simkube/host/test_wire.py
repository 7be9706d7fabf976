"""What control and workers say to each other: frames in pieces of any size, heads of requests of any kind."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from simkube.host.front import asked, segment
from simkube.host.home import Home
from simkube.host.placement import Placement, known, stores
from simkube.host.wire import DATA, FRAME, IDLE, NOTE, Answering, Frames, Peer, Wire


def frame(kind: int, body: bytes = b"") -> bytes:
    return FRAME.pack(kind, len(body)) + body


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_frames_are_taken_apart_however_they_come(size: int) -> None:
    got: list[Any] = []
    frames = Frames(lambda data: got.append(data), lambda: got.append("idle"), lambda note: got.append(note))
    sent = frame(NOTE, b'{"proved": "a"}') + frame(DATA, b"hello ") + frame(DATA, b"there") + frame(IDLE)
    sent += frame(DATA, b"") + frame(DATA, b"more") + frame(IDLE)
    for at in range(0, len(sent), size):
        frames.feed(sent[at : at + size])
    text = b"".join(each for each in got if isinstance(each, bytes))
    assert text == b"hello theremore"
    assert [each for each in got if not isinstance(each, bytes)] == [{"proved": "a"}, "idle", "idle"]
    assert got[0] == {"proved": "a"}


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_who_is_there_comes_first_and_is_believed(size: int) -> None:
    peer = Peer("127.0.0.7", {"subject": [[["commonName", "lea"]]]}, b"\x00\xffder")
    heard: list[Any] = []

    class Echo(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            heard.append(transport)

        def data_received(self, data: bytes) -> None:
            heard.append(data)
            heard[0].write(data.upper())
            heard[0].idle()

    async def live() -> bytes:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        await loop.create_unix_connection(lambda: Answering(lambda _: Echo()), sock=theirs)
        ours.setblocking(False)
        sent = peer.encode() + b"hi"
        for at in range(0, len(sent), size):
            await loop.sock_sendall(ours, sent[at : at + size])
            await asyncio.sleep(0)
        said = b""
        while said.count(frame(IDLE)) < len(heard) - 1 or len(b"".join(heard[1:])) < 2:
            said += await loop.sock_recv(ours, 1000)
        heard[0].close()
        ours.close()
        return said

    said = asyncio.run(live())
    wire = heard[0]
    assert isinstance(wire, Wire)
    assert wire.get_extra_info("peername") == ("127.0.0.7", 0)
    assert wire.get_extra_info("peercert") == peer.described
    assert wire.get_extra_info("ssl_object").getpeercert(binary_form=True) == peer.der
    assert b"".join(heard[1:]) == b"hi"
    assert frame(IDLE) in said


@pytest.mark.parametrize(
    ("head", "path", "token"),
    [
        (b"GET /clusters/a/api HTTP/1.1\r\nAuthorization: Bearer x\r\n\r\n", "/clusters/a/api", "x"),
        (b"GET /api HTTP/1.1\r\nauthorization:  bearer  y \r\nA: b\r\n\r\n", "/api", "y"),
        (b"GET http://h/clusters/a?b=c HTTP/1.1\r\n\r\n", "/clusters/a?b=c", ""),
        (b"GET /api HTTP/1.1\r\nX: authorization: bearer z\r\n\r\n", "/api", ""),
        (b"nonsense\r\n\r\n", "", ""),
        (b"\r\n\r\n", "", ""),
    ],
)
def test_of_a_head_only_the_path_and_the_token_are_read(head: bytes, path: str, token: str) -> None:
    assert asked(head) == (path, token)


@pytest.mark.parametrize(
    ("path", "cluster"),
    [("/clusters/a/b", "a"), ("/clusters/%61?x=/clusters/b", "a"), ("/cluster/a", ""), ("/clusters/", ""), ("", "")],
)
def test_a_path_names_a_cluster(path: str, cluster: str) -> None:
    assert segment(path, "/clusters/") == cluster


def test_a_class_is_spread_over_workers() -> None:
    placement = Placement(2)
    chosen = [placement.chosen(f"student{number:02}") for number in range(100)]
    assert 35 < sum(chosen) < 65
    assert chosen == [Placement(2).chosen(f"student{number:02}") for number in range(100)]


def test_tokens_lead_to_a_cluster_while_it_is_there() -> None:
    placement = Placement(2)
    placement.put("a", 1, ["t", "u"])
    placement.put("a", 1, ["v"])
    assert [placement.of_token(token) for token in ("t", "v", "")] == [None, 1, None]
    placement.replace(1, {"b": ["w"]})
    assert (placement.of("a"), placement.of("b"), placement.ids(), placement.count(1)) == (None, 1, ["b"], 1)
    placement.replace(0, {})
    assert placement.of_token("w") == 1


def test_stores_that_are_there_are_served_by_however_few_workers(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for name in ("clusters.db", "clusters-3.db", "clusters-4.db", "clusters-x.db", "clusters-03.db"):
        (tmp_path / name).touch()
    names = [[path.name for path in paths] for paths in stores(home, 2)]
    assert names == [["clusters.db", "clusters-4.db"], ["clusters-1.db", "clusters-3.db"]]
    assert known(stores(home, 2)) == [{}, {}]
    assert (tmp_path / "clusters-1.db").stat().st_size > 0
