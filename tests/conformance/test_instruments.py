"""What checks measure with gives the same on every provider, in place and on a fork."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from grader import Source
from grader.clock import WallClock
from grader.connection import Connection
from grader.evidence import Evidence
from grader.probe_pod import ProbePod, sweep
from grader.protocol import GradeRequest, Verdict
from grader.runner import grade
from grader.source_pods import source_pods
from labs.clusters.provider import Forkable, Handle, Provider
from tests.conformance.test_simulated_attacks import CORE, Learner, until
from tests.conftest import SharedClusters, shared_spec

CHECKS = Path(__file__).with_name("instruments.py")
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
MISSING = "missing-account"


def readers() -> tuple[dict[str, Any], dict[str, Any]]:
    """A role that reads pods, and who has it."""
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]
    subjects = [
        {"kind": "ServiceAccount", "name": "robot", "namespace": "default"},
        {"kind": "Group", "name": "readers", "apiGroup": "rbac.authorization.k8s.io"},
    ]
    role = {"kind": "Role", "name": "readers", "apiGroup": "rbac.authorization.k8s.io"}
    return (
        {"metadata": {"name": "readers"}, "rules": rules},
        {"metadata": {"name": "readers"}, "roleRef": role, "subjects": subjects},
    )


@pytest.fixture
def cluster(provider: Provider, clusters: SharedClusters) -> Iterator[tuple[Handle, Learner]]:
    """The shared one, with what the checks are about."""
    handle, _ = clusters.at_start(provider, shared_spec())
    made = Learner(provider.credentials(handle, "learner"))
    made.works()
    made.apply(f"{CORE}/default/serviceaccounts", {"metadata": {"name": "robot"}})
    role, binding = readers()
    made.apply(f"{RBAC}/roles", role)
    made.apply(f"{RBAC}/rolebindings", binding)
    yield handle, made
    made.api.close()


@contextmanager
def kubeconfig(provider: Provider, handle: Handle, where: str) -> Iterator[str]:
    """The grader's, for the cluster itself or for a fork of it."""
    if where == "in place":
        yield provider.credentials(handle, "grader")
        return
    if not isinstance(provider, Forkable):
        pytest.skip(f"{provider.name} has no forks")
    copy = provider.fork(handle, 120)
    try:
        yield provider.credentials(copy, "grader")
    finally:
        provider.delete(copy)


def graded(kubeconfig: str, where: str) -> Verdict:
    time: Any = "wall" if where == "in place" else "cluster"
    return grade(GradeRequest(str(CHECKS), kubeconfig, "default", {}, seconds=240, time=time))


@pytest.mark.parametrize("where", ["in place", "on a fork"])
def test_every_instrument_measures_what_it_says(
    provider: Provider, cluster: tuple[Handle, Learner], where: str
) -> None:
    handle, learner = cluster
    with kubeconfig(provider, handle, where) as config:
        verdict = graded(config, where)
        said = {one.name: (str(one.outcome), one.message, one.cause) for one in verdict.checks}
    missing = said.pop(MISSING)
    assert {name: one for name, one in said.items() if one[0] != "passed"} == {}
    assert (missing[0], missing[2]) == ("failed", "")
    assert 'serviceaccounts "robot' not in missing[1]
    left = [one["metadata"]["name"] for one in learner.api.get("/api/v1/pods")["items"]]
    assert [name for name in left if name.startswith("source-")] == []


MATRIX = """
from grader import Source, Target, check, poll

SOURCES = [
    Source("a friend", labels={"friend": "yes"}),
    Source("one without labels"),
    Source("a friend's double elsewhere", labels={"friend": "yes"}, namespace_labels={"team": "other"}),
    Source("one of a trusted team", namespace_labels={"team": "trusted"}),
]

@check(points=1, title="Just those whom the policies name come through, from pods that policies isolate themselves")
def test_it(cluster, probe):
    pod = cluster.ready_pods("app=web", 2, 30)[0]
    targets = [Target.pod("web", pod, 8080), Target("by name", "web.default.svc.cluster.local", 80)]
    with probe.sources(SOURCES) as pods:
        poll(
            lambda: pods.matrix(targets).must_be(
                {("a friend", "web"), ("one of a trusted team", "web"), ("one of a trusted team", "by name")}
            ) is None,
            20,
        )
"""


def policies() -> Iterator[dict[str, Any]]:
    """Nobody is let in, and nobody out to DNS; friends, and everybody of a trusted team, may ask the application."""
    friends = {"podSelector": {"matchLabels": {"friend": "yes"}}}
    trusted = {"namespaceSelector": {"matchLabels": {"team": "trusted"}}}
    web = {"matchLabels": {"app": "web"}}
    yield {"metadata": {"name": "nothing"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}}
    let_in = {"podSelector": web, "policyTypes": ["Ingress"], "ingress": [{"from": [friends, trusted]}]}
    yield {"metadata": {"name": "web"}, "spec": let_in}
    out = {"podSelector": friends["podSelector"], "policyTypes": ["Egress"], "egress": [{"to": [{"podSelector": web}]}]}
    yield {"metadata": {"name": "friends"}, "spec": out}


@pytest.mark.parametrize("where", ["in place", "on a fork"])
def test_a_matrix_sees_what_policies_let_through(
    provider: Provider, cluster: tuple[Handle, Learner], tmp_path: Path, where: str
) -> None:
    handle, learner = cluster
    if provider.name != "simulated":
        pytest.skip("not every real cluster enforces network policies")
    learner.apply("/apis/networking.k8s.io/v1/namespaces/default/networkpolicies", *policies())
    (tmp_path / "checks.py").write_text(MATRIX)
    with kubeconfig(provider, handle, where) as config:
        time: Any = "wall" if where == "in place" else "cluster"
        verdict = grade(GradeRequest(str(tmp_path / "checks.py"), config, "default", {}, seconds=120, time=time))
    (one,) = verdict.checks
    assert (str(one.outcome), one.message, one.cause) == ("passed", "", "")


def test_what_a_killed_grading_leaves_goes_with_its_namespace(
    provider: Provider, cluster: tuple[Handle, Learner]
) -> None:
    """Its sources, too, whatever namespace they are in: who grades next removes the one and the cluster the others."""
    handle, _ = cluster
    clock = WallClock()
    connection = Connection(provider.credentials(handle, "grader"))
    killed = ProbePod(connection, "default", "killed", "kindling/web:1.0", 300, clock)
    sources = [Source("here", labels={"app": "web"}), Source("elsewhere", namespace_labels={"team": "other"})]
    open_ones = source_pods(killed, sources, Evidence(clock))
    open_ones.__enter__()

    def left() -> list[str]:
        pods = [one["metadata"] for one in connection.get("/api/v1/pods")["items"]]
        return [one["name"] for one in pods if one["name"].startswith(("source-", "probe"))]

    assert len(left()) == 3
    sweep(connection, "default")
    until(lambda: not left(), 60)
    spaces = [one["metadata"] for one in connection.get("/api/v1/namespaces")["items"]]
    assert [one["name"] for one in spaces if "kindling" in one["name"] and "deletionTimestamp" not in one] == []
    open_ones.__exit__(None, None, None)  # what is gone is removed as well
    connection.close()
