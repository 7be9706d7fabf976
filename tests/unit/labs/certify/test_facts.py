"""What objects of a cluster mean: who listens, where a Service leads, what a probe notices, how long one drains."""

from __future__ import annotations

from typing import Any

import pytest

from labs.certify.containers import Container
from labs.certify.facts import World
from labs.certify.unknown import UNKNOWN


def container(name: str = "web", image: str = "kindling/web:1.0", **more: Any) -> dict[str, Any]:
    return {"name": name, "image": image, **more}


def pod(name: str = "a", *containers: dict[str, Any], ip: str = "10.0.0.1", ready: bool = True, **more: Any) -> Any:
    status = {"podIP": ip, "conditions": [{"type": "Ready", "status": str(ready)}], "containerStatuses": []}
    spec = {"containers": list(containers) or [container()], "restartPolicy": "Always", **more.pop("spec", {})}
    return {"kind": "Pod", "metadata": {"name": name, "labels": {"app": "x"}, **more}, "spec": spec, "status": status}


def owned(kind: str, name: str) -> list[dict[str, Any]]:
    return [{"kind": kind, "name": name, "controller": True}]


def of(spec: dict[str, Any], *others: dict[str, Any]) -> Container:
    world = World([pod("a", spec), *others], "default")
    return world.pods[0].containers[0]


def env(**values: str) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in values.items()]


@pytest.mark.parametrize(
    ("spec", "port"),
    [
        (container(), 8080),
        (container(env=env(PORT="9090")), 9090),
        (container(env=env(CRASH="no")), None),
        (container(image="docker.io/kindling/web:2.0"), 8080),
        (container(command=["sleep", "86400"]), None),
        (container(image="busybox:1.35"), None),
        (container(image="busybox:1.35", command=["httpd", "-f", "-p", "8080", "-h", "/www"]), 8080),
        (container(image="busybox:1.35", command=["sh", "-c", "while true; do sleep 1; done"]), None),
        (container(image="busybox:1.35", command=["sh", "-c", "exec httpd -f -p 8080"]), UNKNOWN),
        (container(image="nginx"), UNKNOWN),
    ],
)
def test_who_listens_where(spec: dict[str, Any], port: object) -> None:
    assert of(spec).listens == port


def test_who_serves_a_port_of_a_pod() -> None:
    writer = container("writer", "busybox:1.35", command=["sh", "-c", "while true; do date; sleep 1; done"])
    one = World([pod("a", writer, container("server"))], "default").pods[0]
    assert getattr(one.server(8080), "name", None) == "server"
    assert one.server(8081) is None
    other = container("other", "busybox:1.35", command=["sh", "-c", "exec httpd -p 8081"])
    assert World([pod("a", other, container("server"))], "default").pods[0].server(8081) is UNKNOWN
    assert World([pod("a", container("server"))], "default").pods[0].server(8081) is None
    assert World([pod("a", container("a"), container("b"))], "default").pods[0].server(8080) is UNKNOWN


def test_variables_from_everywhere() -> None:
    config = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"MESSAGE": "hi", "key": "x"}}
    secret = {"kind": "Secret", "metadata": {"name": "s"}, "data": {"TOKEN": "c2VjcmV0"}}
    found = of(
        container(
            envFrom=[{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "s"}, "prefix": "P_"}],
            env=[
                {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "key"}}},
                {"name": "GONE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "gone"}}},
                {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "BOTH", "value": "$(KEY) and $(ME) and $(NOBODY)"},
            ],
        ),
        config,
        secret,
    ).env
    assert found == {
        "MESSAGE": "hi",
        "key": "x",
        "P_TOKEN": "secret",
        "KEY": "x",
        "ME": "a",
        "BOTH": "x and a and $(NOBODY)",
    }


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        (container(), 0),
        (container(env=env(DRAIN_SECONDS="5")), 5),
        (container(lifecycle={"preStop": {"exec": {"command": ["sleep", "6"]}}}), 6),
        (container(lifecycle={"preStop": {"sleep": {"seconds": 4}}}), 4),
        (container(lifecycle={"preStop": {"exec": {"command": ["sh", "-c", "sleep 60"]}}}), 30),
        (container(lifecycle={"preStop": {"exec": {"command": ["sh", "-c", "drain"]}}}), UNKNOWN),
        (container(lifecycle={"preStop": {"exec": {"command": ["sh", "/drain"]}}}), UNKNOWN),
        *(
            (container(lifecycle={"preStop": {"exec": {"command": command}}}, env=env(DRAIN_SECONDS="1")), 1)
            for command in (["sleep"], ["6"], ["sh", "-c"], ["sh", "sleep 5"], ["-c", "sleep 5"], ["sh"])
        ),
        (container(lifecycle={"preStop": {"httpGet": {"port": 8080}}}), UNKNOWN),
        (container(image="nginx"), UNKNOWN),
    ],
)
def test_how_long_one_drains(spec: dict[str, Any], seconds: object) -> None:
    assert of(spec).drain == seconds


