"""Requests that custom resources do not take."""

from __future__ import annotations

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.registry.request import Request


def no_strategic_merge() -> StatusError:
    """415: only types that Go knows have merge keys."""
    types = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    message = f"the body of the request was in an unknown format - accepted media types include: {types}"
    return StatusError(415, "UnsupportedMediaType", message)


def refuse_terminating(request: Request) -> None:
    """405 for what would add to a kind whose definition is on its way out."""
    custom = request.resource.custom
    if custom is not None and custom.terminating:
        message = f"{request.verb} not allowed while custom resource definition is terminating"
        details = {"group": request.resource.group, "kind": request.resource.plural}
        raise StatusError(405, "MethodNotAllowed", message, details)
