"""One HTTP request with a deadline for the whole of it, and a record of what became of it.

Used by the probe, for requests that have a connection of their own (:func:`request`) and for those that are sent one
after the other on a connection that is kept open (:class:`Kept`). Whatever the other side does (says nothing, drips one
byte a second, sends nonsense or no end), a request ends within its time. No redirect is followed and nothing is
decompressed. ``error`` is one of these words, "" when an answer came:

``name not found``   DNS says that there is no such name     ``dns unavailable``  DNS did not answer
``refused``          nothing listens, or no ready endpoint   ``unreachable``      no route to the address
``timeout``          no whole answer in time                 ``reset``            the connection broke
``bad answer``       not HTTP                                ``bad url``          not an http:// URL
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import io
import random
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

BODY_CHARACTERS = 200
MOST_CHARACTERS = 64 << 10
BODY_BYTES = 4 << 20
GAP = " ... "
NAME_SECONDS = 1.0  # how long an address is used before the name is asked for again
UNKNOWN_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
STALE_SECONDS = 60.0  # how long it is used while DNS, asked again, does not answer
CROSSING_SECONDS = 0.25  # how long a request and the end of its connection can be on their way at the same time

Record = dict[str, Any]
"""``{"t": s since 1970 at sending, "ms": duration, "status": 0 when no answer, "error": str, "body": str, "digest"}``

``body``: of a long one the beginning and the end, with `` ... `` between. ``digest``: of all of it that was read, at
most 4 MiB; "" without an answer. Of a kept connection ``t`` and ``ms`` count from when the request was due, and
``"again": true`` when it was sent twice.
"""

_names: dict[str, tuple[float, list[str]]] = {}  # host -> when it was learnt, its addresses
_asking: set[str] = set()
_names_lock = threading.Lock()


class _TimedStream(io.RawIOBase):
    """A socket's bytes until a deadline; TimeoutError afterwards."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        super().__init__()
        self._connection = connection
        self._deadline = deadline
        self.received = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        size = self._connection.recv_into(buffer)
        self.received += size
        return size


