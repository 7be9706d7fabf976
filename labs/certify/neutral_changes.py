"""Changes that should not matter: other names and orders, extra labels, the same thing said in another way.

Each is what a learner may do for reasons of their own. Whether it leaves the state right is for the oracle to say all
the same: where a lab asks for a container's name, another name is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from labs.certify.changes import Change, DoesNotApply, Objects, one, ref
from labs.certify.objects import Obj
from labs.certify.workloads import containers, described, pod_in

Make = Callable[[Objects], None]


def neutral_changes(objects: Sequence[Obj], images: Sequence[str]) -> Iterator[Change]:
    """All that can be made of a state. ``images``: those of the lab."""
    for obj in objects:
        name = ref(obj)
        yield _neutral(f"label {name}", _labelled(name))
        yield _neutral(f"annotate {name}", _annotated(name))
        if obj["kind"] == "Service":
            yield from _of_service(name, obj)
    for obj, _ in described(objects):
        yield from _of_pods(ref(obj), obj, images)
    yield from (_neutral(f"beside {ref(other)}", _added(other)) for other in _others(images))


def _neutral(said: str, make: Make) -> Change:
    return Change(said, "neutral", make)


def _labelled(name: str) -> Make:
    def make(objects: Objects) -> None:
        one(objects, name)["metadata"].setdefault("labels", {})["made-by"] = "me"

    return make


def _annotated(name: str) -> Make:
    def make(objects: Objects) -> None:
        one(objects, name)["metadata"].setdefault("annotations", {})["example.com/why"] = "because"

    return make


def _added(other: Obj) -> Make:
    def make(objects: Objects) -> None:
        objects.append(other)

    return make


def _of_service(name: str, obj: Obj) -> Iterator[Change]:
    def more(objects: Objects) -> None:
        ports = one(objects, name)["spec"]["ports"]
        for index, port in enumerate(ports):
            port.setdefault("name", f"port-{index}")
        ports.insert(0, {**ports[0], "name": "more", "port": 8765})

    def node_port(objects: Objects) -> None:
        one(objects, name)["spec"]["type"] = "NodePort"

    def port_name(objects: Objects) -> None:
        for index, port in enumerate(one(objects, name)["spec"]["ports"]):
            port["name"] = f"other-{index}"

    def twin(objects: Objects) -> None:
        there = one(objects, name)
        objects.append({**there, "metadata": {"name": there["metadata"]["name"] + "-twin"}})

    if obj["spec"].get("ports"):
        yield _neutral(f"another-port {name}", more)
        yield _neutral(f"rename-port {name}", port_name)
    yield _neutral(f"node-port {name}", node_port)
    yield _neutral(f"twin {name}", twin)


def _of_pods(name: str, obj: Obj, images: Sequence[str]) -> Iterator[Change]:
    pod = pod_in([obj], name)
    for said, change in _ways_of_pods(images).items():
        yield _neutral(f"{said} {name}", _in_pod(name, change))
    for container in containers(pod):
        for said, change in WAYS_OF_CONTAINERS.items():
            yield _neutral(f"{said} {name} [{container['name']}]", _in_container(name, container["name"], change))
    if obj["kind"] != "Pod":
        yield _neutral(f"expressions {name}", _expressions(name))
        yield _neutral(f"template-label {name}", _in_pod(name, _label_template))
        yield _neutral(f"keep {name}", _in_spec(name, {"minReadySeconds": 1}))
    if obj["kind"] == "Deployment":
        yield _neutral(f"history {name}", _in_spec(name, {"revisionHistoryLimit": 5, "progressDeadlineSeconds": 300}))
        for kind in ("ReplicaSet", "StatefulSet"):
            yield Change(f"as {name} {kind}", "near-miss", _as(name, kind))
    for kind, said in (("ConfigMap", "by-configmap"), ("Secret", "by-secret")):
        if any(container.get("env") for container in containers(pod)):
            yield _neutral(f"{said} {name}", _by_reference(name, kind))
            yield _neutral(f"{said}-whole {name}", _by_source(name, kind))


def _in_pod(name: str, change: Callable[[dict[str, Any]], None]) -> Make:
    return lambda objects: change(pod_in(objects, name))


def _in_spec(name: str, fields: dict[str, Any]) -> Make:
    return lambda objects: one(objects, name)["spec"].update(fields)


def _in_container(name: str, container: str, change: Callable[[dict[str, Any]], None]) -> Make:
    def make(objects: Objects) -> None:
        found = next((each for each in containers(pod_in(objects, name)) if each["name"] == container), None)
        if found is None:
            raise DoesNotApply(container)
        change(found)

    return make


def _label_template(pod: dict[str, Any]) -> None:
    pod.setdefault("metadata", {}).setdefault("labels", {})["tier"] = "front"


def _reversed(field: str) -> Callable[[dict[str, Any]], None]:
    def change(holder: dict[str, Any]) -> None:
        if len(holder.get(field) or []) < 2:
            raise DoesNotApply(field)
        holder[field].reverse()

    return change


def _ways_of_pods(images: Sequence[str]) -> dict[str, Callable[[dict[str, Any]], None]]:
    idle = next((image for image in images if "busybox" in image), "busybox:1.35")
    side = {"name": "side", "image": idle, "command": ["sh", "-c", "while true; do sleep 1; done"]}
    once = {"name": "before", "image": idle, "command": ["true"]}

    def first(pod: dict[str, Any]) -> None:
        pod["spec"]["containers"].insert(0, dict(side))

    def last(pod: dict[str, Any]) -> None:
        pod["spec"]["containers"].append(dict(side))

    def before(pod: dict[str, Any]) -> None:
        pod["spec"].setdefault("initContainers", []).append(dict(once))

    def sidecar(pod: dict[str, Any]) -> None:
        pod["spec"].setdefault("initContainers", []).append({**side, "restartPolicy": "Always"})

    def volume(pod: dict[str, Any]) -> None:
        pod["spec"].setdefault("volumes", []).insert(0, {"name": "spare", "emptyDir": {}})

    def longer(pod: dict[str, Any]) -> None:
        pod["spec"]["terminationGracePeriodSeconds"] = 40

    def hostname(pod: dict[str, Any]) -> None:
        pod["spec"]["hostname"] = "a-name-of-its-own"

    return {
        "side-first": first,
        "side-last": last,
        "init": before,
        "sidecar": sidecar,
        "spare-volume": volume,
        "more-grace": longer,
        "hostname": hostname,
        "reorder": lambda pod: _reversed("containers")(pod["spec"]),
        "reorder-volumes": lambda pod: _reversed("volumes")(pod["spec"]),
    }


def _rename(container: dict[str, Any]) -> None:
    container["name"] = "another-name"


def _resources(container: dict[str, Any]) -> None:
    container["resources"] = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}}


def _variable(container: dict[str, Any]) -> None:
    container.setdefault("env", []).insert(0, {"name": "COLOUR", "value": "blue"})


def _full_image(container: dict[str, Any]) -> None:
    if not container["image"].startswith("kindling/"):
        raise DoesNotApply("image")
    container["image"] = "docker.io/" + container["image"]


def _port_numbers(container: dict[str, Any]) -> None:
    """Probes by the port's number, or by its name."""
    ports = [port for port in container.get("ports", []) if port.get("name")]
    probes = [container[name] for name in ("readinessProbe", "livenessProbe") if "httpGet" in container.get(name, {})]
    if not ports or not probes:
        raise DoesNotApply("ports")
    for probe in probes:
        asked = probe["httpGet"]
        asked["port"] = ports[0]["name"] if isinstance(asked["port"], int) else ports[0]["containerPort"]


