"""How pods end: gracefully, by force, while their node is away."""

from __future__ import annotations

import pytest

from simkube.kubelet.worker import TEARDOWN_DELAY
from tests.doubles.kubelet import Node, Script

WEB = {"containers": [{"name": "web", "image": "web"}]}


def test_a_deleted_pod_is_asked_to_end_and_then_removed() -> None:
    node = Node({"web": Script()})
    node.run(WEB)
    node.delete()
    assert node.runtime.started[0].signals[:1] == [15]
    node.advance(TEARDOWN_DELAY)
    assert node.pod() is None
    assert node.kubelet.workers == {}
    assert node.runtime.sandboxes[0].removed
    assert "Normal Killing x1: Stopping container web" in node.events()
    assert node.side.kept == {}


def test_a_pod_stays_a_moment_after_its_containers_ended() -> None:
    node = Node({"web": Script()})
    node.run(WEB)
    node.delete()
    node.advance(TEARDOWN_DELAY / 2)
    assert node.container()["state"].keys() == {"terminated"}
    node.advance(TEARDOWN_DELAY / 2)
    assert node.pod() is None


def test_a_stubborn_container_is_killed_after_the_grace_period() -> None:
    node = Node({"web": Script(stubborn=True)})
    node.run({**WEB, "terminationGracePeriodSeconds": 20})
    node.delete()
    node.advance(19)
    assert node.pod() is not None
    assert node.container()["state"].keys() == {"running"}
    node.advance(2)
    assert node.pod() is None
    assert node.runtime.started[0].exited.result() == 137


def test_a_second_deletion_shortens_the_wait() -> None:
    node = Node({"web": Script(stubborn=True)})
    node.run({**WEB, "terminationGracePeriodSeconds": 600})
    node.delete()
    node.advance(5)
    node.delete(grace=2)
    node.advance(3)
    assert node.pod() is None


def test_a_pod_deleted_by_force_is_ended_at_once() -> None:
    node = Node({"web": Script(stubborn=True)})
    node.run({**WEB, "terminationGracePeriodSeconds": 600})
    node.delete(grace=0)
    assert node.pod() is None
    node.advance(3)
    assert node.runtime.started[0].state == "exited"
    assert node.kubelet.workers == {}


def test_a_pod_that_waits_for_its_image_can_be_deleted() -> None:
    node = Node()
    node.run({"containers": [{"name": "web", "image": "nope"}]})
    node.advance(3)
    node.delete()
    assert node.pod() is None
    assert node.clock.next_due() is None


def test_a_pod_deleted_while_its_image_is_pulled() -> None:
    node = Node({"web": Script(pull_seconds=60)})
    node.run(WEB)
    node.advance(5)
    node.delete()
    assert node.pod() is None
    node.advance(120)
    assert node.runtime.started == []


def test_a_finished_pod_can_be_deleted() -> None:
    node = Node({"job": Script(exits=1)})
    node.run({"restartPolicy": "Never", "containers": [{"name": "job", "image": "job"}]})
    node.advance(3)
    node.delete()
    assert node.pod() is None


def test_a_crash_looping_pod_can_be_deleted() -> None:
    node = Node({"web": Script(exits=0, code=1)})
    node.run(WEB)
    node.advance(15)
    node.delete()
    node.advance(600)
    assert node.pod() is None
    assert len([one for one in node.runtime.started if one.state == "running"]) == 0


def test_a_pod_of_the_same_name_takes_the_place_of_a_deleted_one() -> None:
    node = Node({"web": Script()})
    node.run(WEB)
    node.delete()
    node.advance(TEARDOWN_DELAY)
    node.server._uids = iter(range(900, 999))
    meta = {"name": "web", "namespace": "default", "uid": "second"}
    spec = {**WEB, "nodeName": "node-1", "restartPolicy": "Always"}
    node.server.create(node.caller, "pods", {"metadata": meta, "spec": spec, "status": {}}, "default")
    node.settle()
    assert node.status()["phase"] == "Running"
    assert node.status()["podIP"] == "10.244.0.3"


def test_the_last_status_shows_how_the_containers_ended() -> None:
    seen = []
    node = Node({"web": Script(stubborn=True)})
    node.run({**WEB, "terminationGracePeriodSeconds": 5})
    node.server.subscribe("pods", lambda event: seen.append(event.obj["status"]))
    node.delete()
    node.advance(6)
    assert seen[-1]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137
    assert seen[-1]["phase"] == "Failed"


