"""Parts of a pod that change through subresources: ephemeral containers, resources of containers.

After ``ValidatePodEphemeralContainersUpdate`` and ``ValidatePodResize``. The rest of the pod is as it was when this is
asked (:mod:`simkube.apiserver.registry.pods.parts`).
"""

from __future__ import annotations

from simkube.apiserver.registry.pods.internal_types import difference
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj
from simkube.component_helpers.qos import qos_class

_MIRROR = "kubernetes.io/config.mirror"
_RESIZED = ("cpu", "memory")
_EPHEMERAL = "spec.ephemeralContainers"


def ephemeral_update(new: Obj, old: Obj, errors: Errors) -> None:
    """Ephemeral containers are added, never changed or removed."""
    if _MIRROR in old["metadata"].get("annotations", {}):
        errors.forbidden("", "static pods do not support ephemeral containers")
    there = {each.get("name"): each for each in new["spec"].get("ephemeralContainers", ())}
    for before in old["spec"].get("ephemeralContainers", ()):
        name = before["name"]
        if name not in there:
            errors.forbidden(_EPHEMERAL, f'existing ephemeral containers "{name}" may not be removed\n')
        elif there[name] != before:
            shown = difference(before, there[name], "EphemeralContainer")
            errors.forbidden(_EPHEMERAL, f'existing ephemeral containers "{name}" may not be changed\n{shown}')


def resize_update(new: Obj, old: Obj, errors: Errors) -> None:
    """Processor and memory of containers change, as long as the pod stays of its class and its node can do it."""
    if _MIRROR in old["metadata"].get("annotations", {}):
        errors.forbidden("", "static pods cannot be resized")
        return
    if (old["spec"].get("os") or {}).get("name") == "windows":
        errors.forbidden("", "windows pods cannot be resized")
        return
    if qos_class(new["spec"]) != qos_class(old["spec"]):
        now = old.get("status", {}).get("qosClass", "")
        errors.invalid("spec", now, "Pod QOS Class may not change as a result of resizing")
    if not _node_can(old):
        errors.forbidden("spec", "Pod running on node without support for resize")
    for name in ("containers", "initContainers"):
        for index, container in enumerate(new["spec"].get(name, ())):
            before = old["spec"][name][index]
            _container(container, before, f"spec.{name}[{index}].resources", errors)
            if name == "initContainers" and container.get("restartPolicy") != "Always":
                _unchanged(container, before, "non-sidecar init containers", f"spec.{name}[{index}]", errors)


def _node_can(pod: Obj) -> bool:
    """A kubelet that resizes says in the status what its running containers have."""
    for status in pod.get("status", {}).get("containerStatuses", ()):
        if (status.get("state") or {}).get("running") is not None:
            return status.get("resources") is not None
    return True


def _container(now: Obj, before: Obj, path: str, errors: Errors) -> None:
    has, had = now.get("resources", {}), before.get("resources", {})
    for kind in ("limits", "requests"):
        gone = had.get(kind, {}).keys() - has.get(kind, {}).keys()
        if gone:
            errors.forbidden(f"{path}.{kind}", f"resource {kind} cannot be removed")
        changed = {name for name, amount in has.get(kind, {}).items() if had.get(kind, {}).get(name) != amount}
        if changed - set(_RESIZED):
            errors.forbidden("spec", "only cpu and memory resources are mutable")
    if has.get("claims", []) != had.get("claims", []):
        errors.forbidden("spec", "only cpu and memory resources are mutable")


def _unchanged(now: Obj, before: Obj, what: str, path: str, errors: Errors) -> None:
    if now != before:
        errors.forbidden(path, f"resources for {what} are immutable")
