"""Who asks: a bearer token, a client certificate or nobody names a caller; ``Impersonate-*`` headers change who it is.

A wrong token is 401; no credential at all is ``system:anonymous``. Acting as somebody else takes the verb
``impersonate``, for the user, each group, the uid and each extra value. It refuses to decide what callers may do.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Protocol
from urllib.parse import unquote

from aiohttp import web
from multidict import CIMultiDictProxy

from simkube.apimachinery.errors import StatusError, bad_request
from simkube.apiserver.authentication import client_certificates
from simkube.apiserver.authentication.tokens import EVERYBODY, Credentials
from simkube.apiserver.authorization.attributes import Attributes
from simkube.apiserver.authorization.rbac import Authorizer
from simkube.client.client import Caller

ANONYMOUS = Caller("system:anonymous", ("system:unauthenticated",))
_NOBODY = "system:unauthenticated"
_ACCOUNT = "system:serviceaccount:"
_EXTRA = "impersonate-extra-"
_GROUP = "authentication.k8s.io"
MOST_IMPERSONATED = 100
"""How many groups and extra values one request may ask to have."""


class Authorities(Protocol):
    """What is known of callers: kept by the API server of each cluster."""

    @property
    def credentials(self) -> Credentials: ...

    @property
    def authorizer(self) -> Authorizer: ...


class Authenticator:
    """Who makes a request."""

    def caller(self, http: web.BaseRequest, server: Authorities) -> Caller:
        """The caller of a request by its credentials; 401 for a token or certificate that is nobody's here."""
        agent = _agent(http.headers.get("User-Agent", ""))
        scheme, _, token = http.headers.get("Authorization", "").partition(" ")
        if scheme:
            return self._by_token(scheme, token.strip(), agent, server)
        transport = http.transport
        certificate = transport.get_extra_info("peercert") if transport is not None else None
        if not certificate:
            return ANONYMOUS if agent == ANONYMOUS.agent else Caller(ANONYMOUS.user, ANONYMOUS.groups, agent)
        found = client_certificates.subject(certificate, server.credentials)
        if found is None:
            raise _unauthorized()
        user, groups = found
        return Caller(user, (*groups, EVERYBODY), agent, extra=_credential(transport))

    def _by_token(self, scheme: str, token: str, agent: str, server: Authorities) -> Caller:
        if scheme.lower() != "bearer":
            raise _unauthorized()
        verdict = server.credentials.review(token)
        if verdict.caller is None:
            raise _unauthorized()
        account = verdict.caller
        return Caller(account.user, account.groups, agent, account.uid, account.extra)


def _credential(transport: asyncio.Transport | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """By what the audit may tell one certificate from another."""
    shown = transport.get_extra_info("ssl_object") if transport is not None else None
    if shown is None:
        return ()
    digest = hashlib.sha256(shown.getpeercert(binary_form=True) or b"").hexdigest()
    return (("authentication.kubernetes.io/credential-id", (f"X509SHA256={digest}",)),)


def _unauthorized() -> StatusError:
    return StatusError(401, "Unauthorized", "Unauthorized")


def _agent(header: str) -> str:
    first = header.partition("/")[0].split(" ")[0][:128]
    return "".join(character for character in first if character.isprintable()) or "unknown"


def impersonated(caller: Caller, headers: CIMultiDictProxy[str], server: Authorities) -> Caller:
    """Whom a caller acts as; themselves when no header says otherwise. 403 for whoever may not."""
    user, uid = headers.get("Impersonate-User", ""), headers.get("Impersonate-Uid", "")
    groups = tuple(headers.getall("Impersonate-Group", ()))
    extra = _extra(headers)
    if not user:
        if uid or groups or extra:
            raise bad_request("requested uid, groups or extra to be impersonated without impersonating a user")
        return caller
    if not all(map(_is_text, (user, uid, *groups, *(value for _, values in extra for value in values)))):
        raise bad_request("who is impersonated must be written in UTF-8")
    if len(groups) + sum(len(values) for _, values in extra) > MOST_IMPERSONATED:
        raise bad_request(f"at most {MOST_IMPERSONATED} groups and extra values may be impersonated")
    for asked in _asked(user, uid, groups, extra):
        server.authorizer.check(caller, asked)
    if user.startswith(_ACCOUNT) and not groups and len(user.split(":")) == 4:
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}")
    return Caller(user, _completed(user, groups), caller.agent, uid, extra)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _completed(user: str, groups: tuple[str, ...]) -> tuple[str, ...]:
    """The groups with the one that says whether somebody is known."""
    if user == ANONYMOUS.user:
        return groups if _NOBODY in groups else (*groups, _NOBODY)
    return groups if EVERYBODY in groups or _NOBODY in groups else (*groups, EVERYBODY)


def _extra(headers: CIMultiDictProxy[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found: dict[str, list[str]] = {}
    for name, value in headers.items():
        if name.lower().startswith(_EXTRA):
            found.setdefault(unquote(name[len(_EXTRA) :].lower()), []).append(value)
    return tuple((key, tuple(values)) for key, values in found.items())


def _asked(
    user: str, uid: str, groups: tuple[str, ...], extra: tuple[tuple[str, tuple[str, ...]], ...]
) -> list[Attributes]:
    parts = user.split(":")
    if user.startswith(_ACCOUNT) and len(parts) == 4:
        found = [Attributes("impersonate", "", "v1", "serviceaccounts", namespace=parts[2], name=parts[3])]
    else:
        found = [Attributes("impersonate", "", "v1", "users", name=user)]
    found += [Attributes("impersonate", "", "v1", "groups", name=group) for group in groups]
    if uid:
        found.append(Attributes("impersonate", _GROUP, "v1", "uids", name=uid))
    for key, values in extra:
        found += [Attributes("impersonate", _GROUP, "v1", "userextras", key, name=value) for value in values]
    return found
