"""Whether an address can be reached from this pod: TCP connections, and questions to a name server over UDP.

Nothing is sent over a TCP connection. What becomes of an attempt is one word, as in ``requester``: "" when the other
side answered, ``refused`` when it is there and nobody listens, ``timeout`` or ``unreachable`` when nothing came back,
``name not found`` or ``dns unavailable`` when the name had no address in time. Names are looked up anew each time.
"""

from __future__ import annotations

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LookupTimedOut
from typing import Any

import requester

DNS_PORT = 53
# A name, and that its address (A) is wanted, in the Internet class.
ASKED = b"\x0akubernetes\x07default\x03svc\x07cluster\x05local\x00\x00\x01\x00\x01"
HEAD = b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"  # a question, recursion desired
RESEND_SECONDS = 0.9


def reach(host: str, port: int, protocol: str, timeout: float) -> dict[str, Any]:
    """``{"ms", "error"}``. ``timeout`` in seconds, for the name and for the connection each; never raises."""
    start = time.monotonic()
    try:
        address = _address(host, timeout)
        deadline = time.monotonic() + timeout
        if protocol == "UDP":
            _ask_name_server(address, port, deadline)
        else:
            socket.create_connection((address, port), timeout).close()
        error = ""
    except Exception as problem:  # noqa: BLE001 - whatever goes wrong with what it was given is its answer
        error = requester.word(problem)
    return {"ms": round((time.monotonic() - start) * 1000, 1), "error": error}


def _address(host: str, timeout: float) -> str:
    pool = ThreadPoolExecutor(1)
    looked_up = pool.submit(socket.getaddrinfo, host, None, socket.AF_INET, socket.SOCK_STREAM)
    pool.shutdown(wait=False)
    try:
        return str(looked_up.result(timeout)[0][4][0])
    except LookupTimedOut:
        raise socket.gaierror(socket.EAI_AGAIN, "no answer in time") from None


def _ask_name_server(address: str, port: int, deadline: float) -> None:
    """Returns when any answer to a question of ours came."""
    number = os.urandom(2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect((address, port))
        while (left := deadline - time.monotonic()) > 0:
            asking.send(number + HEAD + ASKED)
            asking.settimeout(min(left, RESEND_SECONDS))
            try:
                while asking.recv(2048)[:2] != number:
                    pass
            except (socket.timeout, TimeoutError):  # noqa: UP041 - two classes before Python 3.10
                continue
            return
    raise TimeoutError
