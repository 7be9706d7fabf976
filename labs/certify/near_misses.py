"""Near-misses: one field removed or changed, an object missing or renamed, something added that one should not.

They are made from what is there, whatever it is: a rule for every field by its name, and some for pods and Services.
Many leave a state right; that is for the oracle to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from labs.certify.changes import Change, Objects, Path, one, places, put, ref, take, text
from labs.certify.objects import Obj
from labs.certify.workloads import described, pod_in

ROOTS = ("spec", "data", "stringData", "rules", "subjects", "roleRef", "webhooks")
"""Where an object says what it is for; its labels are beside them."""
ENUMS = {
    "restartPolicy": ("Always", "OnFailure", "Never"),
    "imagePullPolicy": ("IfNotPresent", "Always"),
    "whenUnsatisfiable": ("ScheduleAnyway", "DoNotSchedule"),
    "protocol": ("TCP", "UDP"),
    "sessionAffinity": ("None", "ClientIP"),
    "scheme": ("HTTP", "HTTPS"),
    "operator": ("In", "NotIn", "Exists"),
    "effect": ("NoSchedule", "NoExecute"),
}
FILLED_IN = {
    "imagePullPolicy": "IfNotPresent",
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "protocol": "TCP",
    "scheme": "HTTP",
    "timeoutSeconds": 1,
    "successThreshold": 1,
    "failureThreshold": 3,
    "sessionAffinity": "None",
    "progressDeadlineSeconds": 600,
    "revisionHistoryLimit": 10,
}
"""What the API server fills in where it is missing: removing it changes nothing."""
PATHS = ("/", "/readyz", "/healthz", "/nothing")
_FORMS = re.compile(r"^\d+(\.\d+)?$")
_LOOP = re.compile(r"\b(while|until|for)\b.*?;?\s*do\b(?P<body>.*)\bdone\b", re.DOTALL)
_SLEEP = re.compile(r"(sleep )(\d+)")
_FILE = re.compile(r"/[\w./-]+/[\w.-]+")


def near_misses(objects: Sequence[Obj], images: Sequence[str], words: Sequence[str]) -> Iterator[Change]:
    """All that can be made of a state. ``images``: those of the lab; ``words``: values that its learner was given."""
    for obj in objects:
        yield _missing(ref(obj))
        yield _renamed(ref(obj))
        for path, value in _places(obj):
            if FILLED_IN.get(str(path[-1]), ...) != value:
                yield _removed(ref(obj), path)
            for name, new in _others(path, value, images, words):
                yield _changed(name, ref(obj), path, new)
        if obj["kind"] == "Service":
            yield from _additions(ref(obj), ("spec",), SERVICE)
        if obj["kind"] == "Deployment":
            yield from _additions(ref(obj), ("spec",), DEPLOYMENT)
    for obj, path in described(objects):
        yield from _additions(ref(obj), (*path, "spec"), POD)
        for container in range(len(pod_in(list(objects), ref(obj))["spec"]["containers"])):
            yield from _of_container(obj, path, container, images)


def _places(obj: Obj) -> Iterator[tuple[Path, Any]]:
    for root in ROOTS:
        if root in obj:
            yield from places(obj[root], (root,))
    if obj["metadata"].get("labels"):
        yield from places(obj["metadata"]["labels"], ("metadata", "labels"))


def _missing(name: str) -> Change:
    return Change(f"without {name}", "near-miss", lambda objects: objects.remove(one(objects, name)))


def _renamed(name: str) -> Change:
    def make(objects: Objects) -> None:
        one(objects, name)["metadata"]["name"] += "-2"

    return Change(f"rename {name}", "near-miss", make)


def _removed(name: str, path: Path) -> Change:
    return Change(f"remove {name} {text(path)}", "near-miss", lambda objects: take(one(objects, name), path))


def _changed(how: str, name: str, path: Path, new: Any) -> Change:
    said = f"{how} {name} {text(path)} = {new!r}"
    return Change(said, "near-miss", lambda objects: put(one(objects, name), path, new))


def _others(path: Path, value: Any, images: Sequence[str], words: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Other values for a field, each with the kind of change that it is."""
    field = str(path[-1])
    if isinstance(value, bool):
        yield "toggle", not value
    elif isinstance(value, int):
        yield from _numbers(field, value)
    elif isinstance(value, str):
        found = list(_texts(path, field, value, images, words))
        yield from ((how, new) for how, new in found if new != value)


