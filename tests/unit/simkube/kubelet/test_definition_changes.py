"""Containers whose definition changes while the pod is there: the image, the one field that makes a new container."""

from __future__ import annotations

from typing import Any

import pytest

from tests.doubles.kubelet import Node, Script

KILLING = "Normal Killing x1: Container web definition changed, will be restarted"


def _node(**images: Script) -> Node:
    return Node({"old": Script(), "new": Script(), "slow": Script(pull_seconds=4), **images})


def _spec(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "web", "image": "old"}], **fields}


def set_image(node: Node, image: str, kind: str = "containers") -> None:
    """What ``kubectl set image`` does to the pod."""
    pod = node.pod()
    assert pod is not None
    changed = [{**one, "image": image} if one["name"] == "web" else one for one in pod["spec"][kind]]
    node.server.update(node.caller, "pods", {**pod, "spec": {**pod["spec"], kind: changed}})
    node.settle()


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
def test_another_image_is_started_whatever_the_policy(policy: str) -> None:
    node = _node()
    node.run(_spec(restartPolicy=policy))
    set_image(node, "new")
    node.advance(2)
    container = node.container()
    assert node.status()["phase"] == "Running"
    assert container["image"].endswith("new")
    assert "running" in container["state"]
    assert (container["restartCount"], container["lastState"]["terminated"]["reason"]) == (1, "Completed")
    assert KILLING in node.events()
    node.runtime.started[-1].end(0)
    node.advance(2)
    over = {"Always": "Running", "OnFailure": "Succeeded", "Never": "Succeeded"}[policy]
    assert node.status()["phase"] == over, "the exception is made once"


def test_the_pod_is_reported_as_it_was_until_the_new_image_is_there() -> None:
    node = _node()
    node.run(_spec(restartPolicy="Never"))
    before = node.container()
    set_image(node, "slow")
    node.advance(2)
    assert node.runtime.started[0].state == "exited"
    assert node.container() == before
    node.advance(3)
    assert (node.container()["restartCount"], "running" in node.container()["state"]) == (1, True)


@pytest.mark.parametrize(
    ("policy", "code", "phase", "reason"),
    [
        ("Always", 0, "Running", "ImagePullBackOff"),
        ("OnFailure", 1, "Running", "ImagePullBackOff"),
        ("OnFailure", 0, "Succeeded", "Completed"),
        ("Never", 0, "Succeeded", "Completed"),
    ],
)
def test_an_image_that_is_not_there(policy: str, code: int, phase: str, reason: str) -> None:
    node = _node()
    node.run(_spec(restartPolicy=policy))
    if code:
        node.runtime.started[0].script.stubborn = True
    set_image(node, "none")
    node.advance(35)
    ((_, state),) = node.container()["state"].items()
    assert (node.status()["phase"], state["reason"]) == (phase, reason)
    assert len(node.runtime.started) == 1


def test_a_container_in_its_back_off_tries_the_new_image_at_once() -> None:
    node = _node(old=Script(exits=1, code=1))
    node.run(_spec())
    node.advance(10)
    assert node.container()["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    set_image(node, "new")
    assert "running" in node.container()["state"]
    assert KILLING not in node.events(), "nothing ran"


def test_an_ended_container_stays_ended() -> None:
    node = _node(old=Script(exits=1))
    node.run(_spec(restartPolicy="Never"))
    node.advance(3)
    set_image(node, "new")
    node.advance(3)
    assert (node.status()["phase"], len(node.runtime.started)) == ("Succeeded", 1)


def test_a_sidecar_is_replaced_and_an_init_container_is_not() -> None:
    app = {"containers": [{"name": "app", "image": "old"}], "restartPolicy": "Never"}
    node = _node()
    node.run({**app, "initContainers": [{"name": "web", "image": "old", "restartPolicy": "Always"}]})
    set_image(node, "new", "initContainers")
    node.advance(2)
    status = node.status()["initContainerStatuses"][0]
    assert (status["restartCount"], status["image"].endswith("new")) == (1, True)
    assert node.container()["restartCount"] == 0
    node = _node(old=Script(exits=10))
    node.run({**app, "initContainers": [{"name": "web", "image": "old"}]})
    node.advance(2)
    set_image(node, "new", "initContainers")
    node.advance(2)
    status = node.status()["initContainerStatuses"][0]
    assert ("running" in status["state"], status["image"].endswith("old")) == (True, True)


def test_a_change_that_nobody_looked_at_is_made_up_for() -> None:
    node = _node()
    node.run(_spec(restartPolicy="Never"))
    node.advance(5)
    node.kubelet.stop()
    set_image(node, "new")
    node.kill_host()
    node.advance(5)
    assert (node.container()["restartCount"], node.container()["image"].endswith("new")) == (1, True)


@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_metadata_restarts_nothing(field: str) -> None:
    node = _node()
    node.run(_spec())
    pod = node.pod()
    assert pod is not None
    node.server.update(node.caller, "pods", {**pod, "metadata": {**pod["metadata"], field: {"a": "b"}}})
    node.advance(60)
    assert node.container()["restartCount"] == 0
