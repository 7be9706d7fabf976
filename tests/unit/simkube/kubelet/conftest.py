"""Every node of a test is stopped at its end, and so is the whole cluster of those that take ``lab``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doubles.kubelet import Node
from tests.doubles.whole_cluster import WholeCluster


@pytest.fixture(autouse=True)
def _stop_nodes() -> Iterator[None]:
    """A stopped kubelet leaves nothing that waits."""
    yield
    for node in Node.made:
        node.kubelet.stop()
    Node.made.clear()


@pytest.fixture
def lab() -> Iterator[WholeCluster]:
    """A cluster of one node."""
    made = WholeCluster()
    yield made
    made.cluster.stop()
