"""Tokens of service accounts: issued as JSON web tokens, recognized later by their signature and by what they are
bound to.

Signed with a key of the cluster (HMAC; a real cluster uses RSA and publishes the key, which nothing here reads). It
refuses what the API server refuses: a lifetime under ten minutes, an audience that is not the API server's, an account,
pod or secret that is gone or another one by now.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from simkube.apimachinery.errors import bad_request, conflict, not_found
from simkube.apiserver.registry.naming import new_uid
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Caller, Obj
from simkube.clock.clock import Clock
from simkube.etcd.store import Store

ISSUER = "https://kubernetes.default.svc.cluster.local"
EVERYBODY = "system:authenticated"
"""The group of whoever is known."""
LEGACY = "kubernetes/serviceaccount"
_LEAST = 600
_MOST = 1 << 32
_POD_TOKEN = 3607
"""The lifetime that kubelets ask for; such a token is good for a year, so that old clients need not read it again."""
_YEAR = 365 * 24 * 3600
_KEY = "apiserver/token-key"
_GRACE = 60
"""Seconds after its deletion for which what a token is bound to still counts."""
_BOUND = {("Pod", "v1"): "pods", ("Secret", "v1"): "secrets", ("Node", "v1"): "nodes"}
_REVIEW = "authentication.kubernetes.io"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whose a token is and for which audiences; ``caller`` None and ``error`` when it is nobody's."""

    caller: Caller | None = None
    audiences: tuple[str, ...] = ()
    error: str = ""


