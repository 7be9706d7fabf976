"""SPDY frames: whole, in pieces, and hostile."""

from __future__ import annotations

import struct
import zlib

import pytest

from simkube.apiserver.streams.spdy import DICTIONARY, Data, Gone, Opened, Reader, Reply, Reset, SPDYError, Writer


class Client:
    """What a client sends."""

    def __init__(self) -> None:
        self.deflate = zlib.compressobj(zdict=DICTIONARY)

    def open(self, stream: int, headers: dict[str, str]) -> bytes:
        texts = [text.encode() for pair in headers.items() for text in pair]
        plain = struct.pack("!I", len(headers)) + b"".join(struct.pack("!I", len(text)) + text for text in texts)
        return control(1, struct.pack("!IIH", stream, 0, 0) + self.block(plain))

    def block(self, plain: bytes) -> bytes:
        return self.deflate.compress(plain) + self.deflate.flush(zlib.Z_SYNC_FLUSH)


def control(kind: int, body: bytes, version: int = 3) -> bytes:
    return struct.pack("!HHB", 0x8000 | version, kind, 0) + len(body).to_bytes(3) + body


def test_the_dictionary_is_the_one_of_spdy_3() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_streams_in_pieces_of_any_size(size: int) -> None:
    client = Client()
    sent = client.open(1, {"streamtype": "error", "port": "80"}) + client.open(3, {"streamtype": "data"})
    sent += Writer.data(3, b"hello") + Writer.data(3, b"", last=True) + control(3, struct.pack("!II", 3, 5))
    sent += control(4, b"\0" * 4) + control(6, b"\0\0\0\1") + control(7, b"\0" * 8)
    reader = Reader()
    events = [event for at in range(0, len(sent), size) for event in reader.feed(sent[at : at + size])]
    assert events == [
        Opened(1, {"streamtype": "error", "port": "80"}),
        Opened(3, {"streamtype": "data"}),
        Data(3, b"hello", last=False),
        Data(3, b"", last=True),
        Reset(3),
        Reply(control(6, b"\0\0\0\1")),
        Gone(),
    ]


def test_replies_can_be_read() -> None:
    writer = Writer()
    inflate = zlib.decompressobj(zdict=DICTIONARY)
    for stream in (1, 3):
        frame = writer.reply(stream)
        assert struct.unpack("!I", frame[8:12]) == (stream,)
        assert inflate.decompress(frame[12:]) == b"\0\0\0\0"


@pytest.mark.parametrize(
    "sent",
    [
        control(1, b"\0\0\0\1"),
        control(1, b"\0" * 10 + b"no zlib"),
        control(6, b"", version=2),
        struct.pack("!I", 1) + b"\0" + (2 << 20).to_bytes(3),
        control(1, b"\0\0\0\1" + b"\0" * 6 + Client().block(b"\xff\xff\xff\xff")),
        control(1, b"\0\0\0\1" + b"\0" * 6 + Client().block(b"\0\0\0\1\xff\xff\xff\xff")),
        control(1, b"\0\0\0\1" + b"\0" * 6 + Client().block(b"\0" * (1 << 20))),
    ],
)
def test_hostile_frames_are_refused(sent: bytes) -> None:
    with pytest.raises(SPDYError):
        list(Reader().feed(sent))
