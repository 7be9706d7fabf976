"""What is left of zeros: Go writes the zero of a pointer, and leaves out that of a value (``omitempty``)."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.apiserver.schema.canonical import canonical
from simkube.client.client import Obj


def body(gvk: tuple[str, str, str], path: str, value: Any) -> Obj:
    made: Any = value
    for name in reversed(path.split(".")):
        made = {name.removesuffix("[]"): [made] if name.endswith("[]") else made}
    return {"apiVersion": f"{gvk[0]}/{gvk[1]}" if gvk[0] else gvk[1], "kind": gvk[2], **made}


def at(obj: Any, path: str) -> Any:
    for name in path.split("."):
        obj = obj[name.removesuffix("[]")]
        obj = obj[0] if name.endswith("[]") else obj
    return obj


CRD = ("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
FLOW = ("flowcontrol.apiserver.k8s.io", "v1", "PriorityLevelConfiguration")
HOOKS = ("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration")
POLICY = ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy")
VOLUME = ("", "v1", "PersistentVolume")


@pytest.mark.parametrize(
    ("gvk", "path", "zero"),
    [
        (FLOW, "spec.limited.nominalConcurrencyShares", 0),
        (FLOW, "spec.exempt.lendablePercent", 0),
        (HOOKS, "webhooks[].failurePolicy", ""),
        (HOOKS, "webhooks[].clientConfig.url", ""),
        (HOOKS, "webhooks[].rules[].scope", ""),
        (POLICY, "spec.failurePolicy", ""),
        (POLICY, "spec.validations[].reason", ""),
        (CRD, "spec.versions[].subresources.scale.labelSelectorPath", ""),
        (VOLUME, "spec.local.fsType", ""),
        (("", "v1", "Service"), "spec.trafficDistribution", ""),
        (("resource.k8s.io", "v1", "ResourceSlice"), "spec.allNodes", False),
    ],
)
def test_the_zero_of_a_pointer_is_kept(gvk: tuple[str, str, str], path: str, zero: Any) -> None:
    assert at(canonical(body(gvk, path, zero), gvk), path) == zero


@pytest.mark.parametrize(
    ("gvk", "path", "zero"),
    [
        (CRD, "spec.versions[].additionalPrinterColumns[].priority", 0),
        (VOLUME, "spec.gcePersistentDisk.partition", 0),
        (VOLUME, "spec.nfs.readOnly", False),
        (("networking.k8s.io", "v1", "IngressClass"), "spec.controller", ""),
    ],
)
def test_the_zero_of_a_value_is_left_out(gvk: tuple[str, str, str], path: str, zero: Any) -> None:
    around, _, name = path.rpartition(".")
    assert name not in at(canonical(body(gvk, path, zero), gvk), around)
