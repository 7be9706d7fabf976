"""Server-side printing: objects as the ``meta.k8s.io/v1`` Table that ``kubectl get`` shows.

Which columns a kind has is data in its folder of the registry; a kind that has none shows a name and the time of its
creation. The columns and the words in them are those of ``pkg/printers/internalversion``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from simkube.apiserver.registry.apps.defaults import TEMPLATE_GENERATION
from simkube.apiserver.registry.kinds import layout_of
from simkube.apiserver.registry.resources import Resource
from simkube.apiserver.tables.columns import Layout

Obj = dict[str, Any]


def table(
    resource: Resource,
    objs: Iterable[Obj],
    now: float,
    include: str = "Metadata",
    *,
    metadata: Obj | None = None,
    headers: bool = True,
) -> Obj:
    """A Table with one row an object. ``now`` is in seconds since the epoch.

    ``include`` is the query parameter ``includeObject`` (None, Metadata or Object): what each row carries of its
    object. ``metadata`` is that of the list (``resourceVersion``, ``continue``) or of the single object. Without
    ``headers`` there are no column definitions: so are the events of a watch after the first.
    """
    layout = layout_of(resource)
    columns = [column.definition() for column in layout.columns] if headers else None
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata or {},
        "columnDefinitions": columns,
        "rows": [_row(layout, resource, obj, now, include) for obj in objs],
    }


def _row(layout: Layout, resource: Resource, obj: Obj, now: float, include: str) -> Obj:
    row: Obj = {"cells": layout.cells(obj, now)}
    conditions = layout.conditions(obj) if layout.conditions else None
    if conditions:
        row["conditions"] = conditions
    if include == "Object":
        row["object"] = {"kind": resource.kind, "apiVersion": resource.api_version, **obj}
    elif include == "Metadata":
        row["object"] = {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": _metadata(resource, obj),
        }
    else:
        row["object"] = None
    return row


def _metadata(resource: Resource, obj: Obj) -> Obj:
    """The metadata a row carries: for daemon sets without the annotation that is a field to the server."""
    meta: Obj = obj.get("metadata") or {}
    if resource.plural != "daemonsets" or TEMPLATE_GENERATION not in meta.get("annotations", {}):
        return meta
    annotations = {key: value for key, value in meta["annotations"].items() if key != TEMPLATE_GENERATION}
    shown = {**meta, "annotations": annotations}
    if not annotations:
        del shown["annotations"]
    return shown
