"""LimitRange admission: default requests and limits of containers; smallest, largest, and the ratio between the two.

After ``plugin/pkg/admission/limitranger``. It changes new pods, and refuses pods and claims that lie outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction

from simkube.apimachinery import quantity
from simkube.apimachinery.errors import forbidden
from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.plugin import Plugin
from simkube.apiserver.registry.request import Request
from simkube.client.client import Obj
from simkube.component_helpers.quota_usage import pod_resources
from simkube.etcd.store import Store

_ANNOTATION = "kubernetes.io/limit-ranger"


class LimitRanger(Plugin):
    """After ``plugin/pkg/admission/limitranger``."""

    name = "LimitRanger"
    operations = frozenset({"CREATE", "UPDATE"})
    handles = frozenset({"pods", "persistentvolumeclaims"})

    def admit(self, attributes: Attributes) -> None:
        """Give the containers of a new pod what the ranges of its namespace say they have by default."""
        if attributes.request.resource.storage == "pods" and attributes.operation == "CREATE":
            complete(attributes.request, attributes.new, self.store)

    def validate(self, attributes: Attributes) -> None:
        """403 for a pod or a claim that lies outside a range of its namespace."""
        request = attributes.request
        claim = request.resource.storage == "persistentvolumeclaims"
        if attributes.operation == "CREATE" or request.subresource == "resize" or claim:
            check(request, attributes.new, self.store)


def complete(request: Request, pod: Obj, store: Store) -> None:
    """Give the containers of a new pod what the ranges of its namespace say they have by default."""
    said: list[str] = []
    for item in _items(request, store, "Container"):
        for field, word in (("containers", "container"), ("initContainers", "init container")):
            for container in pod["spec"].get(field) or ():
                said += _complete_container(container, item, word)
    if said:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[_ANNOTATION] = f"LimitRanger plugin set: {'; '.join(said)}"


def _complete_container(container: Obj, item: Obj, word: str) -> Iterator[str]:
    own = container.setdefault("resources", {})
    for source, field, what in (("defaultRequest", "requests", "request"), ("default", "limits", "limit")):
        there = own.get(field) or {}
        added = {name: amount for name, amount in (item.get(source) or {}).items() if name not in there}
        if added:
            own[field] = {**there, **added}
            yield f"{', '.join(sorted(added))} {what} for {word} {container['name']}"


def _items(request: Request, store: Store, kind: str) -> list[Obj]:
    if not store.count("limitranges"):
        return []
    found = store.objects("limitranges", request.namespace)
    return [item for each in found for item in each["spec"].get("limits") or () if item.get("type") == kind]


def check(request: Request, obj: Obj, store: Store) -> None:
    """403 for a pod or a claim that lies outside a range of its namespace."""
    storage = request.resource.storage
    if storage not in ("pods", "persistentvolumeclaims") or not store.count("limitranges"):
        return
    problems: list[str] = []
    for each in store.objects("limitranges", request.namespace):
        for item in each["spec"].get("limits") or ():
            problems += _pod(item, obj) if storage == "pods" else _claim(item, obj)
    if problems:
        unique = list(dict.fromkeys(problems))
        why = unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"
        raise forbidden(request.resource.plural, obj["metadata"].get("name", ""), why)


def _pod(item: Obj, pod: Obj) -> Iterator[str]:
    spec = pod["spec"]
    if item["type"] == "Container":
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            own = container.get("resources") or {}
            yield from _bounds(item, own.get("requests") or {}, own.get("limits") or {})
    elif item["type"] == "Pod":
        yield from _bounds(item, *pod_resources(spec))


def _bounds(item: Obj, requests: Mapping[str, str], limits: Mapping[str, str]) -> Iterator[str]:
    kind = item["type"]
    for name, least in (item.get("min") or {}).items():
        yield from _least(kind, name, least, requests.get(name), limits.get(name))
    for name, most in (item.get("max") or {}).items():
        yield from _most(kind, name, most, requests.get(name), limits.get(name))
    for name, ratio in (item.get("maxLimitRequestRatio") or {}).items():
        yield from _ratio(kind, name, ratio, requests.get(name), limits.get(name))


def _value(amount: str) -> Fraction:
    return quantity.parse(str(amount))


def _least(kind: str, name: str, least: str, request: str | None, limit: str | None) -> Iterable[str]:
    head = f"minimum {name} usage per {kind} is {least}"
    if request is None:
        return (f"{head}.  No request is specified",)
    if _value(request) < _value(least):
        return (f"{head}, but request is {request}",)
    if limit is not None and _value(limit) < _value(least):
        return (f"{head}, but limit is {limit}",)
    return ()


def _most(kind: str, name: str, most: str, request: str | None, limit: str | None) -> Iterable[str]:
    head = f"maximum {name} usage per {kind} is {most}"
    if limit is None:
        return (f"{head}.  No limit is specified",)
    if _value(limit) > _value(most):
        return (f"{head}, but limit is {limit}",)
    if request is not None and _value(request) > _value(most):
        return (f"{head}, but request is {request}",)
    return ()


def _ratio(kind: str, name: str, most: str, request: str | None, limit: str | None) -> Iterable[str]:
    head = f"{name} max limit to request ratio per {kind} is {most}"
    if request is None or not _value(request):
        return (f"{head}, but no request is specified or request is 0",)
    if limit is None or not _value(limit):
        return (f"{head}, but no limit is specified or limit is 0",)
    ratio = _value(limit) / _value(request)
    return (f"{head}, but provided ratio is {float(ratio):.6f}",) if ratio > _value(most) else ()


def _claim(item: Obj, claim: Obj) -> Iterator[str]:
    if item["type"] != "PersistentVolumeClaim":
        return
    requests = (claim["spec"].get("resources") or {}).get("requests") or {}
    for name, least in (item.get("min") or {}).items():
        yield from _least(item["type"], name, least, requests.get(name), None)
    for name, most in (item.get("max") or {}).items():
        head = f"maximum {name} usage per {item['type']} is {most}"
        request = requests.get(name)
        if request is None:
            yield f"{head}.  No request is specified"
        elif _value(request) > _value(most):
            yield f"{head}, but request is {request}"
