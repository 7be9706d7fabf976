"""Pod Security admission: a namespace's labels say which pods are refused, warned about, and noted in the audit.

After ``pod-security-admission/admission``. Pods are refused; of a workload's template its author is only warned. A
stricter label warns of pods that are there already. Without labels a namespace allows everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from simkube.apimachinery.errors import forbidden
from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.plugin import Plugin
from simkube.apiserver.admission.pod_security_checks import BASELINE, RESTRICTED, Check, Found
from simkube.apiserver.registry.request import Request
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj
from simkube.etcd.store import Store

_PREFIX = "pod-security.kubernetes.io/"
_LEVELS = ("privileged", "baseline", "restricted")
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]{0,5})")
_LATEST = 36
MOST_PODS = 1000
"""How many pods that are there already a stricter label is held against; a warning tells when there are more."""
_TEMPLATES = frozenset(
    {
        "replicationcontrollers",
        "podtemplates",
        "replicasets.apps",
        "deployments.apps",
        "statefulsets.apps",
        "daemonsets.apps",
        "jobs.batch",
        "cronjobs.batch",
    }
)
_IGNORED = frozenset({"binding", "eviction", "status"})
_SECCOMP = "seccomp.security.alpha.kubernetes.io/pod"


@dataclass(frozen=True, slots=True)
class Level:
    """A level at a version: ``restricted:latest``, ``baseline:v1.25``."""

    name: str = "privileged"
    version: str = "latest"

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the labels of a namespace ask for."""

    enforce: Level = Level()
    audit: Level = Level()
    warn: Level = Level()


class PodSecurity(Plugin):
    """After ``plugin/pkg/admission/security/podsecurity``."""

    name = "PodSecurity"
    operations = frozenset({"CREATE", "UPDATE"})

    def validate(self, attributes: Attributes) -> None:
        """Hold pods, templates and labels of namespaces to the levels that are asked for."""
        check(attributes.request, attributes.new, attributes.old, self.store)


def policy_of(labels: Mapping[str, str], errors: Errors | None = None) -> Policy:
    """The policy that labels ask for. What cannot be understood is an error, and counts as restricted when enforced."""
    if not any(key.startswith(_PREFIX) for key in labels):
        return Policy()
    found = {}
    for mode in ("enforce", "audit", "warn"):
        name = labels.get(f"{_PREFIX}{mode}", "privileged")
        version = labels.get(f"{_PREFIX}{mode}-version", "latest")
        if name not in _LEVELS:
            if errors is not None:
                where = f"metadata.labels[{_PREFIX}{mode}]"
                errors.invalid(where, name, f"must be one of {', '.join(_LEVELS)}")
            name = "restricted" if mode == "enforce" else "privileged"
        if version != "latest" and not _VERSION.fullmatch(version):
            if errors is not None:
                where = f"metadata.labels[{_PREFIX}{mode}-version]"
                errors.invalid(where, version, 'must be "latest" or "v1.x"')
            version = "latest"
        found[mode] = Level(name, version)
    return Policy(**found)


@lru_cache(maxsize=128)
def _checks(level: Level) -> tuple[Check, ...]:
    if level.name == "privileged":
        return ()
    minor = _LATEST if level.version == "latest" else min(_LATEST, int(level.version.partition(".")[2]))
    strict = [(entry, entry.at(minor)) for entry in RESTRICTED] if level.name == "restricted" else []
    replaced = {entry.replaces for entry, check in strict if check is not None}
    loose = [entry.at(minor) for entry in BASELINE if entry.id not in replaced]
    return tuple(check for check in (*loose, *(check for _, check in strict)) if check is not None)


def violations(level: Level, meta: Obj, spec: Obj) -> list[tuple[str, str]]:
    """What a pod of this metadata and spec does that the level forbids: reason and detail of each."""
    annotations = meta.get("annotations") or {}
    found: Iterator[Found] = (check(annotations, spec) for check in _checks(level))
    return [each for each in found if each is not None]


def _told(found: list[tuple[str, str]]) -> str:
    return ", ".join(f"{reason} ({detail})" for reason, detail in found)


