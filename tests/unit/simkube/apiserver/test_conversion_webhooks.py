"""Kinds whose versions differ: converted by a program in a pod, in every direction, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.http.watch import Wanted, Watch
from simkube.apiserver.registry.request import Request
from simkube.client.client import Caller, Obj
from tests.unit.simkube.apiserver.test_webhooks import Hooks

CRDS = "customresourcedefinitions.apiextensions.k8s.io"
ME = Caller("learner", ("system:masters",), "kubectl")
TEXT = {"type": "string"}


def version(name: str, *fields: str, storage: bool = False) -> Obj:
    shape = {"type": "object", "properties": dict.fromkeys(fields, TEXT)}
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": shape}}


class Crontabs(Hooks):
    """``stable.example.com``: v1 has ``hostPort``, v2 ``host`` and ``port``, and v2 is stored."""

    def define(self, **webhook: Any) -> None:
        given = {"clientConfig": self.config("/crdconvert"), "conversionReviewVersions": ["v1"], **webhook}
        names = {"plural": "e2es", "singular": "e2e", "kind": "E2e", "listKind": "E2eList"}
        spec = {
            "group": "stable.example.com",
            "scope": "Namespaced",
            "names": names,
            "versions": [version("v1", "hostPort"), version("v2", "host", "port", storage=True)],
            "conversion": {"strategy": "Webhook", "webhook": given},
        }
        self.client.create(CRDS, {"metadata": {"name": "e2es.stable.example.com"}, "spec": spec})
        self.plane.settle()

    def request(self, verb: str, version: str, name: str = "") -> Request:
        resource = self.plane.cluster.apiserver.registry.by_path("stable.example.com", version, "e2es")
        assert resource is not None
        return Request(ME, verb, resource, "default", name, checked=True)

    def create(self, version: str, name: str, **fields: str) -> Obj:
        body = {"apiVersion": f"stable.example.com/{version}", "kind": "E2e", "metadata": {"name": name}, **fields}
        return self.plane.cluster.apiserver.do_create(self.request("create", version), body)

    def get(self, version: str, name: str) -> Obj:
        return self.plane.cluster.apiserver.do_get(self.request("get", version, name))


@pytest.fixture
def crontabs() -> Iterator[Crontabs]:
    made = Crontabs()
    made.serve("crd-conversion-webhook")
    made.define()
    yield made
    made.plane.cluster.stop()


def test_written_in_one_version_stored_and_read_in_another(crontabs: Crontabs) -> None:
    made = crontabs.create("v1", "a", hostPort="localhost:8080")
    assert (made["apiVersion"], made["hostPort"]) == ("stable.example.com/v1", "localhost:8080")
    (stored,) = crontabs.plane.store.objects("e2es.stable.example.com")
    assert (stored["apiVersion"], stored["host"], stored["port"]) == ("stable.example.com/v2", "localhost", "8080")
    assert "hostPort" not in stored
    assert crontabs.get("v1", "a")["hostPort"] == "localhost:8080"
    new = crontabs.get("v2", "a")
    assert (new["host"], new["port"], new["metadata"]["uid"]) == ("localhost", "8080", made["metadata"]["uid"])
    assert new["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_changes_in_the_version_that_is_not_stored(crontabs: Crontabs) -> None:
    server = crontabs.plane.cluster.apiserver
    crontabs.create("v2", "a", host="one", port="1")
    patched = server.do_patch(crontabs.request("patch", "v1", "a"), {"hostPort": "two:2"}, "merge")
    assert patched["hostPort"] == "two:2"
    assert crontabs.get("v2", "a")["host"] == "two"
    replaced = server.do_update(crontabs.request("update", "v1", "a"), {**patched, "hostPort": "three:3"})
    assert int(replaced["metadata"]["resourceVersion"]) > int(patched["metadata"]["resourceVersion"])
    assert crontabs.get("v2", "a")["port"] == "3"
    same = server.do_update(crontabs.request("update", "v1", "a"), replaced)
    assert same["metadata"]["resourceVersion"] == replaced["metadata"]["resourceVersion"]


def test_lists_and_watches_show_the_version_that_is_asked_for(crontabs: Crontabs) -> None:
    for number in range(3):
        crontabs.create("v2", f"a{number}", host="h", port=str(number))
    request = crontabs.request("list", "v1")
    page = crontabs.plane.cluster.apiserver.do_list(request, {})
    assert [each["hostPort"] for each in page.items] == ["h:0", "h:1", "h:2"]
    watch = Watch(crontabs.plane.store, Wanted(request.resource, "default"), lambda: None)
    assert [obj["hostPort"] for _, obj in watch.take()] == ["h:0", "h:1", "h:2"]
    crontabs.create("v2", "b", host="h", port="9")
    assert [(kind, obj["hostPort"]) for kind, obj in watch.take()] == [("ADDED", "h:9")]
    watch.close()


def test_without_the_program_only_the_stored_version_can_be_had(crontabs: Crontabs) -> None:
    crontabs.create("v2", "a", host="h", port="1")
    request = crontabs.request("list", "v1")
    watch = Watch(crontabs.plane.store, Wanted(request.resource, "default"), lambda: None)
    watch.take()
    crontabs.client.delete("pods", "hooks", "default", gracePeriodSeconds=0)
    crontabs.plane.settle(5)
    assert crontabs.get("v2", "a")["host"] == "h"
    with pytest.raises(StatusError) as caught:
        crontabs.get("v1", "a")
    assert caught.value.code == 500
    words = (
        'conversion webhook for stable.example.com/v2, Kind=E2e failed: Post "https://hooks.default.svc:443/crdconvert'
    )
    assert caught.value.message.startswith(words)
    crontabs.create("v2", "b", host="h", port="2")
    ((kind, status),) = watch.take()
    assert (kind, status["code"], watch.ended) == ("ERROR", 500, True)


def test_what_the_program_refuses(crontabs: Crontabs) -> None:
    with pytest.raises(StatusError) as caught:
        crontabs.create("v1", "a", hostPort="no port")
    assert caught.value.message == (
        "conversion webhook for stable.example.com/v1, Kind=E2e failed: invalid hostPort value `no port`"
    )
    assert crontabs.plane.store.objects("e2es.stable.example.com") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conversionReviewVersions": []}, "spec.conversion.webhook.conversionReviewVersions: Required value"),
        ({"conversionReviewVersions": ["v9"]}, "must include at least one of v1, v1beta1"),
        ({"clientConfig": None}, "spec.conversion.webhook.clientConfig: Required value: required when strategy"),
        ({"clientConfig": {}}, "exactly one of url or service is required"),
    ],
)
def test_definitions_that_are_refused(change: Obj, message: str) -> None:
    hooks = Crontabs()
    with pytest.raises(StatusError) as caught:
        hooks.define(**change)
    assert message in caught.value.message
