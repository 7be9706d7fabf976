"""What a pod lets expect of one of its containers: where it will listen, and whether it comes to an end.

A guess from the spec, for stand-ins alone (images that are not simulated): the ports that it declares or has probed,
and an end for what has to end before the pod can go on or be done. Nothing else of a pod is guessed.
"""

from __future__ import annotations

from simkube.client.client import Obj
from simkube.kubelet.actions import ActionError, port_of

_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def ports(container: Obj) -> list[tuple[int, str]]:
    """Each TCP port once, with ``https`` or ``grpc`` where a probe says so, else ``http``."""
    found = {
        int(one["containerPort"]): "http"
        for one in container.get("ports") or []
        if one.get("protocol", "TCP") == "TCP" and one.get("containerPort")
    }
    actions = [container.get(name) or {} for name in _PROBES]
    actions += [hook or {} for hook in (container.get("lifecycle") or {}).values() if isinstance(hook, dict)]
    for action in actions:
        for kind in ("httpGet", "tcpSocket", "grpc"):
            asked = action.get(kind)
            if not asked or asked.get("host"):
                continue
            try:
                port = port_of(asked["port"], container)
            except ActionError:
                continue
            protocol = "https" if str(asked.get("scheme", "")).upper() == "HTTPS" else "http"
            found[port] = "grpc" if kind == "grpc" else max(protocol, found.get(port, ""))
    return sorted(found.items())


def ends(pod: Obj, container: Obj, role: str) -> bool:
    """Whether it is to end by itself: an init container that is no sidecar, or one without ports in a pod that is not
    run for ever."""
    if role == "init":
        return container.get("restartPolicy") != "Always"
    return pod.get("restartPolicy", "Always") != "Always" and not ports(container)
