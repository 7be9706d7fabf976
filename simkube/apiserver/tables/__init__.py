"""Server-side printing: objects as the ``meta.k8s.io/v1`` Table that ``kubectl get`` shows.

Which columns a kind has is data (:data:`LAYOUTS`); a kind that is not listed has a name and the time of its creation.
The columns and the words in them are those of ``pkg/printers/internalversion``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from simkube.apiserver.defaults.workloads import TEMPLATE_GENERATION
from simkube.apiserver.resources import Resource
from simkube.apiserver.tables import (
    access,
    admission,
    batch,
    core,
    devices,
    flowcontrol,
    network,
    networking,
    scaling,
    storage,
    workloads,
)
from simkube.apiserver.tables.columns import Layout
from simkube.apiserver.tables.metrics import METRICS
from simkube.apiserver.tables.pods import PODS

Obj = dict[str, Any]

LAYOUTS: Mapping[str, Layout] = {
    "clusterroles.rbac.authorization.k8s.io": core.DEFAULT,
    "componentstatuses": core.COMPONENT_STATUSES,
    "configmaps": core.CONFIG_MAPS,
    "controllerrevisions.apps": workloads.CONTROLLER_REVISIONS,
    "cronjobs.batch": batch.CRON_JOBS,
    "customresourcedefinitions.apiextensions.k8s.io": core.DEFAULT,
    "daemonsets.apps": workloads.DAEMON_SETS,
    "deployments.apps": workloads.DEPLOYMENTS,
    "deviceclasses.resource.k8s.io": devices.NAMES,
    "endpoints": network.ENDPOINTS,
    "endpointslices.discovery.k8s.io": network.ENDPOINT_SLICES,
    "events": core.EVENTS,
    "events.events.k8s.io": core.EVENTS,
    "flowschemas.flowcontrol.apiserver.k8s.io": flowcontrol.FLOW_SCHEMAS,
    "horizontalpodautoscalers.autoscaling": scaling.AUTOSCALERS,
    "ingressclasses.networking.k8s.io": networking.INGRESS_CLASSES,
    "ingresses.networking.k8s.io": networking.INGRESSES,
    "ipaddresses.networking.k8s.io": networking.IP_ADDRESSES,
    "jobs.batch": batch.JOBS,
    "leases.coordination.k8s.io": core.LEASES,
    "limitranges": core.DEFAULT,
    "mutatingadmissionpolicies.admissionregistration.k8s.io": admission.MUTATING_POLICIES,
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": admission.BINDINGS,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": admission.WEBHOOKS,
    "namespaces": core.NAMESPACES,
    "networkpolicies.networking.k8s.io": networking.NETWORK_POLICIES,
    "nodes": core.NODES,
    "nodes.metrics.k8s.io": METRICS,
    "poddisruptionbudgets.policy": scaling.DISRUPTION_BUDGETS,
    "pods": PODS,
    "pods.metrics.k8s.io": METRICS,
    "podtemplates": workloads.POD_TEMPLATES,
    "priorityclasses.scheduling.k8s.io": scaling.PRIORITY_CLASSES,
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": flowcontrol.PRIORITY_LEVELS,
    "replicasets.apps": workloads.REPLICA_SETS,
    "replicationcontrollers": workloads.REPLICATION_CONTROLLERS,
    "resourceclaims.resource.k8s.io": devices.RESOURCE_CLAIMS,
    "resourceclaimtemplates.resource.k8s.io": devices.NAMES,
    "resourceslices.resource.k8s.io": devices.RESOURCE_SLICES,
    "roles.rbac.authorization.k8s.io": core.DEFAULT,
    "runtimeclasses.node.k8s.io": devices.RUNTIME_CLASSES,
    "secrets": core.SECRETS,
    "serviceaccounts": core.SERVICE_ACCOUNTS,
    "servicecidrs.networking.k8s.io": networking.SERVICE_CIDRS,
    "services": network.SERVICES,
    "statefulsets.apps": workloads.STATEFUL_SETS,
    "validatingadmissionpolicies.admissionregistration.k8s.io": admission.VALIDATING_POLICIES,
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": admission.BINDINGS,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": admission.WEBHOOKS,
    **access.LAYOUTS,
    **storage.LAYOUTS,
}
"""How each kind is shown, by the qualified plural of its resource."""


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
    layout = LAYOUTS.get(resource.qualified, core.DEFAULT) if resource.custom is None else resource.custom.layout
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
