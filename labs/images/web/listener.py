"""A threaded HTTP server that stops the way a good citizen of a cluster does.

On SIGTERM it goes on serving for the drain time (Kubernetes takes a terminating pod out of its Services meanwhile),
then stops accepting, finishes the requests in flight and returns. A server that hangs stops at once: it has nothing to
finish. It refuses nothing a client sends; that is the handlers' business.
"""

from __future__ import annotations

import http.server
import json
import os
import socket
import sys
import threading
import time
from typing import Any

FINISH_SECONDS = 5.0  # how long requests in flight may take once the server no longer accepts
IDLE_SECONDS = 30.0
BODY_BYTES = 1 << 20


class Listener(http.server.ThreadingHTTPServer):
    """Serves ``handler`` on ``port`` of every address until :meth:`stop`."""

    request_queue_size = 256
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, handler: type[Handler], drain_seconds: float) -> None:
        super().__init__(("", port), handler)
        self.drain_seconds = drain_seconds
        self.hanging = threading.Event()
        self.stopping = threading.Event()
        self._busy = 0
        self._changed = threading.Condition()

    def server_bind(self) -> None:
        """Bind without asking DNS for the host's full name, which may take seconds in a pod."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def start(self) -> None:
        """Serve, in threads."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Drain, then take no more; returns when every request that was accepted has been answered."""
        self.stopping.set()
        if not self.hanging.is_set():
            deadline = time.monotonic() + self.drain_seconds
            while time.monotonic() < deadline and not self.hanging.is_set():
                time.sleep(0.02)
        self.shutdown()
        self._take_what_waits()
        self.server_close()
        with self._changed:
            self._changed.wait_for(lambda: self._busy == 0 or self.hanging.is_set(), FINISH_SECONDS)

    def busy(self, change: int) -> None:
        """Count a request that begins (+1) or ends (-1)."""
        with self._changed:
            self._busy += change
            self._changed.notify_all()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own; it counts as a request in flight until its first is answered."""
        self.busy(+1)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""

    def _take_what_waits(self) -> None:
        """Accept the connections that the kernel has already completed: their clients would see a reset otherwise."""
        self.socket.setblocking(False)
        try:
            while True:
                request, address = self.socket.accept()
                request.setblocking(True)
                self.process_request(request, address)
        except OSError:
            return


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection. Subclasses answer in :meth:`route`."""

    protocol_version = "HTTP/1.1"
    server_version = "kindling"
    sys_version = ""
    timeout = IDLE_SECONDS
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Listener

    def setup(self) -> None:
        """As the base class does; the listener already counts the first request."""
        self._counted = True
        super().setup()

    def finish(self) -> None:
        """As the base class does, then stop counting."""
        try:
            super().finish()
        except OSError:
            pass  # the client is gone
        finally:
            self._uncount()

    def route(self, method: str, path: str, query: dict[str, str]) -> None:
        """Answer one request by :meth:`answer`."""
        raise NotImplementedError

    def handle_one_request(self) -> None:
        """One request; between two of a connection, the connection is idle and holds nothing up."""
        super().handle_one_request()
        self._uncount()

    def parse_request(self) -> bool:
        """A request has begun: count it, unless it is the connection's first."""
        if not self._counted:
            self._counted = True
            self.server.busy(+1)
        return super().parse_request()

    def _uncount(self) -> None:
        if self._counted:
            self._counted = False
            self.server.busy(-1)

    def _serve(self) -> None:
        if self.server.hanging.is_set():
            self._hang()
            return
        path, _, rest = self.path.partition("?")
        pairs = (pair.partition("=") for pair in rest.split("&") if pair)
        self.route(self.command, path, {key: value for key, _, value in pairs})

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _serve  # noqa: N815 - the base class's names

    def _hang(self) -> None:
        """Never answer; end when the client gives up."""
        self._uncount()
        self.close_connection = True
        self.connection.settimeout(None)
        while self.connection.recv(4096):
            pass

    def body(self) -> bytes:
        """The request's body, at most 1 MiB of it."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._chunks()
        try:
            length = min(max(int(self.headers.get("Content-Length") or 0), 0), BODY_BYTES)
        except ValueError:
            length = 0
        return self.rfile.read(length)

    def _chunks(self) -> bytes:
        """A body that comes in chunks (RFC 9112, section 7.1), as far as it is well-formed and fits."""
        found = b""
        while len(found) < BODY_BYTES:
            try:
                length = int(self.rfile.readline(100).split(b";")[0], 16)
            except ValueError:
                break
            chunk = self.rfile.read(min(max(length, 0), BODY_BYTES))
            self.rfile.readline(100)
            if not chunk:
                return found
            found += chunk
        self.close_connection = True  # what else the client sends cannot be told apart from a request
        return found[:BODY_BYTES]

    def answer(self, status: int, content: str | bytes, content_type: str = "text/plain; charset=utf-8") -> None:
        """Send an answer, and log it as ``METHOD PATH STATUS to ADDRESS``: of whoever made the connection."""
        data = content.encode() if isinstance(content, str) else content
        self.send_response_only(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        if self.server.stopping.is_set():
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()
        self.log(f"{self.command} {self.path[:200]} {status} to {self.client_address[0]}")

    def answer_json(self, status: int, value: Any) -> None:
        """Send a JSON answer."""
        self.answer(status, json.dumps(value) + "\n", "application/json")

    def log(self, line: str) -> None:
        """One line to the container's log, whatever a client put into it."""
        sys.stdout.write("".join(c if c.isprintable() else "?" for c in line) + "\n")  # one write: threads share it
        sys.stdout.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """The base class's own messages are left out."""

    def exit_with(self, code: int) -> None:
        """End the process now."""
        os._exit(code)
