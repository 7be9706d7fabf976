"""What a pod may ask for that this kubelet does not do, in one list.

The API server can ask it at admission (a 501 is the clearest answer); a pod that reaches the kubelet all the same is
not run: it stays Pending with a FailedMount or FailedCreatePodSandBox event that names the feature. Nothing is ignored
silently that would change how a pod behaves.
"""

from __future__ import annotations

from simkube.client.client import Obj

SIMULATED_VOLUMES = frozenset(
    {
        "name",
        "emptyDir",
        "configMap",
        "secret",
        "downwardAPI",
        "projected",
        "persistentVolumeClaim",
        "ephemeral",
        "hostPath",
    }
)
_POD_FIELDS = {
    "runtimeClassName": "a runtime class",
    "resourceClaims": "a resource claim",
}
_SOURCES = frozenset({"configMap", "secret", "downwardAPI", "serviceAccountToken"})


def volume_refusals(spec: Obj) -> list[tuple[str, str]]:
    """``(volume name, feature)`` for each volume of a kind that is not simulated."""
    found = [
        (volume["name"], f"a volume of kind {kind}")
        for volume in spec.get("volumes") or []
        for kind in volume
        if kind not in SIMULATED_VOLUMES
    ]
    found += [
        (volume["name"], f"a projected volume's source {kind}")
        for volume in spec.get("volumes") or []
        for source in (volume.get("projected") or {}).get("sources") or []
        for kind in source
        if kind not in _SOURCES
    ]
    return found


def pod_refusals(spec: Obj) -> list[str]:
    """The features of a pod spec, other than volumes, that are not simulated, as phrases (``a block volume``)."""
    found = [what for field, what in _POD_FIELDS.items() if spec.get(field)]
    if (spec.get("os") or {}).get("name", "linux") != "linux":
        found.append("a pod for Windows")
    for container in [
        *(spec.get("initContainers") or []),
        *spec.get("containers", []),
        *(spec.get("ephemeralContainers") or []),
    ]:
        if any(one.get("action") == "RestartAllContainers" for one in container.get("restartPolicyRules") or []):
            found.append("a restart rule for all containers of a pod")
        if container.get("volumeDevices"):
            found.append("a block volume (volumeDevices): the nodes have no block devices")
    return sorted(set(found))


def refusals(spec: Obj) -> list[str]:
    """Everything of a pod spec that is not simulated, as phrases; [] when the pod can be run."""
    return sorted({*pod_refusals(spec), *(feature for _, feature in volume_refusals(spec))})
