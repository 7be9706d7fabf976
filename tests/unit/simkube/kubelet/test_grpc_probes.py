"""gRPC probes: against a server of the health protocol, against others, and against nobody."""

from __future__ import annotations

from typing import Any

import pytest

from tests.doubles.whole_cluster import ME, WholeCluster

AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.39"


def _run(lab: WholeCluster, *args: str, image: str = AGNHOST, **probes: Any) -> None:
    lab.run({"name": "web", "image": image, **({"args": list(args)} if args else {}), **probes})
    lab.cluster.advance(3)


def _unhealthy(lab: WholeCluster) -> list[str]:
    return [one["message"] for one in lab.cluster.apiserver.list(ME, "events") if one["reason"] == "Unhealthy"]


def _ready(lab: WholeCluster) -> str:
    return str(lab.condition("Ready")["status"])


def _probe(port: int = 5000, **more: Any) -> dict[str, Any]:
    return {"grpc": {"port": port, **more}, "periodSeconds": 1, "failureThreshold": 1}


def test_a_healthy_server_is_ready_until_it_is_told_otherwise(lab: WholeCluster) -> None:
    _run(lab, "grpc-health-checking", readinessProbe=_probe())
    assert _ready(lab) == "True"
    lab.exec("web", "curl", "-s", "localhost:8080/make-not-serving")
    lab.cluster.advance(2)
    assert _ready(lab) == "False"
    assert _unhealthy(lab) == ['Readiness probe failed: service unhealthy (responded with "NOT_SERVING")']
    lab.exec("web", "curl", "-s", "localhost:8080/make-serving")
    lab.cluster.advance(2)
    assert _ready(lab) == "True"


def test_a_server_that_gets_unhealthy_is_restarted(lab: WholeCluster) -> None:
    _run(lab, "grpc-health-checking", "--delay-unhealthy-sec=5", livenessProbe=_probe())
    assert lab.pod()["status"]["containerStatuses"][0]["restartCount"] == 0
    lab.cluster.advance(6)
    status = lab.pod()["status"]["containerStatuses"][0]
    assert (status["restartCount"], status["lastState"]["terminated"]["exitCode"]) == (1, 2)


def test_a_service_is_asked_for_by_name(lab: WholeCluster) -> None:
    _run(lab, "grpc-health-checking", "--service=web", "--port=9000", readinessProbe=_probe(9000, service="web"))
    assert _ready(lab) == "True"
    lab.run(
        {"name": "web", "image": AGNHOST, "args": ["grpc-health-checking"], "readinessProbe": _probe(service="x")},
        name="b",
    )
    lab.cluster.advance(3)
    text = "Readiness probe failed: error: health rpc probe failed: rpc error: code = NotFound desc = unknown service"
    assert _unhealthy(lab) == [text]


@pytest.mark.parametrize("port", [80, 81])
def test_servers_that_do_not_speak_grpc_and_nobody_are_the_same(lab: WholeCluster, port: int) -> None:
    _run(lab, image="nginx", readinessProbe={**_probe(port), "timeoutSeconds": 2})
    lab.cluster.advance(3)
    assert _ready(lab) == "False"
    where = f"{lab.pod()['status']['podIP']}:{port}"
    assert _unhealthy(lab) == [
        f'Readiness probe failed: timeout: failed to connect service "{where}" within 2s: context deadline exceeded'
    ]
