"""A server with one namespace, and short ways to make objects and to be refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.registry.request import Request, options_of
from simkube.apiserver.server import APIServer
from simkube.client.client import Caller
from simkube.clock.clock import Clock
from simkube.etcd.journal import Journal
from simkube.etcd.store import Store

ME = Caller("learner", ("system:masters",), "tester")

Make = Callable[..., dict[str, Any]]
Refuse = Callable[..., str]


@pytest.fixture
def server() -> APIServer:
    made = APIServer(Store(Journal(), "c"), Clock(1_700_000_000.0))
    made.create(ME, "namespaces", {"metadata": {"name": "default"}})
    made.create(ME, "serviceaccounts", {"metadata": {"name": "default"}}, "default")
    return made


@pytest.fixture
def make(server: APIServer) -> Make:
    """``make("pods", spec, name=...)``: create an object of that spec, with other top-level fields by keyword."""

    def create(resource: str, spec: Any = None, *, name: str = "web", **fields: Any) -> dict[str, Any]:
        meta = {"name": name, **fields.pop("metadata", {})}
        body = {"metadata": meta, **fields} if spec is None else {"metadata": meta, "spec": spec, **fields}
        return server.create(ME, resource, body, "default")

    return create


@pytest.fixture
def refuse(make: Make) -> Refuse:
    """The message a create is refused with, without the words every refusal begins with."""

    def refused(resource: str, spec: Any = None, **fields: Any) -> str:
        with pytest.raises(StatusError) as caught:
            make(resource, spec, **fields)
        return caught.value.message.partition(" is invalid: ")[2] or caught.value.message

    return refused


@pytest.fixture
def change(server: APIServer) -> Refuse:
    """``change("pods", patch, subresource=...)``: merge a patch into ``web``; "" or what it is refused with."""

    def changed(resource: str, patch: Any, **options: Any) -> str:
        try:
            server.patch(ME, resource, "web", patch, "default", **options)
        except StatusError as error:
            return error.message.partition(" is invalid: ")[2] or error.message
        return ""

    return changed


@pytest.fixture
def warned(server: APIServer) -> Callable[[str, dict[str, Any]], list[str]]:
    """What a caller is warned of who makes an object over HTTP."""

    def warnings(resource: str, body: dict[str, Any]) -> list[str]:
        found = server.registry.named(resource)
        assert found is not None
        request = Request(ME, "create", found, "default", options=options_of("create", {"dryRun": "All"}), checked=True)
        server.do_create(request, {"apiVersion": found.api_version, "kind": found.kind, **body})
        return request.warnings

    return warnings


def template(**spec: Any) -> dict[str, Any]:
    """A template of pods labelled ``app=web`` with one container."""
    return {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "nginx:1"}], **spec},
    }


def workload(**spec: Any) -> dict[str, Any]:
    """The spec of what runs such pods."""
    return {"selector": {"matchLabels": {"app": "web"}}, "template": template(), **spec}