def _by_command(name: str) -> Callable[[dict[str, Any]], None]:
    def change(container: dict[str, Any]) -> None:
        probe = container.get(name) or {}
        asked = probe.pop("httpGet", None)
        if asked is None:
            raise DoesNotApply(name)
        ports = {port.get("name"): port["containerPort"] for port in container.get("ports", [])}
        url = f"http://127.0.0.1:{ports.get(asked['port'], asked['port'])}{asked.get('path', '/')}"
        probe["exec"] = {"command": ["wget", "-q", "-T", "1", "-O", "/dev/null", url]}

    return change


def _start_first(container: dict[str, Any]) -> None:
    probe = container.get("readinessProbe")
    if not probe:
        raise DoesNotApply("readinessProbe")
    container["startupProbe"] = {**probe, "failureThreshold": 30, "periodSeconds": 1, "successThreshold": 1}


WAYS_OF_CONTAINERS: dict[str, Callable[[dict[str, Any]], None]] = {
    "rename-container": _rename,
    "resources": _resources,
    "more-env": _variable,
    "full-image": _full_image,
    "port-number": _port_numbers,
    "readiness-by-command": _by_command("readinessProbe"),
    "liveness-by-command": _by_command("livenessProbe"),
    "startup-probe": _start_first,
    "reorder-env": _reversed("env"),
    "reorder-mounts": _reversed("volumeMounts"),
}


