"""helm 3 and 4: the chart that ``helm create`` makes lives through every command of a release's life."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.world.conftest import Place, program

MAJORS = ("helm-3", "helm-4")


class Release:
    """One chart in a folder of the test's own, its release, and the helm that looks after it."""

    def __init__(self, place: Place, helm: Path) -> None:
        self.place, self.helm = place, helm
        self("create", "web")

    def __call__(self, *words: str) -> str:
        return self.place.succeeds(self.helm, *words)

    def status(self) -> tuple[int, str]:
        """(revision, status) as helm tells it."""
        found: dict[str, Any] = json.loads(self("status", "web", "-o", "json"))
        return found["version"], found["info"]["status"]


@pytest.fixture(params=MAJORS)
def release(request: pytest.FixtureRequest, place: Place) -> Release:
    return Release(place, program(request.param))


def test_a_release_lives_its_life(release: Release) -> None:
    place = release.place
    release("install", "web", "web", "--wait", "--timeout", "40s")
    assert release.status() == (1, "deployed")
    release("upgrade", "web", "web", "--set", "replicaCount=2", "--wait", "--timeout", "40s")
    assert place.kubectl("get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}") == "2"
    release("rollback", "web", "1", "--wait", "--timeout", "40s")
    assert place.kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "1"
    assert release.status() == (3, "deployed")
    # a connection that a Service sends to a pod that ends meanwhile finds nobody, and wget waits for ever
    for count in ("{.status.replicas}=1", "{.status.terminatingReplicas}=0"):
        place.kubectl("wait", f"--for=jsonpath={count}", "deployment/web", "--timeout=30s")
    tested = release("test", "web", "--logs", "--timeout", "40s")
    assert "Succeeded" in tested
    assert "Welcome to nginx!" in tested or "saving to 'index.html'" in tested
    history = json.loads(release("history", "web", "-o", "json"))
    assert [one["status"] for one in history] == ["superseded", "superseded", "deployed"]
    release("uninstall", "web", "--wait", "--timeout", "40s")
    assert json.loads(release("list", "-o", "json")) == []
    assert "web" not in place.kubectl("get", "deployments,services,serviceaccounts", "-o", "name").replace("test-", "")


def test_what_a_chart_gets_wrong_is_told(release: Release) -> None:
    refused = release.place.run(release.helm, "install", "web", "web", "--set", "service.port=70000")
    assert refused.returncode != 0
    assert "must be between 1 and 65535" in refused.stderr, refused.stderr
    kept = release.place.kubectl("get", "secrets", "-o", "jsonpath={.items[*].metadata.labels.status}")
    assert kept in ("", "failed")


def test_a_dry_run_on_the_server_makes_nothing(release: Release) -> None:
    shown = release("install", "web", "web", "--dry-run=server")
    assert "kind: Deployment" in shown
    assert release.place.kubectl("get", "deployments,secrets", "-o", "name") == ""


def test_an_atomic_upgrade_that_never_gets_ready_is_rolled_back(release: Release) -> None:
    release("install", "web", "web", "--wait", "--timeout", "40s")
    words = ["upgrade", "web", "web", "--set", "image.repository=nowhere/nothing", "--wait", "--timeout", "5s"]
    undo = "--atomic" if release.helm.name == "helm-3" else "--rollback-on-failure"
    failed = release.place.run(release.helm, *words, undo)
    assert failed.returncode != 0
    assert release.status() == (3, "deployed")
    assert "nginx" in release.place.kubectl("get", "deployment", "web", "-o", "jsonpath={..image}")