@pytest.mark.parametrize(
    ("grace", "hook", "drains", "seconds"),
    [
        (4, 0, 9, 4),
        (1, 0, 9, 2),
        (0, 0, 9, 2),
        (1, 0, 0, 0),
        (10, 9, 9, 11),
        (10, 60, 9, 12),
        (10, 60, 0, 10),
        (0, 60, 1, 2),
    ],
)
def test_the_kubelet_gives_two_seconds_after_a_hook_whatever_is_asked_for(
    grace: int, hook: int, drains: int, seconds: float
) -> None:
    web = container(env=env(DRAIN_SECONDS=str(drains)), lifecycle={"preStop": {"sleep": {"seconds": hook}}})
    (found,) = World([pod("a", web, spec={"terminationGracePeriodSeconds": grace})], "default").pods
    assert found.containers[0].drain == seconds


def test_a_probe_in_seconds_and_by_the_name_of_its_port() -> None:
    probe = {
        "httpGet": {"path": "/readyz", "port": "http"},
        "periodSeconds": 3,
        "failureThreshold": 2,
        "timeoutSeconds": 1,
    }
    found = of(container(readinessProbe=probe, ports=[{"name": "http", "containerPort": 8080}])).readiness
    assert found is not None
    assert (found.how, found.path, found.port, found.notices, found.passes) == ("http", "/readyz", 8080, 7, 3)
    assert of(container(livenessProbe={"tcpSocket": {"port": 1}})).liveness.how == "tcp"  # type: ignore[union-attr]
    assert of(container()).startup is None


@pytest.mark.parametrize(
    ("period", "timeout", "failures", "best", "worst"),
    [(3, 1, 3, 7, 10), (1, 20, 3, 60, 61), (60, 1, 1, 1, 61)],
)
def test_how_soon_a_probe_notices(period: int, timeout: int, failures: int, best: float, worst: float) -> None:
    probe = {"httpGet": {"port": 1}, "periodSeconds": period, "timeoutSeconds": timeout, "failureThreshold": failures}
    found = of(container(livenessProbe=probe)).liveness
    assert found is not None
    assert (found.notices_at_best, found.notices) == (best, worst)


@pytest.mark.parametrize(
    ("probe", "doomed"),
    [
        ({"httpGet": {"path": "/healthz", "port": 8080}}, False),
        ({"httpGet": {"path": "/work?ms=5", "port": 8080}}, False),
        ({"httpGet": {"path": "/nothing", "port": 8080}}, True),
        ({"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTPS"}}, True),
        ({"httpGet": {"path": "/healthz", "port": 8081}}, True),
        ({"httpGet": {"path": "/healthz", "port": 8081, "host": "example.com"}}, False),
        ({"httpGet": {"path": "/healthz", "port": "nameless"}}, False),
        ({"tcpSocket": {"port": 8080}}, False),
        ({"tcpSocket": {"port": 8081}}, True),
        ({"grpc": {"port": 8080}}, True),
        ({"exec": {"command": ["false"]}}, False),
    ],
)
def test_pods_that_are_started_again_and_again(probe: dict[str, Any], doomed: bool) -> None:
    assert World([pod("a", container(livenessProbe=probe))], "default").pods[0].doomed is doomed
    beside = container(
        "side", "busybox:1.35", command=["sh", "-c", "while true; do sleep 1; done"], livenessProbe=probe
    )
    assert World([pod("a", container(), beside)], "default").pods[0].doomed is doomed
    assert not World([pod("a", container(readinessProbe=probe))], "default").pods[0].doomed


def test_what_nobody_can_tell_of_a_probe_dooms_nobody() -> None:
    asked = {"httpGet": {"path": "/nothing", "port": 8080}}
    files = container(env=env(WEB_ROOT="/pages"), livenessProbe=asked)
    assert not World([pod("a", files)], "default").pods[0].doomed
    other = container(image="nginx", livenessProbe=asked)
    assert not World([pod("a", other)], "default").pods[0].doomed


def test_programs_that_an_image_lacks() -> None:
    probe = {"exec": {"command": ["/usr/bin/wget", "-q", "http://127.0.0.1:8080/"]}}
    found = of(container(livenessProbe=probe))
    assert found.liveness is not None
    assert found.liveness.program == "/usr/bin/wget"
    assert found.lacks(found.liveness.program)
    assert not found.lacks("python3")
    assert not found.lacks(None)
    assert not of(container(image="busybox:1.35")).lacks("wget")


@pytest.mark.parametrize(
    ("script", "rhythm"),
    [
        ("while true; do date > /f; sleep 1; done", 1),
        ("while :; do date > /f; sleep 2.5; done", 2.5),
        ("while false; do date; sleep 1; done", None),
        ("date > /f; sleep 86400", None),
        ("until false; do date; done", UNKNOWN),
    ],
)
def test_how_often_a_script_comes_round(script: str, rhythm: object) -> None:
    assert of(container("writer", "busybox:1.35", command=["sh", "-c", script])).rhythm == rhythm


