"""The pods of the cluster itself: when they are there, what comes back of them, and what ends without them."""

from __future__ import annotations

import pytest

from simkube.client.client import Obj
from simkube.component_helpers.pods import is_ready
from tests.doubles.control_plane import Plane
from tests.unit.simkube.addons.house import PAIR, SINGLE, House, without

AGENTS = ("k8s-app=kube-proxy", "app=kindnet")


@pytest.fixture
def house() -> House:
    return House(PAIR)


def claim(house: House, name: str = "data") -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}
    house.client.create("persistentvolumeclaims", body, "default")
    house.pod(f"uses-{name}", volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": name}}])
    house.settle(20)


def phase(house: House, name: str = "data") -> str:
    return str(house.client.get("persistentvolumeclaims", name, "default")["status"]["phase"])


def node_of(pod: Obj) -> str:
    return str(pod["spec"]["nodeName"])


@pytest.mark.parametrize(
    "path",
    [
        "/version",
        "/healthz",
        "/api",
        "/apis/apps/v1",
        "/openapi/v2",
        "/api/v1/nodes",
        "/api/v1/nodes/x/status",
        "/api/v1/namespaces/default/serviceaccounts",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    ],
)
def test_a_cluster_that_nobody_uses_has_no_pods_of_its_own(path: str) -> None:
    plane = Plane(SINGLE)
    plane.cluster.visit(path)
    plane.settle(5)
    assert plane.client.list("deployments.apps") == []
    assert not any("coredns" in pod["metadata"]["name"] for pod in plane.client.list("pods"))


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces",
        "/api/v1/namespaces/default/pods",
        "/apis/apps/v1/deployments",
        "/api/v1/namespaces/kube-system/serviceaccounts",
        "/api/v1/serviceaccounts",
    ],
)
def test_the_first_who_looks_finds_everything_running(path: str) -> None:
    plane = Plane(PAIR)
    plane.cluster.visit(path)
    pods = plane.client.list("pods")
    assert all(is_ready(pod) for pod in pods)
    names = sorted(pod["metadata"]["name"].rpartition("-")[0] for pod in pods if "ownerReferences" in pod["metadata"])
    assert sum(name == "kube-proxy" for name in names) == 2
    assert sum(name == "kindnet" for name in names) == 2
    assert sum(name.startswith("coredns-") for name in names) == 2
    assert sum(name.startswith("local-path-provisioner-") for name in names) == 1
    assert plane.client.get("services", "kube-dns", "kube-system")["spec"]["selector"] == {"k8s-app": "kube-dns"}


def test_it_is_furnished_once(house: House) -> None:
    for resource, name in (("deployments.apps", "coredns"), ("daemonsets.apps", "kindnet")):
        house.client.delete(resource, name, "kube-system")
    house.settle(60)
    after = house.killed()
    after.cluster.visit("/api/v1/pods")
    after.settle(5)
    names = {pod["metadata"]["name"].partition("-")[0] for pod in after.client.list("pods")}
    assert names == {"etcd", "kube", "local"}


def test_a_cluster_without_nodes_has_none() -> None:
    plane = Plane()
    plane.cluster.visit("/api/v1/pods")
    assert plane.client.list("pods") == []


@pytest.mark.parametrize("labels", [*AGENTS, "k8s-app=kube-dns"])
def test_deleted_pods_come_back(house: House, labels: str) -> None:
    before = {pod["metadata"]["uid"] for pod in house.system(labels)}
    for pod in house.system(labels):
        house.client.delete("pods", pod["metadata"]["name"], "kube-system")
    house.settle(60)
    after = house.system(labels)
    assert len(after) == 2
    assert all(is_ready(pod) for pod in after)
    assert not before & {pod["metadata"]["uid"] for pod in after}


