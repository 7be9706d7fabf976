"""HTTP that cannot be understood, answered as the API server does where users meet it: with a ``Status``.

The server library would answer an unknown method with plain text of its own and log a trace for each such request.
"""

from __future__ import annotations

import logging

from aiohttp import http_exceptions, web
from aiohttp.web_protocol import RequestHandler

from simkube.apimachinery.errors import StatusError, method_not_allowed
from simkube.apiserver.http.responses import refuse

log = logging.getLogger(__name__)


class Server(web.Server):
    """As the library's, with our own answers to malformed requests, and bodies as they were sent.

    The library would inflate a body while it arrives, before anybody knows who sends it;
    :mod:`simkube.apiserver.http.reading` does that later.
    """

    def __call__(self) -> RequestHandler:
        """One more connection."""
        return _Connection(self, loop=self._loop, auto_decompress=False, **self._kwargs)


class _Connection(RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status >= 500 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        log.debug("malformed request: %r", exc)
        if isinstance(exc, http_exceptions.BadHttpMethod):
            response = refuse(method_not_allowed())
        else:
            response = refuse(StatusError(status, "BadRequest", (message or "malformed request").splitlines()[0]))
        response.force_close()
        return response
