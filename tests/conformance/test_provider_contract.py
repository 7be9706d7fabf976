"""One contract, every provider: what a session may rely on, whatever gives it a cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from labs.clusters.dynamic_client import DynamicClient
from labs.clusters.provider import (
    ClusterGone,
    ClusterSpec,
    ClusterState,
    Controllable,
    CreateCancelled,
    Fault,
    Forkable,
    Handle,
    Hosted,
    Provider,
)
from tests.conftest import THIS_RUN, SharedClusters, Watched, shared_spec

SETUP = [
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "kindling/web:1.0"}]},
            },
        },
    }
]
PODS = "/api/v1/namespaces/default/pods"
KUBE_DNS = "/api/v1/namespaces/kube-system/endpoints/kube-dns"
MAPS = "/api/v1/namespaces/default/configmaps"


class Cancelling(Watched):
    """Nobody wants the cluster any more when the step ``at`` begins ("": the first)."""

    def __init__(self, at: str = "") -> None:
        super().__init__()
        self.at = at

    def step(self, name: str, *, done: bool) -> None:
        if name == self.at or not self.at:
            raise CreateCancelled("nobody wants it any more")


@pytest.fixture(scope="module")
def shared(provider: Provider, clusters: SharedClusters) -> tuple[Handle, ClusterSpec, Watched]:
    """One single-node cluster with SETUP in it, for every test of this module."""
    spec = shared_spec(setup=SETUP)
    handle, watched = clusters.at_start(provider, spec)
    return handle, spec, watched


@pytest.fixture
def handle(shared: tuple[Handle, ClusterSpec, Watched]) -> Handle:
    return shared[0]


@pytest.fixture
def learner(provider: Provider, handle: Handle) -> Iterator[DynamicClient]:
    with DynamicClient(provider.credentials(handle, "learner")) as objects:
        yield objects


def until(what: str, seconds: float = 60) -> Iterator[None]:
    """Iterate until the caller breaks out; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(0.1)  # between two looks at a cluster that other processes change
    pytest.fail(f"not within {seconds:g} s: {what}")


def running_pod(objects: DynamicClient) -> dict[str, object]:
    for _ in until("a running pod of the deployment"):
        for pod in objects.request("GET", PODS + "?labelSelector=app%3Dweb")["items"]:
            statuses = pod["status"].get("containerStatuses", [])
            if statuses and statuses[0]["ready"] and "deletionTimestamp" not in pod["metadata"]:
                return dict(pod)
    raise AssertionError("unreachable")


def test_a_created_cluster_is_ready_and_told_its_steps(
    provider: Provider, shared: tuple[Handle, ClusterSpec, Watched]
) -> None:
    handle, spec, watched = shared
    assert handle["name"] == spec.name
    assert provider.status(handle).state is ClusterState.READY
    assert watched.planned
    assert {name for name, done in watched.said if done} == set(watched.planned)


def test_names_are_known_as_soon_as_it_is_ready(
    provider: Provider, shared: tuple[Handle, ClusterSpec, Watched], learner: DynamicClient
) -> None:
    handle, spec, _ = shared
    learner.request("DELETE", "/apis/apps/v1/namespaces/kube-system/deployments/coredns")
    assert provider.reset(handle, spec, Watched()) == handle
    assert any(one.get("addresses") for one in learner.request("GET", KUBE_DNS).get("subsets") or [])


def test_creating_again_returns_the_same_cluster(
    provider: Provider, shared: tuple[Handle, ClusterSpec, Watched], learner: DynamicClient
) -> None:
    handle, spec, _ = shared
    before = learner.request("GET", "/api/v1/namespaces/default")["metadata"]["uid"]
    assert provider.create(spec, Watched()) == handle
    assert learner.request("GET", "/api/v1/namespaces/default")["metadata"]["uid"] == before


def test_learner_and_grader_are_told_apart(provider: Provider, handle: Handle) -> None:
    for who in ("learner", "grader"):
        with DynamicClient(provider.credentials(handle, who)) as objects:  # type: ignore[arg-type] - both are a Who
            name = f"made-by-{who}"
            objects.request(
                "POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": name}, "data": {"a": "b"}}
            )
            objects.request("DELETE", f"/api/v1/namespaces/default/configmaps/{name}")
    assert provider.credentials(handle, "learner") != provider.credentials(handle, "grader")


def test_reset_undoes_what_the_learner_did(
    provider: Provider, shared: tuple[Handle, ClusterSpec, Watched], learner: DynamicClient
) -> None:
    handle, spec, _ = shared
    old = running_pod(learner)["metadata"]["uid"]  # type: ignore[index] - a pod has metadata
    learner.request("POST", "/api/v1/namespaces", {"metadata": {"name": "extra"}})
    learner.request("POST", "/api/v1/namespaces/extra/configmaps", {"metadata": {"name": "x"}})
    learner.request("DELETE", "/apis/apps/v1/namespaces/default/deployments/web")
    node = learner.request("GET", "/api/v1/nodes")["items"][0]["metadata"]["name"]
    patch = {"metadata": {"labels": {"learner": "was-here"}}, "spec": {"unschedulable": True}}
    learner.request("PATCH", f"/api/v1/nodes/{node}", patch, content_type="application/merge-patch+json")

    assert provider.reset(handle, spec, Watched()) == handle

    with DynamicClient(provider.credentials(handle, "learner")) as objects:
        assert [n["metadata"]["name"] for n in objects.request("GET", "/api/v1/namespaces")["items"]].count(
            "extra"
        ) == 0
        after = objects.request("GET", f"/api/v1/nodes/{node}")
        assert "learner" not in after["metadata"]["labels"]
        assert not after["spec"].get("unschedulable")
        assert running_pod(objects)["metadata"]["uid"] != old  # type: ignore[index] - a pod has metadata