def _numbers(field: str, value: int) -> Iterator[tuple[str, int]]:
    if "ort" in field:  # port, containerPort, targetPort
        yield "port", value + 1
    elif field.endswith(("Seconds", "Threshold")):
        yield "slower", value * 20 or 20
        yield "quicker", 1 if value != 1 else 2
    else:
        yield from (("count", other) for other in sorted({value - 1, value + 1, 0, 1} - {value}) if other >= 0)


def _texts(
    path: Path, field: str, value: str, images: Sequence[str], words: Sequence[str]
) -> Iterator[tuple[str, str]]:
    steps = [str(step) for step in path]
    if field == "image":
        yield "image", _swapped(value)
        yield from (("image", other) for other in images)
    elif field in ENUMS:
        yield from (("enum", other) for other in ENUMS[field])
    elif field == "type" and "strategy" in steps:
        yield "enum", "Recreate"
    elif field == "path":
        yield from (("path", other) for other in PATHS)
    elif field == "mountPath":
        yield "path", "/elsewhere"
    elif "command" in steps or "args" in steps:
        yield from _scripts(value, words)
    elif field == "value" or steps[0] == "data":
        yield from _values(value)
    elif {"labels", "matchLabels", "selector"} & set(steps):
        yield "label", value + "-x"
    elif field == "name":
        yield "name", value + "-x"
    elif field == "targetPort":
        yield "port", value + "-x"
    elif _FORMS.match(value.rstrip("%")):
        yield from (("count", other) for other in ("0%", "100%"))


def _values(value: str) -> Iterator[tuple[str, str]]:
    """Of a variable or a setting."""
    if _FORMS.match(value):
        yield from (("value", other) for other in ("0", str(int(float(value)) + 1), str(int(float(value)) * 20)))
    elif value.startswith("/"):
        yield "value", "/elsewhere"
    else:
        yield from (("value", other) for other in (value + "!", value.lower(), _swapped(value), ""))


