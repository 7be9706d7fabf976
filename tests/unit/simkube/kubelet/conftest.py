"""The doubles are imported by path (test modules are no packages), and every node of a test is stopped at its end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _stop_nodes() -> Iterator[None]:
    """A stopped kubelet leaves nothing that waits."""
    from kubelet_doubles import Node

    yield
    for node in Node.made:
        node.kubelet.stop()
    Node.made.clear()
