"""What administrators of a cluster can do to the grader's probe, and to what stands between it and the application.

Each attack is tried on a right solution, which it may cost its points, and on one that answers nothing, which it must
not get any. What the learner reads is part of the table.
"""

from __future__ import annotations

import contextlib
import json
import textwrap
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from grader.connection import Connection
from grader.errors import GraderError
from grader.protocol import GradeRequest, Outcome, Verdict
from grader.runner import grade
from simkube.host.launcher import HostClient
from tests.conformance.conftest import topology
from tests.conformance.test_simulated_webhooks import configuration, objects
from tests.unit.simkube.certificates import Authority

CHECKS = """
from grader import check, fail, poll

@check(points=1, title="It answers through the Service's name")
def test_it(cluster, probe):
    url = cluster.url("web")
    def look():
        answer = probe.get(url, timeout=1.0)
        if answer.message != "Hello":
            fail(expected=f"Hello from {url}", observed=str(answer), look="kubectl get endpoints web")
        return True
    poll(look, 4)
    with probe.traffic(url, interval=0.05) as traffic:
        poll(lambda: len(traffic.answers()) > 30, 10, expected="requests to flow")
    if traffic.answers().failed:
        fail(expected="every request to be answered", observed=str(traffic.answers()), look="kubectl get events")
"""
LIMIT = 60.0
CORE, APPS = "/api/v1/namespaces", "/apis/apps/v1/namespaces"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
LIE = json.dumps([{"t": 1.0, "ms": 1.0, "status": 200, "error": "", "body": "Hello from web-1, version 1.0"}])


class Learner:
    """An administrator with a program that watches for the grader's probe."""

    def __init__(self, kubeconfig: str) -> None:
        self.api = Connection(kubeconfig, patience=1.0)
        self.done = threading.Event()

    def probes(self) -> list[str]:
        """Namespaces of probes."""
        found = self.api.get(CORE, labelSelector="kindling.dev/role=probe")["items"]
        return [one["metadata"]["name"] for one in found if not one["metadata"].get("deletionTimestamp")]

    def pod(self, namespace: str) -> dict[str, Any]:
        return self.api.get(f"{CORE}/{namespace}/pods/probe")

    def apply(self, path: str, *made: dict[str, Any]) -> None:
        for one in made:
            self.api.create(path, one)

    def works(self) -> None:
        """The right solution: a Deployment of the web image, and a Service in front of it."""
        container = {"name": "web", "image": "kindling/web:1.0", "env": [{"name": "MESSAGE", "value": "Hello"}]}
        labels = {"app": "web"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
        self.apply(f"{APPS}/default/deployments", {"metadata": {"name": "web"}, "spec": spec})
        ports = [{"port": 80, "targetPort": 8080}]
        self.apply(
            f"{CORE}/default/services", {"metadata": {"name": "web"}, "spec": {"selector": labels, "ports": ports}}
        )
        until(lambda: len(self.addresses("web")) == 2)

    def addresses(self, service: str) -> list[Any]:
        """Who gets its requests: nobody yet when its endpoints have still to be made."""
        endpoints = self.api.get(f"{CORE}/default/endpoints")["items"]
        subsets = [
            subset for one in endpoints if one["metadata"]["name"] == service for subset in one.get("subsets") or []
        ]
        return [address for subset in subsets for address in subset.get("addresses") or []]

    def liar(self, name: str, namespace: str) -> dict[str, Any]:
        """A pod that says of every request that all is well."""
        container = {"name": "probe", "image": "hashicorp/http-echo", "args": [f"-text={LIE}", "-listen=:8080"]}
        made = {
            "metadata": {"name": name, "labels": {"kindling.dev/role": "probe"}},
            "spec": {"containers": [container]},
        }
        return self.api.create(f"{CORE}/{namespace}/pods", made)


def until(so: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


Attack = Callable[[Learner, str], None]
"""What the learner's program does to the probe in a namespace, again and again; the first time as soon as it is
there."""


def nothing(learner: Learner, namespace: str) -> None: ...


def delete(learner: Learner, namespace: str) -> None:
    learner.api.delete(f"{CORE}/{namespace}/pods/probe", gracePeriodSeconds=0)


def once_it_runs(attack: Attack) -> Attack:
    def later(learner: Learner, namespace: str) -> None:
        if learner.pod(namespace).get("status", {}).get("phase") == "Running":
            learner.done.wait(0.3)  # so that it is asked already
            attack(learner, namespace)

    return later


def delete_namespace(learner: Learner, namespace: str) -> None:
    learner.api.delete(f"{CORE}/{namespace}")


def take_its_name(learner: Learner, namespace: str) -> None:
    learner.liar("probe", namespace)


def take_its_place(learner: Learner, namespace: str) -> None:
    delete(learner, namespace)
    learner.liar("probe", namespace)


def change_image(learner: Learner, namespace: str) -> None:
    change = {"spec": {"containers": [{"name": "probe", "image": "hashicorp/http-echo"}]}}
    learner.api.patch(f"{CORE}/{namespace}/pods/probe", change, "strategic-merge-patch")


def add_container(learner: Learner, namespace: str) -> None:
    change = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "busybox:1.35"}]}}
    learner.api.patch(f"{CORE}/{namespace}/pods/probe/ephemeralcontainers", change, "strategic-merge-patch")


