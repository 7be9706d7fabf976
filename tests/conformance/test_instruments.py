"""What checks measure with gives the same on every provider, in place and on a fork."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from grader.protocol import GradeRequest, Verdict
from grader.runner import grade
from labs.clusters.provider import Forkable, Handle, Provider
from tests.conformance.test_simulated_attacks import CORE, Learner
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
