"""The rows of config maps, secrets, service accounts, nodes, namespaces, events and leases."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.tables.ages import age
from simkube.apiserver.tables.cells import NONE, age_of, name_of
from simkube.apiserver.tables.columns import AGE, NAME, Cells, Column, Layout

Obj = dict[str, Any]

_ROLE_LABEL = "node-role.kubernetes.io/"
_OLD_ROLE_LABEL = "kubernetes.io/role"


def _config_map(obj: Obj, now: float) -> Cells:
    return [name_of(obj), len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), age_of(obj, now)]


def _secret(obj: Obj, now: float) -> Cells:
    return [name_of(obj), obj.get("type", ""), len(obj.get("data") or {}), age_of(obj, now)]


def _name_and_age(obj: Obj, now: float) -> Cells:
    return [name_of(obj), age_of(obj, now)]


def _namespace(obj: Obj, now: float) -> Cells:
    return [name_of(obj), (obj.get("status") or {}).get("phase", ""), age_of(obj, now)]


def _lease(obj: Obj, now: float) -> Cells:
    return [name_of(obj), (obj.get("spec") or {}).get("holderIdentity") or "", age_of(obj, now)]


def _node(obj: Obj, now: float) -> Cells:
    status = obj.get("status") or {}
    info = status.get("nodeInfo") or {}
    kernel = info.get("kernelVersion") or "<unknown>"
    if info.get("kernelVersion") and info.get("architecture"):
        kernel = f"{kernel} ({info['architecture']})"
    described = [info.get("osImage") or "<unknown>", kernel, info.get("containerRuntimeVersion") or "<unknown>"]
    addresses = [_address(status, "InternalIP"), _address(status, "ExternalIP")]
    version = info.get("kubeletVersion", "")
    return [name_of(obj), _node_status(obj), _roles(obj), age_of(obj, now), version, *addresses, *described]


def _node_status(obj: Obj) -> str:
    ready = [one for one in (obj.get("status") or {}).get("conditions") or [] if one.get("type") == "Ready"]
    words = ["Unknown"]
    if ready:
        words = ["Ready" if ready[-1].get("status") == "True" else "NotReady"]
    if (obj.get("spec") or {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(obj: Obj) -> str:
    roles = set()
    for key, value in (obj.get("metadata", {}).get("labels") or {}).items():
        if key.startswith(_ROLE_LABEL):
            roles.add(key.removeprefix(_ROLE_LABEL))
        elif key == _OLD_ROLE_LABEL:
            roles.add(value)
    return ",".join(sorted(roles - {""})) or NONE


def _address(status: Obj, kind: str) -> str:
    return next((one.get("address", NONE) for one in status.get("addresses") or [] if one.get("type") == kind), NONE)


def _event(obj: Obj, now: float) -> Cells:
    series = obj.get("series")
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    last = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp") or first
    count = obj.get("count") or obj.get("deprecatedCount") or 1
    if series:
        last, count = series.get("lastObservedTime"), series.get("count", 0)
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    kind = str(about.get("kind", "")).lower()
    message = str(obj.get("message") or obj.get("note") or "").strip()
    return [
        age(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{kind}/{about['name']}" if about.get("name") else kind,
        about.get("fieldPath", ""),
        _event_source(obj),
        message,
        age(first, now),
        count,
        name_of(obj),
    ]


def _event_source(obj: Obj) -> str:
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    reporter = obj.get("reportingComponent") or obj.get("reportingController") or ""
    instance = source.get("host") or obj.get("reportingInstance") or ""
    component = source.get("component") or reporter
    return f"{component}, {instance}" if instance else str(component)


def _component_status(obj: Obj, _: float) -> Cells:
    found: Obj = next((one for one in obj.get("conditions") or [] if one.get("type") == "Healthy"), {})
    status = {"True": "Healthy", "False": "Unhealthy"}.get(found.get("status", ""), "Unknown")
    return [name_of(obj), status, found.get("message", ""), found.get("error", "")]


CONFIG_MAPS = Layout((NAME, Column("Data", field="core.v1.ConfigMap.data"), AGE), _config_map)
SECRETS = Layout(
    (NAME, Column("Type", field="core.v1.Secret.type"), Column("Data", field="core.v1.Secret.data"), AGE), _secret
)
SERVICE_ACCOUNTS = Layout((NAME, AGE), _name_and_age)
COMPONENT_STATUSES = Layout(
    (
        NAME,
        Column("Status", "Status of the component conditions"),
        Column("Message", "Message of the component conditions"),
        Column("Error", "Error of the component conditions"),
    ),
    _component_status,
)
NAMESPACES = Layout((NAME, Column("Status", "The status of the namespace"), AGE), _namespace)
LEASES = Layout((NAME, Column("Holder", field="coordination.v1.LeaseSpec.holderIdentity"), AGE), _lease)
NODES = Layout(
    (
        NAME,
        Column("Status", "The status of the node"),
        Column("Roles", "The roles of the node"),
        AGE,
        Column("Version", field="core.v1.NodeSystemInfo.kubeletVersion"),
        Column("Internal-IP", field="core.v1.NodeStatus.addresses", wide=True),
        Column("External-IP", field="core.v1.NodeStatus.addresses", wide=True),
        Column("OS-Image", field="core.v1.NodeSystemInfo.osImage", wide=True),
        Column("Kernel-Version", field="core.v1.NodeSystemInfo.kernelVersion", wide=True),
        Column("Container-Runtime", field="core.v1.NodeSystemInfo.containerRuntimeVersion", wide=True),
    ),
    _node,
)
EVENTS = Layout(
    (
        Column("Last Seen", field="core.v1.Event.lastTimestamp"),
        Column("Type", field="core.v1.Event.type"),
        Column("Reason", field="core.v1.Event.reason"),
        Column("Object", field="core.v1.Event.involvedObject"),
        Column("Subobject", field="core.v1.ObjectReference.fieldPath", wide=True),
        Column("Source", field="core.v1.Event.source", wide=True),
        Column("Message", field="core.v1.Event.message"),
        Column("First Seen", field="core.v1.Event.firstTimestamp", wide=True),
        Column("Count", field="core.v1.Event.count", wide=True),
        Column("Name", field="meta.v1.ObjectMeta.name", format="name", wide=True),
    ),
    _event,
)


def _quota(obj: Obj, now: float) -> Cells:
    status = obj.get("status") or {}
    used = status.get("used") or {}
    requests: list[str] = []
    limits: list[str] = []
    for name, hard in sorted((status.get("hard") or {}).items()):
        column = limits if name.startswith("limits.") else requests
        column.append(f"{name}: {used.get(name, '0')}/{hard}")
    return [name_of(obj), ", ".join(requests), ", ".join(limits), age_of(obj, now)]


QUOTAS = Layout(
    (
        NAME,
        Column("Request", "Request represents a minimum amount of cpu/memory that a container may consume."),
        Column(
            "Limit",
            "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the "
            "node.",
        ),
        AGE,
    ),
    _quota,
)
