"""What the server decides about namespaces itself (``pkg/registry/core/namespace/strategy.go``)."""

from __future__ import annotations

from simkube.client.client import Caller, Obj


def new_namespace(obj: Obj, _now: str, _caller: Caller) -> None:
    """The finalizer of the namespace controller."""
    finalizers = obj["spec"].setdefault("finalizers", [])
    if "kubernetes" not in finalizers:
        finalizers.append("kubernetes")


def changed_namespace(new: Obj, old: Obj, subresource: str, _now: str) -> None:
    """Only the finalize subresource changes the finalizers."""
    if subresource:
        return
    new["spec"]["finalizers"] = list(old["spec"].get("finalizers", ()))
    if not new["spec"]["finalizers"]:
        del new["spec"]["finalizers"]
