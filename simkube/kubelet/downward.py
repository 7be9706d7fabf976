"""The downward API: fields and resources of a pod as text, for variables and files.

Rules from ``pkg/fieldpath`` and ``pkg/api/v1/resource``: maps are printed one ``key="value"`` a line in key order,
resources are divided by the divisor and rounded up, and a missing limit is the node's allocatable amount.
"""

from __future__ import annotations

import json
import re
from typing import Any

from simkube.apimachinery.quantity import milli
from simkube.client.client import Obj

_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.+)'\]$")


class FieldError(Exception):
    """A field or resource that cannot be had; the message is the kubelet's."""


def field_text(pod: Obj, path: str, facts: dict[str, str]) -> str:
    """The text of a ``fieldRef``; ``facts`` has what only the node knows (``status.podIP``, ``status.hostIP``, ...)."""
    meta, spec = pod["metadata"], pod["spec"]
    if match := _SUBSCRIPT.match(path):
        return str((meta.get(match[1]) or {}).get(match[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        entries = meta.get(path.split(".")[1]) or {}
        return "\n".join(
            f"{key}={json.dumps(str(value), ensure_ascii=False)}" for key, value in sorted(entries.items())
        )
    known = {
        "metadata.name": meta.get("name", ""),
        "metadata.namespace": meta.get("namespace", ""),
        "metadata.uid": meta.get("uid", ""),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        **facts,
    }
    if path not in known:
        raise FieldError(f"unsupported fieldPath: {path}")
    return str(known[path])


def resource_text(pod: Obj, container_name: str, selector: dict[str, Any], allocatable: dict[str, str]) -> str:
    """The text of a ``resourceFieldRef`` of one of the pod's containers."""
    wanted = selector.get("containerName") or container_name
    containers = [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]
    container = next((one for one in containers if one["name"] == wanted), None)
    if container is None:
        raise FieldError(f"container {wanted} not found")
    kind, _, name = str(selector["resource"]).partition(".")
    resources = container.get("resources") or {}
    amount = (resources.get(kind) or {}).get(name)
    if amount is None and kind == "limits":
        amount = allocatable.get(name)
    try:
        divisor = milli(selector.get("divisor") or "1") or 1000
        return str(-(-milli(amount or "0") // divisor))
    except ValueError as error:
        raise FieldError(str(error)) from error
