"""Where a fault on a kind cluster strikes."""

from __future__ import annotations

import pytest

from labs.clusters.kind.nodes import place_of


def test_a_container_is_found_where_it_runs_and_a_sidecar_too() -> None:
    pod = {
        "metadata": {"namespace": "default", "name": "web"},
        "spec": {"nodeName": "worker"},
        "status": {
            "containerStatuses": [{"name": "server", "containerID": "containerd://a1"}, {"name": "late"}],
            "initContainerStatuses": [{"name": "writer", "containerID": "containerd://b2"}],
        },
    }
    assert place_of(pod, "server") == ("worker", "a1")
    assert place_of(pod, "writer") == ("worker", "b2")
    for name in ("late", "nobody"):
        with pytest.raises(ValueError, match=f"pod default/web runs no container '{name}'"):
            place_of(pod, name)
