"""Nodes: taints and addresses."""

from __future__ import annotations

from simkube.apiserver.validation.addresses import BAD_CIDR, network_of
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import label_value, qualified_name
from simkube.client.client import Obj

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def node(obj: Obj, errors: Errors) -> None:
    """Taints: key, value, effect, none twice. Ranges for pods: one of each family."""
    _taints(obj, errors)
    spec = obj.get("spec", {})
    ranges = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    found = [network_of(each) for each in ranges]
    for index, each in enumerate(ranges):
        if found[index] is None:
            errors.invalid(f"spec.podCIDRs[{index}]", each, BAD_CIDR)
    families = [each.version for each in found if each is not None]
    if len(ranges) > 1 and sorted(families) != [4, 6]:
        errors.invalid("spec.podCIDRs", ranges, "may specify no more than one CIDR for each IP family")
    for index, each in enumerate(ranges):
        if each in ranges[:index]:
            errors.duplicate(f"spec.podCIDRs[{index}]", each)


def _taints(obj: Obj, errors: Errors) -> None:
    seen = set()
    for index, taint in enumerate(obj.get("spec", {}).get("taints", ())):
        path = f"metadata.taints[{index}]"  # so the API server says, too
        for problem in qualified_name(taint.get("key", "")):
            errors.invalid(f"{path}.key", taint.get("key", ""), problem)
        for problem in label_value(taint.get("value", "")):
            errors.invalid(f"{path}.value", taint.get("value", ""), problem)
        effect = taint.get("effect", "")
        if effect not in _EFFECTS:
            if effect:
                errors.not_supported(f"{path}.effect", effect, _EFFECTS)
            else:
                errors.required(f"{path}.effect")
        key = (taint.get("key"), effect)
        if key in seen:
            errors.duplicate(path, taint)
        seen.add(key)


def node_update(new: Obj, old: Obj, errors: Errors) -> None:
    """Pod addresses and the provider's id, once set, stay. Taints are judged again, as the API server does."""
    node(new, errors)
    now, before = new.get("spec", {}), old.get("spec", {})
    if before.get("podCIDR") and now.get("podCIDR") != before["podCIDR"]:
        errors.forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid')
    if before.get("providerID") and now.get("providerID") != before["providerID"]:
        errors.forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid')
