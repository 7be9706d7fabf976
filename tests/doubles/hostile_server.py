"""A server that does what no honest one does, on loopback: raw bytes by path, as many and as slowly as it likes.

Each misbehaviour is a function that yields what is sent next; between two pieces it waits :data:`PAUSE` seconds, where
its name says that it drips.
"""

from __future__ import annotations

import gzip
import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterator

PAUSE = 0.02
OK = b"HTTP/1.1 200 OK\r\n"
Bytes = Callable[[], Iterator[bytes]]


def endless() -> Iterator[bytes]:
    yield OK + b"\r\n"
    yield from itertools.repeat(b"x" * 65536)


def dripping_body() -> Iterator[bytes]:
    yield OK + b"Content-Length: 100000\r\n\r\n"
    yield from itertools.repeat(b"x")


def dripping_head() -> Iterator[bytes]:
    yield OK + b"X: "
    yield from itertools.repeat(b"x")


def endless_continues() -> Iterator[bytes]:
    yield from itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n")


def many_headers() -> Iterator[bytes]:
    yield OK + b"".join(b"X-%d: 1\r\n" % number for number in range(10_000)) + b"\r\n"


def long_header() -> Iterator[bytes]:
    yield OK + b"X: " + b"x" * (1 << 20) + b"\r\n\r\n"


def too_long_promised() -> Iterator[bytes]:
    yield OK + b"Content-Length: 1000\r\n\r\nHello from web-1, version 1.0"


def too_little_promised() -> Iterator[bytes]:
    yield OK + b"Content-Length: 5\r\n\r\nHello and much more"


def negative_length() -> Iterator[bytes]:
    yield OK + b"Content-Length: -1\r\n\r\nHello"


def broken_chunks() -> Iterator[bytes]:
    yield OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nHello"


def not_http() -> Iterator[bytes]:
    yield b"220 smtp.example.com ESMTP\r\n"


def odd_status() -> Iterator[bytes]:
    yield b"HTTP/1.1 99999 Odd\r\n\r\n"


def bomb() -> Iterator[bytes]:
    """A kilobyte that becomes a mebibyte, for whoever decompresses."""
    content = gzip.compress(b"0" * (1 << 20))
    yield OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(content) + content


def invalid_text() -> Iterator[bytes]:
    yield OK + b"Content-Length: 13\r\n\r\n\xff\xfe\x1b[31mHi\x00\n\r\t"


def deep() -> Iterator[bytes]:
    yield OK + b"Content-Length: 200000\r\n\r\n" + b"[" * 200_000


def broken_off() -> Iterator[bytes]:
    yield b"HTTP/1.1 2"


def redirect(to: str) -> Bytes:
    def answer() -> Iterator[bytes]:
        yield f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()

    return answer


class HostileServer:
    """Answers every connection in one way. ``asked``: how many there were; ``sent``: bytes that went out."""

    def __init__(self, answer: Bytes) -> None:
        self.asked, self.sent = 0, 0
        self._answer, self._drips = answer, getattr(answer, "__name__", "").startswith("dripping")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._done = threading.Event()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Stop; connections that are open end at their next piece."""
        self._done.set()
        self._listener.close()

    @property
    def kubeconfig(self) -> str:
        """As if it were an API server."""
        cluster = {"name": "c", "cluster": {"server": self.url.rstrip("/")}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        user = {"name": "u", "user": {"token": "secret"}}
        return json.dumps({"current-context": "c", "contexts": [context], "clusters": [cluster], "users": [user]})

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.asked += 1
            threading.Thread(target=self._send, args=(connection,), daemon=True).start()

    def _send(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65536)
                for piece in self._answer():
                    connection.sendall(piece)
                    self.sent += len(piece)
                    if self._done.wait(PAUSE if self._drips else 0):
                        return
            except OSError:
                return  # whoever asked has gone
