"""Clusters for tests: one a test in milliseconds, real clients over HTTPS, and time that the test moves.

::

    def test_a_deployment_becomes_available(simkube_cluster):
        simkube_cluster.apply(MANIFEST)
        simkube_cluster.step("30s")
        assert simkube_cluster.client.get("deployments.apps", "web", "default")["status"]["availableReplicas"] == 3

pytest finds the fixture by itself where simkube is installed; elsewhere ``pytest_plugins = ["simkube.testing.plugin"]``
in the top ``conftest.py`` brings it. Without pytest: ``with Server() as server, server.cluster() as cluster: ...``.

The names below are imported when first used: pytest imports this package in every project that has simkube.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simkube.testing.cluster import Client, Cluster
    from simkube.testing.server import Server

_HOMES = {"Client": "cluster", "Cluster": "cluster", "Server": "server"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


__all__ = ["Client", "Cluster", "Server"]
