"""Tables of every kind."""

import pytest

from simkube.apiserver.http.tables import table
from simkube.apiserver.registry.kinds import RESOURCES

NOW = 1_000_000_000.0
META = {"name": "a", "namespace": "b", "creationTimestamp": "2001-09-09T01:41:40Z", "resourceVersion": "7"}
STORED = [resource for resource in RESOURCES.values() if not resource.review]


def cells(plural: str, **fields: object) -> list:
    return table(RESOURCES[plural], [{"metadata": META, **fields}], NOW)["rows"][0]["cells"]


def columns(plural: str) -> list[str]:
    return [one["name"] for one in table(RESOURCES[plural], [], NOW)["columnDefinitions"]]


@pytest.mark.parametrize("resource", STORED, ids=lambda one: one.qualified)
def test_every_kind_has_columns_with_descriptions_and_as_many_cells(resource) -> None:
    found = table(resource, [{"metadata": META}], NOW)
    assert len(found["rows"][0]["cells"]) == len(found["columnDefinitions"])
    assert all(one["priority"] in (0, 1) for one in found["columnDefinitions"])
    # Kubernetes says nothing of the handler of a runtime class either
    assert all(one["description"] or one["name"] == "Handler" for one in found["columnDefinitions"])


def test_columns() -> None:
    assert columns("services") == ["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "Selector"]
    assert columns("pods")[:5] == ["Name", "Ready", "Status", "Restarts", "Age"]
    wide = [one["name"] for one in table(RESOURCES["nodes"], [], NOW)["columnDefinitions"] if one["priority"] == 1]
    assert wide == ["Internal-IP", "External-IP", "OS-Image", "Kernel-Version", "Container-Runtime"]


def test_what_a_row_carries_of_its_object() -> None:
    obj = {"metadata": META, "data": {"a": "b"}}
    rows = {
        include: table(RESOURCES["configmaps"], [obj], NOW, include)["rows"][0]["object"]
        for include in ("None", "Metadata", "Object")
    }
    assert rows["None"] is None
    assert rows["Metadata"] == {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": META}
    assert rows["Object"] == {"kind": "ConfigMap", "apiVersion": "v1", **obj}


def test_the_frame() -> None:
    found = table(RESOURCES["configmaps"], [], NOW, metadata={"resourceVersion": "9"})
    assert (found["kind"], found["apiVersion"], found["rows"]) == ("Table", "meta.k8s.io/v1", [])
    assert found["metadata"] == {"resourceVersion": "9"}
    assert table(RESOURCES["configmaps"], [], NOW, headers=False)["columnDefinitions"] is None


@pytest.mark.parametrize(
    ("plural", "fields", "wanted"),
    [
        ("configmaps", {"data": {"a": "1"}, "binaryData": {"b": ""}}, ["a", 2, "5m"]),
        ("secrets", {"type": "Opaque", "data": {"a": "MQ=="}}, ["a", "Opaque", 1, "5m"]),
        ("serviceaccounts", {}, ["a", "5m"]),
        ("namespaces", {"status": {"phase": "Active"}}, ["a", "Active", "5m"]),
        ("leases.coordination.k8s.io", {"spec": {"holderIdentity": "me"}}, ["a", "me", "5m"]),
        ("controllerrevisions.apps", {"revision": 3}, ["a", "<none>", 3, "5m"]),
    ],
)
def test_small_kinds(plural: str, fields: dict, wanted: list) -> None:
    assert cells(plural, **fields) == wanted


def test_a_revision_names_its_controller() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent", "controller": True}
    obj = {"metadata": {**META, "ownerReferences": [owner]}, "revision": 1}
    row = table(RESOURCES["controllerrevisions.apps"], [obj], NOW)["rows"][0]
    assert row["cells"][1] == "daemonset.apps/agent"


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        (
            {"type": "ClusterIP", "clusterIPs": ["10.0.0.1"], "ports": [{"port": 80, "protocol": "TCP"}]},
            ["ClusterIP", "10.0.0.1", "<none>", "80/TCP", "5m", "<none>"],
        ),
        (
            {
                "type": "NodePort",
                "clusterIPs": ["10.0.0.1"],
                "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
                "selector": {"b": "2", "a": "1"},
            },
            ["NodePort", "10.0.0.1", "<none>", "80:30080/TCP,53/UDP", "5m", "a=1,b=2"],
        ),
        (
            {"type": "ExternalName", "externalName": "example.org"},
            ["ExternalName", "<none>", "example.org", "<none>", "5m", "<none>"],
        ),
        (
            {"type": "LoadBalancer", "clusterIPs": ["10.0.0.1"]},
            ["LoadBalancer", "10.0.0.1", "<pending>", "<none>", "5m", "<none>"],
        ),
        (
            {"type": "ClusterIP", "clusterIPs": ["None"], "externalIPs": ["1.2.3.4"]},
            ["ClusterIP", "None", "1.2.3.4", "<none>", "5m", "<none>"],
        ),
    ],
)
def test_services(spec: dict, wanted: list) -> None:
    assert cells("services", spec=spec)[1:] == wanted


