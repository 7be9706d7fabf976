"""The API server and the kubelets, as a pod asks them with the token of its service account.

The API server is known by its authority. A kubelet is not: kubeadm lets it sign its own certificate, so that a token
that may only read what nodes use is all that is sent there.
"""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SECONDS = 8.0
KUBELET_PORT = 10250


class Refused(Exception):
    """The API server's own answer, which whoever asked is given: its status and the ``Status`` object."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status}: {body[:200]!r}")
        self.status, self.body = status, body


class Cluster:
    """Both of them. Errors are ``OSError``, and :class:`Refused`."""

    def __init__(self) -> None:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        self._server = "https://{}:{}".format("[" + host + "]" if ":" in host else host, port)
        self._known = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
        self._unknown = ssl.create_default_context()
        self._unknown.check_hostname, self._unknown.verify_mode = False, ssl.CERT_NONE

    def get(self, path: str, query: str = "") -> Any:
        """One answer of the API server, as JSON."""
        return json.loads(self._ask(self._server + path + ("?" + query if query else ""), self._known))

    def usage(self, address: str) -> str:
        """What the kubelet at an address says of its node and containers."""
        host = "[" + address + "]" if ":" in address else address
        return self._ask(f"https://{host}:{KUBELET_PORT}/metrics/resource", self._unknown).decode()

    def _ask(self, url: str, context: ssl.SSLContext) -> bytes:
        token = (ACCOUNT / "token").read_text()  # read anew: it is replaced while the pod runs
        request = urllib.request.Request(url, headers={"Authorization": "Bearer " + token})  # noqa: S310 - https
        try:
            with urllib.request.urlopen(request, timeout=SECONDS, context=context) as answer:  # noqa: S310 - as above
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read()) from error


def selection(query: str) -> str:
    """The selectors of a query: the API server applies them, to the objects that have the labels."""
    wanted = urllib.parse.parse_qs(query)
    kept = {name: wanted[name][0] for name in ("labelSelector",) if name in wanted}
    return urllib.parse.urlencode(kept)
