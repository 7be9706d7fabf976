"""The roles and bindings that every cluster has from its beginning, made once and shared by all clusters of a process.

They are put below what a store holds (:meth:`simkube.etcd.store.Store.seed`): a cluster pays for one only when somebody
changes it. As with a real API server, what was deleted is back after a restart, and a changed role gets back what it
lacks unless its annotation ``autoupdate`` says otherwise. Their uids are the same in every cluster; the time of their
creation is filled in when they are read (:func:`dressed`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.authorization import roles_of_controllers, roles_of_users, rules
from simkube.apiserver.authorization.rbac import BINDINGS, CLUSTER_BINDINGS, CLUSTER_ROLES, GROUP, ROLES
from simkube.apiserver.registry.apiregistration import bootstrap as apiregistration
from simkube.apiserver.registry.flowcontrol import bootstrap as flowcontrol
from simkube.client.client import Obj

Key = tuple[str, str]
VERSION = "1"
"""The resourceVersion of everything that is shared."""
_API = f"{GROUP}/v1"
_LABEL = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_EVENTS = "record core,events.k8s.io events"
_KUBEADM = "kubeadm:"
_PRIORITIES = (
    (
        "system-node-critical",
        2000001000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    (
        "system-cluster-critical",
        2000000000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
)


@cache
def shared() -> Mapping[str, Mapping[Key, Obj]]:
    """Every shared object, by the qualified plural of its resource, then by namespace and name."""
    made: dict[str, dict[Key, Obj]] = {CLUSTER_ROLES: {}, CLUSTER_BINDINGS: {}, ROLES: {}, BINDINGS: {}}
    for resource, obj in (*_cluster_roles(), *_cluster_bindings(), *_namespaced()):
        meta = obj["metadata"]
        made[resource][meta.get("namespace", ""), meta["name"]] = obj
    made["priorityclasses.scheduling.k8s.io"] = {("", obj["metadata"]["name"]): obj for obj in _priority_classes()}
    made[apiregistration.RESOURCE] = {("", obj["metadata"]["name"]): obj for obj in _api_services()}
    for resource, obj in _flow_control():
        made.setdefault(resource, {})["", obj["metadata"]["name"]] = obj
    return made


def dressed(obj: Obj, born: str) -> Obj:
    """A shared object with the time of its creation (RFC 3339), that of the cluster."""
    meta = dict(obj["metadata"])
    fields = [{**each, "time": born} for each in meta["managedFields"]]
    shown = {**obj, "metadata": {**meta, "creationTimestamp": born, "managedFields": fields}}
    conditions = (obj.get("status") or {}).get("conditions")
    if conditions:
        shown["status"] = {"conditions": [{**each, "lastTransitionTime": born} for each in conditions]}
    return shown


def is_shared(obj: Obj) -> bool:
    """Whether this is a shared object as it was made, which no cluster has changed."""
    meta = obj["metadata"]
    return meta["resourceVersion"] == VERSION and "creationTimestamp" not in meta


def anew(shared: Obj) -> Obj:
    """A shared object as it is created in a cluster that has lost it."""
    meta = {
        key: value for key, value in shared["metadata"].items() if key in ("name", "namespace", "labels", "annotations")
    }
    return {**shared, "metadata": meta}


def mended(obj: Obj, wanted: Obj) -> Obj | None:
    """A changed role or binding with what it must have; None when it lacks nothing or is to be left alone."""
    if obj["metadata"].get("annotations", {}).get(_AUTOUPDATE) != "true":
        return None
    if "roleRef" in wanted:
        there = obj.get("subjects") or []
        lacking = [each for each in wanted.get("subjects", ()) if each not in there]
        return {**obj, "metadata": dict(obj["metadata"]), "subjects": [*there, *lacking]} if lacking else None
    if "aggregationRule" in wanted or "rules" not in wanted:
        return None
    held = obj.get("rules") or []
    try:
        missing = rules.missing(held, wanted["rules"])
    except StatusError:
        return None  # somebody has made it too large to be compared
    return {**obj, "metadata": dict(obj["metadata"]), "rules": [*held, *missing]} if missing else None


def _object(kind: str, name: str, namespace: str = "", **body: Any) -> Obj:
    meta: Obj = {"name": name}
    if namespace:
        meta["namespace"] = namespace
    meta["uid"] = str(uuid5(NAMESPACE_URL, f"simkube/{kind}/{namespace}/{name}"))
    meta["resourceVersion"] = VERSION
    if not name.startswith(_KUBEADM):
        meta["labels"] = {**_LABEL, **body.pop("labels", {})}
        meta["annotations"] = {_AUTOUPDATE: "true"}
    body.pop("labels", None)
    obj: Obj = {"kind": kind, "apiVersion": _API, "metadata": meta, **body}
    meta["managedFields"] = _managed(obj)
    return obj


def _managed(obj: Obj) -> list[Obj]:
    meta: Obj = obj["metadata"]
    own: Obj = {}
    for name in ("annotations", "labels"):
        if name in meta:
            own[f"f:{name}"] = {".": {}, **{f"f:{key}": {} for key in meta[name]}}
    fields: Obj = {"f:metadata": own} if own else {}
    if "aggregationRule" in obj:
        fields["f:aggregationRule"] = {".": {}, "f:clusterRoleSelectors": {}}
    fields |= {f"f:{name}": {} for name in ("roleRef", "rules", "subjects") if name in obj}
    found = []
    if "aggregationRule" in obj:
        del fields["f:rules"]
        found.append(_entry("clusterrole-aggregation-controller", "Apply", {"f:rules": {}}))
    manager = "kubeadm" if meta["name"].startswith(_KUBEADM) else "kube-apiserver"
    return [*found, _entry(manager, "Update", dict(sorted(fields.items())))]


def _entry(manager: str, operation: str, fields: Obj, api: str = _API) -> Obj:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": api,
        "time": "",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }


def _blocks(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """The words of each heading with the lines below it."""
    heading: list[str] = []
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("  "):
            lines.append(line.strip())
        elif line:
            if heading:
                yield heading, lines
            heading, lines = line.split(), []
    yield heading, lines


def _rule(line: str) -> Obj:
    verbs, groups, resources, *names = (_EVENTS if line == "events" else line).split()
    found: list[str] = []
    for verb in verbs.split(","):
        found += roles_of_users.VERBS.get(verb, verb).split(",")
    if groups == "-":
        return {"verbs": found, "nonResourceURLs": resources.split(",")}
    rule: Obj = {"verbs": found, "apiGroups": ["" if each == "core" else each for each in groups.split(",")]}
    rule["resources"] = resources.split(",")
    if names:
        rule["resourceNames"] = names[0].split(",")
    return rule


def _aggregate_to(level: str) -> str:
    return f"{GROUP}/aggregate-to-{level}"


def _cluster_roles() -> Iterator[tuple[str, Obj]]:
    written = [(heading, [_rule(line) for line in lines]) for heading, lines in _blocks(roles_of_users.ROLES)]
    parts: dict[str, list[Obj]] = {}
    for (_, *marks), own in written:
        for mark in marks:
            if mark[0] == "+" and own:
                parts[mark[1:]] = own
    parts["edit"] = parts["edit"] + parts["view"]
    parts["admin"] = parts["admin"] + parts["edit"]
    for (name, *marks), own in written:
        labels = {_aggregate_to(mark[1:]): "true" for mark in marks if mark[0] == "+"}
        sums = [mark[1:] for mark in marks if mark[0] == "="]
        if not sums:
            yield CLUSTER_ROLES, _object("ClusterRole", name, labels=labels, rules=own)
            continue
        selector = {"clusterRoleSelectors": [{"matchLabels": {_aggregate_to(sums[0]): "true"}}]}
        body: Obj = {"rules": parts[sums[0]], "aggregationRule": selector}
        yield CLUSTER_ROLES, _object("ClusterRole", name, labels=labels, **body)
    for (name,), lines in _blocks(roles_of_controllers.ROLES):
        rules_of_it = [_rule(line) for line in lines]
        yield CLUSTER_ROLES, _object("ClusterRole", f"system:controller:{name}", rules=rules_of_it)


def _subjects(words: list[str]) -> list[Obj]:
    if not words:
        return []
    kind, names = words
    if kind != "ServiceAccount":
        return [{"kind": kind, "apiGroup": GROUP, "name": name} for name in names.split(",")]
    pairs = [name.split("/") for name in names.split(",")]
    return [{"kind": kind, "name": name, "namespace": namespace} for namespace, name in pairs]


def _binding(name: str, role: str, who: list[str], namespace: str = "", kind: str = "ClusterRole") -> Obj:
    ref = {"apiGroup": GROUP, "kind": kind, "name": role}
    subjects = _subjects(who)
    body: Obj = {"subjects": subjects, "roleRef": ref} if subjects else {"roleRef": ref}
    return _object("RoleBinding" if namespace else "ClusterRoleBinding", name, namespace, **body)


def _cluster_bindings() -> Iterator[tuple[str, Obj]]:
    for line in roles_of_users.BINDINGS.split("\n"):
        if line:
            name, *who = line.split()
            yield CLUSTER_BINDINGS, _binding(name, name, who)
    for line in roles_of_users.OTHER_BINDINGS.split("\n"):
        if line:
            name, role, *who = line.split()
            yield CLUSTER_BINDINGS, _binding(name, role, who)
    for (name,), _ in _blocks(roles_of_controllers.ROLES):
        full = f"system:controller:{name}"
        yield CLUSTER_BINDINGS, _binding(full, full, ["ServiceAccount", f"kube-system/{name}"])


def _namespaced() -> Iterator[tuple[str, Obj]]:
    for (namespace, name), lines in _blocks(roles_of_users.NAMESPACED):
        yield ROLES, _object("Role", name, namespace, rules=[_rule(line) for line in lines])
    for line in roles_of_users.NAMESPACED_BINDINGS.split("\n"):
        if line:
            namespace, name, role, *who = line.split()
            yield BINDINGS, _binding(name, role, who, namespace, "Role")


def _priority_classes() -> Iterator[Obj]:
    for name, value, text in _PRIORITIES:
        fields: Obj = {"f:description": {}, "f:preemptionPolicy": {}, "f:value": {}}
        api = "scheduling.k8s.io/v1"
        meta = {
            "name": name,
            "uid": str(uuid5(NAMESPACE_URL, f"simkube/PriorityClass//{name}")),
            "resourceVersion": VERSION,
            "generation": 1,
            "managedFields": [_entry("kube-apiserver", "Update", fields, api)],
        }
        body = {"value": value, "description": text, "preemptionPolicy": "PreemptLowerPriority"}
        yield {"kind": "PriorityClass", "apiVersion": api, "metadata": meta, **body}


def _api_services() -> Iterator[Obj]:
    for obj in apiregistration.bootstrap():
        name = obj["metadata"]["name"]
        labels: Obj = {".": {}, f"f:{apiregistration.MANAGED}": {}}
        spec: Obj = {"f:metadata": {"f:labels": labels}, "f:spec": {f"f:{key}": {} for key in sorted(obj["spec"])}}
        condition: Obj = {".": {}, **{f"f:{key}": {} for key in ("lastTransitionTime", *sorted(apiregistration.LOCAL))}}
        status = {"f:status": {"f:conditions": {".": {}, 'k:{"type":"Available"}': condition}}}
        meta = {
            **obj["metadata"],
            "uid": str(uuid5(NAMESPACE_URL, f"simkube/APIService//{name}")),
            "resourceVersion": VERSION,
            "managedFields": [
                _entry("kube-apiserver", "Update", spec, apiregistration.API),
                {**_entry("kube-apiserver", "Update", status, apiregistration.API), "subresource": "status"},
            ],
        }
        yield {**obj, "metadata": meta}


def _flow_control() -> Iterator[tuple[str, Obj]]:
    for resource, obj in flowcontrol.bootstrap():
        name, kind = obj["metadata"]["name"], obj["kind"]
        fields: Obj = {
            "f:metadata": {"f:annotations": {".": {}, "f:apf.kubernetes.io/autoupdate-spec": {}}},
            "f:spec": {f"f:{key}": {} for key in sorted(obj["spec"])},
        }
        meta = {
            "name": name,
            "uid": str(uuid5(NAMESPACE_URL, f"simkube/{kind}//{name}")),
            "resourceVersion": VERSION,
            "generation": 1,
            "annotations": obj["metadata"]["annotations"],
            "managedFields": [
                _entry("api-priority-and-fairness-config-producer-v1", "Update", fields, flowcontrol.API)
            ],
        }
        yield resource, {**obj, "metadata": meta}
