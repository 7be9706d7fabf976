"""ResourceQuota admission: whether a new object still fits, and the usage it adds.

After ``apiserver/pkg/admission/plugin/resourcequota``. Usage is counted here as soon as something is created; the quota
controller counts again when things go. A dry run is refused alike and counts nothing. It refuses what cannot be told:
a quota whose usage nobody has counted yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from simkube.apimachinery import quantity
from simkube.apimachinery.errors import StatusError, forbidden
from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.plugin import Plugin
from simkube.apiserver.registry.request import Request
from simkube.client.client import Obj
from simkube.component_helpers import quota_usage as usage
from simkube.component_helpers.quota_usage import Amounts
from simkube.etcd.store import Store

_CHANGES = frozenset({"services", "persistentvolumeclaims"})
"""Kinds whose changes are counted too."""


class ResourceQuota(Plugin):
    """After ``apiserver/pkg/admission/plugin/resourcequota``."""

    name = "ResourceQuota"
    operations = frozenset({"CREATE", "UPDATE"})

    def validate(self, attributes: Attributes) -> None:
        """Note what the quotas count, or 403 when the object does not fit into one."""
        attributes.charges = charges(attributes.request, attributes.new, attributes.old, self.store)


def charges(request: Request, new: Obj, old: Obj | None, store: Store) -> list[tuple[Obj, Obj]]:
    """The quotas an object counts against as they are and as they will be; 403 when it does not fit into one."""
    resource = request.resource
    resized = resource.storage == "pods" and request.subresource == "resize"
    if not resource.namespaced or not store.count("resourcequotas"):
        return []
    if (
        (request.subresource or old is not None)
        and not resized
        and (request.subresource or resource.storage not in _CHANGES)
    ):
        return []
    quotas = [
        each for each in store.objects("resourcequotas", request.namespace) if _counts(each, resource.storage, new)
    ]
    for quota in quotas:
        _complete(request, quota, new)
    delta = usage.of(resource.storage, new)
    if old is not None:
        delta = _difference(delta, usage.of(resource.storage, old))
    return [(quota, _added(request, quota, delta, new)) for quota in quotas if delta]


def _counts(quota: Obj, storage: str, obj: Obj) -> bool:
    hard = quota.get("status", {}).get("hard") or {}
    return any(usage.concerns(storage, name) for name in hard) and usage.selects(quota, storage, obj)


def _complete(request: Request, quota: Obj, new: Obj) -> None:
    """A pod names what a quota counts; the quota's usage is known."""
    storage, name = request.resource.storage, quota["metadata"]["name"]
    names = [each for each in quota["status"]["hard"] if usage.concerns(storage, each)]
    if storage == "pods":
        missing = usage.lacking(new, names)
        if missing:
            texts = [f"{each} for: {','.join(missing[each])}" for each in sorted(missing)]
            raise _refused(request, new, f"failed quota: {name}: must specify {'; '.join(texts)}")
    known = quota["status"].get("used") or {}
    unknown = sorted(each for each in names if each not in known)
    if unknown:
        raise _refused(request, new, f"status unknown for quota: {name}, resources: {','.join(unknown)}")


def _difference(new: Amounts, old: Amounts) -> Amounts:
    found = {name: quantity.subtract(new.get(name, "0"), old.get(name, "0")) for name in {**old, **new}}
    return {name: amount for name, amount in found.items() if quantity.parse(amount)}


def _added(request: Request, quota: Obj, delta: Amounts, new: Obj) -> Obj:
    hard, used = quota["status"]["hard"], dict(quota["status"].get("used") or {})
    asked = {name: amount for name, amount in delta.items() if name in hard}
    total = {name: quantity.add(used.get(name, "0"), amount) for name, amount in asked.items()}
    over = [name for name in sorted(total) if quantity.parse(total[name]) > quantity.parse(hard[name])]
    if over:
        parts = (("requested", asked), ("used", used), ("limited", hard))
        text = ", ".join(f"{word}: {_listed(amounts, over)}" for word, amounts in parts)
        raise _refused(request, new, f"exceeded quota: {quota['metadata']['name']}, {text}")
    changed = {**quota["status"], "used": dict(sorted({**used, **total}.items()))}
    return {**quota, "metadata": dict(quota["metadata"]), "status": changed}


def _listed(amounts: Mapping[str, str], names: Iterable[str]) -> str:
    return ",".join(f"{name}={quantity.canonical(str(amounts.get(name, '0')))}" for name in names)


def _refused(request: Request, new: Obj, why: str) -> StatusError:
    return forbidden(request.resource.plural, new["metadata"].get("name", ""), why, request.resource.group)
