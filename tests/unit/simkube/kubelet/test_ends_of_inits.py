"""How init containers and sidecars end: restart policy x way of ending, and what is shown of the pod meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.apiserver.registry.pods.table import status as status_column
from tests.doubles.kubelet import Node, Script

NOPE = 'exec: "nope": executable file not found in $PATH'


def _pod(node: Node, policy: str, **init: Any) -> None:
    inits = [{"name": "setup", "image": "setup", **init}, {"name": "later", "image": "ok"}]
    node.run({"restartPolicy": policy, "initContainers": inits, "containers": [{"name": "web", "image": "web"}]})


def _shown(node: Node) -> tuple[str, str]:
    pod = node.pod()
    assert pod is not None
    return str(node.status()["phase"]), status_column(pod)


def _init(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = node.status()["initContainerStatuses"][0]
    return found


@pytest.mark.parametrize(
    ("script", "policy", "at", "phase", "column", "restarts"),
    [
        (Script(exits=5, code=3), "Always", 5.5, "Pending", "Init:Error", 0),
        (Script(exits=5, code=3), "Always", 7.0, "Pending", "Init:0/2", 1),
        (Script(exits=5, code=3), "Always", 13.0, "Pending", "Init:CrashLoopBackOff", 1),
        (Script(exits=5, code=3), "OnFailure", 13.0, "Pending", "Init:CrashLoopBackOff", 1),
        (Script(exits=5, code=3), "Never", 5.5, "Failed", "Init:Error", 0),
        (Script(exits=5, code=3), "Never", 60.0, "Failed", "Init:Error", 0),
        (Script(fails=NOPE), "Always", 0.5, "Pending", "Init:RunContainerError", 0),
        (Script(fails=NOPE), "OnFailure", 3.5, "Pending", "Init:CrashLoopBackOff", 1),
        (Script(fails=NOPE), "Never", 0.5, "Failed", "Init:StartError", 0),
        (Script(fails=NOPE), "Never", 60.0, "Failed", "Init:StartError", 0),
        (Script(exits=5), "Never", 4.0, "Pending", "Init:0/2", 0),
        (Script(exits=5), "Never", 5.5, "Pending", "Init:1/2", 0),
        (Script(exits=5), "Always", 8.0, "Running", "Running", 0),
    ],
)
def test_an_init_container(script: Script, policy: str, at: float, phase: str, column: str, restarts: int) -> None:
    node = Node({"setup": script, "ok": Script(exits=1), "web": Script()})
    _pod(node, policy)
    node.advance(at)
    assert (*_shown(node), _init(node)["restartCount"]) == (phase, column, restarts)
    if phase == "Failed":
        assert node.container()["state"] == {"waiting": {"reason": "PodInitializing"}}, "it never had its turn"
        assert "terminated" not in node.status()["initContainerStatuses"][1]["state"]
        assert node.condition("Initialized") == "False"


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
def test_an_image_that_an_init_container_cannot_have(policy: str) -> None:
    node = Node({"ok": Script(exits=1), "web": Script()})
    _pod(node, policy, image="none")
    node.advance(5)
    assert _shown(node) == ("Pending", "Init:ImagePullBackOff")


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
def test_a_sidecar_is_restarted_whatever_the_pods_policy(policy: str) -> None:
    node = Node({"setup": Script(exits=20, code=1), "ok": Script(exits=1), "web": Script()})
    _pod(node, policy, restartPolicy="Always")
    node.advance(22)
    assert (_shown(node)[0], _init(node)["restartCount"]) == ("Running", 1)
    assert _init(node)["lastState"]["terminated"]["exitCode"] == 1


def test_a_pod_that_is_evicted_while_it_is_prepared() -> None:
    node = Node({"setup": Script(), "ok": Script(exits=1), "web": Script()})
    _pod(node, "Always")
    node.advance(2)
    node.kubelet.workers["uid-web"].evict("The node was low on resource: memory. ")
    node.advance(3)
    assert _shown(node)[0] == "Failed"
    assert _init(node)["state"]["terminated"]["reason"] == "Completed"
    assert "waiting" in node.container()["state"], "it never had its turn"


def test_a_pod_that_is_evicted_before_its_first_init_container_ran() -> None:
    node = Node({"ok": Script(exits=1), "web": Script()})
    _pod(node, "Always", image="none")
    node.advance(2)
    node.kubelet.workers["uid-web"].evict("The node was low on resource: memory. ")
    node.advance(3)
    assert _init(node)["state"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert "waiting" in node.status()["initContainerStatuses"][1]["state"]
