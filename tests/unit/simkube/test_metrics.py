"""What a Prometheus finds: the text format, the API server's counts, the kubelets' figures; all of it counted."""

from __future__ import annotations

import json
import re

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.authorization.attributes import Attributes
from simkube.apiserver.metrics.metrics import APIMetrics, known
from simkube.clock.clock import spawn
from simkube.component_helpers.metrics import MOST_SERIES, Counts, Durations, Family, render
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from tests.doubles.control_plane import Plane

NODE = {"kind": "Cluster", "nodes": [{"role": "control-plane"}]}
PROBE = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 5}
PODS = Attributes("list", "", "v1", "pods", namespace="default")


@pytest.fixture
def plane() -> Plane:
    made = Plane(NODE)
    container = {"name": "web", "image": "kindling/web:1.0", "readinessProbe": PROBE, "livenessProbe": PROBE}
    made.pod("web", containers=[{**container, "resources": {"limits": {"memory": "64Mi"}}}])
    made.settle(60)
    return made


def page(plane: Plane, path: str) -> str:
    (kubelet,) = plane.cluster.kubelets.values()
    found = kubelet.page(path)
    assert found.status == 200
    return found.body.decode()


def value(text: str, name: str, /, **labels: str) -> float:
    """The value of the one series of that name with these labels, among others."""
    found = []
    for line in text.splitlines():
        match = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
        own = dict(re.findall(r'(\w+)="([^"]*)"', match[1] or "")) if match else {}
        if match and labels.items() <= own.items():
            found.append(float(match[2]))
    assert len(found) == 1, (name, labels, found)
    return found[0]


