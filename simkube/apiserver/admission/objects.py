"""What is decided about a request with a look at other objects: namespaces, service accounts, priorities, tolerations.

After the admission plugins NamespaceLifecycle, LimitRanger, ServiceAccount, Priority, DefaultTolerationSeconds and
TaintNodesByCondition. It refuses (403) as they do, and changes new objects in place as they do.
"""

from __future__ import annotations

from simkube.apimachinery.errors import StatusError, forbidden, not_found, not_simulated
from simkube.apiserver.admission import limits
from simkube.apiserver.registry.naming import suffix
from simkube.apiserver.registry.pods.warnings import template_of
from simkube.apiserver.request import Request
from simkube.apiserver.settings import Settings
from simkube.client.client import Obj
from simkube.etcd.store import Store
from simkube.kubelet.refusals import refusals

_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105  a path, not a token
_PROTECTED = ("default", "kube-system", "kube-public")
_PRIORITY_CLASSES = "priorityclasses.scheduling.k8s.io"
_SYSTEM_PRIORITIES = frozenset({"system-cluster-critical", "system-node-critical"})
_NOT_READY = "node.kubernetes.io/not-ready"
_UNREACHABLE = "node.kubernetes.io/unreachable"


def namespace_exists(request: Request, store: Store, name: str) -> None:
    """A new object needs a namespace that is there and does not end; anything else is let pass."""
    if not request.resource.namespaced or request.resource.review:
        return
    namespace = store.get("namespaces", "", request.namespace)
    if namespace is None:
        raise not_found("namespaces", request.namespace)
    if not namespace["metadata"].get("deletionTimestamp"):
        return
    resource = request.resource
    where = request.namespace
    why = f"unable to create new content in namespace {where} because it is being terminated"
    error = forbidden(resource.plural, name, why, resource.group)
    cause = {"reason": "NamespaceTerminating", "message": f"namespace {where} is being terminated"}
    error.details = {**(error.details or {}), "causes": [{**cause, "field": "metadata.namespace"}]}
    raise error


def namespace_may_go(name: str) -> None:
    """The built-in namespaces stay."""
    if name in _PROTECTED:
        raise forbidden("namespaces", name, "this namespace may not be deleted")


def new_pod(request: Request, pod: Obj, store: Store, settings: Settings) -> None:
    """Everything that admission does to a new pod."""
    limits.complete(request, pod, store)
    _service_account(request, pod, store)
    _priority(pod, store)
    tolerations(pod, settings)


def _refused(pod: Obj, why: str) -> StatusError:
    return forbidden("pods", pod["metadata"].get("name", ""), why)


def _service_account(request: Request, pod: Obj, store: Store) -> None:
    spec = pod["spec"]
    if "kubernetes.io/config.mirror" in pod["metadata"].get("annotations", {}):
        return
    name = spec.setdefault("serviceAccountName", "default")
    account = store.get("serviceaccounts", request.namespace, name)
    if account is None:
        where = f"{request.namespace}/{name}"
        raise _refused(pod, f'error looking up service account {where}: serviceaccount "{name}" not found')
    spec["serviceAccount"] = name
    mounts = spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True))
    if mounts:
        _mount_token(spec)
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [dict(each) for each in account["imagePullSecrets"]]


def _mount_token(spec: Obj) -> None:
    volume = f"kube-api-access-{suffix()}"
    mounted = False
    for container in (*spec.get("initContainers", ()), *spec.get("containers", ())):
        if any(mount.get("mountPath") == _TOKEN_PATH for mount in container.get("volumeMounts", ())):
            continue
        mount = {"name": volume, "readOnly": True, "mountPath": _TOKEN_PATH}
        container.setdefault("volumeMounts", []).append(mount)
        mounted = True
    if mounted:
        spec.setdefault("volumes", []).append({"name": volume, "projected": _token_volume()})


def _token_volume() -> Obj:
    root = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    own = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": root},
            {"downwardAPI": {"items": [own]}},
        ],
        "defaultMode": 0o644,
    }


def _priority(pod: Obj, store: Store) -> None:
    spec = pod["spec"]
    if not spec.get("priorityClassName"):
        default = _default_priority(store)
        if default is not None:
            spec["priorityClassName"] = default["metadata"]["name"]
    name = spec.get("priorityClassName", "")
    found = store.get(_PRIORITY_CLASSES, "", name) if name else {}
    if found is None:
        raise _refused(pod, f"no PriorityClass with name {name} was found")
    value = found.get("value", 0)
    if spec.get("priority") not in (None, value):
        why = (
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; priority admission "
            f"controller computed {value} from the given PriorityClass name"
        )
        raise _refused(pod, why)
    policy = found.get("preemptionPolicy", "PreemptLowerPriority")
    if spec.get("preemptionPolicy") not in (None, policy):
        why = (
            f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod spec; "
            f"priority admission controller computed {policy} from the given PriorityClass name"
        )
        raise _refused(pod, why)
    spec["priority"] = value
    spec["preemptionPolicy"] = policy


def _default_priority(store: Store) -> Obj | None:
    """The class of pods that name none: the lowest of those marked so."""
    if not store.count(_PRIORITY_CLASSES):
        return None
    marked = [each for each in store.objects(_PRIORITY_CLASSES) if each.get("globalDefault")]
    return min(marked, key=lambda each: int(each.get("value", 0)), default=None)


def new_priority_class(request: Request, obj: Obj, store: Store) -> None:
    """At most one class is the default, when it is created or changed by a request."""
    if not obj.get("globalDefault"):
        return
    there = _default_priority(store)
    name = obj["metadata"].get("name", "")
    if there is not None and there["metadata"]["name"] != name:
        why = (
            f"PriorityClass {there['metadata']['name']} is already marked as default. Only one PriorityClass can be "
            "marked as default"
        )
        raise forbidden(request.resource.plural, name, why, request.resource.group)


def priority_class_may_go(name: str) -> None:
    """The classes of the system stay."""
    if name in _SYSTEM_PRIORITIES:
        why = "this is a system priority class and cannot be deleted"
        raise forbidden("priorityclasses", name, why, "scheduling.k8s.io")


def tolerations(pod: Obj, settings: Settings) -> None:
    """A pod tolerates a lost node for a while unless it says how long itself; so also after a change."""
    spec = pod["spec"]
    given = spec.get("tolerations", [])
    wanted = ((_NOT_READY, settings.not_ready_toleration), (_UNREACHABLE, settings.unreachable_toleration))
    missing = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
        for key, seconds in wanted
        if not any(_tolerates(each, key) for each in given)
    ]
    if missing:
        spec["tolerations"] = [*given, *missing]


def _tolerates(toleration: Obj, key: str) -> bool:
    return toleration.get("key", "") in ("", key) and toleration.get("effect", "") in ("", "NoExecute")


def new_node(node: Obj) -> None:
    """A new node takes no pods until the node lifecycle controller finds it ready."""
    taints = node["spec"].setdefault("taints", [])
    if not any(each.get("key") == _NOT_READY and each.get("effect") == "NoSchedule" for each in taints):
        taints.append({"key": _NOT_READY, "effect": "NoSchedule"})


def simulated(request: Request, obj: Obj) -> None:
    """501 for a pod that asks for what no kubelet here does; of a workload's template its author is warned."""
    template = template_of(request.resource.storage, obj)
    found = refusals((obj if template is None else template).get("spec", {}))
    if found and request.resource.storage == "pods":
        raise not_simulated(", ".join(found))
    if found:
        request.warnings.append(f"pods of this template will not run: {', '.join(found)} is not simulated here")
