"""What members and their neighbours ask a cluster with: plain connections, one at a time, nothing repeated."""

from __future__ import annotations

import base64
import json
import socket
import ssl
from http.client import HTTPResponse, HTTPSConnection
from typing import Any

MERGE = "application/merge-patch+json"
JSON = "application/json"
SECONDS = 60.0
"""How long an answer may take."""


class Api:
    """One kept connection to the cluster of a kubeconfig."""

    def __init__(self, kubeconfig: str) -> None:
        config = json.loads(kubeconfig)
        cluster = config["clusters"][0]["cluster"]
        ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.address, _, self.prefix = cluster["server"].removeprefix("https://").partition("/")
        self.context = ssl.create_default_context(cadata=ca)
        self.token = config["users"][0]["user"]["token"]
        self._connection = HTTPSConnection(self.address, timeout=SECONDS, context=self.context)

    def ask(self, method: str, path: str, body: bytes | None = None, content: str = JSON, **more: str) -> HTTPResponse:
        """Send a request; its answer is still to be read. ``more`` are headers, with ``_`` for ``-``."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content}
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        self._connection.request(method, f"/{self.prefix}{path}", body, headers)
        return self._connection.getresponse()

    def __call__(self, method: str, path: str, body: Any = None, content: str = JSON, **more: str) -> tuple[int, bytes]:
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.ask(method, path, raw, content, **more)
        return answer.status, answer.read()

    def close(self) -> None:
        """Leave; the next request makes a new connection."""
        self._connection.close()

    def socket(self) -> ssl.SSLSocket:
        """A connection on which nothing has been asked yet."""
        host, _, port = self.address.partition(":")
        return self.context.wrap_socket(socket.create_connection((host, int(port)), SECONDS), server_hostname=host)

    def head(self, method: str, path: str, *more: str) -> bytes:
        """The first bytes of a request, without the empty line that ends them."""
        lines = (f"{method} /{self.prefix}{path} HTTP/1.1", f"Host: {self.address}")
        return "\r\n".join((*lines, f"Authorization: Bearer {self.token}", *more, "")).encode()
