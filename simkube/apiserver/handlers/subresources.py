"""Subresources with a kind of their own: scale, binding, eviction, token.

After ``pkg/registry/apps/deployment/storage``, ``pkg/registry/core/pod/storage`` and ``core/serviceaccount/storage``.
``status`` and ``finalize`` are updates of the object itself (:mod:`~simkube.apiserver.registry.writing`); streams (log,
exec, ...) are the kubelet's and never come here.
"""

from __future__ import annotations

from typing import Any

from simkube.apimachinery.errors import StatusError, bad_request, conflict, not_simulated
from simkube.apiserver.fields import decoding, managed_fields
from simkube.apiserver.handlers.backend import Backend
from simkube.apiserver.handlers.eviction import Evictor
from simkube.apiserver.handlers.writing import Writer
from simkube.apiserver.registry import conversion
from simkube.apiserver.registry.customresources import scale as custom_scale
from simkube.apiserver.registry.pods.parts import PARTS
from simkube.apiserver.registry.request import Request
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj, PatchType

_SCALE = ("autoscaling", "v1", "Scale")
_BINDING = ("", "v1", "Binding")
_TOKEN = ("authentication.k8s.io", "v1", "TokenRequest")


class Subresources:
    """Dispatches by the name of the subresource."""

    def __init__(self, server: Backend, writer: Writer) -> None:
        self._server = server
        self._writer = writer
        self._evictor = Evictor(server.store, server.clock, writer, server.find, server.do_delete)

    def get(self, request: Request, obj: Obj) -> Obj:
        """GET: the object itself for ``status`` and parts of a pod, a Scale for ``scale``."""
        if request.subresource == "scale":
            return _scale(request, obj)
        if request.subresource in ("approval", "status", *PARTS):
            return obj
        raise not_simulated(f"reading the subresource {request.subresource}")

    def create(self, request: Request, body: Obj) -> Obj:
        """POST to a subresource."""
        handlers = {"binding": self._bind, "eviction": self._evictor.evict, "token": self._token}
        handler = handlers.get(request.subresource)
        if handler is None:
            raise not_simulated(f"the subresource {request.resource.plural}/{request.subresource}")
        return handler(request, body)

    def update(self, request: Request, body: Obj) -> Obj:
        """PUT to a subresource."""
        if request.subresource != "scale":
            raise not_simulated(f"the subresource {request.resource.plural}/{request.subresource}")
        return self._rescale(request, decoding.decode(request, body, _SCALE))

    def patch(self, request: Request, change: Any, type: PatchType) -> Obj:
        """PATCH of a subresource."""
        if request.subresource != "scale" or type == "apply":
            raise not_simulated(f"this patch of the subresource {request.resource.plural}/{request.subresource}")
        before = _scale(request, self._server.find(request))
        return self._rescale(request, decoding.decode_patched(request, before, change, type, _SCALE))

    # scale

    def _rescale(self, request: Request, scale: Obj) -> Obj:
        meta = scale.setdefault("metadata", {})
        if meta.get("name", request.name) != request.name:
            raise bad_request(
                f"the name of the object ({meta['name']}) does not match the name on the URL ({request.name})"
            )
        replicas = scale.get("spec", {}).get("replicas", 0)
        if replicas < 0:
            errors = Errors()
            errors.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
            errors.raise_for("Scale", "autoscaling", request.name)
        old = conversion.worked(request.resource, self._server.find(request))
        given = {key: meta[key] for key in ("resourceVersion", "uid") if meta.get(key)}
        new = {**_rescaled(request, old, replicas), "metadata": {**old["metadata"], **given}}
        new = conversion.stored(request.resource, decoding.canonical_of(request.resource, new))
        return _scale(request, self._writer.replace(request, old, new))

    # binding

    def _bind(self, request: Request, body: Obj) -> Obj:
        binding = decoding.decode(request, body, _BINDING)
        target = binding.get("target", {})
        if not target.get("name"):
            raise StatusError(500, "", "target.name: Required value")
        if target.get("kind") not in (None, "", "Node"):
            detail = f'target.kind: Unsupported value: "{target["kind"]}": supported values: "Node", "<empty>"'
            raise StatusError(500, "", detail)
        pod = self._server.find(request)
        name, meta = request.name, pod["metadata"]
        if meta.get("deletionTimestamp"):
            why = f"pod {name} is being deleted, cannot be assigned to a host"
            raise _binding_conflict(name, why)
        if pod["spec"].get("nodeName"):
            why = f'pod {name} is already assigned to node "{pod["spec"]["nodeName"]}"'
            raise _binding_conflict(name, why)
        wanted = binding.get("metadata", {}).get("uid")
        if wanted and wanted != meta["uid"]:
            raise _binding_conflict(
                name, f"Precondition failed: UID in precondition: {wanted}, in object {meta['uid']}"
            )
        self._writer.commit(request, self._bound(pod, binding, target["name"]), expect=meta["resourceVersion"])
        return _success(201)

    def _bound(self, pod: Obj, binding: Obj, node: str) -> Obj:
        kept = [each for each in pod["status"].get("conditions", ()) if each["type"] != "PodScheduled"]
        now = self._server.clock.timestamp()
        condition = {
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": now,
        }
        meta = dict(pod["metadata"])
        annotations = binding.get("metadata", {}).get("annotations")
        if annotations:
            meta["annotations"] = {**meta.get("annotations", {}), **annotations}
        spec = {**pod["spec"], "nodeName": node}
        status = {**pod["status"], "conditions": [*kept, condition]}
        status.pop("nominatedNodeName", None)
        return {**pod, "metadata": meta, "spec": spec, "status": status}

    # tokens

    def _token(self, request: Request, body: Obj) -> Obj:
        wanted = decoding.decode(request, body, _TOKEN)
        account = self._server.find(request)
        made = self._server.credentials.issue(wanted, account)
        asked = {**wanted, "metadata": {}}
        now = self._server.clock.timestamp()
        owned = managed_fields.update(None, asked, _TOKEN, request.manager, "Update", "token", now)
        if owned["metadata"].get("managedFields"):
            made["metadata"]["managedFields"] = owned["metadata"]["managedFields"]
        return made


