"""HTTP/1.1 as bytes, for whatever meets a server or a client that is not simulated as one: ``nc``, a raw TCP server, a
forwarded port.

Simulated HTTP clients and servers hand each other requests and answers whole; this is how the same looks on a
:class:`~simkube.runtime.network.sockets.Socket`. Heads and bodies are bounded; pipelining, trailers and upgrades are
not kept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from simkube.runtime import httptext
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from simkube.runtime.network.sockets import Socket

HEAD = 64 * 1024
"""The largest head of a request or an answer, in bytes."""
BODY = 3 << 20
"""The largest body, in bytes."""
_NO_BODY = (204, 304)


class Malformed(Exception):
    """Not HTTP, or more of it than is read; ``status`` is what a server answers."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def render_request(request: HTTPRequest) -> bytes:
    """A request as it is sent."""
    headers = dict(request.headers)
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        headers.setdefault("content-length", str(len(request.body)))
    return f"{request.method} {request.path} HTTP/1.1\r\n".encode() + _lines(headers) + request.body


def render_response(response: HTTPResponse, *, head: bool = False, close: bool = False) -> bytes:
    """An answer as it is sent; without its body when ``head``."""
    headers = dict(response.headers)
    if response.status not in _NO_BODY and not head:
        headers["content-length"] = str(len(response.body))
    if close:
        headers["connection"] = "close"
    line = f"HTTP/1.1 {response.status} {httptext.reason(response.status)}\r\n"
    return line.encode() + _lines(headers) + (b"" if head else response.body)


def _lines(headers: Mapping[str, str]) -> bytes:
    text = "".join(f"{_title(name)}: {value}\r\n" for name, value in headers.items())
    return text.encode("utf-8", "surrogateescape") + b"\r\n"


def _title(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


def _parse_head(data: bytes) -> tuple[list[str], dict[str, str]]:
    lines = data.decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n").split("\n")
    pairs = (line.partition(":") for line in lines[1:])
    return lines[0].split(None, 2), {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def _is_request(words: list[str]) -> bool:
    return len(words) == 3 and words[2].startswith("HTTP/1.") and words[0].isalpha()


async def _read_head(socket: Socket, *, request: bool = False) -> bytes:
    """Up to the empty line, whichever way lines end; b"" at the end of the connection. The first line of what should be
    a request is judged at once."""
    data = bytearray()
    while True:
        line = await socket.read_until(b"\n", HEAD)
        if request and not data.strip() and line.strip() and not _is_request(_parse_head(line)[0]):
            raise Malformed(400)
        data += line
        if not line or len(data) > HEAD:
            if data and len(data) > HEAD:
                raise Malformed(431)
            return b""
        if line in (b"\r\n", b"\n"):
            if data.strip():
                return bytes(data)
            data.clear()


async def read_request(socket: Socket) -> tuple[HTTPRequest, bool] | None:
    """The next request and whether the connection stays open after it; None at the end. :class:`Malformed`."""
    head = await _read_head(socket, request=True)
    if not head:
        return None
    words, headers = _parse_head(head)
    if "100-continue" in headers.get("expect", "").lower():
        await socket.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await _body(socket, headers, otherwise=0)
    connection = headers.get("connection", "").lower()
    stays = "close" not in connection and (words[2] != "HTTP/1.0" or "keep-alive" in connection)
    return HTTPRequest(words[0], words[1], headers, body), stays


async def read_response(socket: Socket, method: str) -> HTTPResponse:
    """The answer to a request of that method. NetworkError ``reset`` when what comes is no HTTP."""
    words: list[str] = []
    headers: dict[str, str] = {}
    while not words or words[1] == "100":
        words, headers = _parse_head(await _read_head(socket))
        if len(words) < 2 or not words[0].startswith("HTTP/") or len(words[1]) != 3 or not words[1].isdecimal():
            raise NetworkError("reset", "Connection reset by peer")
    status = int(words[1])
    body = b"" if method == "HEAD" or status in _NO_BODY else await _body(socket, headers, otherwise=BODY)
    return HTTPResponse(status, headers, body)


async def _body(socket: Socket, headers: Mapping[str, str], *, otherwise: int) -> bytes:
    """A body of the length the headers tell, or everything to the end of the connection, up to ``otherwise``."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _chunks(socket)
    length = headers.get("content-length")
    if length is None:
        return await socket.read_exactly(otherwise)
    if not length.isdecimal() or len(length) > 9:
        raise Malformed(400)
    if int(length) > BODY:
        raise Malformed(413)
    return await socket.read_exactly(int(length))


async def _chunks(socket: Socket) -> bytes:
    body = bytearray()
    while True:
        line = (await socket.read_until(b"\n", 1024)).partition(b";")[0].strip()
        try:
            size = int(line, 16)
        except ValueError:
            raise Malformed(400) from None
        if not 0 <= size <= BODY - len(body):
            raise Malformed(413)
        body += await socket.read_exactly(size)
        await socket.read_until(b"\n", 1024)
        if not size:
            return bytes(body)


Answer = Callable[[HTTPRequest, str], Awaitable[HTTPResponse]]
"""A request and the address of who sends it, to the answer."""


async def serve(socket: Socket, answer: Answer) -> None:
    """Answer every request on a connection until either side closes it."""
    peer = socket.peer.rpartition(":")[0]
    try:
        while (read := await read_request(socket)) is not None:
            request, stays = read
            response = await answer(request, peer)
            stays = stays and response.headers.get("connection", "").lower() != "close"
            await socket.write(render_response(response, head=request.method == "HEAD", close=not stays))
            if not stays:
                return
    except Malformed as error:
        text = f"{error.status} {httptext.reason(error.status)}\n"
        await socket.write(render_response(httptext.text(error.status, text), close=True))
    finally:
        socket.close()


async def ask(socket: Socket, request: HTTPRequest) -> HTTPResponse:
    """Send a request on a connection and read the answer. NetworkError ``reset``."""
    await socket.write(render_request(request))
    try:
        return await read_response(socket, request.method)
    except Malformed:
        raise NetworkError("reset", "Connection reset by peer") from None