class TestHooks:
    def test_pre_stop_runs_before_sigterm_and_counts_against_the_grace_period(self) -> None:
        node = Node({"web": Script(stubborn=True)})
        hook = {"preStop": {"sleep": {"seconds": 6}}}
        node.run({"terminationGracePeriodSeconds": 10, "containers": [{**WEB["containers"][0], "lifecycle": hook}]})
        node.delete()
        node.advance(5)
        assert node.runtime.started[0].signals == []
        node.advance(2)
        assert node.runtime.started[0].signals == [15]
        node.advance(4)
        assert node.pod() is None

    def test_a_pre_stop_hook_that_takes_too_long(self) -> None:
        node = Node({"web": Script()})
        hook = {"preStop": {"sleep": {"seconds": 100}}}
        node.run({"terminationGracePeriodSeconds": 10, "containers": [{**WEB["containers"][0], "lifecycle": hook}]})
        node.delete()
        node.advance(9)
        assert node.runtime.started[0].signals == []
        node.advance(3)
        assert node.pod() is None
        assert "Warning FailedPreStopHook x1: PreStopHook failed" in node.events()

    def test_a_failing_pre_stop_hook_is_told_and_the_container_ends(self) -> None:
        node = Node({"web": Script(execs={"drain": 1})})
        hook = {"preStop": {"exec": {"command": ["drain"]}}}
        node.run({"containers": [{**WEB["containers"][0], "lifecycle": hook}]})
        node.delete()
        node.advance(TEARDOWN_DELAY)
        assert node.pod() is None
        assert "Warning FailedPreStopHook x1: PreStopHook failed" in node.events()

    def test_a_container_counts_as_started_after_its_post_start_hook(self) -> None:
        node = Node({"web": Script()})
        hook = {"postStart": {"sleep": {"seconds": 8}}}
        node.run({"containers": [{**WEB["containers"][0], "lifecycle": hook}]})
        node.advance(5)
        assert node.container()["state"] == {"waiting": {"reason": "ContainerCreating"}}
        node.advance(4)
        assert node.container()["ready"] is True

    def test_a_failing_post_start_hook_ends_the_container(self) -> None:
        node = Node({"web": Script(execs={"warm": 1})})
        hook = {"postStart": {"exec": {"command": ["warm"]}}}
        node.run({"containers": [{**WEB["containers"][0], "lifecycle": hook}]})
        assert "Warning FailedPostStartHook x1: PostStartHook failed" in node.events()
        assert node.container()["state"]["waiting"]["reason"] == "PostStartHookError"
        node.advance(2)
        assert node.container()["restartCount"] == 1


class TestNodeFaults:
    def test_a_stopped_kubelet_does_nothing_and_goes_on_later(self) -> None:
        node = Node({"web": Script()})
        node.run(WEB)
        node.kubelet.stop()
        node.run(WEB, name="late")
        node.runtime.started[0].end(1)
        node.advance(60)
        assert node.kubelet.last_heartbeat() == node.clock.now() - 60
        assert node.container()["ready"] is True, "nobody noticed"
        assert node.status("late") == {"phase": "Pending"}
        node.kubelet.start()
        node.settle()
        node.advance(2)
        assert node.container()["restartCount"] == 1
        assert node.status("late")["phase"] == "Running"
        assert node.kubelet.last_heartbeat() == node.clock.now()

    def test_a_stopped_node_loses_its_containers(self) -> None:
        node = Node({"web": Script(ports=(80,))})
        node.run({"containers": [{"name": "web", "image": "web", "readinessProbe": {"httpGet": {"port": 80}}}]})
        node.kubelet.stop_node()
        assert (node.runtime.power, node.runtime.started[0].state) == ("off", "exited")
        node.advance(30)
        assert node.container()["ready"] is True, "the kubelet is silent"
        node.kubelet.start()
        assert node.kubelet.running is False, "a kubelet does not run on a node without power"
        node.kubelet.start_node()
        node.settle()
        container = node.container()
        assert container["restartCount"] == 1
        assert container["lastState"]["terminated"]["reason"] == "Unknown"
        assert container["lastState"]["terminated"]["exitCode"] == 255
        assert node.status()["podIP"] == "10.244.0.3"
        assert "Normal SandboxChanged x1: Pod sandbox changed, it will be killed and re-created." in node.events()
        node.advance(1)
        assert node.condition("Ready") == "True"

    def test_pods_deleted_while_the_node_was_off_are_removed(self) -> None:
        node = Node({"web": Script()})
        node.run(WEB)
        node.run(WEB, name="forced")
        node.kubelet.stop_node()
        node.delete()
        node.delete("forced", grace=0)
        assert node.pod() is not None
        node.kubelet.start_node()
        node.advance(2)
        assert (node.pod(), node.pod("forced")) == (None, None)
        assert node.kubelet.workers == {}

    def test_a_paused_node_freezes_and_goes_on(self) -> None:
        node = Node({"web": Script()})
        node.run(WEB)
        node.kubelet.pause_node()
        node.advance(100)
        assert (node.runtime.power, node.kubelet.running) == ("paused", False)
        node.kubelet.start_node()
        node.settle()
        assert node.container()["restartCount"] == 0
        assert node.runtime.power == "on"

    def test_a_started_kubelet_makes_its_node_ready_again(self) -> None:
        node = Node()
        current = node.server.get(node.caller, "nodes", "node-1")
        ready = [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "lastTransitionTime": "x"}]
        node.kubelet.stop_node()
        node.server.update(node.caller, "nodes", {**current, "status": {"conditions": ready}}, subresource="status")
        node.kubelet.start_node()
        node.settle()
        conditions = node.server.get(node.caller, "nodes", "node-1")["status"]["conditions"]
        assert {one["type"]: one["status"] for one in conditions}["Ready"] == "True"
        assert node.events("Node")[-2:] == [
            "Normal Starting x1: Starting kubelet.",
            "Normal NodeReady x1: Node node-1 status is now: NodeReady",
        ]