INVALID = Verdict(error="invalid bearer token")


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Credentials:
    """The secret key of one cluster, and the tokens signed with it."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._secret: bytes | None = None
        self.known: Mapping[str, tuple[str, tuple[str, ...]]] = {}
        """Tokens that were given out beforehand, as those of a token file: user and groups by token."""

    def key(self) -> bytes:
        """The key; made when first needed, and kept."""
        if self._secret is None:
            kept = self._store.side.get(_KEY)
            if kept is None:
                kept = secrets.token_hex(32)
                self._store.side.put(_KEY, kept)
            self._secret = bytes.fromhex(kept)
        return self._secret

    def _sign(self, claims: Obj) -> str:
        head = _encode(json.dumps({"alg": "HS256", "kid": self._store.cluster_id}).encode())
        body = f"{head}.{_encode(json.dumps(claims, separators=(',', ':')).encode())}"
        return f"{body}.{_encode(hmac.digest(self.key(), body.encode(), hashlib.sha256))}"

    # issuing

    def issue(self, wanted: Obj, account: Obj) -> Obj:
        """A ``TokenRequest`` with its token, for the service account ``account``."""
        spec = wanted.get("spec", {})
        seconds = spec.get("expirationSeconds", 3600)
        _check_lifetime(seconds)
        meta = account["metadata"]
        now = int(self._clock.now())
        audiences = spec.get("audiences") or [ISSUER]
        bound = spec.get("boundObjectRef")
        own: Obj = {
            "namespace": meta["namespace"],
            "serviceaccount": {"name": meta["name"], "uid": meta["uid"]},
        }
        if bound is not None:
            own |= self._bound(bound, meta)
        claims = {"aud": audiences, "exp": now + seconds, "iat": now, "nbf": now, "iss": ISSUER, "jti": new_uid()}
        if seconds == _POD_TOKEN and "pod" in own and audiences == [ISSUER]:
            own["warnafter"] = now + seconds
            claims["exp"] = now + _YEAR
        subject = f"system:serviceaccount:{meta['namespace']}:{meta['name']}"
        token = self._sign({**claims, "sub": subject, "kubernetes.io": own})
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {
                "uid": new_uid(),
                "name": meta["name"],
                "namespace": meta["namespace"],
                "creationTimestamp": self._clock.timestamp(),
            },
            "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": bound},
            "status": {"token": token, "expirationTimestamp": _time(now + seconds)},
        }

    def _bound(self, ref: Obj, account: Obj) -> Obj:
        """The claims about the object a token is bound to, which must be there and be the account's."""
        plural = _BOUND.get((ref.get("kind", ""), ref.get("apiVersion", "")))
        if plural is None:
            kind = f"{ref.get('apiVersion', '')}, Kind={ref.get('kind', '')}"
            raise bad_request(f"cannot bind token for serviceaccount to object type {kind}")
        name = ref.get("name", "")
        obj = self._store.get(plural, "" if plural == "nodes" else account["namespace"], name)
        if obj is None:
            raise not_found(plural, name)
        uid = obj["metadata"]["uid"]
        if ref.get("uid") and ref["uid"] != uid:
            why = (
                f"the UID in the bound object reference ({ref['uid']}) does not match the UID in record. The object "
                "might have been deleted and then recreated"
            )
            raise conflict(plural, name, why)
        if plural == "pods":
            if obj["spec"].get("serviceAccountName") != account["name"]:
                who = json.dumps(account["name"])
                why = f"cannot bind token for serviceaccount {who} to pod running with different serviceaccount name."
                raise bad_request(why)
            return {"pod": {"name": name, "uid": uid}, **self._node(obj["spec"].get("nodeName"))}
        return {"secret" if plural == "secrets" else "node": {"name": name, "uid": uid}}

    def _node(self, name: str | None) -> Obj:
        node = self._store.get("nodes", "", name) if name else None
        if node is None:
            return {"node": {"name": name}} if name else {}
        return {"node": {"name": name, "uid": node["metadata"]["uid"]}}

    def legacy(self, account: Obj, secret: str) -> str:
        """The token of a secret of type ``kubernetes.io/service-account-token``: it never expires."""
        meta = account["metadata"]
        claims = {
            "iss": LEGACY,
            f"{LEGACY}/namespace": meta["namespace"],
            f"{LEGACY}/secret.name": secret,
            f"{LEGACY}/service-account.name": meta["name"],
            f"{LEGACY}/service-account.uid": meta["uid"],
            "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
        }
        return self._sign(claims)

    # recognizing

    def review(self, token: str, audiences: Sequence[str] = (ISSUER,)) -> Verdict:
        """Whose token it is, if it is for any of these audiences."""
        given = self.known.get(token)
        if given is not None:
            user, groups = given
            return Verdict(Caller(user, (*groups, EVERYBODY)), (ISSUER,)) if ISSUER in audiences else INVALID
        claims = self._claims(token)
        if claims is None:
            return INVALID
        try:
            if claims.get("iss") == LEGACY:
                return self._legacy(claims, token, audiences)
            return self._current(claims, audiences)
        except (KeyError, TypeError):  # signed by us, but by another version
            return INVALID

    def _claims(self, token: str) -> dict[str, Any] | None:
        body, _, signature = token.rpartition(".")
        if body.count(".") != 1 or not token.isascii():
            return None
        if not hmac.compare_digest(_encode(hmac.digest(self.key(), body.encode(), hashlib.sha256)), signature):
            return None
        try:
            found = json.loads(base64.urlsafe_b64decode(body.split(".")[1] + "=="))
        except (ValueError, binascii.Error):
            return None
        return found if isinstance(found, dict) else None

    def _current(self, claims: dict[str, Any], audiences: Sequence[str]) -> Verdict:
        own, now = claims["kubernetes.io"], self._clock.now()
        if claims["exp"] <= now:
            return Verdict(error="[invalid bearer token, service account token has expired]")
        common = tuple(each for each in audiences if each in claims["aud"])
        if not common:
            return Verdict(error="[invalid bearer token, token audiences is invalid for this target]")
        account = self._still("serviceaccounts", own["namespace"], own["serviceaccount"])
        if account is None:
            return Verdict(error="[invalid bearer token, service account token has been invalidated]")
        extra = [(f"{_REVIEW}/credential-id", (f"JTI={claims['jti']}",))]
        for kind, plural in (("node", "nodes"), ("pod", "pods"), ("secret", "secrets")):
            about = own.get(kind)
            if about is None:
                continue
            where = "" if kind == "node" else own["namespace"]
            if (kind != "node" or "pod" not in own) and self._still(plural, where, about) is None:
                return Verdict(error="[invalid bearer token, service account token has been invalidated]")
            if kind != "secret":
                extra += [(f"{_REVIEW}/{kind}-{name}", (about[name],)) for name in ("name", "uid") if name in about]
        return Verdict(_account(account, tuple(sorted(extra))), common)

    def _legacy(self, claims: dict[str, Any], token: str, audiences: Sequence[str]) -> Verdict:
        namespace, name = claims[f"{LEGACY}/namespace"], claims[f"{LEGACY}/service-account.name"]
        secret = self._store.get("secrets", namespace, claims[f"{LEGACY}/secret.name"])
        kept = (secret or {}).get("data", {}).get("token", "")
        account = self._still(
            "serviceaccounts", namespace, {"name": name, "uid": claims[f"{LEGACY}/service-account.uid"]}
        )
        if account is None or kept != base64.b64encode(token.encode()).decode():
            return Verdict(error="[invalid bearer token, service account token has been invalidated]")
        if ISSUER not in audiences:
            return Verdict(error="[invalid bearer token, token audiences is invalid for this target]")
        return Verdict(_account(account, ()), (ISSUER,))

    def _still(self, plural: str, namespace: str, about: Obj) -> Obj | None:
        """The object of that name and uid, unless it is gone, or ended a while ago."""
        obj = self._store.get(plural, namespace, about["name"])
        if obj is None or obj["metadata"]["uid"] != about.get("uid"):
            return None
        ended = obj["metadata"].get("deletionTimestamp")
        if ended and datetime.fromisoformat(ended).timestamp() + _GRACE < self._clock.now():
            return None
        return obj

    def uid_of(self, user: str) -> str:
        """The uid of the service account behind a user name; "" for other users."""
        prefix, _, rest = user.partition("system:serviceaccount:")
        namespace, _, name = rest.partition(":")
        account = self._store.get("serviceaccounts", namespace, name) if not prefix and rest else None
        return "" if account is None else str(account["metadata"]["uid"])


def _account(account: Obj, extra: tuple[tuple[str, tuple[str, ...]], ...]) -> Caller:
    meta = account["metadata"]
    namespace = meta["namespace"]
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", EVERYBODY)
    return Caller(f"system:serviceaccount:{namespace}:{meta['name']}", groups, uid=meta["uid"], extra=extra)


def _check_lifetime(seconds: Any) -> None:
    errors = Errors()
    if seconds < _LEAST:
        errors.invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    elif seconds > _MOST:
        errors.invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
    errors.raise_for("TokenRequest", "authentication.k8s.io", "")


__all__ = ["ISSUER", "LEGACY", "Credentials", "Verdict"]
