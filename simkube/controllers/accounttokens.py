"""Fills in the secrets of service accounts: those of type ``kubernetes.io/service-account-token``.

Source: ``pkg/controller/serviceaccount/tokens_controller.go``. Nobody gets such a secret unasked any more; who makes
one that names a service account gets its token, the cluster's certificate and its namespace. A secret whose account is
gone goes too.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Hashable

from simkube.client.client import Event, Informers, Obj, Server, copy_of
from simkube.client.workqueue import WorkLoop
from simkube.controllers.controller import Controller

TYPE = "kubernetes.io/service-account-token"
NAME = "kubernetes.io/service-account.name"
UID = "kubernetes.io/service-account.uid"
Sign = Callable[[Obj, str], str]
"""The token of an account for a secret of that name."""


class TokensController(Controller):
    """Keys are ``(namespace, name)`` of secrets. ``ca`` is a certificate in PEM; ``sign`` makes a token."""

    name = "serviceaccount-token-controller"
    resource = "secrets"

    def __init__(
        self, server: Server, loop: WorkLoop, informers: Informers | None = None, ca: str = "", sign: Sign | None = None
    ) -> None:
        super().__init__(server, loop, informers)
        self._ca = ca
        self._sign = sign

    def watch(self) -> None:
        """Secrets of that type, and service accounts."""
        self.accounts = self.client.observe("serviceaccounts", self._account_changed)
        self.secrets = self.client.informer("secrets")
        self.secrets.add_index("account", _account_of)
        self.client.observe("secrets", self._secret_changed)

    def _secret_changed(self, event: Event) -> None:
        if event.type != "DELETED" and event.obj.get("type") == TYPE:
            meta = event.obj["metadata"]
            self.enqueue((meta["namespace"], meta["name"]))

    def _account_changed(self, event: Event) -> None:
        meta = event.obj["metadata"]
        secrets = getattr(self, "secrets", None)
        if secrets is None or event.type == "MODIFIED":
            return
        for secret in secrets.indexed("account", (meta["namespace"], meta["name"])):
            self.enqueue((meta["namespace"], secret["metadata"]["name"]))

    def reconcile(self, key: Hashable) -> None:
        """Complete the secret, or remove it when its account is gone."""
        assert isinstance(key, tuple)
        secret = self.secrets.get(*key)
        if secret is None or secret.get("type") != TYPE or "deletionTimestamp" in secret["metadata"]:
            return
        annotations = secret["metadata"].get("annotations") or {}
        account = self.accounts.get(key[0], annotations.get(NAME, ""))
        uid = annotations.get(UID)
        if account is None or (uid and uid != account["metadata"]["uid"]):
            self.client.delete("secrets", key[1], key[0], preconditions={"uid": secret["metadata"]["uid"]})
            return
        self._complete(secret, account)

    def _complete(self, secret: Obj, account: Obj) -> None:
        data = secret.get("data") or {}
        wanted = {"ca.crt": self._ca, "namespace": account["metadata"]["namespace"]}
        missing = {name: _encoded(value) for name, value in wanted.items() if data.get(name) != _encoded(value)}
        if not data.get("token") and self._sign is not None:
            missing["token"] = _encoded(self._sign(account, secret["metadata"]["name"]))
        annotations = secret["metadata"].get("annotations") or {}
        if not missing and annotations.get(UID):
            return
        changed = copy_of(secret)
        changed["metadata"]["annotations"] = {**annotations, UID: account["metadata"]["uid"]}
        changed["data"] = {**data, **missing}
        self.client.update("secrets", changed)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _account_of(secret: Obj) -> tuple[tuple[str, str], ...]:
    if secret.get("type") != TYPE:
        return ()
    meta = secret["metadata"]
    return ((meta["namespace"], (meta.get("annotations") or {}).get(NAME, "")),)
