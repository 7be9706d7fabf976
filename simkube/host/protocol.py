"""HTTP that cannot be understood, answered as the API server does where users meet it: with a ``Status``.

The server library would answer an unknown method with plain text of its own and log a trace for each such request.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

from aiohttp import http_exceptions, web
from aiohttp.web_protocol import RequestHandler

from simkube.apimachinery.errors import StatusError, method_not_allowed
from simkube.apiserver.http.responses import refuse

log = logging.getLogger(__name__)


class Place(Protocol):
    """What a connection has among all others (:mod:`simkube.host.connections`)."""

    def prove(self, whose: str) -> None:
        """A request on it is that cluster's."""

    def began(self) -> None:
        """Something is asked on it."""

    def ended(self) -> None:
        """It is answered."""

    def leave(self) -> None:
        """It is over."""


class Marked(Protocol):
    """A transport that says who uses it and when (:class:`simkube.host.wire.Wire`)."""

    def idle(self) -> None:
        """The answer is complete."""

    def note(self, note: dict[str, Any]) -> None:
        """Tell what is at the other end something."""


class Server(web.Server):
    """As the library's, with our own answers to malformed requests, and bodies as they were sent.

    The library would inflate a body while it arrives, before anybody knows who sends it;
    :mod:`simkube.apiserver.http.reading` does that later.
    """

    def __call__(self) -> RequestHandler:
        """One more connection."""
        return self.connection(None)

    def connection(self, place: Place | None, marked: Marked | None = None) -> RequestHandler:
        """One more connection, which has that place among all; without one nobody counts it.

        ``marked`` hears when the connection is idle and who has proved to use it.
        """
        made = _Connection(self, loop=self._loop, auto_decompress=False, **self._kwargs)
        made.place, made.marked = place, marked
        return made


class _Connection(RequestHandler):
    place: Place | None = None
    marked: Marked | None = None
    _proved = False

    def prove(self, whose: str) -> None:
        """A request on this connection is that cluster's; see :func:`simkube.apiserver.http.proof.prove`."""
        if self.place is not None:
            self.place.prove(whose)
        if self.marked is not None and not self._proved:
            self._proved = True
            self.marked.note({"proved": whose})

    def tell(self, note: dict[str, Any]) -> None:
        """Tell what is at the other end something, before the answer."""
        if self.marked is not None:
            self.marked.note(note)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self.place is not None:
            self.place.leave()

    async def _handle_request(self, request: Any, *args: Any) -> Any:
        """The library's one step between a request and its answer, written: the connection is in use meanwhile."""
        place, marked = self.place, self.marked
        if place is not None:
            place.began()
        try:
            return await super()._handle_request(request, *args)
        finally:
            if place is not None:
                place.ended()
            if marked is not None:
                if request.content.is_eof():
                    marked.idle()
                else:
                    self.close()  # what is still to come of the body must not be taken for a request

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, ConnectionError) and not request.writer.output_size:
            log.debug("the client left before its request was whole: %r", exc)  # no fault, however often it does
            gone = web.Response(status=status)
            gone.force_close()
            return gone
        if status >= 500 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        log.debug("malformed request: %r", exc)
        if isinstance(exc, http_exceptions.BadHttpMethod):
            response = refuse(method_not_allowed())
        else:
            response = refuse(StatusError(status, "BadRequest", (message or "malformed request").splitlines()[0]))
        response.force_close()
        return response