class TestKilledHost:
    def test_running_containers_carry_on_with_no_restart_counted(self) -> None:
        node = Node({"web": Script(ports=(80,))})
        node.run({"containers": [{"name": "web", "image": "web", "readinessProbe": {"httpGet": {"port": 80}}}]})
        before = node.status()
        writes = len(node.server.writes)
        node.kill_host()
        assert node.status() == before
        written = [write for write in node.server.writes[writes:] if write[1] != "events"]
        assert written == [], "nothing changed, so nothing is written"
        container = node.kubelet.container("uid-web", "web")
        assert container is not None
        assert (container.id, container.state) == ("c1", "running")
        node.advance(30)
        assert node.status() == before

    def test_a_container_that_crashes_afterwards_keeps_its_count(self) -> None:
        node = Node({"web": Script()})
        node.run(WEB)
        node.runtime.started[-1].end(1)
        node.advance(2)
        node.kill_host()
        container = node.kubelet.container("uid-web", "web")
        assert container is not None
        container.end(1)  # type: ignore[attr-defined]  # a double
        node.advance(3)
        assert node.container()["restartCount"] == 1
        assert node.container()["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        node.advance(10)
        assert node.container()["restartCount"] == 2

    def test_a_finished_pod_stays_finished_with_its_log(self) -> None:
        node = Node({"job": Script(exits=1, code=2)})
        node.run({"restartPolicy": "Never", "containers": [{"name": "job", "image": "job"}]})
        node.advance(3)
        before = node.status()
        node.kill_host()
        node.advance(30)
        assert node.status() == before
        container = node.kubelet.container("uid-web", "job")
        assert container is not None
        assert [line.text for line in container.log.lines()] == ["started"]

    def test_a_pod_that_waits_goes_on_waiting(self) -> None:
        node = Node()
        node.run({"containers": [{"name": "web", "image": "nope"}]})
        node.advance(3)
        node.kill_host()
        node.images["nope"] = Script()
        node.advance(60)
        assert node.status()["phase"] == "Running"
        assert node.container()["restartCount"] == 0

    def test_a_terminating_pod_is_ended(self) -> None:
        node = Node({"web": Script(stubborn=True)})
        node.run(WEB)
        node.delete()
        node.advance(5)
        node.kill_host()
        node.advance(40)
        assert node.pod() is None

    def test_volumes_are_found_again(self) -> None:
        node = Node({"web": Script()})
        node.config_map("settings", {"colour": "red"})
        mount = {"name": "settings", "mountPath": "/etc/settings"}
        volume = {"name": "settings", "configMap": {"name": "settings"}}
        node.run({"containers": [{"name": "web", "image": "web", "volumeMounts": [mount]}], "volumes": [volume]})
        node.kill_host()
        node.config_map("settings", {"colour": "blue"})
        node.advance(60)
        container = node.kubelet.container("uid-web", "web")
        assert container is not None
        assert container.config.mounts[0].volume.read("colour") == b"blue"


@pytest.mark.parametrize("fault", ["stop", "stop_node", "pause_node"])
def test_a_silent_node_leaves_nothing_on_the_clock(fault: str) -> None:
    node = Node({"web": Script(exits=0, code=1), "slow": Script(pull_seconds=100)})
    probe = {"exec": {"command": ["hang"]}, "timeoutSeconds": 50}
    node.run(
        {"containers": [{"name": "web", "image": "web"}, {"name": "two", "image": "slow", "livenessProbe": probe}]}
    )
    node.advance(5)
    getattr(node.kubelet, fault)()
    node.advance(100)
    assert node.clock.next_due() is None