def test_a_killed_container_is_restarted(provider: Provider, handle: Handle, learner: DynamicClient) -> None:
    pod = running_pod(learner)
    name = pod["metadata"]["name"]  # type: ignore[index] - a pod has metadata
    count = pod["status"]["containerStatuses"][0]["restartCount"]  # type: ignore[index] - it runs
    provider.faults(handle).inject(Fault.KILL_CONTAINER, f"default/{name}/web")
    for _ in until("the container restarted"):
        status = learner.request("GET", f"{PODS}/{name}")["status"]["containerStatuses"][0]
        if status["restartCount"] == count + 1 and status["ready"]:
            assert status["lastState"]["terminated"]["exitCode"] == 137
            break


def test_a_run_is_the_same_whatever_happens_in_the_cluster(
    provider: Provider, handle: Handle, learner: DynamicClient
) -> None:
    assert isinstance(provider, Hosted)
    before = provider.run_id(handle)
    assert before
    faults = provider.faults(handle)
    faults.inject(Fault.STOP_COMPONENT, "kube-scheduler")
    faults.heal()
    learner.request("DELETE", PODS)
    assert provider.run_id(handle) == before


def test_without_a_scheduler_pods_stay_pending_until_it_is_back(
    provider: Provider, handle: Handle, learner: DynamicClient
) -> None:
    faults = provider.faults(handle)
    faults.inject(Fault.STOP_COMPONENT, "kube-scheduler")
    faults.inject(Fault.STOP_COMPONENT, "kube-scheduler")  # already so: a success
    try:
        body = {"metadata": {"name": "waits"}, "spec": {"containers": [{"name": "c", "image": "kindling/web:1.0"}]}}
        learner.request("POST", PODS, body)
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            assert not learner.request("GET", f"{PODS}/waits")["spec"].get("nodeName")
            time.sleep(0.5)  # holding, between two looks
    finally:
        faults.heal()
    for _ in until("the pod is scheduled"):
        if learner.request("GET", f"{PODS}/waits")["spec"].get("nodeName"):
            break
    learner.request("DELETE", f"{PODS}/waits?gracePeriodSeconds=0")


@pytest.mark.parametrize(
    ("fault", "target"),
    [
        (Fault.STOP_NODE, "no-such-node"),
        (Fault.STOP_COMPONENT, "no-such-component"),
        (Fault.KILL_CONTAINER, "default/no-such-pod/web"),
    ],
)
def test_a_fault_in_what_is_not_there_is_a_value_error(
    provider: Provider, handle: Handle, fault: Fault, target: str
) -> None:
    with pytest.raises(ValueError, match="no-such"):
        provider.faults(handle).inject(fault, target)


def test_a_creation_that_nobody_wants_any_more_leaves_nothing(provider: Provider) -> None:
    spec = ClusterSpec(f"kindling-unwanted-{THIS_RUN}", "single", (), (), {})
    steps = _steps_of(provider)
    with pytest.raises(CreateCancelled):
        provider.create(spec, Cancelling(at=steps[1]))
    provider.delete({"name": spec.name})
    provider.delete({"name": spec.name})
    assert provider.status({"name": spec.name}).state is ClusterState.ABSENT
    with pytest.raises(ClusterGone):
        provider.credentials({"name": spec.name}, "learner")


def _steps_of(provider: Provider) -> list[str]:
    """The steps a creation announces, learnt from one that is cancelled at the first."""
    looking = Cancelling()
    looking_for = ClusterSpec(f"kindling-looking-{THIS_RUN}", "single", (), (), {})
    with pytest.raises(CreateCancelled):
        provider.create(looking_for, looking)
    provider.delete({"name": looking_for.name})
    return looking.planned


def test_a_copy_is_worked_with_like_the_cluster_and_leaves_it_alone(provider: Provider, handle: Handle) -> None:
    if not isinstance(provider, Forkable):
        pytest.skip(f"{provider.name} makes no copies of clusters")
    assert isinstance(provider, Controllable)
    copy = provider.fork(handle, 60.0)
    assert provider.status(copy).state is ClusterState.READY
    with DynamicClient(provider.credentials(copy, "grader")) as there:
        there.request("POST", MAPS, {"metadata": {"name": "copied"}})
        provider.faults(copy).inject(Fault.STOP_COMPONENT, "kube-scheduler")
    assert not provider.controls(copy).components()["components"]["kube-scheduler"]
    assert provider.controls(handle).components()["components"]["kube-scheduler"]
    again = provider.fork(copy, 60.0)
    assert not provider.controls(again).components()["components"]["kube-scheduler"]
    assert (_maps(provider, handle), _maps(provider, again)) == (set(), {"copied"})
    with pytest.raises(ValueError, match="no-such"):
        provider.faults(copy).inject(Fault.STOP_NODE, "no-such")
    provider.delete(copy)
    for _ in until("the copy is gone"):
        if provider.status(copy).state is ClusterState.ABSENT:
            break
    provider.delete(copy)
    with pytest.raises(ClusterGone):
        provider.credentials(copy, "grader")
    assert provider.status(handle).state is ClusterState.READY


def _maps(provider: Provider, handle: Handle) -> set[str]:
    with DynamicClient(provider.credentials(handle, "grader")) as objects:
        found = objects.request("GET", MAPS)["items"]
    return {one["metadata"]["name"] for one in found} - {"kube-root-ca.crt"}