def test_the_format() -> None:
    counts = Counts(("b", "a"))
    counts.add('x"\\\n', "y")
    counts.add('x"\\\n', "y", by=0.5)
    durations = Durations(("verb",), (0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7):
        durations.add(seconds, "GET")
    families = (
        Family("z_seconds", "histogram", "How long.", parts=durations.parts()),
        Family("a_total", "counter", "How often.", counts.series()),
        Family("empty", "gauge", "Nothing."),
    )
    assert render(families) == (
        "# HELP a_total How often.\n# TYPE a_total counter\n"
        'a_total{a="y",b="x\\"\\\\\\n"} 1.5\n'
        "# HELP z_seconds How long.\n# TYPE z_seconds histogram\n"
        'z_seconds_bucket{le="0.1",verb="GET"} 2\nz_seconds_bucket{le="1",verb="GET"} 3\n'
        'z_seconds_bucket{le="+Inf",verb="GET"} 4\nz_seconds_sum{verb="GET"} 7.65\nz_seconds_count{verb="GET"} 4\n'
    )


def test_strangers_cannot_fill_the_memory_with_series() -> None:
    counts = Counts(("a",))
    for number in range(MOST_SERIES + 100):
        counts.add(str(number))
    assert len(list(counts.series())) == MOST_SERIES


def test_requests_are_counted_by_place_and_code(plane: Plane) -> None:
    server = plane.cluster.apiserver
    metrics = APIMetrics(5.0)
    watch = metrics.began(Attributes("watch", "", "v1", "pods"), dry_run=False, known=True)
    for _ in range(3):
        metrics.ended(metrics.began(PODS, dry_run=False, known=True), 200, 0.01)
    metrics.ended(metrics.began(Attributes("get", path="/apis/x/y"), dry_run=False, known=True), 404, 0.01)
    text = metrics.page(server.store, 1)
    assert value(text, "apiserver_request_total", resource="pods", verb="LIST", code="200", scope="namespace") == 3
    assert value(text, "apiserver_request_total", subresource="/apis", code="404") == 1
    assert value(text, "apiserver_request_duration_seconds_count", resource="pods", verb="LIST") == 3
    assert value(text, "apiserver_longrunning_requests", resource="pods", verb="WATCH") == 1
    assert value(text, "process_start_time_seconds") == 5
    metrics.ended(watch, 200, 1.0)
    assert "apiserver_longrunning_requests" not in metrics.page(server.store, 0)
    assert "_count{" not in "".join(re.findall(r".*WATCH.*", metrics.page(server.store, 0)))


def test_what_there_is_not_is_not_counted(plane: Plane) -> None:
    registry = plane.cluster.apiserver.registry
    assert known(PODS, registry)
    assert known(Attributes("create", "", "v1", "pods", "exec", "default", "web"), registry)
    assert not known(Attributes("list", "no.such", "v1", "things"), registry)
    assert not known(Attributes("get", "", "v1", "pods", "no-such", "default", "web"), registry)


def test_what_components_write_and_what_is_stored(plane: Plane) -> None:
    server = plane.cluster.apiserver
    text = server.metrics.page(server.store, 0)
    assert value(text, "apiserver_request_total", resource="pods", subresource="binding", code="201") >= 1
    pods = len(plane.client.list("pods"))
    assert value(text, "apiserver_storage_objects", resource="pods") == pods
    assert value(text, "apiserver_resource_objects", group="", resource="nodes") == 1
    assert value(text, "etcd_requests_total", operation="create", resource="pods") == pods
    assert value(text, "apiserver_storage_size_bytes") == server.store.size
    assert value(text, "aggregator_unavailable_apiservice", name="v1.apps") == 0


def test_a_kubelets_own_figures(plane: Plane) -> None:
    text = page(plane, "metrics")
    pods = plane.client.list("pods")
    assert value(text, "kubelet_running_containers", container_state="running") <= len(pods)
    assert value(text, "kubelet_running_pods") >= 1
    assert value(text, "kubelet_node_name", node="test-control-plane") == 1
    assert value(text, "kubernetes_build_info", git_version="v1.36.2") == 1


def test_containers_as_cadvisor_and_a_metrics_server_see_them(plane: Plane) -> None:
    before = page(plane, "metrics/cadvisor")
    plane.settle(60)
    after, short = page(plane, "metrics/cadvisor"), page(plane, "metrics/resource")
    where = {"namespace": "default", "pod": "web", "container": "web"}
    cpu = "container_cpu_usage_seconds_total"
    assert value(after, cpu, cpu="total", **where) >= value(before, cpu, cpu="total", **where)
    assert value(after, cpu, **where) == value(short, cpu, **where)
    assert value(after, "container_memory_working_set_bytes", **where) > 0
    assert value(after, "container_spec_memory_limit_bytes", **where) == 64 << 20
    assert value(after, "machine_cpu_cores") == 4
    assert value(short, "node_cpu_usage_seconds_total") > 0
    assert value(short, "pod_memory_working_set_bytes", pod="web") > 0
    (metrics,) = [each for each in plane.client.list("pods.metrics.k8s.io") if each["metadata"]["name"] == "web"]
    assert metrics["containers"][0]["usage"]["memory"].endswith("Ki")


def test_the_nodes_counter_never_falls_when_a_container_goes(plane: Plane) -> None:
    def total() -> float:
        return value(page(plane, "metrics/resource"), "node_cpu_usage_seconds_total")

    busy = {"name": "a", "image": "busybox:1.36", "command": ["sh", "-c", "while :; do :; done"]}
    plane.pod("busy", containers=[busy])
    plane.settle(20)
    before = total()
    plane.client.delete("pods", "busy", "default", gracePeriodSeconds=0)
    plane.settle(1)
    assert total() >= before


def test_probes_are_counted(plane: Plane) -> None:
    text = page(plane, "metrics/probes")
    for kind in ("Liveness", "Readiness"):
        assert 11 <= value(text, "prober_probe_total", pod="web", probe_type=kind, result="successful") <= 13


def test_other_pages_of_a_kubelet(plane: Plane) -> None:
    assert page(plane, "healthz") == "ok"
    names = [each["metadata"]["name"] for each in json.loads(page(plane, "pods"))["items"]]
    assert "web" in names
    summary = json.loads(page(plane, "stats/summary"))
    (web,) = [each for each in summary["pods"] if each["podRef"]["name"] == "web"]
    assert web["containers"][0]["memory"]["workingSetBytes"] > 0
    assert summary["node"]["cpu"]["usageCoreNanoSeconds"] > 0
    assert json.loads(page(plane, "configz"))["kubeletconfig"]["maxPods"] == 110
    (kubelet,) = plane.cluster.kubelets.values()
    assert kubelet.page("nothing").status == 404
    with pytest.raises(StatusError) as caught:
        kubelet.page("exec/default/web/web")
    assert caught.value.code == 501


def asked(plane: Plane, path: str, token: str = "") -> HTTPResponse:
    """What a pod gets at the kubelet's own port."""
    network = plane.cluster.network
    (pod,) = plane.client.list("pods", "default", fields="metadata.name=web")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    request = HTTPRequest("GET", path, headers)
    task = spawn(network.request(pod["status"]["podIP"], network.control_plane, 10250, request, secure=True))
    return task.result()


def test_pods_ask_the_kubelets_own_port_with_their_token(plane: Plane) -> None:
    made = plane.client.create("serviceaccounts", {"metadata": {"name": "prometheus"}}, "default")
    token = plane.cluster.apiserver.credentials.issue({}, made)["status"]["token"]
    assert asked(plane, "/metrics").status == 401
    assert asked(plane, "/metrics", "nonsense").status == 401
    refused = asked(plane, "/metrics/cadvisor", token)
    user = "system:serviceaccount:default:prometheus"
    words = f"Forbidden (user={user}, verb=get, resource=nodes, subresource(s)=[metrics proxy])"
    assert (refused.status, refused.body.decode()) == (403, words)
    rule = {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]}
    plane.client.create("clusterroles.rbac.authorization.k8s.io", {"metadata": {"name": "scrape"}, "rules": [rule]})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "scrape"}
    subject = {"kind": "ServiceAccount", "name": "prometheus", "namespace": "default"}
    binding = {"metadata": {"name": "scrape"}, "roleRef": role, "subjects": [subject]}
    plane.client.create("clusterrolebindings.rbac.authorization.k8s.io", binding)
    assert b"machine_cpu_cores" in asked(plane, "/metrics/cadvisor", token).body
    assert asked(plane, "/pods", token).status == 403


def test_the_port_is_closed_while_the_kubelet_is(plane: Plane) -> None:
    (kubelet,) = plane.cluster.kubelets.values()
    kubelet.stop()
    with pytest.raises(NetworkError, match="refused"):
        asked(plane, "/metrics")
    kubelet.start()
    assert asked(plane, "/metrics").status == 401
