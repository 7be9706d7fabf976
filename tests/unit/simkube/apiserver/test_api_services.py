"""APIServices: the built-in ones, whether others answer, those of definitions, and what discovery says."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.discovery import aggregation, discovery
from simkube.client.client import Obj
from tests.doubles.control_plane import Plane
from tests.unit.simkube.apiserver.custom.test_kinds import definition as defined

RESOURCE = "apiservices.apiregistration.k8s.io"
NODE = {"kind": "Cluster", "nodes": [{"role": "control-plane"}]}
NAME = "v1beta1.external.metrics.k8s.io"
PATH = "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/x"


def service(**spec: Any) -> Obj:
    """As KEDA registers one."""
    given = {"name": "keda", "namespace": "default"}
    made = {"group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100}
    return {"metadata": {"name": NAME}, "spec": {**made, "versionPriority": 100, "service": given, **spec}}


def condition(plane: Plane, name: str = NAME) -> tuple[str, str, str]:
    (found,) = plane.client.get(RESOURCE, name)["status"]["conditions"]
    return found["status"], found["reason"], found["message"]


@pytest.fixture
def plane() -> Plane:
    return Plane(NODE)


def test_what_the_api_server_serves_is_registered(plane: Plane) -> None:
    found = plane.client.list(RESOURCE)
    names = {each["metadata"]["name"] for each in found}
    served = {f"{version}.{group}" for group, version in discovery.GROUPS if group != "apiregistration.k8s.io"}
    assert names == {*served, "v1.", "v1beta1.metrics.k8s.io"}
    assert {each["status"]["conditions"][0]["reason"] for each in found} == {"Local"}
    apps = plane.client.get(RESOURCE, "v1.apps")
    assert apps["spec"] == {"group": "apps", "version": "v1", "groupPriorityMinimum": 17800, "versionPriority": 15}
    assert apps["status"]["conditions"][0]["lastTransitionTime"] == apps["metadata"]["creationTimestamp"]


def test_whether_another_server_answers(plane: Plane) -> None:
    plane.client.create(RESOURCE, service())
    plane.settle()
    assert condition(plane) == ("False", "ServiceNotFound", 'service/keda in "default" is not present')
    plane.service("keda", ports=[{"port": 8443, "targetPort": 80}])
    plane.settle()
    assert condition(plane)[1:] == ("ServicePortError", 'service/keda in "default" is not listening on port 443')
    changed = [{"port": 443, "targetPort": 80}]
    plane.client.patch("services", "keda", {"spec": {"ports": changed}}, "default")
    plane.settle()
    assert condition(plane)[1] == "MissingEndpoints"
    plane.pod("keda", labels={"app": "keda"}, containers=[{"name": "a", "image": "nginx:1.27"}])
    plane.settle(20)
    status, reason, message = condition(plane)
    assert (status, reason) == ("False", "FailedDiscoveryCheck")
    assert message.endswith("http: server gave HTTP response to HTTPS client")


def test_requests_to_a_group_that_nobody_answers_for(plane: Plane) -> None:
    registry, revision = plane.cluster.apiserver.registry, plane.cluster.apiserver.registry.revision
    aggregation.refuse(PATH, registry)
    plane.client.create(RESOURCE, service())
    plane.settle()
    assert registry.revision > revision
    with pytest.raises(aggregation.Unavailable):
        aggregation.refuse(PATH, registry)
    groups = discovery.groups(registry.extra, registry.elsewhere)["groups"]
    assert groups[-1]["name"] == "external.metrics.k8s.io"
    found = discovery.aggregated(core=False, extra=registry.extra, elsewhere=registry.elsewhere)["items"][-1]
    stale = [{"version": "v1beta1", "freshness": "Stale"}]
    assert found == {"metadata": {"name": "external.metrics.k8s.io"}, "versions": stale}
    plane.client.delete(RESOURCE, NAME)
    aggregation.refuse(PATH, registry)
    assert registry.elsewhere == []


def test_the_metrics_are_answered_for_a_metrics_server_that_is_ready(plane: Plane) -> None:
    """What applying a metrics server's own files does."""
    name, path = "v1beta1.metrics.k8s.io", "/apis/metrics.k8s.io/v1beta1/nodes"
    registry = plane.cluster.apiserver.registry
    aggregation.refuse(path, registry)
    given = {"service": {"name": "metrics-server", "namespace": "default"}, "insecureSkipTLSVerify": True}
    plane.client.patch(RESOURCE, name, {"spec": given})
    plane.settle()
    assert condition(plane, name)[1] == "ServiceNotFound"
    with pytest.raises(aggregation.Unavailable):
        aggregation.refuse(path, registry)
    plane.service("metrics-server", ports=[{"port": 443, "targetPort": 80}])
    plane.pod("m", labels={"app": "metrics-server"}, containers=[{"name": "a", "image": "nginx:1.27"}])
    plane.settle(20)
    assert condition(plane, name) == ("True", "Passed", "all checks passed")
    aggregation.refuse(path, registry)
    plane.client.delete(RESOURCE, name)
    assert "metrics.k8s.io" not in {one.group for one in registry.extra}


def test_what_definitions_serve_is_registered_while_they_do(plane: Plane) -> None:
    definition = defined()
    plane.client.create("customresourcedefinitions.apiextensions.k8s.io", definition)
    plane.settle()
    spec = definition["spec"]
    name = f"{spec['versions'][0]['name']}.{spec['group']}"
    made = plane.client.get(RESOURCE, name)
    assert made["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "true"}
    assert (made["spec"]["groupPriorityMinimum"], made["spec"]["versionPriority"]) == (1000, 100)
    assert condition(plane, name)[:2] == ("True", "Local")
    plane.client.delete("customresourcedefinitions.apiextensions.k8s.io", definition["metadata"]["name"])
    plane.settle()
    with pytest.raises(StatusError) as caught:
        plane.client.get(RESOURCE, name)
    assert caught.value.code == 404


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "v2"}, 'must be `spec.version+"."+spec.group`: "v2.external.metrics.k8s.io"'),
        ({"groupPriorityMinimum": 0}, "spec.groupPriorityMinimum: Invalid value: 0: must be positive"),
        ({"versionPriority": 1001}, "spec.versionPriority: Invalid value: 1001: must be positive and less than 1000"),
        ({"service": {"name": "x"}}, "spec.service.namespace: Required value"),
        ({"service": None, "insecureSkipTLSVerify": True}, "local APIServices may not have insecureSkipTLSVerify"),
        ({"insecureSkipTLSVerify": True, "caBundle": "eA=="}, "may not be true if caBundle is present"),
    ],
)
def test_what_is_refused(plane: Plane, change: Obj, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        plane.client.create(RESOURCE, service(**change))
    assert message in caught.value.message