def kill_process(learner: Learner, namespace: str) -> None:
    # through the kubelet it would be kubectl exec; here its state is said to have changed
    status = learner.pod(namespace)["status"]
    status["containerStatuses"][0]["restartCount"] += 1
    learner.api.patch(f"{CORE}/{namespace}/pods/probe/status", {"status": status}, "merge-patch")


def lead_elsewhere(learner: Learner, namespace: str) -> None:
    """Its address is another pod's for a moment, and then its own again."""
    with contextlib.suppress(GraderError):
        learner.liar("liar", "default")
    until(lambda: learner.api.get(f"{CORE}/default/pods/liar")["status"].get("podIP"))
    other, own = (
        learner.api.get(f"{CORE}/default/pods/liar")["status"]["podIP"],
        learner.pod(namespace)["status"]["podIP"],
    )
    for ip in (other, own):
        change = {"status": {"podIP": ip, "podIPs": [{"ip": ip}]}}
        learner.api.patch(f"{CORE}/{namespace}/pods/probe/status", change, "merge-patch")
        time.sleep(0.1)


def end_early(learner: Learner, namespace: str) -> None:
    learner.api.patch(f"{CORE}/{namespace}/pods/probe", {"spec": {"activeDeadlineSeconds": 1}}, "merge-patch")


def no_way_out(learner: Learner, namespace: str) -> None:
    spec = {"podSelector": {}, "policyTypes": ["Egress"]}
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    learner.apply(path, {"metadata": {"name": "none"}, "spec": spec})


# -- before it is handed in ------------------------------------------------------------------------------------------

Before = Callable[[Learner], None]


def deny_by_policy(learner: Learner) -> None:
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    said = {"expression": "object.metadata.name != 'probe'", "message": "no \x1b[31m<b>probes</b> here"}
    spec = {"matchConstraints": {"resourceRules": rules}, "validations": [said], "failurePolicy": "Fail"}
    learner.apply(f"{ADMISSION}/validatingadmissionpolicies", {"metadata": {"name": "no"}, "spec": spec})
    bound = {"policyName": "no", "validationActions": ["Deny"]}
    learner.apply(f"{ADMISSION}/validatingadmissionpolicybindings", {"metadata": {"name": "no"}, "spec": bound})
    time.sleep(0.3)


def fail_closed(learner: Learner) -> None:
    """A webhook that nobody serves."""
    hook = configuration(Authority(datetime.now(UTC)), "Validating", "gone", "/x", "pods")
    hook["webhooks"][0]["namespaceSelector"] = {}  # type: ignore[index]
    learner.apply(f"{ADMISSION}/validatingwebhookconfigurations", hook)
    time.sleep(0.3)


def inject_sidecar(learner: Learner) -> None:
    """A webhook that adds a container to every new pod."""
    authority = Authority(datetime.now(UTC))
    for one in list(yaml.safe_load_all(objects(authority)))[:3]:
        learner.apply(f"{CORE}/default/{one['kind'].lower()}s", one)
    until(lambda: learner.addresses("hooks"))
    hook = configuration(authority, "Mutating", "sidecars", "/mutating-pods-sidecar", "pods")
    hook["webhooks"][0]["namespaceSelector"] = {}  # type: ignore[index]
    learner.apply(f"{ADMISSION}/mutatingwebhookconfigurations", hook)
    time.sleep(0.3)


def fill_with_pods(learner: Learner) -> None:
    (node,) = learner.api.get("/api/v1/nodes")["items"]
    spec = {"nodeName": node["metadata"]["name"], "containers": [{"name": "a", "image": "registry.k8s.io/pause:3.9"}]}
    for number in range(int(node["status"]["allocatable"]["pods"]) + 2):
        learner.apply(f"{CORE}/default/pods", {"metadata": {"name": f"filler-{number}"}, "spec": spec})
    time.sleep(1)


def cordon_and_taint(learner: Learner) -> None:
    (node,) = learner.api.get("/api/v1/nodes")["items"]
    taints = [{"key": "no", "effect": "NoSchedule"}, {"key": "never", "effect": "PreferNoSchedule"}]
    change = {"spec": {"unschedulable": True, "taints": taints}}
    learner.api.patch(f"/api/v1/nodes/{node['metadata']['name']}", change, "merge-patch")


def deny_traffic(learner: Learner) -> None:
    spec = {"podSelector": {}, "policyTypes": ["Ingress"]}
    path = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies"
    learner.apply(path, {"metadata": {"name": "none"}, "spec": spec})


def no_rights_for_anybody(learner: Learner) -> None:
    bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    for one in learner.api.get(bindings)["items"]:
        if not one["metadata"]["name"].startswith("system:"):
            learner.api.delete(f"{bindings}/{one['metadata']['name']}")


def stop_dns(learner: Learner) -> None:
    learner.api.patch(f"{APPS}/kube-system/deployments/coredns", {"spec": {"replicas": 0}}, "merge-patch")
    until(lambda: not learner.api.get(f"{CORE}/kube-system/pods", labelSelector="k8s-app=kube-dns")["items"])