class _TimedSocket:
    """What http.client needs of a socket to read an answer from."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self.raw = _TimedStream(connection, deadline)
        self._stream = io.BufferedReader(self.raw)

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return self._stream


def request(
    url: str,
    method: str = "GET",
    timeout: float = 2.0,
    headers: Mapping[str, str] | None = None,
    body: str = "",
    characters: int = BODY_CHARACTERS,
) -> Record:
    """Send one request on a connection of its own; never raises."""
    start = time.monotonic()

    def exchange() -> tuple[int, bytes]:
        host, port, target = _split(url)
        message = _message(host, port, target, method, {"Connection": "close", **(headers or {})}, body)
        connection = _connect(host, port, start + timeout)
        try:
            status, content, _ = _exchange(connection, message, method, start + timeout)
            return status, content
        finally:
            connection.close()

    return _recorded(exchange, start, characters)


def _recorded(exchange: Callable[[], tuple[int, bytes]], start: float, characters: int = BODY_CHARACTERS) -> Record:
    """What becomes of ``exchange``, which was due at ``start`` (of the monotonic clock)."""
    began, status, content, error = time.time() - (time.monotonic() - start), 0, b"", ""
    try:
        status, content = exchange()
    except Exception as problem:  # noqa: BLE001 - whatever another side does is a record, and has a word
        error = word(problem)
    ms = round((time.monotonic() - start) * 1000, 1)
    said = {"body": _excerpt(content, characters), "digest": "" if error else hashlib.sha256(content).hexdigest()[:16]}
    return {"t": round(began, 3), "ms": ms, "status": 0 if error else status, "error": error, **said}


def _excerpt(content: bytes, characters: int) -> str:
    """All of it, or its beginning and its end."""
    text = content.decode("utf-8", "replace")
    half = (characters - len(GAP)) // 2
    return text if len(text) <= characters else text[:half] + GAP + text[-half:]


def word(problem: Exception) -> str:
    """The word for what went wrong; what is none of these is a fault of ours, and raised again."""
    if isinstance(problem, socket.gaierror):
        return "name not found" if problem.errno in UNKNOWN_NAME else "dns unavailable"
    if isinstance(problem, (socket.timeout, TimeoutError)):  # two classes before Python 3.10
        return "timeout"
    if isinstance(problem, ConnectionRefusedError):
        return "refused"
    if isinstance(problem, (ConnectionError, http.client.IncompleteRead, http.client.RemoteDisconnected)):
        return "reset"
    if isinstance(problem, http.client.HTTPException):
        return "bad answer"
    if isinstance(problem, OSError):
        return "unreachable" if problem.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH) else "reset"
    if isinstance(problem, ValueError):
        return "bad url"
    raise problem


def _connect(host: str, port: int, deadline: float) -> socket.socket:
    address = _resolve(host)
    connection = socket.create_connection((address, port), timeout=max(deadline - time.monotonic(), 0.001))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _exchange(connection: socket.socket, message: bytes, method: str, deadline: float) -> tuple[int, bytes, bool]:
    """Status, the body as far as it is read, and whether the connection can be used again."""
    connection.settimeout(max(deadline - time.monotonic(), 0.001))
    connection.sendall(message)
    timed = _TimedSocket(connection, deadline)
    answer = http.client.HTTPResponse(timed, method=method)  # type: ignore[arg-type]
    try:
        answer.begin()
        content = answer.read(BODY_BYTES)
        if answer.length and len(content) < BODY_BYTES:  # read() of so many bytes takes fewer for an end
            raise http.client.IncompleteRead(content, answer.length)
        whole = not answer.will_close and (answer.length == 0 or answer.isclosed())
        return answer.status, content, whole
    except ConnectionError as problem:
        if not timed.raw.received:
            raise _Unanswered from problem
        raise


class _Unanswered(ConnectionResetError):
    """The connection ended before a byte of the answer came."""


class Kept:
    """GETs of one URL on one connection that is kept open, as HTTP clients keep theirs.

    It is opened when first needed, and again when it has ended. A request that meets the end of its connection on the
    way (the connection was used before, nothing of an answer came, and that within :data:`CROSSING_SECONDS`) is sent
    once more on a new one, as every client does; ``again`` is in its record. One that the server had for longer has
    failed. Not for several threads at once.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: socket.socket | None = None

    def request(self, due: float, timeout: float) -> Record:
        """One request, which was due at ``due`` (of the monotonic clock): time counts from there. Never raises."""
        again: list[bool] = []
        record = _recorded(lambda: self._send(due + timeout, again), due)
        if record["error"]:
            self.close()
        if again:
            record["again"] = True
        return record

    def close(self) -> None:
        """Close the connection, if one is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self, deadline: float, again: list[bool]) -> tuple[int, bytes]:
        host, port, target = _split(self._url)
        message = _message(host, port, target, "GET", {"Connection": "keep-alive"}, "")
        if deadline <= time.monotonic():
            raise TimeoutError
        used = self._open()
        sent = time.monotonic()
        try:
            return self._once(host, port, message, deadline)
        except (_Unanswered, BrokenPipeError):
            if not used or time.monotonic() - sent > CROSSING_SECONDS:
                raise
        self.close()
        again.append(True)
        return self._once(host, port, message, deadline)

    def _once(self, host: str, port: int, message: bytes, deadline: float) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = _connect(host, port, deadline)
        status, content, stays = _exchange(self._connection, message, "GET", deadline)
        if not stays:
            self.close()
        return status, content

    def _open(self) -> bool:
        """Whether there is a connection that the other side has not ended; one that it has is closed."""
        if self._connection is None:
            return False
        try:
            self._connection.settimeout(0)
            self._connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True  # nothing to read: neither an end nor something that nobody asked for
        except OSError:
            pass
        self.close()
        return False


def _split(url: str) -> tuple[str, int, str]:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or any(ord(c) <= 32 or ord(c) == 127 for c in url):
        raise ValueError(url)
    target = parts.path or "/"
    return parts.hostname, parts.port or 80, target + ("?" + parts.query if parts.query else "")


def _resolve(host: str) -> str:
    """An IPv4 address of ``host``, any of them when there are several.

    A name known already is asked for again beside the request, so that an outage of DNS is not taken for one of the
    application.
    """
    with _names_lock:
        learnt, addresses = _names.get(host, (0.0, []))
        age = time.monotonic() - learnt
        fresh = bool(addresses) and age < STALE_SECONDS
        refresh = fresh and age > NAME_SECONDS and host not in _asking
        if refresh:
            _asking.add(host)
    if refresh:
        threading.Thread(target=_refresh, args=(host,), daemon=True).start()
    return random.choice(addresses if fresh else _ask(host))  # noqa: S311 - spreading, not secrecy


def _refresh(host: str) -> None:
    try:
        _ask(host)
    except OSError:
        pass  # DNS did not answer: what was learnt last is used until it is stale
    finally:
        with _names_lock:
            _asking.discard(host)


def _ask(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in UNKNOWN_NAME:
            with _names_lock:
                _names.pop(host, None)
        raise
    addresses = [str(one[4][0]) for one in found]
    with _names_lock:
        _names[host] = (time.monotonic(), addresses)
    return addresses


def _message(host: str, port: int, target: str, method: str, headers: Mapping[str, str], body: str) -> bytes:
    content = body.encode()
    lines = {"Host": host if port == 80 else f"{host}:{port}", "User-Agent": "kindling-probe"}
    lines.update({str(key): str(value) for key, value in headers.items()})
    if content or method in ("POST", "PUT", "PATCH"):
        lines["Content-Length"] = str(len(content))
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{key}: {value}\r\n" for key, value in lines.items())
    if any("\n" in part or "\r" in part for pair in lines.items() for part in pair) or not method.isalpha():
        raise ValueError("a header or method with a line break")
    return head.encode("latin-1") + b"\r\n" + content
