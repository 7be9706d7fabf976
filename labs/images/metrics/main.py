"""Serve what pods and nodes use, behind the API server: an aggregated API on port 4443.

Only the API server's front proxy is answered, known by its client certificate (the ConfigMap
``extension-apiserver-authentication`` says whose authority signs it); anybody gets ``/healthz``. Certificate and key
are the files ``tls.crt`` and ``tls.key`` in ``/certificates``. Everything here keeps to the standard library and runs
on Python 3.9 and newer. Source of the rules: ``staging/src/k8s.io/apiserver/pkg/authentication/request/headerrequest``.
"""

from __future__ import annotations

import http.server
import json
import os
import signal
import ssl
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from api import API
from cluster import Cluster, Refused
from usage import History, parse

PORT = 4443
EVERY = 5.0
"""Seconds between two looks at every kubelet; a kubelet itself looks every ten seconds or so."""
CERTIFICATES = "/certificates"
AUTHENTICATION = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"


class Looking:
    """Looks at every kubelet now and then."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.histories: dict[str, History] = {}

    def run(self) -> None:
        """For ever; a kubelet that does not answer is asked again the next time."""
        with ThreadPoolExecutor(8) as pool:
            while True:
                try:
                    nodes = self._cluster.get("/api/v1/nodes").get("items") or []
                    list(pool.map(self._look, nodes))
                    names = {one["metadata"]["name"] for one in nodes}
                    for name in set(self.histories) - names:
                        del self.histories[name]
                except (OSError, ValueError, KeyError, Refused) as error:
                    say(f"the API server does not say which nodes there are: {error}")
                time.sleep(EVERY)

    def _look(self, node: dict[str, Any]) -> None:
        name = node["metadata"]["name"]
        addresses = (node.get("status") or {}).get("addresses") or []
        address = next((one["address"] for one in addresses if one["type"] == "InternalIP"), "")
        try:
            looks = parse(self._cluster.usage(address), time.time())
        except (OSError, ValueError, Refused) as error:
            say(f"the kubelet of {name} does not answer: {error}")
            looks = {}
        self.histories.setdefault(name, History()).add(looks)


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = 60.0
    api: API
    proxies: tuple[str, ...]

    def do_GET(self) -> None:
        """Answer one request."""
        if self.path == "/healthz":
            self._send(200, b"ok\n", "text/plain")
        elif not self._is_proxy():
            self._send(401, b'{"kind":"Status","apiVersion":"v1","status":"Failure","code":401}\n')
        else:
            try:
                status, found = self.api.answer(self.path)
            except (OSError, ValueError, KeyError) as error:
                say(f"{self.path[:200]}: {error}")
                status, found = 503, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 503}
            self._send(status, json.dumps(found).encode() + b"\n")

    def _is_proxy(self) -> bool:
        """Whether it is the front proxy; its certificate's chain has been verified already, if it has shown one."""
        shown = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
        names = [value for part in (shown or {}).get("subject", ()) for key, value in part if key == "commonName"]
        return bool(names) and (not self.proxies or names[0] in self.proxies)

    def _send(self, status: int, content: bytes, kind: str = "application/json") -> None:
        if status >= 400:
            say(f"{self.client_address[0]}: GET {self.path[:200]}: {status}")
        self.send_response_only(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """The base class's own messages are left out."""


def serve(cluster: Cluster, looking: Looking) -> None:
    """Answer, for ever."""
    trusted = cluster.get(AUTHENTICATION)["data"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(CERTIFICATES + "/tls.crt", CERTIFICATES + "/tls.key")
    context.load_verify_locations(cadata=trusted["requestheader-client-ca-file"])
    context.verify_mode = ssl.CERT_OPTIONAL
    Handler.api = API(cluster, looking.histories)
    Handler.proxies = tuple(json.loads(trusted.get("requestheader-allowed-names") or "[]"))
    server = http.server.ThreadingHTTPServer(("", PORT), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    say(f"serving on port {PORT}")
    server.serve_forever()


def say(line: str) -> None:
    """One line to the container's log."""
    sys.stdout.write("".join(c if c.isprintable() else "?" for c in line)[:500] + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    there = Cluster()
    at_work = Looking(there)
    threading.Thread(target=at_work.run, daemon=True).start()
    serve(there, at_work)
