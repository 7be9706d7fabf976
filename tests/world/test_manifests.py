"""What matters in public manifests, as small manifests of ours (``manifests/``); and the list of the public ones."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from simkube.testing import Server
from tests.world.conftest import HERE
from tests.world.try_files import Manifest, Outcome, attempt, listed

MANIFESTS: dict[str, tuple[Outcome, str]] = {
    "kyaml": ("ready", ""),
    "documents": ("ready", ""),
    "list": ("ready", ""),
    "sidecar": ("ready", ""),
    "log-shipper": ("completed", ""),
    "downward": ("completed", ""),
    "ordinals": ("ready", ""),
    "agent": ("ready", "a stand-in runs in its place"),
    "indexed": ("completed", ""),
    "host-ports": ("waiting", "didn't have free ports"),
    "token": ("ready", ""),
    "affinity": ("waiting", "didn't match pod affinity rules"),
    "grpc-probe": ("ready", ""),
    "placeholder": ("waiting", "InvalidImageName"),
    "own-probe": ("ready", "a stand-in runs in its place"),
    "pod-resources": ("ready", ""),
    "own-dns": ("completed", ""),
    "old-version": ("refused", 'no matches for kind "PodDisruptionBudget" in version "policy/v1beta1"'),
    "accelerator": ("waiting", "Insufficient nvidia.com/gpu"),
    "missing-claim": ("waiting", 'persistentvolumeclaim "shared" not found'),
    "file-variables": ("completed", ""),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest(server: Server, name: str) -> None:
    outcome, because = MANIFESTS[name]
    result = attempt(server, Manifest("", name, "", outcome), (HERE / "manifests" / f"{name}.yaml").read_text())
    assert (result.outcome, result.failed) == (outcome, 0), result.said
    assert because in result.said


def test_every_manifest_is_tried() -> None:
    assert {path.stem for path in (HERE / "manifests").iterdir()} == set(MANIFESTS)


def test_the_list_of_public_files_names_a_commit_and_an_outcome_for_each() -> None:
    entries = list(listed())
    assert len(entries) > 50
    for entry in entries:
        assert re.fullmatch(r"[0-9a-f]{40}", entry.commit), entry
        assert entry.expect in Outcome.__args__  # type: ignore[attr-defined] # typing has no public way to ask
        assert entry.expect in ("ready", "completed", "applied") or entry.because, f"{entry.path}: why?"
