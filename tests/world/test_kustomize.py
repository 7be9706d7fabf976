"""kustomize inside kubectl: what it builds is applied, changed, pruned and deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world.conftest import Place

BASE = {
    "kustomization.yaml": """
resources: [web.yaml]
labels:
  - pairs: {app: web}
    includeSelectors: true
configMapGenerator:
  - name: page
    literals: [greeting=hello]
images:
  - name: web
    newName: kindling/web
    newTag: "1.0"
""",
    "web.yaml": """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {tier: front}}
  template:
    metadata: {labels: {tier: front}}
    spec:
      containers:
        - name: web
          image: web
          envFrom: [{configMapRef: {name: page}}]
""",
}
OVERLAY = """
resources: [../base]
namePrefix: staging-
replicas:
  - name: web
    count: 2
configMapGenerator:
  - name: page
    behavior: merge
    literals: [greeting=GREETING]
patches:
  - target: {kind: Deployment}
    patch: |-
      - op: add
        path: /spec/template/spec/containers/0/ports
        value: [{containerPort: 8080}]
"""


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    for name, text in BASE.items():
        (tmp_path / "base").mkdir(exist_ok=True)
        (tmp_path / "base" / name).write_text(text)
    (tmp_path / "overlay").mkdir()
    greet(tmp_path / "overlay", "hello")
    return tmp_path / "overlay"


def greet(overlay: Path, greeting: str) -> None:
    """Write the overlay with this greeting, which gives its config map a new name."""
    (overlay / "kustomization.yaml").write_text(OVERLAY.replace("GREETING", greeting))


def test_an_overlay_is_applied_changed_and_deleted(place: Place, overlay: Path) -> None:
    kubectl = place.kubectl
    kubectl("apply", "-k", str(overlay))
    kubectl("rollout", "status", "deployment/staging-web", "--timeout=60s")
    first = kubectl("get", "configmaps", "-l", "app=web", "-o", "name").split()
    assert len(first) == 1
    greet(overlay, "goodbye")
    told = kubectl("diff", "-k", str(overlay), fails=True)
    assert "+  greeting: goodbye" in told
    kubectl("apply", "-k", str(overlay))
    kubectl("rollout", "status", "deployment/staging-web", "--timeout=60s")
    assert kubectl("exec", "deploy/staging-web", "--", "printenv", "greeting") == "goodbye\n"
    kubectl("delete", "-k", str(overlay))
    assert kubectl("get", "deployments", "-o", "name") == ""


def test_an_apply_set_prunes_what_is_no_longer_built(place: Place, overlay: Path) -> None:
    kubectl = place.kubectl
    prune = ["--prune", "--applyset=configmaps/parts", "-n", place.namespace]
    alpha = {"KUBECTL_APPLYSET": "true"}
    for greeting, words in (("one", []), ("two", [])):
        greet(overlay, greeting)
        kubectl("apply", "-k", str(overlay), *prune, *words, env=alpha)
    found = kubectl("get", "configmaps", "-l", "app=web", "-o", "jsonpath={.items[*].data.greeting}")
    assert found == "two"
