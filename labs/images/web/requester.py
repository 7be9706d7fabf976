"""One HTTP request with a deadline for the whole of it, and a record of what became of it.

Used by the probe. Whatever the other side does (says nothing, drips one byte a second, sends nonsense or no end), a
request ends within its time. No redirect is followed and nothing is decompressed. ``error`` is one of these words, ""
when an answer came:

``name not found``   DNS says that there is no such name     ``dns unavailable``  DNS did not answer
``refused``          nothing listens, or no ready endpoint   ``unreachable``      no route to the address
``timeout``          no whole answer in time                 ``reset``            the connection broke
``bad answer``       not HTTP                                ``bad url``          not an http:// URL
"""

from __future__ import annotations

import errno
import http.client
import io
import random
import socket
import threading
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

BODY_CHARACTERS = 200
BODY_BYTES = 64 << 10
NAME_SECONDS = 1.0  # how long an address is used before the name is asked for again
UNKNOWN_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
STALE_SECONDS = 60.0  # how long it is used while DNS, asked again, does not answer

Record = dict[str, Any]
"""``{"t": s since 1970 at sending, "ms": duration, "status": 0 when no answer, "error": str, "body": str}``"""

_names: dict[str, tuple[float, list[str]]] = {}  # host -> when it was learnt, its addresses
_asking: set[str] = set()
_names_lock = threading.Lock()


class _TimedStream(io.RawIOBase):
    """A socket's bytes until a deadline; TimeoutError afterwards."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        super().__init__()
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _TimedSocket:
    """What http.client needs of a socket to read an answer from."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._stream = io.BufferedReader(_TimedStream(connection, deadline))

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return self._stream


def request(
    url: str, method: str = "GET", timeout: float = 2.0, headers: Mapping[str, str] | None = None, body: str = ""
) -> Record:
    """Send one request on a connection of its own; never raises."""
    began, deadline, status, text, error = time.time(), time.monotonic() + timeout, 0, "", ""
    start = time.monotonic()
    try:
        status, text = _exchange(url, method, headers or {}, body, deadline)
    except socket.gaierror as problem:
        error = "name not found" if problem.errno in UNKNOWN_NAME else "dns unavailable"
    except (socket.timeout, TimeoutError):  # noqa: UP041 - two classes before Python 3.10
        error = "timeout"
    except ConnectionRefusedError:
        error = "refused"
    except (ConnectionError, http.client.IncompleteRead, http.client.RemoteDisconnected):
        error = "reset"
    except http.client.HTTPException:
        error = "bad answer"
    except OSError as problem:
        error = "unreachable" if problem.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH) else "reset"
    except ValueError:
        error = "bad url"
    ms = round((time.monotonic() - start) * 1000, 1)
    return {"t": round(began, 3), "ms": ms, "status": 0 if error else status, "error": error, "body": text}


def _exchange(url: str, method: str, headers: Mapping[str, str], body: str, deadline: float) -> tuple[int, str]:
    host, port, target = _split(url)
    address = _resolve(host)
    connection = socket.create_connection((address, port), timeout=max(deadline - time.monotonic(), 0.001))
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(_message(host, port, target, method, headers, body))
        answer = http.client.HTTPResponse(_TimedSocket(connection, deadline), method=method)  # type: ignore[arg-type]
        answer.begin()
        content = answer.read(BODY_BYTES)
        if answer.length and len(content) < BODY_BYTES:  # read() of so many bytes takes fewer for an end
            raise http.client.IncompleteRead(content, answer.length)
        return answer.status, content.decode("utf-8", "replace")[:BODY_CHARACTERS]
    finally:
        connection.close()


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
    lines = {"Host": host if port == 80 else f"{host}:{port}", "User-Agent": "kindling-probe", "Connection": "close"}
    lines.update({str(key): str(value) for key, value in headers.items()})
    if content or method in ("POST", "PUT", "PATCH"):
        lines["Content-Length"] = str(len(content))
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{key}: {value}\r\n" for key, value in lines.items())
    if any("\n" in part or "\r" in part for pair in lines.items() for part in pair) or not method.isalpha():
        raise ValueError("a header or method with a line break")
    return head.encode("latin-1") + b"\r\n" + content