def _rescaled(request: Request, obj: Obj, replicas: int) -> Obj:
    custom = request.resource.custom
    if custom is None or custom.scale is None:
        return {**obj, "spec": {**obj["spec"], "replicas": replicas}}
    return custom_scale.scaled(obj, custom.scale, replicas)


def _scale(request: Request, obj: Obj) -> Obj:
    """The Scale of an object of any kind."""
    custom = request.resource.custom
    if custom is None or custom.scale is None:
        return scale_of(obj)
    return custom_scale.scale_of(custom.shown(obj), custom.scale)


def scale_of(obj: Obj) -> Obj:
    """The ``Scale`` of a workload."""
    meta = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Obj = {"replicas": obj.get("status", {}).get("replicas", 0)}
    selector = _selector_text(_label_selector(obj))
    if selector:
        status["selector"] = selector
    replicas = obj["spec"].get("replicas", 1)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in kept if key in meta},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def _label_selector(obj: Obj) -> Obj:
    """A workload's selector; a replication controller's is nothing but labels."""
    selector: Obj = obj["spec"].get("selector") or {}
    return {"matchLabels": selector} if obj.get("kind") == "ReplicationController" else selector


def _selector_text(selector: Obj) -> str:
    terms = [f"{key}={value}" for key, value in selector.get("matchLabels", {}).items()]
    for each in selector.get("matchExpressions", ()):
        key, operator = each["key"], each["operator"]
        values = ",".join(sorted(each.get("values", ())))
        terms.append(
            {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}.get(operator, f"!{key}")
        )
    return ",".join(sorted(terms))


def _binding_conflict(name: str, why: str) -> StatusError:
    return conflict("pods/binding", name, why)


def _success(code: int) -> Obj:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}
