"""exec over SPDY: streams opened by the client, what it sends and gets on them, and the end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.streams.channels import CLOSE, ERROR, RESIZE, STDIN, STDOUT
from simkube.apiserver.streams.spdy import Writer
from simkube.apiserver.streams.spdy_channels import SPDYChannels
from simkube.apiserver.streams.upgrade import chosen
from tests.unit.simkube.apiserver.streams.test_spdy import Client, control


class ScriptedWire:
    """A client that says this, and then goes away; keeps :class:`simkube.apiserver.streams.upgrade.Wire`."""

    def __init__(self, *says: bytes) -> None:
        self.says = list(says)
        self.sent = b""
        self.closed = False
        self.response = web.Response()

    async def send(self, data: bytes) -> None:
        self.sent += data

    async def receive(self) -> bytes | None:
        return self.says.pop(0) if self.says else None

    async def close(self) -> None:
        self.closed = True


def opened(*types: str) -> bytes:
    client = Client()
    return b"".join(client.open(1 + 2 * at, {"Streamtype": each}) for at, each in enumerate(types))


def talk(wire: ScriptedWire, *wanted: int) -> tuple[SPDYChannels, list[tuple[int, bytes]]]:
    found: Any = wire
    channels = SPDYChannels(found, wanted)

    async def run() -> list[tuple[int, bytes]]:
        await channels.greet(STDOUT)
        return [each async for each in channels.receive()]

    return channels, asyncio.run(run())


def test_input_and_sizes_come_by_their_streams() -> None:
    says = opened("error", "stdin", "stdout", "resize")
    says += Writer.data(3, b"ls\n") + Writer.data(7, b'{"Width":80,"Hei') + Writer.data(7, b'ght":24}\n')
    says += Writer.data(3, b"", last=True)
    _, heard = talk(ScriptedWire(says), ERROR, STDIN, STDOUT, RESIZE)
    assert heard[0] == (STDIN, b"ls\n")
    assert json.loads(heard[1][1]) == {"Width": 80, "Height": 24}
    assert heard[2] == (CLOSE, bytes([STDIN]))


def test_output_goes_out_on_its_stream_and_the_status_last() -> None:
    wire = ScriptedWire(opened("error", "stdout"))
    channels, _ = talk(wire, ERROR, STDOUT)

    async def run() -> None:
        await channels.send(STDOUT, b"hello")
        await channels.end({"metadata": {}, "status": "Success"})

    wire.sent = b""
    asyncio.run(run())
    status = json.dumps({"metadata": {}, "status": "Success"}).encode()
    ends = Writer.data(1, b"", last=True) + Writer.data(3, b"", last=True)
    assert wire.sent == Writer.data(3, b"hello") + Writer.data(1, status) + ends
    assert wire.closed


def test_a_stream_that_was_not_asked_for_is_refused_and_pings_are_answered() -> None:
    wire = ScriptedWire(opened("error", "stdin", "error") + control(6, b"\0\0\0\1"))
    talk(wire, ERROR)
    assert Writer.refuse(3) in wire.sent
    assert Writer.refuse(5) in wire.sent
    assert control(6, b"\0\0\0\1") in wire.sent


@pytest.mark.parametrize("says", [(), (b"GET / HTTP/1.1",), (opened("error"),)])
def test_a_client_that_never_opens_its_streams(says: tuple[bytes, ...]) -> None:
    with pytest.raises(ConnectionError):
        talk(ScriptedWire(*says), ERROR, STDOUT)


def test_a_size_that_never_ends_is_not_kept() -> None:
    says = opened("error", "resize") + Writer.data(3, b"{" * 5000)
    with pytest.raises(ConnectionError, match="does not end"):
        talk(ScriptedWire(says), ERROR, RESIZE)


def test_what_both_speak_is_chosen() -> None:
    from aiohttp.test_utils import make_mocked_request

    given = {"X-Stream-Protocol-Version": "v5.channel.k8s.io, v4.channel.k8s.io"}
    assert chosen(make_mocked_request("POST", "/", headers=given), ("v4.channel.k8s.io",)) == "v4.channel.k8s.io"
    with pytest.raises(StatusError) as caught:
        chosen(make_mocked_request("POST", "/"), ("v4.channel.k8s.io",))
    assert caught.value.code == 403
