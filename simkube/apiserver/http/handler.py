"""The API of one cluster over HTTP: who asks, what for, and the answer in the form they take.

Everything but watches and streams is one synchronous call of :class:`~simkube.apiserver.server.APIServer`, so that a
request is atomic; reading its body and writing its answer are not part of that, and are done in pieces when they are
long. Each request waits for its cluster's turn first. Whether a caller may is settled from the method and the path
alone, before anybody looks what is there; how a request ended goes to the audit.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from aiohttp import web

from simkube.apimachinery.errors import StatusError, StoreError, bad_request, method_not_allowed
from simkube.apiserver import streams
from simkube.apiserver.authentication.authentication import ANONYMOUS, Authenticator, impersonated
from simkube.apiserver.authorization.attributes import Attributes, of_request
from simkube.apiserver.cel.evaluation import Budget
from simkube.apiserver.discovery import aggregation
from simkube.apiserver.fields.patch import kind_of_content
from simkube.apiserver.handlers import cost
from simkube.apiserver.handlers.paging import Page
from simkube.apiserver.http import body, documents, paths
from simkube.apiserver.http.negotiation import accepted
from simkube.apiserver.http.paths import PageNotFound, Target
from simkube.apiserver.http.proof import prove
from simkube.apiserver.http.reading import compressed, read_body
from simkube.apiserver.http.responses import LARGE, PLAIN, Responses, pieces, pretty, refuse, respond, shape_of, text
from simkube.apiserver.http.sending import Sending
from simkube.apiserver.http.watch_stream import Watches
from simkube.apiserver.metrics import metrics
from simkube.apiserver.registry.core import component_statuses
from simkube.apiserver.registry.request import Request, options_of
from simkube.apiserver.server import APIServer
from simkube.apiserver.tables import presentation
from simkube.apiserver.webhook.calling import Replies, Waiting, too_long
from simkube.client.client import Caller
from simkube.component_helpers.metrics import CONTENT
from simkube.eventloop.fairness import Share

log = logging.getLogger(__name__)

T = TypeVar("T")

MOST_LARGE = 4
"""How many large bodies one cluster may send at a time; further ones wait."""
REQUEST_SECONDS = 60.0
"""Wall-clock seconds that a request waits for one call (``--request-timeout`` of the API server)."""
MOST_CALLS = 100
"""Calls of programs in the cluster that one request may wait for."""
_UPGRADES = frozenset({"attach", "exec", "portforward"})
STREAMS = frozenset({"log", "exec", "attach", "portforward", "proxy"})
_ENDPOINTS = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
_DEPRECATED = {"endpoints": _ENDPOINTS, component_statuses.RESOURCE: component_statuses.WARNING}
_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_GROWING = frozenset({"POST", "PUT", "PATCH"})
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(slots=True)
class _Who:
    """What is kept of a request beside its answer: who asked, as whom, why it was refused, what is noted of it."""

    caller: Caller = ANONYMOUS
    real: str = ""
    reason: str = ""
    request: Request | None = None


class Frontend:
    """Serves one cluster. ``cluster`` is handed to the streams as it is; ``address`` is ``host:port`` as seen
    outside; ``share`` says when it may work and what for it is charged.
    """

    def __init__(
        self,
        server: APIServer,
        cluster: Any,
        authenticator: Authenticator,
        answers: Responses,
        address: str,
        share: Share,
    ) -> None:
        self.server = server
        self.cluster = cluster
        self.watches = Watches(server, share.pause)
        self._authenticator = authenticator
        self._answers = answers
        self._address = address
        self.share = share
        self.sending = Sending(share, answers.kept)
        self._large = asyncio.Semaphore(MOST_LARGE)

    def close(self) -> None:
        """End every watch, give up the large answers under way, and forget what was encoded."""
        self.watches.end_all()
        self.sending.end_all()
        self._answers.encoder.forget()

    async def handle(self, http: web.Request, path: str) -> web.StreamResponse:
        """Answer a request for ``path`` (decoded, without the cluster's prefix)."""
        who = _Who()
        asked = of_request(http.method, path, http.query)
        place = self._counted(http, asked)
        began = time.perf_counter()
        response: web.StreamResponse | None = None
        try:
            response = await self.sending.answer(http, await self._handle(http, path, asked, who))
        except StatusError as error:
            who.reason = error.reason
            response = refuse(error, who.request.warnings if who.request else (), indented=pretty(http))
        except PageNotFound:
            response = text("404 page not found\n", 404)
        except aggregation.Unavailable:
            who.reason = "ServiceUnavailable"
            response = text("service unavailable\n", 503)
        except StoreError as error:
            response = refuse(StatusError(500, "InternalError", f"Internal error occurred: {error}"))
        except RecursionError:
            response = refuse(bad_request("the object provided is nested too deeply"))
        finally:
            code = 0 if response is None else response.status  # 0: whoever asked went away
            now, notes = self.server.clock.wall(), who.request.notes if who.request else None
            self.server.audit.request(now, who.caller, who.real, asked, code, who.reason, notes)
            self.server.metrics.ended(place, code, time.perf_counter() - began)
        return response

    def _counted(self, http: web.Request, asked: Attributes) -> tuple[str, ...] | None:
        known = metrics.known(asked, self.server.registry)
        return self.server.metrics.began(asked, dry_run="dryRun" in http.query, known=known)

    async def _caller(self, http: web.Request, who: _Who) -> Caller:
        """Who asks, in their turn; until that is known, it is on the account of where they come from."""
        stranger = self.share.stranger(http.remote or "")
        try:
            real = who.caller = self._authenticator.caller(http, self.server)
        except StatusError:
            await stranger.request()
            raise
        known = real.user != ANONYMOUS.user
        if known:
            prove(http, self.cluster.id)
        caller = who.caller = impersonated(real, http.headers, self.server)
        who.real = "" if caller is real else real.user
        await (self.share if known else stranger).request()
        return caller

    async def _handle(self, http: web.Request, path: str, asked: Attributes, who: _Who) -> web.StreamResponse:
        caller = await self._caller(http, who)
        self.server.authorizer.check(caller, asked)
        if path.startswith("/apis/"):
            aggregation.refuse(path, self.server.registry)
        if path == "/metrics" and http.method == "GET":
            page = self.server.metrics.page(self.server.store, len(self.watches))
            return web.Response(body=page.encode(), headers={"Content-Type": CONTENT})
        found = documents.answer(http, path, self._address, self.server.registry)
        if found is not None:
            return found
        target = paths.parse(path, self.server.registry)
        if target.resource.computed and not self.server.registry.serves(target.resource):
            raise PageNotFound
        verb = _verb(http, target)
        if target.subresource in _UPGRADES and http.method == "GET":  # a web socket, which does what a POST does
            self.server.authorizer.check(caller, replace(asked, verb="create"))
        if verb == "watch" or target.subresource in STREAMS or http.method in _GROWING:
            self.share.refuse_growth()
        if target.subresource in STREAMS:
            where = (target.namespace, target.name, target.subresource, target.rest)
            return await streams.handle(self.cluster, http, caller, *where, resource=target.resource.plural)
        if verb == "watch":
            accept = accepted(http.headers.get("Accept", ""))
            return await self.watches.serve(http, target, accept, self._answers)
        if http.method not in _WITH_BODY:
            return await self._serve(http, who, verb, target, b"")
        if (http.content_length or 0) < LARGE and not http.headers.get("Transfer-Encoding") and not compressed(http):
            return await self._serve(http, who, verb, target, await read_body(http))
        async with self._large:
            return await self._serve(http, who, verb, target, await read_body(http, self.share.pause))

    # plain requests

    async def _serve(self, http: web.Request, who: _Who, verb: str, target: Target, raw: bytes) -> web.StreamResponse:
        if http.method in _WITH_BODY:
            self.sending.refuse_debtors()
        accept = accepted(http.headers.get("Accept", ""))
        resource = target.resource
        request = Request(who.caller, verb, resource, target.namespace, target.name, target.subresource, checked=True)
        request.answers = Replies()
        who.request = request
        include, custom = http.query.get("includeObject", ""), resource.custom is not None
        moved = presentation.shift(http.headers, self.server.clock)
        now = self.server.clock.now() + moved
        if resource.qualified in _DEPRECATED:
            request.warnings.append(_DEPRECATED[resource.qualified])
        elif resource.custom is not None and resource.custom.warning:
            request.warnings.append(resource.custom.warning)
        if verb in ("list", "deletecollection"):
            page = await self._patient(request, lambda: self._page(http, request, raw))
            if moved:
                page = replace(page, items=presentation.Shown(page.items, moved, custom=custom))
            parts = self._answers.page(resource, page, accept, include, now)
            return await self.sending.parts(http, parts, accept, self.server.store.size, request.warnings)
        obj = await self._patient(request, lambda: self._one(http, request, raw))
        status = 201 if verb == "create" or request.created else 200
        made = self._answers.object(resource, presentation.shown(obj, moved, custom=custom), accept, include, now)
        shape = shape_of(len(made), accept, http)
        shaped = len(made) < LARGE or shape == PLAIN
        made = shape.apply(made) if shaped else await self.share.thread(lambda: shape.apply(made))
        return respond(made, shape, status=status, warnings=request.warnings)

    async def _patient(self, request: Request, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work of a request, anew whenever a program in the cluster that takes its time has answered."""
        warned = len(request.warnings)
        for _ in range(MOST_CALLS):
            try:
                return await work()
            except Waiting as waiting:
                try:
                    async with asyncio.timeout(REQUEST_SECONDS):  # of the wall clock: the cluster's may be paused
                        await streams.settled(waiting.task, self.server.clock)
                except TimeoutError:
                    raise too_long() from None
                finally:
                    waiting.task.cancel()
                assert request.answers is not None  # else nobody would wait
                request.answers[waiting.key] = waiting.task
            request.created = False
            del request.warnings[warned:]
        raise too_long()

    async def _page(self, http: web.Request, request: Request, raw: bytes) -> Page:
        patient, server = self.server.outgoing.patient, self.server
        if request.verb == "list":
            with patient(request.answers):
                return server.do_list(request, http.query)
        request.options = _delete_options(http, raw, http.query)
        page = server.do_list(request, http.query)
        for piece in pieces(page.items):
            request.budget = Budget()
            with patient(request.answers):
                server.do_delete_each(request, piece)
            await self.share.pause()
        return page

    async def _one(self, http: web.Request, request: Request, raw: bytes) -> dict[str, Any]:
        patient, server = self.server.outgoing.patient, self.server
        if request.verb in ("get", "delete"):
            if request.verb == "delete":
                request.options = _delete_options(http, raw, http.query)
            with patient(request.answers):
                return server.do_get(request) if request.verb == "get" else server.do_delete(request)
        content = http.headers.get("Content-Type", "")
        if request.verb == "patch":
            kind = kind_of_content(content)
            request.options = options_of("patch", _query(http.query))
            change, request.duplicates = await self._parsed(raw, lambda: _patch_body(raw, kind))
            cost.refuse(request, change)
            with patient(request.answers):
                return server.do_patch(request, change, kind)
        media = body.media_type(content)
        request.options = options_of(request.verb, _query(http.query))
        given, duplicates = await self._parsed(raw, lambda: body.parse_object(raw, media, _kind_of(request)))
        cost.refuse(request, given)
        request.duplicates = tuple(duplicates)
        with patient(request.answers):
            return server.do_create(request, given) if request.verb == "create" else server.do_update(request, given)

    async def _parsed(self, raw: bytes, parse: Callable[[], T]) -> T:
        """The value of a body; a large one is parsed aside, so that others need not wait for it."""
        return parse() if len(raw) < LARGE else await self.share.thread(parse)


def _kind_of(request: Request) -> str:
    if request.subresource:
        found = request.resource.subresource(request.subresource)
        if found is not None:
            return found.kind
    return request.resource.kind


def _patch_body(raw: bytes, kind: str) -> tuple[Any, tuple[str, ...]]:
    try:
        change, duplicates = body.parse(raw, "json" if kind != "apply" or raw[:1] == b"{" else "yaml")
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from None
    return change, tuple(duplicates)


def _query(query: Mapping[str, str]) -> dict[str, Any]:
    return dict(query)


def _delete_options(http: web.Request, raw: bytes, query: Mapping[str, str]) -> Any:
    given = {key: query[key] for key in _DELETE_PARAMETERS if key in query}
    if raw:
        media = body.media_type(http.headers.get("Content-Type", ""))
        options, _ = body.parse_object(raw, media, "DeleteOptions")
        kind = options.get("kind", "DeleteOptions")
        if kind != "DeleteOptions":
            scheme = "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"
            version = options.get("apiVersion", "v1")
            raise bad_request(f'no kind "{kind}" is registered for version "{version}" in scheme "{scheme}"')
        given |= {key: value for key, value in options.items() if key in _DELETE_FIELDS}
    return options_of("delete", given)


_DELETE_PARAMETERS = ("dryRun", "gracePeriodSeconds", "propagationPolicy", "orphanDependents")
_DELETE_FIELDS = (*_DELETE_PARAMETERS, "preconditions")


def _verb(http: web.Request, target: Target) -> str:
    verb = _VERBS.get(http.method, "")
    resource = target.resource
    if target.subresource:
        found = resource.subresource(target.subresource)
        if found is None or verb not in found.verbs:
            raise method_not_allowed()
        return verb
    if verb == "get":
        watched = http.query.get("watch") in ("1", "true", "True", "TRUE", "t", "T") or target.watch
        if watched and "watch" in resource.verbs and (target.watch or not target.name):
            return "watch"
        verb = "get" if target.name else "list"
    elif verb == "delete" and not target.name:
        verb = "deletecollection"
    fits = bool(target.name) == (verb in ("get", "update", "patch", "delete"))
    needs_namespace = resource.namespaced and not target.namespace and verb not in ("list", "watch")
    if verb not in resource.verbs or not fits or needs_namespace:
        raise method_not_allowed()
    return verb
