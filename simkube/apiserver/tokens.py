"""Tokens of service accounts: issued as JSON web tokens, recognized later by their signature.

Signed with a key of the cluster (HMAC; a real cluster uses RSA and publishes the key, which nothing here reads). It
refuses what the API server refuses: a lifetime under ten minutes, a service account that is gone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from simkube.apiserver.field import Errors
from simkube.apiserver.naming import new_uid
from simkube.client import Caller, Obj

if TYPE_CHECKING:
    from simkube.apiserver.server import APIServer

_ISSUER = "https://kubernetes.default.svc.cluster.local"
_LEAST = 600
_MOST = 1 << 32
_KEY = "apiserver/token-key"


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _key(server: APIServer) -> bytes:
    kept = server.store.side.get(_KEY)
    if kept is None:
        kept = secrets.token_hex(32)
        server.store.side.put(_KEY, kept)
    return bytes.fromhex(kept)


def issue(wanted: Obj, account: Obj, server: APIServer) -> Obj:
    """A ``TokenRequest`` with its token, for the service account ``account``."""
    spec = wanted.get("spec", {})
    seconds = spec.get("expirationSeconds", 3600)
    errors = Errors()
    if seconds < _LEAST:
        errors.invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    elif seconds > _MOST:
        errors.invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
    errors.raise_for("TokenRequest", "authentication.k8s.io", "")
    meta = account["metadata"]
    now = int(server.clock.now())
    audiences = spec.get("audiences") or [_ISSUER]
    claims = {
        "aud": audiences,
        "exp": now + seconds,
        "iat": now,
        "nbf": now,
        "iss": _ISSUER,
        "jti": new_uid(),
        "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
        "kubernetes.io": {
            "namespace": meta["namespace"],
            "serviceaccount": {"name": meta["name"], "uid": meta["uid"]},
        },
    }
    when = datetime.fromtimestamp(now + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {
            "uid": new_uid(),
            "name": meta["name"],
            "namespace": meta["namespace"],
            "creationTimestamp": server.clock.timestamp(),
        },
        "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": spec.get("boundObjectRef")},
        "status": {"token": _sign(claims, server), "expirationTimestamp": when},
    }


def _sign(claims: Obj, server: APIServer) -> str:
    head = _encode(json.dumps({"alg": "HS256", "kid": server.store.cluster_id}).encode())
    body = f"{head}.{_encode(json.dumps(claims).encode())}"
    return f"{body}.{_encode(hmac.digest(_key(server), body.encode(), hashlib.sha256))}"


def uid_of(user: str, server: APIServer) -> str | None:
    """The uid of the service account behind a user name; None for other users."""
    prefix, _, rest = user.partition("system:serviceaccount:")
    namespace, _, name = rest.partition(":")
    account = server.store.get("serviceaccounts", namespace, name) if not prefix and rest else None
    return None if account is None else str(account["metadata"]["uid"])


def caller_of(token: str, server: APIServer) -> Caller | None:
    """Whose token it is: the service account, while it is there and the token has not expired; else None."""
    body, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_encode(hmac.digest(_key(server), body.encode(), hashlib.sha256)), signature):
        return None
    claims = json.loads(base64.urlsafe_b64decode(body.split(".")[1] + "=="))
    own = claims["kubernetes.io"]
    account = server.store.get("serviceaccounts", own["namespace"], own["serviceaccount"]["name"])
    if account is None or account["metadata"]["uid"] != own["serviceaccount"]["uid"]:
        return None
    if claims["exp"] <= server.clock.now():
        return None
    namespace = own["namespace"]
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return Caller(claims["sub"], groups)
