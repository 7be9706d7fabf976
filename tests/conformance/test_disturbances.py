"""The grader's instruments that change the world, in checks of their own, on every provider."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import pytest

from grader import runner
from grader.clock import WallClock
from grader.cluster import Cluster
from grader.connection import Connection
from grader.evidence import Evidence
from grader.faults import Faults
from grader.mark import Mark
from grader.protocol import GradeRequest
from labs.clusters.dynamic_client import DynamicClient
from labs.clusters.provider import ClusterState, Fault, Forkable, Handle, Provider
from labs.grading import ProcessGrader
from tests.conftest import SharedClusters, shared_spec

LABELS = {"app": "db"}
CONTAINER = {"name": "web", "image": "kindling/web:1.0", "readinessProbe": {"httpGet": {"path": "/", "port": 8080}}}
SETUP: list[dict[str, Any]] = [
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "db"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": {"containers": [CONTAINER]}},
        },
    },
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "db"},
        "spec": {"selector": LABELS, "ports": [{"port": 80, "targetPort": 8080}]},
    },
]
HEAD = "from grader import check, hold, poll\n"
DEPENDENCY = """
@check(points=1, title="a workload is taken away")
def test_away(cluster, probe, faults):
    url = cluster.url("db")
    poll(lambda: len(cluster.pods_behind("db")) == 2 and probe.get(url).ok, 90)
    faults.take_away("deployment", "db")
    assert cluster.pods_of("deployment", "db") == []
    poll(lambda: not probe.get(url).ok, 10)

@check(points=1, title="it is back")
def test_back(cluster, probe):
    assert len([pod for pod in cluster.pods_of("deployment", "db") if pod.ready]) == 2
    poll(lambda: probe.get(cluster.url("db")).ok, 10)

@check(points=1, title="a service is taken away and given back")
def test_service(cluster, probe, faults):
    url = cluster.url("db")
    faults.take_away("service", "db")
    poll(lambda: not probe.get(url).ok, 10)
    assert len(cluster.pods_of("deployment", "db")) == 2
    faults.give_back("service", "db")
    poll(lambda: probe.get(url).ok, 10)

@check(points=1, title="what was touched is told")
def test_touched(cluster, collateral, operate):
    before = collateral.look()
    assert collateral(before) == []
    operate.scale("db", 3)
    poll(lambda: operate.rolled_out("db"), 60)
    (touched,) = collateral(before)
    assert touched.what == "Deployment default/db" and "spec.replicas" in touched.how
    assert collateral(before, but=["Deployment default/*"]) == []
"""
OUTAGE = """
@check(points=1, title="pods answer on while the API server is away")
def test_outage(cluster, probe, faults, clock):
    pod = poll(lambda: cluster.pods_behind("db"), 90)[0]
    with probe.traffic(f"http://{pod.ip}:8080/", interval=0.2) as traffic:
        faults.stop_component("kube-apiserver")
        clock.sleep(3.0)
        faults.start_component("kube-apiserver")
        poll(lambda: len(traffic.answers()) >= 10, 30)
    assert not traffic.answers().failed, str(traffic.answers())
"""
BACKUP = """
@check(points=1, title="yesterday comes back")
def test_backup(cluster):
    poll(lambda: len(cluster.pods_behind("db")) == 2, 90)
    cluster.core.create_namespaced_config_map("default", {"metadata": {"name": "kept"}, "data": {"day": "one"}})
    cluster.backup("day-one")
    pods = {pod.uid for pod in cluster.pods()}
    cluster.core.delete_namespaced_config_map("kept", "default")
    cluster.core.create_namespaced_config_map("default", {"metadata": {"name": "new"}})
    cluster.apps.patch_namespaced_deployment("db", "default", {"spec": {"replicas": 3}})
    poll(lambda: len(cluster.pods()) == 3, 60)
    cluster.restore("day-one")
    assert cluster.get("configmap", "kept")["data"] == {"day": "one"}
    assert cluster.find("configmap", "new") is None
    assert cluster.get("deployment", "db")["spec"]["replicas"] == 2
    poll(lambda: {pod.uid for pod in cluster.pods() if pod.ready} == pods, 120)
    hold(lambda: len(cluster.pods()) == 2, 2)
    cluster.core.delete_namespaced_config_map("kept", "default")
