"""What probes decide, and the words of their failures."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.runtime.cri import HTTPResponse, NetworkError
from tests.doubles.kubelet import Node, Script

HTTP = {"httpGet": {"port": 80, "path": "/healthz"}, "periodSeconds": 10, "failureThreshold": 3}


def _spec(**probes: Any) -> dict[str, Any]:
    return {"containers": [{"name": "web", "image": "web", "ports": [{"name": "http", "containerPort": 80}], **probes}]}


def _unhealthy(node: Node) -> list[str]:
    return [event for event in node.events() if "Unhealthy" in event]


def test_a_container_is_ready_once_its_readiness_probe_succeeds() -> None:
    script = Script(ports=(80,), answer=lambda: HTTPResponse(503))
    node = Node({"web": script})
    node.run(_spec(readinessProbe=HTTP))
    assert (node.container()["ready"], node.condition("Ready")) == (False, "False")
    condition = next(one for one in node.status()["conditions"] if one["type"] == "Ready")
    assert condition["message"] == "containers with unready status: [web]"
    script.answer = lambda: HTTPResponse(200)
    node.advance(10)
    assert (node.container()["ready"], node.condition("Ready")) == (True, "True")
    assert _unhealthy(node) == ["Warning Unhealthy x1: Readiness probe failed: HTTP probe failed with statuscode: 503"]


def test_readiness_is_lost_after_the_failure_threshold() -> None:
    script = Script(ports=(80,))
    node = Node({"web": script})
    node.run(_spec(readinessProbe=HTTP))
    script.answer = lambda: HTTPResponse(500)
    node.advance(25)
    assert node.container()["ready"] is True
    node.advance(10)
    assert node.container()["ready"] is False
    assert node.container()["restartCount"] == 0


def test_initial_delay_and_success_threshold() -> None:
    node = Node({"web": Script(ports=(80,))})
    node.run(_spec(readinessProbe={**HTTP, "initialDelaySeconds": 7, "successThreshold": 2}))
    node.advance(16)
    assert node.container()["ready"] is False
    node.advance(2)
    assert node.container()["ready"] is True


def test_a_failing_liveness_probe_restarts_the_container() -> None:
    script = Script(ports=(80,))
    node = Node({"web": script})
    node.run(_spec(livenessProbe=HTTP))
    script.answer = lambda: HTTPResponse(500)
    node.advance(30.5)
    assert "Normal Killing x1: Container web failed liveness probe, will be restarted" in node.events()
    assert _unhealthy(node) == ["Warning Unhealthy x3: Liveness probe failed: HTTP probe failed with statuscode: 500"]
    node.advance(1)
    assert node.container()["restartCount"] == 1


def test_a_hanging_container_that_ignores_sigterm_is_killed_after_the_grace_period() -> None:
    script = Script(ports=(80,), answer=lambda: None, stubborn=True)
    node = Node({"web": script})
    node.run({**_spec(livenessProbe={**HTTP, "timeoutSeconds": 2}), "terminationGracePeriodSeconds": 5})
    node.advance(24)
    assert node.runtime.started[0].signals == [15]
    node.advance(4)
    assert node.container()["lastState"]["terminated"]["exitCode"] == 137
    assert _unhealthy(node)[0] == (
        'Warning Unhealthy x3: Liveness probe failed: Get "http://10.244.0.2:80/healthz": '
        "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    )


def test_the_startup_probe_holds_the_others_back() -> None:
    script = Script(ports=(80,), answer=lambda: HTTPResponse(503))
    node = Node({"web": script})
    node.run(_spec(startupProbe={**HTTP, "failureThreshold": 6}, livenessProbe={**HTTP, "failureThreshold": 1}))
    node.advance(25)
    assert (node.container()["started"], node.container()["restartCount"]) == (False, 0)
    script.answer = lambda: HTTPResponse(200)
    node.advance(10)
    assert (node.container()["started"], node.container()["ready"]) == (True, True)


def test_a_failing_startup_probe_restarts_the_container() -> None:
    node = Node({"web": Script()})
    node.run(_spec(startupProbe={**HTTP, "failureThreshold": 2}))
    node.advance(12)
    assert "Normal Killing x1: Container web failed startup probe, will be restarted" in node.events()
    assert node.container()["restartCount"] == 1


@pytest.mark.parametrize(
    ("probe", "script", "words"),
    [
        (
            {"httpGet": {"port": "http"}},
            Script(),
            'Readiness probe failed: Get "http://10.244.0.2:80/": dial tcp 10.244.0.2:80: connect: connection refused',
        ),
        (
            {"tcpSocket": {"port": 81}},
            Script(),
            "Readiness probe failed: dial tcp 10.244.0.2:81: connect: connection refused",
        ),
        (
            {"httpGet": {"port": 80, "scheme": "HTTPS"}},
            Script(ports=(80,)),
            'Readiness probe failed: Get "https://10.244.0.2:80/": http: server gave HTTP response to HTTPS client',
        ),
        ({"exec": {"command": ["check"]}}, Script(execs={"check": 4}), "Readiness probe failed: check says 4\n"),
        (
            {"exec": {"command": ["hang", "on"]}},
            Script(execs={"hang": None}),
            'Readiness probe failed: command timed out: "hang on" timed out after 1s',
        ),
        (
            {"exec": {"command": ["nope"]}},
            Script(),
            "Readiness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in "
            'container: failed to start exec "c1": exec: "nope": executable file not found in $PATH',
        ),
    ],
)
def test_the_words_of_a_failure(probe: dict[str, Any], script: Script, words: str) -> None:
    node = Node({"web": script})
    node.run(_spec(readinessProbe=probe))
    node.advance(2)
    assert _unhealthy(node) == [f"Warning Unhealthy x1: {words}"]
    assert node.container()["ready"] is False


def test_a_tcp_probe_and_a_redirect_within_the_pod_succeed() -> None:
    answers = iter([HTTPResponse(302, {"location": "/login"}), HTTPResponse(200)])
    node = Node({"web": Script(ports=(80,), answer=lambda: next(answers))})
    node.run(_spec(readinessProbe=HTTP, livenessProbe={"tcpSocket": {"port": 80}}))
    assert node.container()["ready"] is True


def test_a_connection_that_breaks_is_a_failure() -> None:
    def reset() -> HTTPResponse:
        raise NetworkError("reset", "Connection reset by peer")

    node = Node({"web": Script(ports=(80,), answer=reset)})
    node.run(_spec(readinessProbe=HTTP))
    assert "connection reset by peer" in _unhealthy(node)[0]


def test_a_killed_container_is_not_probed() -> None:
    script = Script(ports=(80,))
    node = Node({"web": script})
    node.run({**_spec(livenessProbe={**HTTP, "periodSeconds": 1, "failureThreshold": 1}), "restartPolicy": "Never"})
    node.runtime.started[0].end(0)
    node.advance(10)
    assert _unhealthy(node) == []
    assert node.status()["phase"] == "Succeeded"
