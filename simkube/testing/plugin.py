"""The pytest plug-in: ``simkube_cluster``, a cluster of the test's own. It imports the rest when one is used.

``@pytest.mark.simkube(nodes=3)`` on a test, class or module says which: the arguments of
:meth:`simkube.testing.server.Server.cluster`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from simkube.testing.cluster import Cluster
    from simkube.testing.server import Server


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "simkube(nodes=1, topology=None, start=None, images='stand-ins'): which cluster")


@pytest.fixture(scope="session")
def simkube_server() -> Iterator[Server]:
    """What runs the clusters of this session; for fixtures that share one among tests."""
    from simkube.testing.server import Server

    with Server() as server:
        yield server


@pytest.fixture
def simkube_cluster(simkube_server: Server, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A new cluster, gone after the test; its time stands still."""
    marker = request.node.get_closest_marker("simkube")
    with simkube_server.cluster(*(marker.args if marker else ()), **(marker.kwargs if marker else {})) as cluster:
        yield cluster
        if found := cluster.crashes():
            pytest.fail("simkube itself failed; please report this:\n" + "\n".join(found))