"""


@pytest.fixture(scope="module")
def handle(provider: Provider, clusters: SharedClusters) -> Handle:
    return clusters.at_start(provider, shared_spec(setup=SETUP))[0]


@pytest.fixture(autouse=True)
def healed(provider: Provider, handle: Handle) -> Iterator[None]:
    yield
    provider.faults(handle).heal()


def grade(
    provider: Provider,
    handle: Handle,
    folder: Path,
    body: str,
    *faults: Fault,
    time: Literal["wall", "cluster"] = "wall",
) -> dict[str, str]:
    """Each check's outcome, with its message when it did not pass."""
    file = folder / "checks.py"
    file.write_text(HEAD + textwrap.dedent(body))
    kubeconfig = provider.credentials(handle, "grader")
    request = GradeRequest(str(file), kubeconfig, "default", {}, seconds=400.0, faults=list(faults), time=time)
    with closing(ProcessGrader()) as grader:
        verdict = grader.grade(request, lambda _: None, provider.faults(handle), lambda: False)
    assert verdict.checks, verdict.cause
    return {check.name: check.message or check.cause or str(check.outcome) for check in verdict.checks}


def test_a_dependency_is_taken_away_and_comes_back(provider: Provider, handle: Handle, tmp_path: Path) -> None:
    found = grade(provider, handle, tmp_path, DEPENDENCY)
    assert found == dict.fromkeys(("away", "back", "service", "touched"), "passed")


def test_traffic_flows_while_the_api_server_is_away(provider: Provider, handle: Handle, tmp_path: Path) -> None:
    assert grade(provider, handle, tmp_path, OUTAGE, Fault.STOP_COMPONENT) == {"outage": "passed"}


def test_a_cluster_goes_back_to_a_backup(provider: Provider, handle: Handle, tmp_path: Path) -> None:
    found = grade(provider, handle, tmp_path, BACKUP, Fault.BACKUP_ETCD, Fault.RESTORE_ETCD)
    assert found == {"backup": "passed"}


def test_all_of_it_on_forks_in_their_own_time(provider: Provider, handle: Handle, tmp_path: Path) -> None:
    if not isinstance(provider, Forkable):
        pytest.skip(f"{provider.name} cannot fork")
    checks = {DEPENDENCY: [], OUTAGE: [Fault.STOP_COMPONENT], BACKUP: [Fault.BACKUP_ETCD, Fault.RESTORE_ETCD]}
    with DynamicClient(provider.credentials(handle, "grader")) as objects:
        before = objects.request("GET", "/apis/apps/v1/namespaces/default/deployments/db")
    for body, needs in checks.items():
        fork = provider.fork(handle, 120.0)
        try:
            found = grade(provider, fork, tmp_path, body, *needs, time="cluster")
        finally:
            provider.delete(fork)
        assert set(found.values()) == {"passed"}, found
    with DynamicClient(provider.credentials(handle, "grader")) as objects:
        assert provider.status(handle).state is ClusterState.READY
        assert objects.request("GET", "/apis/apps/v1/namespaces/default/deployments/db") == before


def test_what_a_lab_does_not_list_is_refused(provider: Provider, handle: Handle, tmp_path: Path) -> None:
    (message,) = grade(provider, handle, tmp_path, OUTAGE).values()
    assert "the grader could not break or mend what this check needs" in message


def test_what_a_killed_process_took_away_is_given_back(provider: Provider, handle: Handle, tmp_path: Path) -> None:
    kubeconfig, mark = provider.credentials(handle, "grader"), tmp_path / "mark"
    cluster = Cluster(Connection(kubeconfig), "default")
    faults = Faults(cluster, None, lambda *_: None, Evidence(WallClock()), WallClock(), Mark(str(mark)).changing)
    faults.take_away("deployment", "db")
    faults.take_away("service", "db")  # and never undone: its process is gone
    runner.put_back(kubeconfig, "default", mark.read_bytes(), lambda *_: None)
    with DynamicClient(kubeconfig) as objects:
        now = objects.request("GET", "/apis/apps/v1/namespaces/default/deployments/db")
        assert (now["spec"]["replicas"], now["status"]["readyReplicas"]) == (2, 2)
        assert objects.request("GET", "/api/v1/namespaces/default/services/db")["spec"]["selector"] == LABELS