def _expressions(name: str) -> Make:
    """A selector by matchExpressions."""

    def make(objects: Objects) -> None:
        selector = one(objects, name)["spec"].get("selector") or {}
        labels = selector.pop("matchLabels", None)
        if not labels:
            raise DoesNotApply("matchLabels")
        selector["matchExpressions"] = [
            {"key": key, "operator": "In", "values": [value]} for key, value in labels.items()
        ]

    return make


def _as(name: str, kind: str) -> Make:
    """The same pods from a workload of another kind."""

    def make(objects: Objects) -> None:
        there = one(objects, name)
        there["kind"] = kind
        spec = there["spec"]
        for field in ("strategy", "progressDeadlineSeconds", "paused", "revisionHistoryLimit"):
            spec.pop(field, None)
        if kind == "StatefulSet":
            spec["serviceName"] = there["metadata"]["name"]
            spec["podManagementPolicy"] = "Parallel"

    return make


def _data(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}


def _store(kind: str, data: dict[str, str]) -> Obj:
    field = "data" if kind == "ConfigMap" else "stringData"
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "settings"}, field: data}


def _by_reference(name: str, kind: str) -> Make:
    """Every literal variable comes from a ConfigMap or Secret, by its key."""

    def make(objects: Objects) -> None:
        reference = "configMapKeyRef" if kind == "ConfigMap" else "secretKeyRef"
        data: dict[str, str] = {}
        for container in containers(pod_in(objects, name)):
            for each in container.get("env", []):
                if "value" in each:
                    key = f"{container['name']}.{each['name']}"
                    data[key] = each.pop("value")
                    each["valueFrom"] = {reference: {"name": "settings", "key": key}}
        objects.insert(0, _store(kind, data))

    return make


def _by_source(name: str, kind: str) -> Make:
    """All variables of the first container that has some come from a ConfigMap or Secret as a whole."""

    def make(objects: Objects) -> None:
        container = next((each for each in containers(pod_in(objects, name)) if each.get("env")), None)
        if container is None:
            raise DoesNotApply("env")
        data = _data(container)
        container["env"] = [each for each in container["env"] if "value" not in each]
        reference = "configMapRef" if kind == "ConfigMap" else "secretRef"
        container["envFrom"] = [{reference: {"name": "settings"}}]
        objects.insert(0, _store(kind, data))

    return make


def _others(images: Sequence[str]) -> Iterator[Obj]:
    """What has nothing to do with the lab."""
    image = next((each for each in images if "busybox" in each), "busybox:1.35")
    pod = {"containers": [{"name": "main", "image": image, "command": ["sh", "-c", "while true; do sleep 1; done"]}]}
    labels = {"app": "unrelated"}
    meta = {"name": "unrelated"}
    yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"note": "nothing"}}
    yield {"apiVersion": "v1", "kind": "Pod", "metadata": {**meta, "labels": labels}, "spec": pod}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    yield {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}
    ports = [{"port": 80, "targetPort": 8080}]
    yield {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": labels, "ports": ports}}
    once = {"containers": [{"name": "main", "image": image, "command": ["true"]}], "restartPolicy": "Never"}
    yield {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {"template": {"spec": once}}}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}