def quota(learner: Learner) -> None:
    spec = {"hard": {"pods": "0"}}
    learner.apply(f"{CORE}/default/resourcequotas", {"metadata": {"name": "none"}, "spec": spec})


def imitated_service(learner: Learner) -> None:
    """Nothing of it is the application: a Service that leads to a pod which says so."""
    learner.liar("liar", "default")
    ports = [{"port": 80, "targetPort": 8080}]
    spec = {"selector": {"kindling.dev/role": "probe"}, "ports": ports}
    with contextlib.suppress(GraderError):
        learner.api.delete(f"{CORE}/default/services/web")
    learner.apply(f"{CORE}/default/services", {"metadata": {"name": "web"}, "spec": spec})
    until(lambda: learner.addresses("web"))


@dataclass(frozen=True)
class Row:
    """An attack, what a right solution ends as, and what its learner reads then."""

    attack: Attack = nothing
    before: Before = lambda _: None
    outcome: str = "failed"
    says: str = ""


DELETED = "the grader's probe pod was deleted while it was at work"
REPLACED = "the grader's probe pod was replaced or restarted while it was at work"
CHANGED = "the grader's probe pod was changed: "
TABLE = {
    "nothing": Row(outcome="passed"),
    "deleted": Row(once_it_runs(delete), says=DELETED),
    "deleted in a loop": Row(delete, says=DELETED),
    "its namespace deleted": Row(once_it_runs(delete_namespace), says=DELETED),
    "another in its place": Row(once_it_runs(take_its_place), says=CHANGED),
    "another image": Row(once_it_runs(change_image), says=CHANGED + "image"),
    "another container": Row(once_it_runs(add_container), says=CHANGED + "ephemeralContainers"),
    "its process restarted": Row(once_it_runs(kill_process), says=REPLACED),
    "led elsewhere for a moment": Row(once_it_runs(lead_elsewhere), says=REPLACED),
    "ended early": Row(once_it_runs(end_early), says="was not let run (DeadlineExceeded)"),
    "no way out": Row(no_way_out, says="no answer"),
    "denied by a policy": Row(before=deny_by_policy, says='it refuses: "'),
    "a webhook that fails closed": Row(before=fail_closed, says="failed calling webhook"),
    "a webhook that adds a container": Row(before=inject_sidecar, says=CHANGED + "containers"),
    "starved of pods": Row(before=fill_with_pods, says="was not let run (OutOfpods)"),
    "cordoned and tainted": Row(before=cordon_and_taint, outcome="passed"),
    "all traffic denied": Row(before=deny_traffic, says="no answer"),
    "no role bindings left": Row(before=no_rights_for_anybody, outcome="passed"),
    "a quota in its own namespace": Row(before=quota, outcome="passed"),
    "DNS scaled to nothing": Row(before=stop_dns, says="no name server"),
    "a Service that imitates": Row(before=imitated_service, says="status 200"),
}
LIES = {
    "its name taken before": take_its_name,  # by whoever is faster
    "another in its place": once_it_runs(take_its_place),
    "another image": once_it_runs(change_image),
    "led elsewhere for a moment": once_it_runs(lead_elsewhere),
}
"""Those that would have something else answer in the probe's place."""


@pytest.fixture
def learner(host: HostClient) -> Iterator[Learner]:
    """With a cluster of their own."""
    name = f"attacked-{uuid.uuid4().hex[:8]}"
    host.create(name, topology("single"))
    made = Learner(host.kubeconfig(name) or "")
    yield made
    made.api.close()
    host.delete(name)


def graded(learner: Learner, attack: Attack, folder: Path) -> Verdict:
    """Grade, while the learner's program attacks."""
    checks = folder / "checks.py"
    checks.write_text(textwrap.dedent(CHECKS))
    request = GradeRequest(str(checks), learner.api.kubeconfig, "default", {}, seconds=LIMIT)

    def program() -> None:
        while not learner.done.is_set():
            with contextlib.suppress(GraderError, KeyError):
                for namespace in learner.probes():
                    attack(learner, namespace)
            learner.done.wait(0.02)

    thread = threading.Thread(target=program)
    thread.start()
    try:
        return grade(request)
    finally:
        learner.done.set()
        thread.join()


@pytest.mark.parametrize("name", TABLE)
def test_a_right_solution_under(name: str, learner: Learner, tmp_path: Path) -> None:
    row = TABLE[name]
    learner.works()
    row.before(learner)
    verdict = graded(learner, row.attack, tmp_path)
    (check,) = verdict.checks
    assert (str(check.outcome), check.cause) == (row.outcome, "")
    assert row.says in check.message
    assert not set(check.message) & set("\x1b\r\0")
    assert [line.split(":")[0] for line in check.message.splitlines()] in ([], ["Expected", "Observed", "Look"])


@pytest.mark.parametrize("name", LIES)
def test_what_answers_nothing_under(name: str, learner: Learner, tmp_path: Path) -> None:
    assert graded(learner, LIES[name], tmp_path).outcome is Outcome.FAILED
