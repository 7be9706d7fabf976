"""From a bound pod to a running one, through restarts, to its end."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.doubles.kubelet import NODE_IP, Node, Script

WEB = {"containers": [{"name": "web", "image": "web"}]}


def test_a_bound_pod_runs_and_is_ready() -> None:
    node = Node({"web": Script()})
    node.run(WEB)
    status = node.status()
    assert status["phase"] == "Running"
    assert (status["podIP"], status["hostIP"]) == ("10.244.0.2", NODE_IP)
    kinds = ("PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready")
    assert [node.condition(kind) for kind in kinds] == ["True"] * 4
    container = node.container()
    assert container["state"] == {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    assert (container["ready"], container["started"], container["restartCount"]) == (True, True, 0)
    assert node.events() == [
        'Normal Pulling x1: Pulling image "web"',
        'Normal Pulled x1: Successfully pulled image "web" in 0ms (0ms including waiting).',
        "Normal Created x1: Container created",
        "Normal Started x1: Container started",
    ]


def test_pods_of_other_nodes_and_unbound_pods_are_left_alone() -> None:
    node = Node({"web": Script()})
    node.run({**WEB, "nodeName": "node-2"}, name="elsewhere")
    node.run({**WEB, "nodeName": ""}, name="unbound")
    assert node.runtime.sandboxes == []
    assert node.status("elsewhere") == {"phase": "Pending"}


def test_a_running_pod_costs_no_writes() -> None:
    node = Node({"web": Script(ports=(80,))})
    node.run({"containers": [{"name": "web", "image": "web", "readinessProbe": {"httpGet": {"port": 80}}}]})
    node.advance(30)
    before = list(node.server.writes)
    node.advance(3600)
    assert node.server.writes == before


def test_a_pod_without_probes_leaves_nothing_on_the_clock() -> None:
    node = Node({"web": Script()})
    node.run(WEB)
    node.advance(20)
    assert node.clock.next_due() is None


def test_the_pull_shows_as_container_creating() -> None:
    node = Node({"web": Script(pull_seconds=3.5)})
    node.run(WEB)
    assert node.status()["phase"] == "Pending"
    assert node.container()["state"] == {"waiting": {"reason": "ContainerCreating"}}
    node.advance(4)
    assert node.status()["phase"] == "Running"
    assert 'Normal Pulled x1: Successfully pulled image "web" in 3.5s (3.5s including waiting).' in node.events()


def test_an_image_on_the_node_is_not_pulled_again() -> None:
    node = Node({"web:1": Script()})
    node.runtime.present.add("web:1")
    node.run({"containers": [{"name": "web", "image": "web:1"}]})
    assert node.events()[0] == (
        'Normal Pulled x1: Container image "web:1" already present on machine and can be accessed by the pod'
    )


def test_an_image_that_is_not_there_is_tried_with_growing_pauses() -> None:
    node = Node()
    node.run({"containers": [{"name": "web", "image": "nope"}]})
    assert node.container()["state"]["waiting"] == {"reason": "ErrImagePull", "message": "nope: not found"}
    node.advance(2)
    waiting = node.container()["state"]["waiting"]
    assert waiting["reason"] == "ImagePullBackOff"
    assert waiting["message"] == 'Back-off pulling image "nope": ErrImagePull: nope: not found'
    assert node.events() == [
        'Normal Pulling x1: Pulling image "nope"',
        'Warning Failed x1: Failed to pull image "nope": nope: not found',
        "Warning Failed x1: Error: ErrImagePull",
        'Normal BackOff x1: Back-off pulling image "nope"',
        "Warning Failed x1: Error: ImagePullBackOff",
    ]
    node.images["nope"] = Script()
    node.advance(7)
    assert node.status()["phase"] == "Pending", "the back-off is ten seconds"
    node.advance(2)
    assert node.status()["phase"] == "Running"


@pytest.mark.parametrize(
    ("image", "policy", "reason"),
    [("absent", "Never", "ErrImageNeverPull"), ("bad name", "Always", "InvalidImageName")],
)
def test_images_that_can_never_be_had(image: str, policy: str, reason: str) -> None:
    node = Node()
    node.run({"containers": [{"name": "web", "image": image, "imagePullPolicy": policy}]})
    assert node.container()["state"]["waiting"]["reason"] == reason
    assert node.status()["phase"] == "Pending"


def _restart_times(node: Node, until: float) -> list[int]:
    """Whole seconds after the pod's creation at which its container was started again."""
    found, restarts = [], 0
    for second in range(int(until)):
        if (count := node.container()["restartCount"]) > restarts:
            found.append(second)
            restarts = count
        node.advance(1)
    return found


def test_a_crashing_container_is_restarted_with_growing_pauses() -> None:
    node = Node({"crash": Script(exits=0, code=3)})
    node.run({"containers": [{"name": "app", "image": "crash"}]})
    starts = _restart_times(node, 1000)
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert gaps[:6] == [10, 20, 40, 80, 160, 300]
    waiting = node.container()["state"]["waiting"]
    assert waiting == {
        "reason": "CrashLoopBackOff",
        "message": "back-off 5m0s restarting failed container=app pod=web_default(uid-web)",
    }
    assert node.container()["lastState"]["terminated"]["exitCode"] == 3
    assert node.condition("Ready") == "False"
    assert any(
        event.startswith("Warning BackOff") and event.endswith("container app in pod web_default(uid-web)")
        for event in node.events()
    )


