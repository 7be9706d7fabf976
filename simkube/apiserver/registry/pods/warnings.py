"""What whoever makes a pod or a template is warned of: it is taken, but will not do what was meant.

After ``pkg/api/pod/warnings.go`` and the ``WarningsOnCreate`` of the strategies. It refuses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from simkube.apimachinery.quantity import QuantityError, parse
from simkube.apiserver.schema.golang import quote
from simkube.apiserver.validation.metadata import dns_label
from simkube.client.client import Obj

_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_NODE_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}
_VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
TEMPLATES = {
    "deployments.apps": "spec.template",
    "replicasets.apps": "spec.template",
    "statefulsets.apps": "spec.template",
    "daemonsets.apps": "spec.template",
    "replicationcontrollers": "spec.template",
    "jobs.batch": "spec.template",
    "cronjobs.batch": "spec.jobTemplate.spec.template",
    "podtemplates": "template",
}
"""Where the kinds that make pods, by the name they are stored under, keep the template of a pod."""
_NAMED = frozenset({"deployments.apps", "replicasets.apps", "replicationcontrollers", "jobs.batch", "cronjobs.batch"})
_SECCOMP = "seccomp.security.alpha.kubernetes.io/pod"
_CONTAINER_SECCOMP = "container.seccomp.security.alpha.kubernetes.io/"
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SURPRISING = "which can result in surprising behavior; a DNS label is recommended"


def of(storage: str) -> Callable[[Obj, Obj | None], Iterable[str]]:
    """What says the warnings about objects of a kind that is, or makes, pods."""
    return partial(warnings_of, storage)


def warnings_of(storage: str, new: Obj, old: Obj | None) -> list[str]:
    """The warnings about a new object (``old`` is None) or a changed one, in the order of the API server."""
    path = TEMPLATES.get(storage)
    name = new["metadata"].get("name", "")
    problems = dns_label(name) if old is None else []
    if storage == "pods":
        if old is not None:
            return []
        found = [f"metadata.name: this is used in the Pod's hostname, {_SURPRISING}: [{' '.join(problems)}]"]
        return [*(found if problems else ()), *_pod(new["spec"], new["metadata"], "")]
    if path is None:
        return []
    template = template_of(storage, new)
    if template is None or (old is not None and template == template_of(storage, old)):
        return []
    found = [f"metadata.name: this is used in Pod names and hostnames, {_SURPRISING}: [{' '.join(problems)}]"]
    shown = [*found] if problems and storage in _NAMED else []
    return [*shown, *_pod(template.get("spec", {}), template.get("metadata", {}), f"{path}.")]


def template_of(storage: str, obj: Obj) -> Obj | None:
    """The template of the pods an object makes; None when its kind makes none, or it has no template."""
    value: Any = obj
    for part in TEMPLATES[storage].split(".") if storage in TEMPLATES else ():
        value = (value or {}).get(part)
    return None if value is obj else value


def _pod(spec: Obj, meta: Obj, path: str) -> Iterator[str]:
    """Of a pod (``path`` is "") or of a template at ``path``, which ends in a dot."""
    yield from _places(spec, f"{path}spec")
    annotations = meta.get("annotations", {})
    for key, text in _ANNOTATIONS.items():
        if key in annotations:
            yield f"{path}metadata.annotations[{key}]: {text}"
    for index, volume in enumerate(spec.get("volumes", ())):
        for source, text in _VOLUMES.items():
            if source in volume:
                yield f"{path}spec.volumes[{index}].{source}: {text}"
    yield from _twice(spec, f"{path}spec")
    yield from _fractions(spec.get("overhead", {}), f"{path}spec.overhead")
    if _SECCOMP in annotations and "seccompProfile" not in spec.get("securityContext", {}):
        yield _unused(f"{path}metadata.annotations[{_SECCOMP}]")
    for container, where in _containers(spec, f"{path}spec"):
        yield from _container(container, where, spec, annotations, path)
    yield from _ports(spec, f"{path}spec")
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        yield (
            f"{path}spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated "
            "as 1"
        )
    yield from _affinities(spec.get("affinity", {}), f"{path}spec.affinity")


def _unused(path: str) -> str:
    return f'{path}: non-functional in v1.27+; use the "seccompProfile" field instead'


def _containers(spec: Obj, path: str) -> Iterator[tuple[Obj, str]]:
    for name in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(name, ())):
            yield container, f"{path}.{name}[{index}]"


def _places(spec: Obj, path: str) -> Iterator[str]:
    """Labels of nodes under names that are no longer used; spread over nothing."""
    for key in sorted(spec.get("nodeSelector", {})):
        if key in _NODE_LABELS:
            yield f"{path}.nodeSelector[{key}]: {_NODE_LABELS[key]}"
    affinity = spec.get("affinity", {}).get("nodeAffinity", {})
    where = f"{path}.affinity.nodeAffinity"
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {})
    for index, term in enumerate(required.get("nodeSelectorTerms", ())):
        yield from _term(term, f"{where}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[{index}]")
    for index, each in enumerate(affinity.get("preferredDuringSchedulingIgnoredDuringExecution", ())):
        at = f"{where}.preferredDuringSchedulingIgnoredDuringExecution[{index}].preference"
        yield from _term(each.get("preference", {}), at)
    for index, each in enumerate(spec.get("topologySpreadConstraints", ())):
        at, key = f"{path}.topologySpreadConstraints[{index}]", each.get("topologyKey", "")
        if key in _NODE_LABELS:
            yield f"{at}.topologyKey: {key} is {_NODE_LABELS[key]}"
        if each.get("labelSelector") is None:
            yield f"{at}.labelSelector: a null labelSelector results in matching no pod"


def _term(term: Obj, path: str) -> Iterator[str]:
    for index, each in enumerate(term.get("matchExpressions", ())):
        key = each.get("key", "")
        if key in _NODE_LABELS:
            yield f"{path}.matchExpressions[{index}].key: {key} is {_NODE_LABELS[key]}"


def _affinities(affinity: Obj, path: str) -> Iterator[str]:
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(kind, {})
        name = "requiredDuringSchedulingIgnoredDuringExecution"
        for index, term in enumerate(terms.get(name, ())):
            if term.get("labelSelector") is None:
                yield f"{path}.{kind}.{name}[{index}].labelSelector: a null labelSelector results in matching no pod"
        name = "preferredDuringSchedulingIgnoredDuringExecution"
        for index, term in enumerate(terms.get(name, ())):
            if term.get("podAffinityTerm", {}).get("labelSelector") is None:
                at = f"{path}.{kind}.{name}[{index}].podAffinityTerm.labelSelector"
                yield f"{at}: a null labelSelector results in matching no pod"


def _twice(spec: Obj, path: str) -> Iterator[str]:
    """Addresses and secrets that are named twice, or not at all."""
    for field, key, what in (("hostAliases", "ip", "ip"), ("imagePullSecrets", "name", "name")):
        seen: set[str] = set()
        for index, each in enumerate(spec.get(field, ())):
            value = each.get(key, "")
            if value in seen:
                yield f"{path}.{field}[{index}].{key}: duplicate {what} {quote(value)}"
            seen.add(value)
    for index, each in enumerate(spec.get("imagePullSecrets", ())):
        if not each.get("name"):
            yield f'{path}.imagePullSecrets[{index}].name: invalid empty name ""'


def _fractions(amounts: Obj, path: str) -> Iterator[str]:
    for name in ("memory", "ephemeral-storage"):
        try:
            whole = name not in amounts or parse(amounts[name]) % 1 == 0
        except QuantityError:
            continue
        if not whole:
            yield f"{path}[{name}]: fractional byte value {quote(str(amounts[name]))} is invalid, must be an integer"


def _container(container: Obj, path: str, spec: Obj, annotations: Obj, root: str) -> Iterator[str]:
    name, security = container.get("name", ""), container.get("securityContext", {})
    if f"{_CONTAINER_SECCOMP}{name}" in annotations and "seccompProfile" not in security:
        yield _unused(f"{root}metadata.annotations[{_CONTAINER_SECCOMP}{name}]")
    profiled = "appArmorProfile" in security or "appArmorProfile" in spec.get("securityContext", {})
    if root and f"{_APPARMOR}{name}" in annotations and not profiled:
        at = f"{root}metadata.annotations[{_APPARMOR}{name}]"
        yield f'{at}: deprecated since v1.30; use the "appArmorProfile" field instead'
    for kind in ("limits", "requests"):
        yield from _fractions(container.get("resources", {}).get(kind, {}), f"{path}.resources.{kind}")
    seen: set[str] = set()
    for index, each in enumerate(container.get("env", ())):
        key, value = each.get("name", ""), each.get("value", "")
        reference = f"$({key})"
        if key in seen and ("valueFrom" in each or value == reference or reference not in value):
            yield (
                f"{path}.env[{index}]: hides previous definition of {quote(key)}, which may be dropped when using apply"
            )
        seen.add(key)


def _ports(spec: Obj, path: str) -> Iterator[str]:
    """Ports that more than one container, or one of them twice, says it has."""
    seen: dict[tuple[Any, Any], list[tuple[str, Obj]]] = {}
    for container, where in _containers(spec, path):
        for index, port in enumerate(container.get("ports", ())):
            at = f"{where}.ports[{index}]"
            if port.get("hostIP") and not port.get("hostPort"):
                yield f"{at}: hostIP set without hostPort: {_shown(port)}"
            others = seen.setdefault((port.get("containerPort"), port.get("protocol")), [])
            for other_at, other in others[:8]:
                word = _clash(port, other)
                if word:
                    yield f"{at}: {word} port definition with {other_at}"
            others.append((at, port))


def _clash(one: Obj, other: Obj) -> str:
    ips = one.get("hostIP", ""), other.get("hostIP", "")
    ports = one.get("hostPort", 0), other.get("hostPort", 0)
    if ips[0] == ips[1] and ports[0] == ports[1]:
        return "duplicate"
    if not ports[0] or not ports[1]:
        return "overlapping"
    return "dangerously ambiguous" if ports[0] == ports[1] and (not ips[0]) != (not ips[1]) else ""


def _shown(port: Obj) -> str:
    """A port as ``%+v`` prints it."""
    numbers = (("HostPort", "hostPort", 0), ("ContainerPort", "containerPort", 0))
    fields = (("Name", "name", ""), *numbers, ("Protocol", "protocol", ""), ("HostIP", "hostIP", ""))
    return "{" + " ".join(f"{shown}:{port.get(key, empty)}" for shown, key, empty in fields) + "}"