def away(house: House, name: str, node: str) -> None:
    """Keep a daemon set's pod off a node."""
    expression = {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": [node]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    house.patch("daemonsets.apps", name, {"spec": {"template": {"spec": {"affinity": affinity}}}})
    house.settle(60)


def test_without_kube_proxy_a_node_keeps_its_rules_and_learns_no_new_ones(house: House) -> None:
    house.dnsutils(nodeName="test-worker")
    house.deploy(image="kindling/web:1.0", replicas=1)
    house.service()
    house.settle(5)
    away(house, "kube-proxy", "test-worker")
    assert [node_of(pod) for pod in house.system("k8s-app=kube-proxy")] == ["test-control-plane"]
    assert house.shell("wget -qO- -T 2 http://web")[0] == 0
    house.client.create("services", {**_service("late")}, "default")
    house.settle(5)
    assert house.shell("wget -qO- -T 2 http://late")[0] != 0
    house.pod("other", nodeName="test-control-plane", containers=_sleeping())
    house.settle(3)
    assert house.shell("wget -qO- -T 2 http://late", pod="other")[0] == 0
    house.patch("daemonsets.apps", "kube-proxy", {"spec": {"template": {"spec": {"affinity": None}}}})
    house.settle(60)
    assert house.shell("wget -qO- -T 2 http://late")[0] == 0


def _service(name: str) -> Obj:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def _sleeping() -> list[Obj]:
    return [{"name": "a", "image": "busybox:1.36", "command": ["sleep", "infinity"]}]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mode: nonsense\nkind: KubeProxyConfiguration", "must be iptables,ipvs,nftables or blank"),
        ("kind: Pod", 'no kind \\"Pod\\"'),
        ("{", "couldn't decode"),
    ],
)
def test_kube_proxy_does_not_start_with_a_configuration_it_cannot_read(house: House, text: str, why: str) -> None:
    house.patch("configmaps", "kube-proxy", {"data": {"config.conf": text}})
    house.settle(60)
    assert all(is_ready(pod) for pod in house.system("k8s-app=kube-proxy"))  # it is read at the start only
    for pod in house.system("k8s-app=kube-proxy"):
        house.client.delete("pods", pod["metadata"]["name"], "kube-system")
    house.settle(60)
    assert not any(is_ready(pod) for pod in house.system("k8s-app=kube-proxy"))
    assert why.replace("\\", "") in house.logs("k8s-app=kube-proxy").replace("\\", "")


def test_policies_are_enforced_where_kindnet_runs(house: House) -> None:
    house.deploy(image="kindling/web:1.0", replicas=1, pod={"nodeName": "test-worker"})
    house.service()
    house.dnsutils(nodeName="test-control-plane")
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "closed"},
        "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]},
    }
    house.client.create("networkpolicies.networking.k8s.io", policy, "default")
    house.settle(5)
    assert house.shell("wget -qO- -T 2 http://web")[0] != 0
    away(house, "kindnet", "test-worker")
    assert house.shell("wget -qO- -T 2 http://web")[0] == 0


def test_claims_wait_for_the_provisioner(house: House) -> None:
    scale = {"spec": {"replicas": 0}}
    house.patch("deployments.apps", "local-path-provisioner", scale, "local-path-storage")
    house.settle(60)
    claim(house)
    assert phase(house) == "Pending"
    house.patch("deployments.apps", "local-path-provisioner", {"spec": {"replicas": 1}}, "local-path-storage")
    house.settle(20)
    assert phase(house) == "Bound"


@pytest.mark.parametrize("component", ["kube-proxy", "local-path-provisioner", "kindnet"])
def test_switching_a_component_off_ends_its_work_whatever_its_pods_say(house: House, component: str) -> None:
    with without(house, component):
        if component == "local-path-provisioner":
            claim(house)
            assert phase(house) == "Pending"
        elif component == "kube-proxy":
            house.dnsutils()
            house.deploy(image="kindling/web:1.0", replicas=1)
            house.service()
            house.settle(5)
            assert house.shell("wget -qO- -T 2 http://web")[0] != 0
        assert not house.cluster.components()[component]
    house.settle(20)
    if component == "local-path-provisioner":
        assert phase(house) == "Bound"
    elif component == "kube-proxy":
        assert house.shell("wget -qO- -T 2 http://web")[0] == 0
    assert house.cluster.components()[component]


def test_a_program_without_rights_does_not_work(house: House) -> None:
    house.client.delete("clusterrolebindings.rbac.authorization.k8s.io", "local-path-provisioner-bind")
    for pod in house.system(namespace="local-path-storage"):
        house.client.delete("pods", pod["metadata"]["name"], "local-path-storage")
    house.settle(60)
    assert 'cannot list resource "persistentvolumes"' in house.logs("", "local-path-storage")
    claim(house)
    assert phase(house) == "Pending"


def test_each_says_what_it_does(house: House) -> None:
    assert '"Using iptables Proxier"' in house.logs("k8s-app=kube-proxy")
    assert "hostIP = 172.18.0.3" in house.logs("app=kindnet")
    assert "Started provisioner controller rancher.io/local-path" in house.logs("", "local-path-storage")


def test_what_was_there_from_the_beginning_is_no_news() -> None:
    plane = Plane(SINGLE)
    last = plane.cluster.trace.last
    plane.cluster.visit("/api/v1/pods")
    assert plane.cluster.trace.last == last
    plane.pod("a", schedulerName="nobody")
    assert [each.name for each in plane.cluster.trace.since(last)] == ["a"]
