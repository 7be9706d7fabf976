"""What the labs claim to have been proven on a real cluster holds: for what they are now, and when tried again."""

from __future__ import annotations

from pathlib import Path

import pytest

from labs.clusters.registry import Providers
from labs.grading import ProcessGrader
from labs.proofs import Standing
from labs.replay import Replay, choose
from tests.conftest import SharedClusters, shared_start, usable
from tests.proven import LIBRARY, PROVIDER, SETTINGS, again, standings


@pytest.mark.parametrize("lab", sorted({one.lab for one in standings()}))
def test_every_state_is_proven_as_it_is_now(lab: str) -> None:
    wrong = [f"{one}: {one.wrong}" for one in standings() if one.lab == lab and one.wrong]
    todo = f"run `make prove LAB={lab}` where there is Docker, and commit what it writes"
    assert not wrong, "\n".join([todo, *wrong])


@pytest.mark.kind
@pytest.mark.parametrize("one", again(), ids=lambda one: f"{PROVIDER}-{one.lab}-{one.state}")
def test_it_comes_out_again(
    one: Standing, providers: Providers, grader: ProcessGrader, clusters: SharedClusters, tmp_path: Path
) -> None:
    provider, lab = usable(providers, PROVIDER), LIBRARY.get(one.lab)
    if missing := lab.needs.missing(provider.capabilities()):
        pytest.skip(f"{PROVIDER} lacks {' and '.join(missing)}")
    replay = Replay(provider, grader, SETTINGS.kubectl, tmp_path)

    result = replay.prove(lab, choose(lab, one.state)[0], shared_start(clusters, provider, lab))

    assert not result.trouble
    assert not result.differences
