"""Init containers one after another, sidecars around everything."""

from __future__ import annotations

from tests.doubles.kubelet import Node, Script


def _spec(*inits: dict[str, object], restart: str = "Always") -> dict[str, object]:
    return {"restartPolicy": restart, "initContainers": list(inits), "containers": [{"name": "app", "image": "app"}]}


def test_init_containers_run_in_order_before_the_others() -> None:
    node = Node({"first": Script(exits=2), "second": Script(exits=3), "app": Script()})
    node.run(_spec({"name": "one", "image": "first"}, {"name": "two", "image": "second"}))
    assert node.status()["phase"] == "Pending"
    assert node.condition("Initialized") == "False"
    assert node.container()["state"] == {"waiting": {"reason": "PodInitializing"}}
    node.advance(3)
    assert [one.config.name for one in node.runtime.started] == ["one", "two"]
    node.advance(4)
    assert node.condition("Initialized") == "True"
    assert node.status()["phase"] == "Running"
    assert [one["ready"] for one in node.status()["initContainerStatuses"]] == [True, True]
    assert "Initialized" in {one["type"] for one in node.status()["conditions"]}


def test_an_incomplete_init_container_is_named() -> None:
    node = Node({"first": Script(), "app": Script()})
    node.run(_spec({"name": "one", "image": "first"}))
    condition = next(one for one in node.status()["conditions"] if one["type"] == "Initialized")
    assert condition["reason"] == "ContainersNotInitialized"
    assert condition["message"] == "containers with incomplete status: [one]"


def test_a_failing_init_container_is_restarted() -> None:
    node = Node({"first": Script(exits=1, code=1), "app": Script()})
    node.run(_spec({"name": "one", "image": "first"}))
    node.advance(6)
    init = node.status()["initContainerStatuses"][0]
    assert init["restartCount"] == 1
    assert init["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert node.status()["phase"] == "Pending"


def test_a_failing_init_container_fails_a_pod_that_is_never_restarted() -> None:
    node = Node({"first": Script(exits=1, code=1), "app": Script()})
    node.run(_spec({"name": "one", "image": "first"}, restart="Never"))
    node.advance(5)
    assert node.status()["phase"] == "Failed"
    assert [one.config.name for one in node.runtime.started] == ["one"]


SIDECAR = {"name": "helper", "image": "helper", "restartPolicy": "Always"}


def test_a_sidecar_starts_first_and_keeps_running() -> None:
    node = Node({"helper": Script(), "app": Script()})
    node.run(_spec(SIDECAR))
    assert [one.config.name for one in node.runtime.started] == ["helper", "app"]
    assert node.status()["initContainerStatuses"][0]["started"] is True
    assert node.condition("Ready") == "True"


def test_the_others_wait_for_a_sidecars_startup_probe() -> None:
    node = Node({"helper": Script(execs={"check": 1}), "app": Script()})
    probe = {"exec": {"command": ["check"]}, "periodSeconds": 5, "failureThreshold": 10}
    node.run(_spec({**SIDECAR, "startupProbe": probe}))
    node.advance(7)
    assert len(node.runtime.started) == 1
    node.images["helper"].execs["check"] = 0
    node.advance(6)
    assert [one.config.name for one in node.runtime.started] == ["helper", "app"]


def test_a_sidecar_that_ends_is_started_again_and_ends_with_the_pod() -> None:
    node = Node({"helper": Script(), "app": Script()})
    node.run(_spec(SIDECAR, restart="Never"))
    node.runtime.started[0].end(1)
    node.advance(2)
    assert node.status()["initContainerStatuses"][0]["restartCount"] == 1
    node.runtime.started[1].end(0)
    node.advance(2)
    assert node.status()["phase"] == "Succeeded"
    assert all(one.state == "exited" for one in node.runtime.started)


def test_sidecars_are_ended_after_the_others() -> None:
    ended: list[str] = []
    node = Node({"helper": Script(), "app": Script(stubborn=True)})
    node.run({**_spec(SIDECAR), "terminationGracePeriodSeconds": 10})
    for container in node.runtime.started:
        name = container.config.name
        container.exited.when_done(lambda _, name=name: ended.append(name))
    node.delete()
    node.advance(11)
    assert ended == ["app", "helper"]