def test_a_load_balancer_with_an_address() -> None:
    status = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "lb.example.org"}]}}
    assert cells("services", spec={"type": "LoadBalancer"}, status=status)[3] == "1.2.3.4,lb.example.org"


def test_endpoints_are_cut_short() -> None:
    addresses = [{"ip": f"10.0.0.{number}"} for number in range(5)]
    subsets = [{"addresses": addresses, "ports": [{"port": 80}]}]
    assert cells("endpoints", subsets=subsets)[1] == "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 2 more..."
    assert cells("endpoints")[1] == "<none>"
    assert cells("endpoints", subsets=[{"addresses": [{"ip": "::1"}], "ports": [{"port": 80}]}])[1] == "[::1]:80"


def test_endpoint_slices() -> None:
    fields = {"addressType": "IPv4", "ports": [{"port": 80}], "endpoints": [{"addresses": ["10.0.0.1"]}]}
    assert cells("endpointslices.discovery.k8s.io", **fields)[1:4] == ["IPv4", "80", "10.0.0.1"]
    assert cells("endpointslices.discovery.k8s.io", addressType="IPv4")[2:4] == ["<unset>", "<unset>"]


TEMPLATE = {"spec": {"containers": [{"name": "web", "image": "nginx:1"}, {"name": "side", "image": "side:1"}]}}


def test_workloads() -> None:
    spec = {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}
    status = {"replicas": 3, "readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1}
    wide = ["web,side", "nginx:1,side:1", "app=web"]
    assert cells("deployments.apps", spec=spec, status=status) == ["a", "1/3", 2, 1, "5m", *wide]
    assert cells("replicasets.apps", spec=spec, status=status) == ["a", 3, 3, 1, "5m", *wide]


def test_selectors() -> None:
    expressions = [
        {"key": "tier", "operator": "In", "values": ["front", "back"]},
        {"key": "old", "operator": "DoesNotExist"},
        {"key": "zone", "operator": "Exists"},
        {"key": "env", "operator": "NotIn", "values": ["dev"]},
    ]
    selector = {"matchLabels": {"app": "web"}, "matchExpressions": expressions}
    shown = cells("deployments.apps", spec={"selector": selector, "template": TEMPLATE})[-1]
    assert shown == "app=web,env notin (dev),!old,tier in (back,front),zone"


def test_nodes() -> None:
    meta = {**META, "labels": {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": ""}}
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "172.18.0.2"}],
        "nodeInfo": {
            "kubeletVersion": "v1.36.2",
            "osImage": "Debian",
            "kernelVersion": "6.1",
            "architecture": "amd64",
            "containerRuntimeVersion": "containerd://2.0",
        },
    }
    obj = {"metadata": meta, "spec": {"unschedulable": True}, "status": status}
    row = table(RESOURCES["nodes"], [obj], NOW)["rows"][0]["cells"]
    assert row[1:5] == ["Ready,SchedulingDisabled", "control-plane,worker", "5m", "v1.36.2"]
    assert row[5:] == ["172.18.0.2", "<none>", "Debian", "6.1 (amd64)", "containerd://2.0"]


def test_a_node_that_says_nothing() -> None:
    assert cells("nodes")[1:3] == ["Unknown", "<none>"]
    status = {"conditions": [{"type": "Ready", "status": "Unknown"}]}
    assert cells("nodes", status=status)[1] == "NotReady"


def test_events_of_both_groups() -> None:
    about = {"kind": "Pod", "name": "web", "fieldPath": "spec.containers{web}"}
    core = {
        "involvedObject": about,
        "reason": "Pulled",
        "message": " done \n",
        "type": "Normal",
        "firstTimestamp": "2001-09-09T01:36:40Z",
        "lastTimestamp": "2001-09-09T01:41:40Z",
        "count": 3,
        "source": {"component": "kubelet", "host": "node-1"},
    }
    new = {
        "regarding": about,
        "reason": "Pulled",
        "note": "done",
        "type": "Normal",
        "deprecatedFirstTimestamp": "2001-09-09T01:36:40Z",
        "deprecatedLastTimestamp": "2001-09-09T01:41:40Z",
        "deprecatedCount": 3,
        "deprecatedSource": {"component": "kubelet", "host": "node-1"},
    }
    wanted = ["5m", "Normal", "Pulled", "pod/web", "spec.containers{web}", "kubelet, node-1", "done", "10m", 3, "a"]
    assert cells("events", **core) == wanted
    assert cells("events.events.k8s.io", **new) == wanted


def test_an_event_with_a_series_and_one_without_times() -> None:
    series = {"count": 9, "lastObservedTime": "2001-09-09T01:41:40.000000Z"}
    row = cells("events", eventTime="2001-09-09T01:36:40.000000Z", series=series, reportingComponent="scheduler")
    assert (row[0], row[5], row[7], row[8]) == ("5m", "scheduler", "10m", 9)
    bare = cells("events")
    assert (bare[0], bare[7], bare[8]) == ("<unknown>", "<unknown>", 1)
