"""What the server decides about daemon sets itself (``pkg/registry/apps/daemonset/strategy.go``)."""

from __future__ import annotations

from simkube.apiserver.registry.apps.defaults import TEMPLATE_GENERATION
from simkube.client.client import Caller, Obj


def new_daemon_set(obj: Obj, _now: str, _caller: Caller) -> None:
    """The first number of its template."""
    obj["metadata"]["annotations"][TEMPLATE_GENERATION] = "1"


def changed_daemon_set(new: Obj, old: Obj, subresource: str, _now: str) -> None:
    """The number of its template: the server's alone."""
    if subresource:
        return
    before = old["metadata"].get("annotations", {}).get(TEMPLATE_GENERATION, "0")
    changed = new["spec"]["template"] != old["spec"]["template"]
    new["metadata"]["annotations"][TEMPLATE_GENERATION] = str(int(before) + changed) if before.isdigit() else "1"
