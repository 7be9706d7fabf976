"""What the status of objects may say: which field is told to be wrong, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from simkube.apimachinery.errors import StatusError
from tests.unit.simkube.apiserver.kinds.conftest import ME, Make, make, server

__all__ = ["make", "server"]

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("statuses.yaml").read_text())
CLAIMS = "resourceclaims.resource.k8s.io"


def write(server: Any, resource: str, status: Any) -> dict[str, Any]:
    namespace = "default" if server.registry.named(resource).namespaced else ""
    changed: dict[str, Any] = server.patch(ME, resource, "web", {"status": status}, namespace, subresource="status")
    return changed


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_a_status_is_refused_field_by_field(server: Any, case: dict[str, Any]) -> None:
    namespaced = server.registry.named(case["resource"]).namespaced
    body = {"metadata": {"name": "web"}, "spec": case["spec"]}
    server.create(ME, case["resource"], body, "default" if namespaced else "")
    with pytest.raises(StatusError) as caught:
        write(server, case["resource"], case["status"])
    assert caught.value.code == 422
    found = [f"{each['field']}: {each['message']}" for each in (caught.value.details or {})["causes"]]
    wanted = case["errors"]
    shown = [
        text[: len(want) - 3] + "..." if want.endswith("...") else text
        for text, want in zip(found, wanted, strict=False)
    ]
    assert shown + found[len(wanted) :] == wanted


def test_an_address_of_a_load_balancer_is_reached_as_it_is(make: Make, server: Any) -> None:
    make("services", {"type": "LoadBalancer", "ports": [{"port": 80}]})
    changed = write(server, "services", {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}, {"hostname": "a"}]}})
    assert changed["status"]["loadBalancer"]["ingress"] == [
        {"ip": "10.0.0.1", "ipMode": "VIP"},
        {"hostname": "a"},
    ]


def test_what_a_claim_was_given_stays(make: Make, server: Any) -> None:
    make(CLAIMS, {"devices": {"requests": [{"name": "a", "exactly": {"deviceClassName": "c"}}]}})
    result = {"request": "a", "driver": "a.example.com", "pool": "b", "device": "c"}
    told = {"driver": "a.example.com", "pool": "b", "device": "c"}
    user = {"resource": "pods", "name": "web", "uid": "1"}
    status = {"allocation": {"devices": {"results": [result]}}, "reservedFor": [user], "devices": [told]}
    assert write(server, CLAIMS, status)["status"] == status
    with pytest.raises(StatusError, match=r"status\.allocation: Invalid value: .*: field is immutable"):
        write(server, CLAIMS, {"allocation": {"devices": {"results": [{**result, "device": "d"}]}}, "devices": []})