def test_ten_good_minutes_make_the_back_off_forgotten() -> None:
    script = Script(exits=0, code=1)
    node = Node({"app": script})
    node.run({"containers": [{"name": "app", "image": "app"}]})
    node.advance(40)
    assert node.container()["restartCount"] == 3
    script.exits = None
    node.advance(700)
    assert "running" in node.container()["state"]
    node.runtime.started[-1].end(1)
    node.advance(1.5)
    assert "running" in node.container()["state"], "the first crash after so long costs nothing"
    assert node.container()["restartCount"] == 5


def test_a_container_shows_how_it_ended_before_it_is_restarted() -> None:
    node = Node({"app": Script(exits=5, code=1)})
    node.run({"containers": [{"name": "app", "image": "app"}]})
    node.advance(5.5)
    container = node.container()
    assert container["state"]["terminated"]["reason"] == "Error"
    assert (container["ready"], node.condition("Ready")) == (False, "False")
    node.advance(1)
    container = node.container()
    assert "running" in container["state"]
    assert container["lastState"]["terminated"]["exitCode"] == 1
    assert container["lastState"]["terminated"]["containerID"] == "containerd://c1"
    assert container["restartCount"] == 1


@pytest.mark.parametrize(
    ("policy", "code", "phase", "reason"),
    [
        ("Never", 0, "Succeeded", "Completed"),
        ("Never", 2, "Failed", "Error"),
        ("OnFailure", 0, "Succeeded", "Completed"),
    ],
)
def test_a_pod_that_is_not_restarted_ends(policy: str, code: int, phase: str, reason: str) -> None:
    node = Node({"job": Script(exits=3, code=code)})
    node.run({"restartPolicy": policy, "containers": [{"name": "job", "image": "job"}]})
    node.advance(10)
    status = node.status()
    assert status["phase"] == phase
    assert node.container()["state"]["terminated"]["reason"] == reason
    assert node.condition("Ready") == "False"
    ready = next(one for one in status["conditions"] if one["type"] == "Ready")
    assert ready["reason"] == ("PodCompleted" if phase == "Succeeded" else "PodFailed")
    assert node.runtime.sandboxes[0].removed, "its address is given back"
    assert node.kubelet.container("uid-web", "job") is not None, "its log can still be read"


def test_on_failure_restarts_after_a_failure() -> None:
    node = Node({"job": Script(exits=1, code=2)})
    node.run({"restartPolicy": "OnFailure", "containers": [{"name": "job", "image": "job"}]})
    node.advance(4)
    assert node.container()["restartCount"] == 1
    assert node.status()["phase"] == "Running"


def test_a_command_that_cannot_be_started() -> None:
    words = 'exec: "nope": executable file not found in $PATH'
    node = Node({"web": Script(fails=words)})
    node.run(WEB)
    container = node.container()
    assert container["state"]["waiting"] == {"reason": "RunContainerError", "message": words}
    assert container["lastState"]["terminated"]["exitCode"] == 128
    assert f"Warning Failed x1: Error: {words}" in node.events()
    node.advance(3)
    assert node.container()["state"]["waiting"]["reason"] == "CrashLoopBackOff"


def test_out_of_memory_is_named() -> None:
    node = Node({"web": Script()})
    node.run(WEB)
    node.runtime.started[0].end(137, "OOMKilled")
    node.settle()
    assert node.container()["state"]["terminated"]["reason"] == "OOMKilled"


def test_the_termination_message_is_shown() -> None:
    node = Node({"web": Script()})
    node.run(WEB)
    container = node.runtime.started[0]
    mount = next(mount for mount in container.config.mounts if mount.path == "/dev/termination-log")
    mount.volume.write("termination-log", b"the disk was full")
    container.end(1)
    node.settle()
    assert node.container()["state"]["terminated"]["message"] == "the disk was full"


def test_the_log_is_the_message_when_asked_for() -> None:
    node = Node({"web": Script()})
    node.run({"containers": [{"name": "web", "image": "web", "terminationMessagePolicy": "FallbackToLogsOnError"}]})
    node.runtime.started[0].end(1)
    node.settle()
    assert node.container()["state"]["terminated"]["message"] == "started"


def test_an_active_deadline_fails_the_pod() -> None:
    node = Node({"web": Script()})
    node.run({**WEB, "activeDeadlineSeconds": 20})
    node.advance(25)
    status = node.status()
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert status["message"] == "Pod was active on the node longer than the specified deadline"
    assert node.runtime.started[0].state == "exited"


def test_the_api_server_being_away_stops_nothing() -> None:
    node = Node({"web": Script()})
    node.run(WEB)
    node.server.down = True
    node.runtime.started[0].end(1)
    node.advance(3)
    assert node.runtime.started[-1].state == "running"
    assert node.container()["restartCount"] == 0
    node.server.down = False
    node.advance(10)
    assert node.container()["restartCount"] == 1


def test_what_others_write_into_the_status_is_put_right() -> None:
    node = Node({"web": Script()})
    node.run(WEB)
    pod = node.pod()
    assert pod is not None
    conditions = [{**one, "status": "False"} for one in pod["status"]["conditions"]]
    theirs = {"type": "example.com/checked", "status": "True"}
    status = {**pod["status"], "conditions": [*conditions, theirs]}
    node.server.update(node.caller, "pods", {**pod, "status": status}, subresource="status")
    node.settle()
    assert node.condition("Ready") == "True"
    assert theirs in node.status()["conditions"], "the condition of another is kept"
