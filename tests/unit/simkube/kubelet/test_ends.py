"""How containers and pods end: restart policy x way of ending x moment x what a learner may ask.

The tables are those of the real kubelet: ``ShouldContainerBeRestarted``, ``convertToAPIContainerStatuses``,
``getPhase``, ``validateContainerLogStatus`` and ``TerminatePod``. Runs of a container are counted from 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.registry.pods.table import status as status_column
from simkube.apiserver.streams.log import Options, find_container
from simkube.runtime.cri import HTTPResponse
from tests.doubles.kubelet import Node, Script

POLICIES = ("Always", "OnFailure", "Never")
BACK_OFF = "Warning BackOff x1: Back-off restarting failed container web in pod web_default(uid-web)"
HOOKED = ["Warning FailedPostStartHook x1: PostStartHook failed", "Normal Killing x1: FailedPostStartHook"]
QUIET = ("Pulling", "Pulled", "Created", "Started", "Unhealthy")
NOPE = 'exec: "nope": executable file not found in $PATH'


class Asked(NamedTuple):
    """What a moment looks like. ``last``, ``log`` and ``previous`` are runs; None for none."""

    state: str
    last: int | None
    restarts: int
    log: int | None
    previous: int | None


def log_of(node: Node, *, previous: bool = False) -> int | str:
    """The run whose log ``kubectl logs`` shows, or why there is none."""
    cluster: Any = SimpleNamespace(kubelets={"node-1": node.kubelet})
    pod = node.pod()
    assert pod is not None
    try:
        found: Any = find_container(cluster, pod, Options(previous=previous))
    except StatusError as error:
        return error.message
    return found if isinstance(found, str) else 1 + [one.id for one in node.runtime.started].index(found.id)


def run_of(node: Node, end: dict[str, Any] | None) -> int | None:
    """The run that a ``terminated`` state is about."""
    identities = [f"containerd://{one.id}" for one in node.runtime.started]
    return None if end is None else 1 + identities.index(end["containerID"])


def asked(node: Node) -> Asked:
    """What a learner finds now; a log that there is none of is None."""
    container = node.container()
    ((kind, state),) = container["state"].items()
    log, previous = log_of(node), log_of(node, previous=True)
    return Asked(
        state.get("reason", kind),
        run_of(node, container["lastState"].get("terminated")),
        container["restartCount"],
        log if isinstance(log, int) else None,
        previous if isinstance(previous, int) else None,
    )


@dataclass
class Way:
    """A way of ending: what the container does, when it is looked at, and how its ends are reported.

    ``waits`` is the reason shown between an end and the back-off, "" where the end itself is shown.
    """

    script: Script
    code: int
    reason: str
    fields: dict[str, Any] = field(default_factory=dict)
    at_five: Callable[[Node], None] = lambda node: None
    waits: str = ""


def _end(code: int, reason: str = "") -> Callable[[Node], None]:
    return lambda node: node.runtime.started[-1].end(code, reason)


PROBE = {"httpGet": {"port": 80}, "initialDelaySeconds": 5, "failureThreshold": 1}
STUBBORN = {**PROBE, "initialDelaySeconds": 3, "terminationGracePeriodSeconds": 1}
UNWELL = {"ports": (80,), "answer": lambda: HTTPResponse(500)}
WAYS = {
    "exit 0": Way(Script(exits=5), 0, "Completed"),
    "exit 3": Way(Script(exits=5, code=3), 3, "Error"),
    "SIGKILL": Way(Script(), 137, "Error", at_five=_end(137)),
    "OOM": Way(Script(), 137, "OOMKilled", at_five=_end(137, "OOMKilled")),
    "liveness": Way(Script(**UNWELL), 0, "Completed", {"livenessProbe": PROBE}),
    "liveness, stubborn": Way(Script(**UNWELL, stubborn=True), 137, "Error", {"livenessProbe": STUBBORN}),
    "startup": Way(Script(**UNWELL), 0, "Completed", {"startupProbe": PROBE}),
}
MOMENTS = {
    "first run": (2.0, Asked("running", None, 0, 1, None)),
    "ended": (5.5, Asked("ended", None, 0, 1, None)),
    "second run": (7.0, Asked("running", 1, 1, 2, 1)),
    "ended again": (11.5, Asked("ended", 1, 1, 2, None)),
    "back-off": (13.0, Asked("CrashLoopBackOff", 2, 1, 2, 2)),
    "third run": (22.0, Asked("running", 2, 2, 3, 2)),
}
BROKEN_STARTS = {
    "start error": Way(Script(fails=NOPE), 128, "StartError", waits="RunContainerError"),
    "hook": Way(
        Script(execs={"no": 1}),
        0,
        "Completed",
        {"lifecycle": {"postStart": {"exec": {"command": ["no"]}}}},
        waits="PostStartHookError",
    ),
    "hook, stubborn": Way(
        Script(execs={"no": 1}, stubborn=True),
        137,
        "Error",
        {"lifecycle": {"postStart": {"exec": {"command": ["no"]}}}},
        waits="PostStartHookError",
    ),
}
BROKEN_MOMENTS = {
    "failed": (0.5, Asked("waits", 1, 0, 1, 1)),
    "failed again": (1.5, Asked("waits", 2, 1, 2, 2)),
    "back-off": (3.5, Asked("CrashLoopBackOff", 2, 1, 2, 2)),
    "third try": (11.5, Asked("waits", 3, 2, 3, 3)),
}


def _restarts(policy: str, code: int) -> bool:
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def _play(way: Way, policy: str, until: float) -> Node:
    """A pod that ends that way, until then; what happens at five seconds happens to every run."""
    node = Node({"web": way.script})
    container = {"name": "web", "image": "web", **way.fields}
    node.run({"containers": [container], "restartPolicy": policy, "terminationGracePeriodSeconds": 0})
    passed = 0.0
    for moment in (5.0, 11.0):
        if moment <= until:
            node.advance(moment - passed)
            passed = moment
            if node.runtime.started[-1].state == "running":
                way.at_five(node)
                node.settle()
    node.advance(until - passed)
    return node


def _check(node: Node, way: Way, policy: str, wanted: Asked) -> None:
    restarted = _restarts(policy, way.code)
    shown = {"ended": way.reason, "waits": way.waits}.get(wanted.state, wanted.state)
    assert asked(node) == wanted._replace(state=shown)
    pod, status, container = node.pod(), node.status(), node.container()
    assert pod is not None
    over = "Failed" if way.code else "Succeeded"
    assert status["phase"] == ("Running" if restarted or shown == "running" else over)
    assert status_column(pod) == ("Running" if shown == "running" else shown)
    for end in (container["state"].get("terminated"), container["lastState"].get("terminated")):
        assert end is None or (end["exitCode"], end["reason"]) == (way.code, way.reason)
    startup = "startupProbe" in way.fields
    ready = shown == "running" and not startup
    assert (node.condition("Ready"), container["ready"]) == (str(ready), ready)
    if node.status()["phase"] in ("Succeeded", "Failed"):
        reasons = {one["type"]: one.get("reason") for one in status["conditions"]}
        assert reasons["Ready"] == f"Pod{'Completed' if over == 'Succeeded' else 'Failed'}"


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", WAYS)
def test_a_container_that_ends(name: str, policy: str, moment: str) -> None:
    way, (at, wanted) = WAYS[name], MOMENTS[moment]
    if at > MOMENTS["ended"][0] and not _restarts(policy, way.code):
        wanted = MOMENTS["ended"][1]
    _check(_play(way, policy, at), way, policy, wanted)


@pytest.mark.parametrize("moment", BROKEN_MOMENTS)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", BROKEN_STARTS)
def test_a_container_that_never_gets_going(name: str, policy: str, moment: str) -> None:
    way, (at, wanted) = BROKEN_STARTS[name], BROKEN_MOMENTS[moment]
    if not _restarts(policy, way.code):
        wanted = Asked("ended", None, 0, 1, None)
    _check(_play(way, policy, at), way, policy, wanted)


@pytest.mark.parametrize(
    ("name", "policy", "events"),
    [
        ("liveness", "Always", ["Normal Killing x1: Container web failed liveness probe, will be restarted"]),
        ("liveness", "Never", ["Normal Killing x1: Stopping container web"]),
        ("startup", "OnFailure", ["Normal Killing x1: Container web failed startup probe, will be restarted"]),
        ("exit 3", "Always", [BACK_OFF]),
        ("start error", "Never", [f"Warning Failed x1: Error: {NOPE}"]),
        ("hook", "Never", HOOKED),
    ],
)
def test_what_is_told_of_an_end(name: str, policy: str, events: list[str]) -> None:
    way = {**WAYS, **BROKEN_STARTS}[name]
    node = _play(way, policy, 5.5 if name not in ("exit 3",) else 13.0)
    told = [one for one in node.events() if one.split()[1] not in QUIET]
    assert told == events


def test_a_probe_that_fails_beside_a_container_that_goes_on() -> None:
    node = Node({"web": WAYS["liveness"].script, "side": Script()})
    containers = [{"name": "web", "image": "web", "livenessProbe": PROBE}, {"name": "side", "image": "side"}]
    node.run({"containers": containers, "restartPolicy": "Never"})
    node.advance(6)
    assert "Normal Killing x1: Container web failed liveness probe" in node.events()
    assert (node.status()["phase"], "running" in node.container(index=1)["state"]) == ("Running", True)


def test_a_log_that_was_removed_meanwhile() -> None:
    node = _play(WAYS["exit 3"], "Always", 11.5)
    last = node.container()["lastState"]["terminated"]["containerID"]
    assert log_of(node, previous=True) == f"unable to retrieve container logs for {last}"


IMAGE = {"containers": [{"name": "web", "image": "none:1"}]}
CONFIG = {
    "containers": [
        {"name": "web", "image": "web", "envFrom": [{"configMapRef": {"name": "none"}}]},
    ]
}
ROOT = {"containers": [{"name": "web", "image": "web", "securityContext": {"runAsNonRoot": True}}]}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("spec", "at", "reason", "words"),
    [
        (IMAGE, 0.5, "ErrImagePull", "image can't be pulled"),
        (IMAGE, 5.0, "ImagePullBackOff", "trying and failing to pull image"),
        (CONFIG, 5.0, "CreateContainerConfigError", "CreateContainerConfigError"),
        (ROOT, 5.0, "CreateContainerConfigError", "CreateContainerConfigError"),
    ],
)
def test_a_container_that_was_never_there_waits(
    policy: str, spec: dict[str, Any], at: float, reason: str, words: str
) -> None:
    node = Node({"web": Script()})
    node.run({**spec, "restartPolicy": policy})
    node.advance(at)
    pod = node.pod()
    assert pod is not None
    assert asked(node) == Asked(reason, None, 0, None, None)
    assert (node.status()["phase"], status_column(pod)) == ("Pending", reason)
    assert log_of(node) == f'container "web" in pod "web" is waiting to start: {words}'
    assert log_of(node, previous=True) == 'previous terminated container "web" in pod "web" not found'


def _evict(node: Node) -> None:
    node.kubelet.workers["uid-web"].evict("The node was low on resource: memory. ")
    node.settle()


UNKNOWN = "ContainerStatusUnknown"


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("script", "image", "state", "last", "log", "previous"),
    [
        (Script(), "web", "Completed", None, 1, None),
        (Script(stubborn=True), "web", "Error", None, 1, None),
        (Script(exits=1, code=1), "web", "", 2, 2, 2),
        (Script(), "none", UNKNOWN, None, None, None),
    ],
    ids=["running", "stubborn", "in back-off", "no image"],
)
@pytest.mark.parametrize("reason", ["Evicted", "DeadlineExceeded"])
def test_a_pod_that_the_kubelet_ends(
    reason: str, policy: str, script: Script, image: str, state: str, last: int | None, log: int, previous: int | None
) -> None:
    if state == "" and policy == "Never":
        return  # it is over before anybody could end it
    node = Node({"web": script})
    deadline = {"activeDeadlineSeconds": 6} if reason == "DeadlineExceeded" else {}
    container = {"name": "web", "image": image}
    node.run({"containers": [container], "restartPolicy": policy, "terminationGracePeriodSeconds": 1, **deadline})
    node.advance(5.5)
    if reason == "Evicted":
        _evict(node)
    node.advance(5)
    pod = node.pod()
    assert pod is not None
    state = state or UNKNOWN
    found = node.container()
    shown = found["state"]["terminated"]
    assert (node.status()["phase"], node.status()["reason"], shown["reason"]) == ("Failed", reason, state)
    assert status_column(pod) == state, "how the container ended hides why the pod did"
    assert run_of(node, found["lastState"].get("terminated")) == last
    assert log_of(node) == (log if log is not None else 'container "web" in pod "web" is terminated')
    assert previous is None or log_of(node, previous=True) == previous
    assert node.condition("DisruptionTarget") == ("True" if reason == "Evicted" else "none")
    assert node.condition("Ready") == "False"


def test_a_pod_whose_sandbox_is_gone_ends_when_it_is_never_restarted() -> None:
    node = Node({"web": Script(), "setup": Script(exits=1)})
    spec = {"containers": [{"name": "web", "image": "web"}], "initContainers": [{"name": "setup", "image": "setup"}]}
    node.run({**spec, "restartPolicy": "Never"})
    node.run({**spec, "restartPolicy": "OnFailure"}, name="again")
    node.advance(5)
    node.kubelet.stop_node()
    node.kubelet.start_node()
    node.advance(5)
    assert node.status()["phase"] == "Failed"
    assert (node.container()["state"]["terminated"]["exitCode"], node.container()["restartCount"]) == (255, 0)
    assert node.status("again")["phase"] == "Running"
    init = node.status("again")["initContainerStatuses"][0]
    assert (node.container("again")["restartCount"], init["restartCount"]) == (1, 1), "init containers ran again"
    assert [event for event in node.events() if "SandboxChanged" in event] == [
        "Normal SandboxChanged x1: Pod sandbox changed, it will be killed and re-created."
    ]
