"""What the control plane puts back: which objects, how soon, and by whom."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Obj, copy_of
from tests.doubles.control_plane import Plane

SCHEMAS = "flowschemas.flowcontrol.apiserver.k8s.io"
LEVELS = "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io"
LEASES = "leases.coordination.k8s.io"
ROLES = "clusterroles.rbac.authorization.k8s.io"
BINDINGS = "clusterrolebindings.rbac.authorization.k8s.io"
KEPT = [
    ("services", "default", "kubernetes", 10),
    ("endpoints", "default", "kubernetes", 10),
    ("endpointslices.discovery.k8s.io", "default", "kubernetes", 10),
    ("namespaces", "", "kube-node-lease", 60),
    (SCHEMAS, "", "exempt", 60),
    (SCHEMAS, "", "service-accounts", 60),
    (LEVELS, "", "workload-low", 60),
    ("configmaps", "kube-system", "extension-apiserver-authentication", 0),
    ("configmaps", "kube-system", "kube-apiserver-legacy-service-account-token-tracking", 0),
]


@pytest.fixture
def plane() -> Plane:
    return Plane()


def there(plane: Any, resource: str, namespace: str, name: str) -> Obj | None:
    try:
        return copy_of(plane.client.get(resource, name, namespace))
    except StatusError as error:
        if error.reason != "NotFound":
            raise
        return None


@pytest.mark.parametrize(("resource", "namespace", "name", "seconds"), KEPT)
def test_comes_back_as_soon_as_its_loop_looks(
    plane: Plane, resource: str, namespace: str, name: str, seconds: int
) -> None:
    before = there(plane, resource, namespace, name)
    assert before is not None
    plane.settle(3)
    plane.client.delete(resource, name, namespace)
    assert (there(plane, resource, namespace, name) or {}).get("status", {}).get("phase") in (None, "Terminating")
    if seconds > 5:
        plane.settle(seconds - 5)
        assert there(plane, resource, namespace, name) is None
    plane.settle(5)
    after = there(plane, resource, namespace, name)
    assert after is not None
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert {key: after.get(key) for key in ("data", "spec", "subsets", "endpoints", "ports")} == {
        key: before.get(key) for key in ("data", "spec", "subsets", "endpoints", "ports")
    }


@pytest.mark.parametrize(
    ("resource", "namespace", "name", "patch"),
    [
        ("services", "default", "kubernetes", {"spec": {"ports": [{"port": 8443, "targetPort": 1}]}}),
        ("services", "default", "kubernetes", {"spec": {"type": "NodePort"}}),
        ("endpoints", "default", "kubernetes", {"subsets": []}),
        ("endpointslices.discovery.k8s.io", "default", "kubernetes", {"endpoints": []}),
        (SCHEMAS, "", "global-default", {"spec": {"matchingPrecedence": 77}}),
        (LEVELS, "", "system", {"spec": {"limited": {"nominalConcurrencyShares": 1}}}),
        ("configmaps", "kube-system", "extension-apiserver-authentication", {"data": {"client-ca-file": "mine"}}),
        ("configmaps", "default", "kube-root-ca.crt", {"data": {"ca.crt": "mine"}}),
    ],
)
def test_an_edit_is_undone(plane: Plane, resource: str, namespace: str, name: str, patch: Obj) -> None:
    before = there(plane, resource, namespace, name)
    plane.client.patch(resource, name, patch, namespace)
    plane.settle(60)
    after = there(plane, resource, namespace, name)
    assert before is not None
    assert after is not None
    for part in patch:
        wanted, found = before[part], after[part]
        if part == "spec" and resource == "services":
            wanted, found = ({key: each.get(key) for key in ("ports", "type")} for each in (wanted, found))
        assert found == wanted


def test_edits_that_upstream_lets_be_stay(plane: Plane) -> None:
    annotations = {"apf.kubernetes.io/autoupdate-spec": "false"}
    patch = {"metadata": {"annotations": annotations}, "spec": {"matchingPrecedence": 77}}
    plane.client.patch(SCHEMAS, "global-default", patch)
    plane.client.patch("services", "kubernetes", {"metadata": {"labels": {"mine": "yes"}}}, "default")
    plane.settle(120)
    assert plane.client.get(SCHEMAS, "global-default")["spec"]["matchingPrecedence"] == 77
    assert plane.client.get("services", "kubernetes", "default")["metadata"]["labels"]["mine"] == "yes"


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_some_namespaces_cannot_go(plane: Plane, name: str) -> None:
    with pytest.raises(StatusError, match="this namespace may not be deleted"):
        plane.client.delete("namespaces", name)


def test_everything_deleted_in_default_leaves_the_services_of_the_cluster(plane: Plane) -> None:
    plane.service("web")
    plane.settle(1)
    for service in plane.client.list("services", "default"):
        plane.client.delete("services", service["metadata"]["name"], "default")
    plane.settle(10)
    assert [each["metadata"]["name"] for each in plane.client.list("services", "default")] == ["kubernetes"]
    assert plane.client.get("services", "kubernetes", "default")["spec"]["clusterIP"] == "10.96.0.1"


def test_roles_come_back_when_the_api_server_starts_again_and_not_before(plane: Plane) -> None:
    plane.client.delete(ROLES, "view")
    plane.client.delete(BINDINGS, "system:basic-user")
    (rule,) = plane.client.get(ROLES, "system:discovery")["rules"]
    plane.client.patch(ROLES, "system:discovery", {"rules": []})
    plane.settle(300)
    assert there(plane, ROLES, "", "view") is None
    plane.cluster.stop_component("kube-apiserver")
    plane.settle(5)
    plane.cluster.start_component("kube-apiserver")
    plane.settle(5)
    assert there(plane, ROLES, "", "view") is not None
    assert there(plane, BINDINGS, "", "system:basic-user") is not None
    mended = plane.client.get(ROLES, "system:discovery")["rules"]  # what is missing comes one by one
    assert sorted(path for each in mended for path in each["nonResourceURLs"]) == sorted(rule["nonResourceURLs"])


@pytest.mark.parametrize(
    ("stopped", "resource", "name"),
    [
        ("serviceaccount-controller", "serviceaccounts", "default"),
        ("root-ca-certificate-publisher-controller", "configmaps", "kube-root-ca.crt"),
    ],
)
def test_stopping_its_controller_stops_it(plane: Plane, stopped: str, resource: str, name: str) -> None:
    plane.cluster.stop_component(stopped)
    plane.client.delete(resource, name, "default")
    plane.settle(120)
    assert there(plane, resource, "default", name) is None
    plane.cluster.start_component(stopped)
    plane.settle(1)
    assert there(plane, resource, "default", name) is not None


@pytest.mark.parametrize("name", ["kube-scheduler", "kube-controller-manager"])
def test_a_lease_is_renewed_and_made_again_by_its_program(name: str) -> None:
    one = Plane({})
    one.settle(100)
    first = one.client.get(LEASES, name, "kube-system")["spec"]["renewTime"]
    one.settle(30)
    assert one.client.get(LEASES, name, "kube-system")["spec"]["renewTime"] > first
    one.cluster.stop_component(name)
    still = one.client.get(LEASES, name, "kube-system")["spec"]["renewTime"]
    one.settle(30)
    assert one.client.get(LEASES, name, "kube-system")["spec"]["renewTime"] == still
    one.client.delete(LEASES, name, "kube-system")
    one.settle(30)
    assert there(one, LEASES, "kube-system", name) is None
    one.cluster.start_component(name)
    one.settle(2)
    assert there(one, LEASES, "kube-system", name) is not None


def test_a_nodes_lease_is_made_again_by_its_kubelet() -> None:
    one = Plane({})
    (node,) = one.cluster.kubelets
    one.client.delete(LEASES, node, "kube-node-lease")
    one.settle(5)
    assert there(one, LEASES, "kube-node-lease", node) is None
    one.settle(5)
    assert there(one, LEASES, "kube-node-lease", node) is not None


def test_at_rest_nothing_is_looked_at(plane: Plane) -> None:
    plane.settle(10)
    done = plane.cluster.work.done
    plane.settle(3600)
    assert plane.cluster.work.done == done


def test_a_change_that_may_stay_makes_nobody_look(plane: Plane) -> None:
    due = plane.clock.next_due()
    plane.client.patch("services", "kubernetes", {"metadata": {"labels": {"mine": "yes"}}}, "default")
    plane.settle()
    assert plane.clock.next_due() == due


def test_apiservices_of_its_own_come_back_when_the_api_server_starts_again(plane: Plane) -> None:
    services = "apiservices.apiregistration.k8s.io"
    plane.client.delete(services, "v1.apps")
    plane.settle(120)
    assert there(plane, services, "", "v1.apps") is None
    assert plane.client.list("deployments.apps") == []  # what it stands for is served all the same
    plane.cluster.stop_component("kube-apiserver")
    plane.cluster.start_component("kube-apiserver")
    plane.settle(5)
    found = there(plane, services, "", "v1.apps")
    assert found is not None
    assert found["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
    assert [(one["type"], one["status"]) for one in found["status"]["conditions"]] == [("Available", "True")]
