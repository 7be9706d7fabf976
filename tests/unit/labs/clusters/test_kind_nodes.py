"""Where a fault on a kind cluster strikes."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from labs.clusters.kind import scripts
from labs.clusters.kind.faults import NodeFaults
from labs.clusters.kind.nodes import ROLE_LABEL, Nodes, place_of
from labs.clusters.provider import ClusterError, Fault


def test_a_container_is_found_where_it_runs_and_a_sidecar_too() -> None:
    pod = {
        "metadata": {"namespace": "default", "name": "web"},
        "spec": {"nodeName": "worker"},
        "status": {
            "containerStatuses": [{"name": "server", "containerID": "containerd://a1"}, {"name": "late"}],
            "initContainerStatuses": [{"name": "writer", "containerID": "containerd://b2"}],
        },
    }
    assert place_of(pod, "server") == ("worker", "a1")
    assert place_of(pod, "writer") == ("worker", "b2")
    for name in ("late", "nobody"):
        with pytest.raises(ValueError, match=f"pod default/web runs no container '{name}'"):
            place_of(pod, name)


class Node:
    """A control-plane node that notes which scripts run in it, and answers as told."""

    name, status, labels = "node", "running", {ROLE_LABEL: "control-plane"}

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        self.ran: list[tuple[str, ...]] = []
        self._answers = list(answers)

    def exec_run(self, command: list[str]) -> tuple[int, bytes]:
        assert command[:2] == ["sh", "-c"]
        self.ran.append((command[2], *command[4:]))
        return self._answers.pop(0) if self._answers else (0, b"")

    def reload(self) -> None:
        """It is as it is."""

    def list(self, **_: object) -> list[Node]:
        return [self]

    @property
    def containers(self) -> Node:
        return self


def faults(node: Node) -> NodeFaults:
    engine: Any = node  # all that is used of one
    return NodeFaults(Nodes(engine, "cluster"), lambda _: {})


def test_a_component_is_stopped_and_healing_waits_for_what_was_away() -> None:
    node, waited = Node((0, b""), (0, b"kube-scheduler.yaml")), list[str]()
    faults(node).inject(Fault.STOP_COMPONENT, "kube-scheduler")
    faults(node).heal(lambda: waited.append("for the API server"))
    assert node.ran == [
        (scripts.STOP_STATIC_POD, "kube-scheduler"),
        (scripts.HEAL,),
        (scripts.START_COREDNS,),
    ]
    assert waited == ["for the API server"]


def test_nobody_waits_when_nothing_was_away() -> None:
    waited: list[str] = []
    faults(Node()).heal(lambda: waited.append("for the API server"))
    assert waited == []


def test_a_kubelet_that_does_not_follow_is_said() -> None:
    said = b"kube-scheduler did not stop within two minutes of its manifest being taken away"
    with pytest.raises(ClusterError, match=said.decode()):
        faults(Node((1, said))).inject(Fault.STOP_COMPONENT, "kube-scheduler")


@pytest.mark.parametrize("name", ["STOP_STATIC_POD", "START_STATIC_POD", "HEAL"])
def test_stopping_starting_and_healing_wait_until_it_is_so(name: str) -> None:
    """A manifest that is taken away at once again would find no process to wait for, which starts all the same."""
    assert ("\nawait_stop " if name == "STOP_STATIC_POD" else "await_start ") in getattr(scripts, name)


@pytest.mark.parametrize("name", [name for name in vars(scripts) if name.isupper() and not name.startswith("_")])
def test_scripts_are_shell(name: str) -> None:
    checked = subprocess.run(["sh", "-n"], input=getattr(scripts, name), text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
