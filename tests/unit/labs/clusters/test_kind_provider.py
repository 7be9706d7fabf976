"""When a kind cluster is ready, and when one that was stopped is taken for lost."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from labs.clusters.kind import provider as module
from labs.clusters.kind.provider import KindProvider
from labs.clusters.provider import ClusterError, ClusterSpec


class Stopped(KindProvider):
    """One whose cluster ``mine`` was made, and stopped with its machine."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, folder, folder)
        self.healed = False
        (folder / "kind" / "mine").mkdir(parents=True)
        (folder / "kind" / "mine" / "finished").touch()

    def _nodes(self, name: str) -> Any:
        return self

    def all(self) -> list[str]:
        return ["a node"]

    def faults(self, handle: Any) -> Any:
        return self

    def heal(self) -> None:
        self.healed = True

    def credentials(self, handle: Any, who: Any) -> str:
        return ""


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done with the cluster, in order."""
    done: list[str] = []
    monkeypatch.setattr(module, "DynamicClient", lambda _: contextlib.nullcontext())
    for name in ("wait_for_nodes", "add_setup", "wait_for_dns"):
        monkeypatch.setattr(module, name, lambda *_, name=name: done.append(name))
    return done


def never(*_: object) -> None:
    raise ClusterError("it is still waiting")


def test_ready_is_a_cluster_in_which_names_are_known(tmp_path: Path, waited: list[str]) -> None:
    objects: Any = None
    Stopped(tmp_path)._begin(objects, ClusterSpec("mine", "single", (), (), {}))
    assert waited == ["add_setup", "wait_for_dns"]


def test_one_that_comes_back_is_waited_for(tmp_path: Path, waited: list[str]) -> None:
    stopped = Stopped(tmp_path)
    assert stopped._revive({"name": "mine"})
    assert stopped.healed
    assert waited == ["wait_for_nodes", "wait_for_dns"]


def test_whoever_stopped_their_own_dns_keeps_their_cluster(
    tmp_path: Path, waited: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "wait_for_dns", never)
    assert Stopped(tmp_path)._revive({"name": "mine"})


def test_one_whose_nodes_stay_away_is_lost(tmp_path: Path, waited: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "wait_for_nodes", never)
    assert not Stopped(tmp_path)._revive({"name": "mine"})