def test_what_a_service_leads_to() -> None:
    there = pod("a", ip="10.0.0.1")
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "other", "port": 81, "protocol": "TCP"}]
    service = {"kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": ports}}
    piece = {
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "other", "port": 9, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": ["10.0.0.1"], "conditions": {"ready": True}},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": False}},
            {"addresses": ["10.0.0.9"], "conditions": {"ready": True}},
        ],
    }
    found = World([there, service, piece], "default").service("web")
    assert found is not None
    assert [(one.pod.name if one.pod else None, one.port) for one in found.endpoints(80)] == [("a", 8080), (None, 8080)]
    assert [getattr(one.server, "name", None) for one in found.endpoints(80)] == ["web", None]
    assert found.endpoints(8080) == []


def test_the_workers_with_most_endpoints() -> None:
    def node(name: str, **labels: str) -> dict[str, Any]:
        return {"kind": "Node", "metadata": {"name": name, "labels": labels}}

    def endpoint(number: int) -> dict[str, Any]:
        return {"addresses": [f"10.0.0.{number}"], "conditions": {"ready": True}}

    places = ["one", "one", "two", "three", "plane", "plane", "plane"]
    there = [pod(f"p{at}", ip=f"10.0.0.{at}", spec={"nodeName": name}) for at, name in enumerate(places)]
    nodes = [node("one"), node("two"), node("three"), node("plane", **{"node-role.kubernetes.io/control-plane": ""})]
    ports = [{"port": 80, "protocol": "TCP"}]
    service = {"kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": ports}}
    piece = {
        "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "ports": [{"port": 8080, "protocol": "TCP"}],
        "endpoints": [endpoint(at) for at in range(len(places))],
    }

    def fullest(*pods: dict[str, Any]) -> list[list[str]]:
        found = World([*pods, *nodes, service, piece], "default").service("web")
        assert found is not None
        return [[one.pod.name for one in group if one.pod] for group in found.fullest(80)]

    assert fullest(*there) == [["p0", "p1"]]
    assert fullest(*there[1:]) == [["p1"], ["p2"], ["p3"]]
    assert fullest(*there[4:]) == []


def test_pods_of_a_workload_whoever_is_between() -> None:
    deployment = {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3}}
    between = {
        "kind": "ReplicaSet",
        "metadata": {"name": "web-1", "ownerReferences": owned("Deployment", "web")},
        "spec": {},
    }
    mine = pod("a", ownerReferences=owned("ReplicaSet", "web-1"))
    ended = pod("b", ownerReferences=owned("ReplicaSet", "web-1"), deletionTimestamp="2026-01-01T00:00:00Z")
    found = World([deployment, between, mine, ended, pod("c")], "default").workload("Deployment", "web")
    assert found is not None
    assert [(one.name, one.controller_kind) for one in found.pods] == [("a", "Deployment")]


@pytest.mark.parametrize(
    ("strategy", "surge", "missing", "rounds"),
    [
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}, 1, 0, 3),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 1}}, 2, 1, 1),
        ({"type": "Recreate"}, 0, 3, 1),
    ],
)
def test_how_a_rollout_goes(strategy: dict[str, Any], surge: int, missing: int, rounds: int) -> None:
    raw = {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3, "strategy": strategy}}
    found = World([raw], "default").workload("Deployment", "web")
    assert found is not None
    assert (found.surge, found.missing, found.rounds) == (surge, missing, rounds)


def test_steady_pinned_and_evicted() -> None:
    def one(**spec: Any) -> Any:
        return World([pod("a", spec=spec)], "default").pods[0]

    restarted = pod("a")
    restarted["status"]["containerStatuses"] = [{"restartCount": 2}]
    assert World([restarted], "default").pods[0].steady is UNKNOWN
    assert World([pod("a", ready=False)], "default").pods[0].steady is False
    slow = container(readinessProbe={"httpGet": {"port": 8080}, "periodSeconds": 20, "successThreshold": 2})
    assert (of(slow).readiness.at_best, of(slow).readiness.passes) == (20, 40)  # type: ignore[union-attr]
    assert World([pod("a", slow, ready=False)], "default").pods[0].steady is UNKNOWN
    assert one().steady is True
    assert one(nodeSelector={"disk": "ssd"}).pinned
    assert not one(topologySpreadConstraints=[{"whenUnsatisfiable": "ScheduleAnyway"}]).pinned
    usual = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "tolerationSeconds": 10}
    assert one(tolerations=[usual]).evicted_after == 10
    assert one(tolerations=[usual, {"operator": "Exists"}]).evicted_after is None


def test_a_folder_is_found_in_its_volume() -> None:
    found = of(
        container(volumeMounts=[{"name": "pages", "mountPath": "/pages"}, {"name": "in", "mountPath": "/pages/in"}])
    )
    assert [found.volume_at(path) for path in ("/pages", "/pages/x", "/pages/in/y", "/page", None)] == [
        "pages",
        "pages",
        "in",
        None,
        None,
    ]
