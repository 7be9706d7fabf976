"""What each provider's clusters can really do, as it is found when it is tried out, and what is refused for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from labs.clusters.canaries import IMAGE, NAMESPACE, Known, measure
from labs.clusters.dynamic_client import DynamicClient
from labs.clusters.provider import CapabilityMissing, ClusterSpec, ClusterState, Feature, Provider
from labs.clusters.registry import Providers
from tests.conftest import THIS_RUN, SharedClusters, Watched, shared_spec, usable


def test_what_a_cluster_can_do_is_tried_out_and_leaves_nothing(provider: Provider, clusters: SharedClusters) -> None:
    handle, _ = clusters.at_start(provider, shared_spec())
    assert IMAGE in shared_spec().images
    with DynamicClient(provider.credentials(handle, "grader")) as objects:
        found = measure(objects, None)
        assert found.keys() == set(Feature)
        assert found[Feature.AUDIT] == "its API server keeps no audit log"
        if provider.name == "simulated":
            assert not any(why for feature, why in found.items() if feature is not Feature.AUDIT)
        elif provider.capabilities().kubernetes < (1, 30):
            assert "since 1.30" in found[Feature.ADMISSION_POLICIES]
        names = [one["metadata"]["name"] for one in objects.request("GET", "/api/v1/namespaces")["items"]]
        assert NAMESPACE not in names


@pytest.fixture
def simulated(providers: Providers) -> Provider:
    return usable(providers, "simulated")


def test_a_simulated_cluster_is_made_for_a_lab_that_needs_all_of_it(simulated: Provider) -> None:
    spec = ClusterSpec(f"kindling-able-{THIS_RUN}", features=frozenset(Feature))
    handle = simulated.create(spec, Watched())
    try:
        assert simulated.status(handle).state is ClusterState.READY
        assert simulated.capabilities().features == frozenset(Feature)
        with DynamicClient(simulated.credentials(handle, "grader")) as objects:
            assert NAMESPACE not in str(objects.request("GET", "/api/v1/events"))  # it was another cluster
    finally:
        simulated.delete(handle)


def test_what_was_found_once_is_not_tried_out_again(tmp_path: Path) -> None:
    known, tried = Known(tmp_path / "made" / "canaries.json"), []

    def found() -> dict[str, str]:
        tried.append(1)
        return {**dict.fromkeys(Feature, ""), Feature.AUDIT: "it keeps none"}

    both = frozenset({Feature.AUDIT, Feature.EGRESS_POLICIES})
    for _ in range(2):
        with pytest.raises(CapabilityMissing, match=r"needs audit \(it keeps none\), which this cluster does not have"):
            known.prove("kind a", both, found)
    known.prove("kind a", frozenset({Feature.EGRESS_POLICIES}), found)
    assert tried == [1]
    assert known.features("kind a") == (frozenset(Feature) - {Feature.AUDIT}, {Feature.AUDIT: "it keeps none"})
    assert known.features("kind b") == (frozenset(Feature), {})
