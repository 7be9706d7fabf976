"""Defaults of pods and pod templates (``SetDefaults_Pod``, ``SetDefaults_PodSpec``, ``SetDefaults_Container``, ...).

It refuses to set what only admission knows: the service account, priority, tolerations.
"""

from __future__ import annotations

from typing import Any

from simkube.client.client import Obj

_MODE = 0o644


def pod(obj: Obj) -> None:
    """A pod: its spec, requests from limits, and that it has service links."""
    spec = obj.setdefault("spec", {})
    for container in (*spec.get("initContainers", ()), *spec.get("containers", ())):
        _requests(container)
    spec.setdefault("enableServiceLinks", True)
    pod_spec(spec)
    obj.setdefault("status", {})


def pod_template(template: Obj) -> None:
    """A template within a workload: as a pod, without what is set on pods alone."""
    template.setdefault("metadata", {})
    pod_spec(template.setdefault("spec", {}))


def pod_spec(spec: Obj) -> None:
    """The part that pods and templates have in common."""
    for container in spec.get("initContainers", ()):
        _container(container)
    for container in spec.get("containers", ()):
        _container(container)
    for container in spec.get("ephemeralContainers", ()):
        _container(container)
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    _service_account(spec)
    for volume in spec.get("volumes", ()):
        _volume(volume)
    if spec.get("hostNetwork"):
        for container in (*spec.get("initContainers", ()), *spec.get("containers", ())):
            for port in container.get("ports", ()):
                port.setdefault("hostPort", port.get("containerPort", 0))


def _service_account(spec: Obj) -> None:
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name


def _requests(container: Obj) -> None:
    resources = container.get("resources") or {}
    limits = resources.get("limits")
    if limits:
        requests = resources.setdefault("requests", {})
        for name, quantity in limits.items():
            requests.setdefault(name, quantity)


def pull_policy(image: str) -> str:
    """``Always`` for the tag latest, given or meant; ``IfNotPresent`` for any other tag and for digests."""
    if "@" in image:
        return "IfNotPresent"
    _, _, last = image.rpartition("/")
    _, colon, tag = last.partition(":")
    return "Always" if not colon or tag == "latest" else "IfNotPresent"


def _container(container: Obj) -> None:
    container.setdefault("imagePullPolicy", pull_policy(container.get("image", "")))
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    for port in container.get("ports", ()):
        port.setdefault("protocol", "TCP")
    for variable in container.get("env", ()):
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference is not None:
            reference.setdefault("apiVersion", "v1")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            _probe(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _http_get(hook)


def _probe(probe: Obj) -> None:
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)
    _http_get(probe)
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _http_get(handler: Obj) -> None:
    get = handler.get("httpGet")
    if get is not None:
        get.setdefault("path", "/")
        get.setdefault("scheme", "HTTP")


def _volume(volume: Obj) -> None:
    if set(volume) <= {"name"}:
        volume["emptyDir"] = {}
    for source in ("secret", "configMap", "downwardAPI", "projected"):
        if source in volume:
            volume[source].setdefault("defaultMode", _MODE)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    _field_references(volume.get("downwardAPI", {}))
    for source in (volume.get("projected") or {}).get("sources", ()):
        _field_references(source.get("downwardAPI", {}))
        if "serviceAccountToken" in source:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)


def _field_references(projection: dict[str, Any]) -> None:
    for item in projection.get("items", ()):
        if "fieldRef" in item:
            item["fieldRef"].setdefault("apiVersion", "v1")