def check(request: Request, new: Obj, old: Obj | None, store: Store) -> None:
    """Refuse a pod (403) or a namespace with labels that mean nothing (422), or warn, as the labels say."""
    storage = request.resource.storage
    if storage == "namespaces":
        if not request.subresource:
            _namespace(request, new, old, store)
    elif storage == "pods":
        if request.subresource not in _IGNORED and (old is None or _matters(new, old)):
            _evaluate(request, new["metadata"], new["spec"], store, enforce=True)
    elif storage in _TEMPLATES and not request.subresource:
        template = new.get("template") if storage == "podtemplates" else _template(storage, new)
        if template:
            _evaluate(request, template.get("metadata") or {}, template.get("spec") or {}, store, enforce=False)


def _template(storage: str, obj: Obj) -> Obj | None:
    spec: Obj = obj.get("spec") or {}
    if storage == "cronjobs.batch":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    return spec.get("template")


def _evaluate(request: Request, meta: Obj, spec: Obj, store: Store, *, enforce: bool) -> None:
    namespace = store.get("namespaces", "", request.namespace)
    policy = policy_of((namespace or {}).get("metadata", {}).get("labels") or {})
    if enforce:
        found = violations(policy.enforce, meta, spec)
        if found:
            why = f'violates PodSecurity "{policy.enforce}": {_told(found)}'
            raise forbidden("pods", meta.get("name", ""), why)
    noted = violations(policy.audit, meta, spec)
    if noted:
        text = f'would violate PodSecurity "{policy.audit}": {_told(noted)}'
        request.notes["pod-security.kubernetes.io/audit-violations"] = text
    found = violations(policy.warn, meta, spec)
    if found:
        request.warnings.append(f'would violate PodSecurity "{policy.warn}": {_told(found)}')


def _matters(new: Obj, old: Obj) -> bool:
    """Whether a change of a pod could make it violate anything: images, seccomp, ephemeral containers."""
    if _annotation(new) != _annotation(old):
        return True
    fields = ("containers", "initContainers", "ephemeralContainers")
    return any(_images(new, field) != _images(old, field) for field in fields)


def _annotation(pod: Obj) -> str | None:
    found: str | None = (pod["metadata"].get("annotations") or {}).get(_SECCOMP)
    return found


def _images(pod: Obj, field: str) -> list[tuple[str, str]]:
    return [(each.get("name", ""), each.get("image", "")) for each in pod["spec"].get(field) or ()]


def _namespace(request: Request, new: Obj, old: Obj | None, store: Store) -> None:
    labels = new["metadata"].get("labels") or {}
    before = (old or {}).get("metadata", {}).get("labels") or {}
    errors, earlier = Errors(), Errors()
    policy, was = policy_of(labels, errors), policy_of(before, earlier)
    if errors.found and (old is None or errors.found != earlier.found):
        errors.raise_for("Namespace", "", new["metadata"]["name"])
    if old is None or policy.enforce == was.enforce or policy.enforce.name == "privileged":
        return
    relaxed = _LEVELS.index(policy.enforce.name) <= _LEVELS.index(was.enforce.name)
    if policy.enforce.version == was.enforce.version and relaxed:
        return
    request.warnings.extend(_existing(new["metadata"]["name"], policy.enforce, store))


def _existing(namespace: str, level: Level, store: Store) -> list[str]:
    pods = store.objects("pods", namespace)
    found: dict[str, list[str]] = {}
    for pod in pods[:MOST_PODS]:
        reasons = ", ".join(reason for reason, _ in violations(level, pod["metadata"], pod["spec"]))
        if reasons:
            found.setdefault(reasons, []).append(pod["metadata"]["name"])
    told = []
    if len(pods) > MOST_PODS:
        checked = f"the first {MOST_PODS} of {len(pods)} existing pods"
        told.append(f"new PodSecurity enforce level only checked against {checked}")
    if found:
        told.append(f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{level}"')
    return told + sorted(f"{_counted(names)}: {reasons}" for reasons, names in found.items())


def _counted(names: list[str]) -> str:
    first, others = min(names), len(names) - 1
    return f"{first} (and {others} other pod{'s' if others > 1 else ''})" if others else first
