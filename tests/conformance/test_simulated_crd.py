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


LOOSE = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %(plural)s.sea.example.org}
spec:
  group: sea.example.org
  scope: Namespaced
  names: {plural: %(plural)s, kind: %(kind)s}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
SEVERAL = """
apiVersion: v1
kind: List
items:
- {apiVersion: sea.example.org/v1, kind: Reef, metadata: {name: a}, depth: {least: %(least)s}, length: 3}
- {apiVersion: sea.example.org/v1, kind: Bank, metadata: {name: b}, depth: {least: %(least)s}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {depth: "%(least)s"}}
"""


def test_several_kinds_of_ones_own_in_one_list(kubectl: Kubectl) -> None:
    definitions = [LOOSE % {"plural": plural, "kind": kind} for plural, kind in (("reefs", "Reef"), ("banks", "Bank"))]
    kubectl("apply -f -", "---".join(definitions))
    kubectl("wait --for=condition=Established crd --all --timeout=20s")
    names = ["reef.sea.example.org/a", "bank.sea.example.org/b", "configmap/c"]
    for least, word in ((1, "created"), (1, "unchanged"), (2, "configured")):
        shown = kubectl("apply -f -", SEVERAL % {"least": least})
        assert shown.splitlines() == [f"{name} {word}" for name in names]
    found = kubectl("get reef/a bank/b -o jsonpath={.items[*].depth.least}/{.items[0].length}")
    assert found == "2 2/3"
    kubectl("delete -f -", SEVERAL % {"least": 2})
    assert kubectl("get reefs,banks -o name") == ""


def test_a_definition_and_an_object_of_it_in_one_file(kubectl: Kubectl) -> None:
    """The first time only the definition is there: kubectl looked for the kind before it made anything."""
    refused = kubectl.run("apply -f -", DEFINITION + "---" + SHIP)
    assert refused.returncode == 1
    assert "customresourcedefinition.apiextensions.k8s.io/ships.sea.example.org created" in refused.stdout
    assert (
        'no matches for kind "Ship" in version "sea.example.org/v1"\nensure CRDs are installed first' in refused.stderr
    )
    kubectl("wait --for=condition=Established crd/ships.sea.example.org --timeout=20s")
    assert "ship.sea.example.org/argo created" in kubectl("apply -f -", DEFINITION + "---" + SHIP)


def test_fields_are_looked_at_by_the_server(kubectl: Kubectl) -> None:
    """Each path names ``fieldValidation``, so that kubectl leaves it to the server, which knows the schema."""
    kubectl("apply -f -", DEFINITION)
    kubectl("wait --for=condition=Established crd/ships.sea.example.org --timeout=20s")
    typo = SHIP.replace("red", "red, sails: 3")
    strict = kubectl.refused("apply -f -", typo)
    assert 'strict decoding error: unknown field "spec.sails"' in strict
    assert "error validating data" not in strict  # what kubectl says when it looks itself
    warned = kubectl.run("apply --validate=warn -f -", typo)
    assert (warned.stdout, warned.stderr) == (
        "ship.sea.example.org/argo created\n",
        'Warning: unknown field "spec.sails"\n',
    )
    assert kubectl.run("apply --validate=ignore -f -", typo).stderr == ""
