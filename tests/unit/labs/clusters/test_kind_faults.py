"""What is asked of the nodes of a kind cluster when something is broken there, and what is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from labs.clusters.kind import scripts
from labs.clusters.kind.controllers import FLAG_NAMES, flag_name
from labs.clusters.kind.faults import NodeFaults
from labs.clusters.kind.metrics import IMAGE, manifests
from labs.clusters.kind.nodes import ROLE_LABEL
from labs.clusters.provider import Fault
from simkube.controllers.names import official
from tests.doubles.control_plane import Plane
from tests.unit.simkube.test_cluster import topology


class Node:
    """A node container that notes what it is told to run."""

    def __init__(self, name: str, role: str) -> None:
        self.name, self.labels, self.status = name, {ROLE_LABEL: role}, "running"
        self.ran: list[list[str]] = []

    def reload(self) -> None:
        """Nothing has changed."""

    def exec_run(self, command: list[str], *, detach: bool = False) -> tuple[int, bytes]:
        self.ran.append(command[2:] if command[0] == "sh" else command)
        return 0, b""


class Nodes:
    """A control plane and a worker."""

    def __init__(self) -> None:
        self.nodes = {"plane": Node("plane", "control-plane"), "worker": Node("worker", "worker")}

    def all(self) -> list[Node]:
        return list(self.nodes.values())

    def control_plane(self) -> Node:
        return self.nodes["plane"]

    def named(self, name: str) -> Node:
        return self.nodes[name]


def pod_of(where: str) -> Mapping[str, Any]:
    namespace, _, name = where.partition("/")
    addresses = {"a": "10.0.0.1", "b": "10.0.0.2"}
    meta = {"namespace": namespace, "name": name}
    return {"metadata": meta, "spec": {"nodeName": "worker"}, "status": {"podIP": addresses.get(name, "")}}


@pytest.fixture
def nodes() -> Nodes:
    return Nodes()


@pytest.fixture
def faults(nodes: Nodes) -> NodeFaults:
    return NodeFaults(nodes, pod_of)  # type: ignore[arg-type] # as much of Nodes as it uses


def test_a_path_is_impaired_where_its_client_is(faults: NodeFaults, nodes: Nodes) -> None:
    faults.inject(Fault.LOSSY_PATH, "shop/a shop/b 20%")
    (mended, lossy) = nodes.nodes["worker"].ran
    assert mended == [scripts.MEND_PATH, "sh", "10.0.0.2", "10.0.0.1"]
    assert lossy == [scripts.LOSSY_PATH, "sh", "10.0.0.2", "10.0.0.1", "0.20"]


@pytest.mark.parametrize(
    ("fault", "target", "why"),
    [
        (Fault.LOSSY_PATH, "shop/a shop/b", "a path is named NAMESPACE/POD NAMESPACE/POD"),
        (Fault.LOSSY_PATH, "shop/a shop/b 120%", "a loss is 0% to 100%, not '120%'"),
        (Fault.LOSSY_PATH, "shop/a shop/c 10%", "pod shop/c has no address"),
        (Fault.CUT_NODE, "plane", "the API server is on plane; cut off a worker"),
        (Fault.STOP_COMPONENT, "kubelet", "there is no component 'kubelet'; there are: etcd,"),
        (Fault.STOP_COMPONENT, "sshd/worker", "there is no component 'sshd/worker'"),
        (Fault.STOP_CONTROLLER, "deploymnt-controller", "the nearest: deployment-controller"),
        (Fault.BACKUP_ETCD, "../etc", "a backup has a name of at most 40 lower-case letters"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_run(
    faults: NodeFaults, nodes: Nodes, fault: Fault, target: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        faults.inject(fault, target)
    assert not any(node.ran for node in nodes.all())


def test_healing_asks_every_node_and_waits_only_when_something_was_away(faults: NodeFaults, nodes: Nodes) -> None:
    waited: list[int] = []
    faults.heal(lambda: waited.append(1))
    assert waited == []
    for node in nodes.all():
        assert node.ran[0] == [scripts.HEAL, "sh"]
    assert nodes.nodes["plane"].ran[1] == [scripts.START_COREDNS, "sh"]


@pytest.mark.parametrize("name", sorted(name for name in vars(scripts) if name.isupper() and not name.startswith("_")))
def test_scripts_are_shell(name: str, tmp_path: Path) -> None:
    file = tmp_path / "script"
    file.write_text(getattr(scripts, name))
    assert subprocess.run(["sh", "-n", file], capture_output=True, text=True, check=False).stderr == ""


def test_controllers_of_the_simulator_have_a_name_on_real_clusters() -> None:
    simulated = {official(each.name) for each in Plane(topology("single")).cluster.manager.controllers}
    newer = {"taint-eviction-controller", "validatingadmissionpolicy-status-controller", "crd-controller"}
    newer |= {"service-cidr-controller"}
    assert simulated - newer <= FLAG_NAMES.keys()
    assert flag_name("endpoints-controller") == "endpoint"


def test_the_metrics_server_has_a_certificate_that_its_api_service_trusts() -> None:
    import base64
    from datetime import UTC, datetime

    from cryptography import x509

    made = {one["kind"]: one for one in manifests(datetime(2026, 1, 1, tzinfo=UTC))}
    bundle = made["APIService"]["spec"]["caBundle"]
    assert made["Secret"]["data"]["tls.crt"] == bundle
    found = x509.load_pem_x509_certificate(base64.b64decode(bundle))
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["metrics-server.kube-system.svc"]
    container = made["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == IMAGE
