"""What an administrator of a cluster can do to the grader's probe comes out alike on every provider."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from labs.clusters.provider import Provider
from tests.conformance.test_simulated_attacks import DELETED, TABLE, Learner, graded
from tests.conftest import SharedClusters, shared_spec

CHEAP = ("nothing", "deleted", "deleted in a loop", "another in its place", "another image")
"""Those that need nothing a real cluster would have to be asked for first."""
BETWEEN = {"another in its place": DELETED}
"""What is said as well where a look falls between two requests of an attack, which a real cluster answers slowly."""


@pytest.fixture
def learner(provider: Provider, clusters: SharedClusters) -> Iterator[Learner]:
    """In the shared cluster, with the right solution."""
    handle, _ = clusters.at_start(provider, shared_spec())
    made = Learner(provider.credentials(handle, "learner"))
    made.works()
    yield made
    made.api.close()


@pytest.mark.parametrize("name", CHEAP)
def test_a_right_solution_under(name: str, learner: Learner, tmp_path: Path) -> None:
    row = TABLE[name]
    (check,) = graded(learner, row.attack, tmp_path).checks
    assert (str(check.outcome), check.cause) == (row.outcome, "")
    assert row.says in check.message or BETWEEN.get(name, row.says) in check.message