def _scripts(value: str, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Of a command: slower, without its loop, elsewhere, another word."""
    yield "script", _SLEEP.sub(lambda found: f"{found[1]}{int(found[2]) * 30}", value)
    loop = _LOOP.search(value)
    if loop:
        yield "script", value[: loop.start()] + loop["body"].strip().rstrip(";") + "; sleep 86400"
        yield "script", value.replace("while true", "while false").replace("while :", "while false")
    yield "script", _FILE.sub("/elsewhere.html", value)
    yield from (("script", value.replace(word, _swapped(word))) for word in words if len(word) > 2 and word in value)
    if value.isdigit():
        yield "port", str(int(value) + 1)
    elif value.startswith("/") and " " not in value:
        yield "path", "/elsewhere"


def _swapped(value: str) -> str:
    """Two letters in the wrong order, in the middle of the last word before a tag."""
    name, colon, tag = value.partition(":")
    letters = (each for each in range(len(name) - 2, 0, -1) if name[each : each + 2].isalpha())
    middle = next((each for each in letters if name[each] != name[each + 1]), 0)
    if not middle:
        return value
    return name[:middle] + name[middle + 1] + name[middle] + name[middle + 2 :] + colon + tag


SERVICE: dict[str, Any] = {
    "publishNotReadyAddresses": True,
    "sessionAffinity": "ClientIP",
    "internalTrafficPolicy": "Local",
    "clusterIP": "None",
    "externalTrafficPolicy": "Local",
}
DEPLOYMENT: dict[str, Any] = {
    "paused": True,
    "minReadySeconds": 60,
    "revisionHistoryLimit": 0,
    "progressDeadlineSeconds": 1,
    "strategy": {"type": "Recreate"},
    "replicas": 0,
}
POD: dict[str, Any] = {
    "restartPolicy": "Never",
    "activeDeadlineSeconds": 20,
    "terminationGracePeriodSeconds": 0,
    "nodeSelector": {"disk": "ssd"},
    "priorityClassName": "no-such-class",
    "serviceAccountName": "nobody",
    "imagePullSecrets": [{"name": "none"}],
    "readinessGates": [{"conditionType": "example.com/never"}],
    "schedulerName": "another",
    "tolerations": [{"operator": "Exists"}],
    "subdomain": "elsewhere",
}
_AT = {"httpGet": {"path": "/nothing", "port": 8080}}
CONTAINER: dict[str, Any] = {
    "command": ["sleep", "86400"],
    "livenessProbe": {**_AT, "periodSeconds": 2, "failureThreshold": 2},
    "readinessProbe": {**_AT, "periodSeconds": 2},
    "startupProbe": {**_AT, "periodSeconds": 2, "failureThreshold": 2},
    "resources": {"requests": {"cpu": "100"}},
    "lifecycle": {"postStart": {"exec": {"command": ["false"]}}},
    "securityContext": {"runAsUser": 0, "runAsNonRoot": True},
}
VARIABLES = {"PORT": "9999", "CRASH": "no", "STARTUP_SECONDS": "1000", "WEB_ROOT": "/tmp"}  # noqa: S108 -- in a pod
IMPOSTOR = (
    'mkdir -p /tmp/w; echo "${MESSAGE:-Hello} from $(hostname), version 1.0" > /tmp/w/index.html; '
    "echo ok > /tmp/w/readyz; echo ok > /tmp/w/healthz; exec httpd -f -p ${PORT:-8080} -h /tmp/w"
)


def _additions(name: str, path: Path, extra: dict[str, Any]) -> Iterator[Change]:
    for field, value in extra.items():
        yield _changed("add", name, (*path, field), value)


def _of_container(obj: Obj, path: Path, index: int, images: Sequence[str]) -> Iterator[Change]:
    """What one adds to a container, puts into another container by mistake, or runs instead of it."""
    name = ref(obj)
    spec = pod_in([obj], name)["spec"]["containers"][index]
    inside: Path = (*path, "spec", "containers", f"[{spec['name']}]")
    yield from _additions(name, inside, {key: value for key, value in CONTAINER.items() if value != spec.get(key)})
    for variable, value in VARIABLES.items():
        yield _with_variable(name, spec["name"], variable, value)
    for probe in ("readinessProbe", "livenessProbe"):
        if probe in spec:
            yield _connects(name, spec["name"], probe)
            yield _in_side_container(name, spec["name"], probe, images)
    if spec.get("env"):
        yield _in_side_container(name, spec["name"], "env", images)
    yield _impostor(name, spec["name"], images)


def _container(objects: Objects, name: str, container: str) -> dict[str, Any]:
    found: dict[str, Any] = dict(_named(pod_in(objects, name)["spec"]["containers"]))[container]
    return found


def _named(items: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((item["name"], item) for item in items)


def _with_variable(name: str, container: str, variable: str, value: str) -> Change:
    def make(objects: Objects) -> None:
        env = _container(objects, name, container).setdefault("env", [])
        env[:] = [*(each for each in env if each["name"] != variable), {"name": variable, "value": value}]

    return Change(f"variable {name} [{container}] {variable}={value}", "near-miss", make)


def _connects(name: str, container: str, probe: str) -> Change:
    """A probe that only connects."""

    def make(objects: Objects) -> None:
        spec = _container(objects, name, container)[probe]
        asked = spec.pop("httpGet", None) or {"port": 8080}
        spec["tcpSocket"] = {"port": asked["port"]}

    return Change(f"connect {name} [{container}] {probe}", "near-miss", make)


def _in_side_container(name: str, container: str, field: str, images: Sequence[str]) -> Change:
    """What belongs to the container is given to another beside it."""

    def make(objects: Objects) -> None:
        pod = pod_in(objects, name)
        given = _container(objects, name, container).pop(field)
        side = {"name": "side", "image": _sleeper(images), "command": ["sleep", "86400"], field: given}
        pod["spec"]["containers"].insert(0, side)

    return Change(f"misplace {name} [{container}] {field}", "near-miss", make)


def _impostor(name: str, container: str, images: Sequence[str]) -> Change:
    """Another program that prints what the image would say."""

    def make(objects: Objects) -> None:
        spec = _container(objects, name, container)
        spec |= {"image": _sleeper(images), "command": ["sh", "-c", IMPOSTOR]}
        spec.pop("args", None)

    return Change(f"impostor {name} [{container}]", "near-miss", make)


def _sleeper(images: Sequence[str]) -> str:
    return next((image for image in images if "busybox" in image), "busybox:1.35")
