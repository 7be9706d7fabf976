"""What all tests share: which providers are there, and the rule about skipping.

A test that needs what a user may not have (Docker, kind, a browser) says why it skips. With CI=true nothing of the kind
may be missing: the run fails instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from labs import settings
from labs.clusters.provider import ClusterError, Provider
from labs.clusters.registry import Providers


def unavailable(why: str) -> None:
    """Skip with the reason; fail where nothing may be missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"must be there in CI: {why}")
    pytest.skip(why)


@pytest.fixture(scope="session")
def kindling_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One KINDLING_HOME for every test that shares clusters."""
    return tmp_path_factory.mktemp("kindling-home")


@pytest.fixture(scope="session")
def providers(kindling_home: Path) -> Iterator[Providers]:
    """The providers of this machine, with a home of their own; what they started ends with the tests."""
    made = Providers(settings.load({**os.environ, "KINDLING_HOME": str(kindling_home)}))
    yield made
    made.get("simulated").shutdown()  # type: ignore[attr-defined] - the host is the simulated provider's alone


@pytest.fixture(
    scope="module", params=["simulated", pytest.param("kind", marks=pytest.mark.kind)], ids=["simulated", "kind"]
)
def provider(request: pytest.FixtureRequest, providers: Providers) -> Provider:
    """Each provider in turn; skipped, with the reason, where it cannot work."""
    found = providers.get(request.param)
    try:
        found.capabilities()
    except ClusterError as error:
        unavailable(f"{request.param}: {error} {error.fix}")
    return found
