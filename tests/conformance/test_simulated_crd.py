"""A kind of one's own with each kubectl there is, on a simulated cluster: defined, explained, used, removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from simkube.host.launcher import HostClient
from tests.conformance.conftest import Kubectl, kubectls, learners, which

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


@pytest.fixture(params=kubectls(), ids=which)
def kubectl(request: pytest.FixtureRequest, host: HostClient, tmp_path: Path) -> Iterator[Kubectl]:
    """One kubectl and a cluster of its own, with a home of its own (kubectl remembers what servers serve)."""
    name = which(request.param)
    host.create(name, {"nodes": []})
    yield Kubectl(request.param, learners(host, name, tmp_path), "default", (1, 36))
    host.delete(name)


def test_a_kind_of_ones_own(kubectl: Kubectl) -> None:
    assert "created" in kubectl("apply -f -", DEFINITION)
    kubectl("wait --for=condition=Established crd/ships.sea.example.org --timeout=20s")
    assert "sea.example.org/v1" in kubectl("api-versions")
    assert "ships" in kubectl("api-resources --api-group=sea.example.org")
    assert "Its colour." in kubectl("explain ship.spec.colour")
    assert kubectl("apply -f -", SHIP) == "ship.sea.example.org/argo created\n"
    assert kubectl("apply -f -", SHIP) == "ship.sea.example.org/argo unchanged\n"
    assert 'unknown field "spec.sails"' in kubectl.refused("create -f -", SHIP.replace("red", "red, sails: 3"))
    assert "red ships have at most three masts" in kubectl.refused("scale ship argo --replicas=4")
    kubectl("scale ship argo --replicas=3")
    header, row = kubectl("get sh").splitlines()
    assert (header.split(), row.split()[:2]) == (["NAME", "MASTS", "AGE"], ["argo", "3"])
    assert "argo" in kubectl("get fleet")
    assert "argo" in kubectl("get all")
    assert "not supported" in kubectl.refused('patch ship argo -p \'{"spec":{"masts":2}}\'')
    kubectl('patch ship argo --type=merge -p \'{"spec":{"masts":2}}\'')
    kubectl("label ship argo a=b")
    assert kubectl("get ship argo -o jsonpath={.spec.masts}/{.metadata.labels.a}") == "2/b"
    assert "serverside-applied" in kubectl("apply --server-side --force-conflicts -f -", SHIP)
    assert "Masts:" in kubectl("describe ship argo")
    kubectl("delete crd ships.sea.example.org --timeout=30s")
    kubectl.refused("get ships")
    assert "ships" not in kubectl("api-resources")
