"""Unions, nested lists and references within objects: which field is told to be wrong, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from simkube.apimachinery.errors import StatusError
from tests.unit.simkube.apiserver.kinds.conftest import ME, Make, make, server

__all__ = ["make", "server"]

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("refusals.yaml").read_text())


def body_of(case: dict[str, Any]) -> dict[str, Any]:
    if "body" in case:
        return dict(case["body"])
    container = {"name": "web", "image": "nginx:1", **case.get("container", {})}
    volumes = [{"name": "v", **case["volume"]}] if "volume" in case else []
    return {"spec": {"containers": [container], "volumes": volumes, **case.get("pod", {})}}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_an_object_is_refused_field_by_field(make: Make, case: dict[str, Any]) -> None:
    with pytest.raises(StatusError) as caught:
        make(case.get("resource", "pods"), **body_of(case))
    assert caught.value.code == 422
    found = [f"{each['field']}: {each['message']}" for each in (caught.value.details or {})["causes"]]
    wanted = case["errors"]
    shown = [
        text[: len(want) - 3] + "..." if want.endswith("...") else text
        for text, want in zip(found, wanted, strict=False)
    ]
    assert shown + found[len(wanted) :] == wanted


@pytest.mark.parametrize(
    "volume",
    [
        {},
        {"projected": {"sources": [{}]}},
        {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}, {"downwardAPI": {}}]}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {
            "requests": {"storage": "1Gi"}}}}}},
        {"secret": {"secretName": "a", "items": [{"key": "a", "path": "a..b/c"}]}},
    ],
)  # fmt: skip
def test_what_a_real_server_takes_is_taken(make: Make, volume: dict[str, Any]) -> None:
    assert make("pods", {"containers": [{"name": "web", "image": "nginx:1"}], "volumes": [{"name": "v", **volume}]})


def test_a_webhook_may_ask_for_everything_and_a_subresource(server: Any) -> None:
    rule = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*", "pods/exec", "*/scale"]}
    hook = {
        "name": "a.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {"url": "https://example.com/"},
        "rules": [rule],
    }
    name = "validatingwebhookconfigurations.admissionregistration.k8s.io"
    made = server.create(ME, name, {"metadata": {"name": "a"}, "webhooks": [hook]})
    assert made["webhooks"][0]["rules"][0]["resources"] == rule["resources"]


@pytest.mark.parametrize(
    "expression",
    [
        "device.driver == 'gpu.example.com' && device.attributes['gpu.example.com'].type == 'gpu'",
        "device.capacity['gpu.example.com'].memory.compareTo(quantity('10Gi')) >= 0",
        "device.attributes['gpu.example.com'].version.isGreaterThan(semver('1.0.0'))",
        "cel.bind(gpu, device.attributes['gpu.example.com'], gpu.one && gpu.other)",
    ],
)  # fmt: skip
def test_a_class_of_devices_selects_by_what_drivers_say_of_them(server: Any, expression: str) -> None:
    name = "deviceclasses.resource.k8s.io"
    made = server.create(
        ME, name, {"metadata": {"name": "a"}, "spec": {"selectors": [{"cel": {"expression": expression}}]}}
    )
    assert made["spec"]["selectors"] == [{"cel": {"expression": expression}}]


def test_a_slice_of_devices_is_taken_and_stays_its_drivers(server: Any) -> None:
    name = "resourceslices.resource.k8s.io"
    device = {"name": "a", "attributes": {"one": {"bool": False}}, "taints": [{"key": "a", "effect": "NoExecute"}]}
    spec = {"driver": "a.example.com", "pool": {"name": "a", "generation": 0, "resourceSliceCount": 1}}
    body = {"metadata": {"name": "a"}, "spec": {**spec, "allNodes": True, "devices": [device]}}
    made = server.create(ME, name, body)
    assert made["spec"]["devices"][0]["attributes"] == {"one": {"bool": False}}
    assert made["spec"]["devices"][0]["taints"][0]["timeAdded"] == made["metadata"]["creationTimestamp"]
    assert made["metadata"]["generation"] == 1
    with pytest.raises(StatusError) as caught:
        server.patch(ME, name, "a", {"spec": {"driver": "b.example.com"}})
    assert caught.value.message.endswith('spec.driver: Invalid value: "b.example.com": field is immutable')


@pytest.mark.parametrize(
    ("spec", "change", "message"),
    [
        (
            {"loadBalancerClass": "a.org/b"},
            {"loadBalancerClass": "a.org/c"},
            'Class: Invalid value: "a.org/c": may',
        ),
        (
            {"externalTrafficPolicy": "Local"},
            {"healthCheckNodePort": 30001},
            "healthCheckNodePort: Forbidden: field",
        ),
        ({}, {"clusterIP": "None"}, 'spec.clusterIPs[0]: Invalid value: ["None"]: may not change once set'),
    ],
)
def test_what_a_service_has_stays(make: Make, server: Any, spec: Any, change: Any, message: str) -> None:
    made = make("services", {"type": "LoadBalancer", "ports": [{"port": 80}], "healthCheckNodePort": 0, **spec})
    assert made["spec"]["clusterIP"]
    with pytest.raises(StatusError) as caught:
        server.patch(ME, "services", "web", {"spec": change}, "default")
    assert message in caught.value.message
