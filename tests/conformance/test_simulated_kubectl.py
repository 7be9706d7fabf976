"""Every kubectl command of a course, with each kubectl there is, on a simulated cluster: it works, or says why not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from simkube.host.launcher import HostClient
from tests.conformance.conftest import Runner, kubectls, learners, topology, which

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: kindling/web:1.0
        ports: [{containerPort: 8080, name: http}]
        readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
"""


@pytest.fixture(scope="module")
def config(host: HostClient, home: Path) -> Path:
    host.create("a", topology("single"))
    return learners(host, "a", home)


@pytest.fixture(params=kubectls(), ids=which)
def kubectl(request: pytest.FixtureRequest, host: HostClient, config: Path, tmp_path: Path) -> Runner:
    """Runs kubectl in a namespace of the test's own, beside a manifest."""
    (tmp_path / "web.yaml").write_text(MANIFEST)
    return Runner(request.param, learners(host, "a", tmp_path)).elsewhere()


@pytest.fixture
def web(kubectl: Runner) -> Runner:
    kubectl("apply", "-f", "web.yaml")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    return kubectl


def test_get_in_every_form(web: Runner) -> None:
    assert re.search(r"web-\S+ +1/1 +Running", web("get", "pods"))
    assert "10.244." in web("get", "pods", "-o", "wide")
    assert yaml.safe_load(web("get", "deployment", "web", "-o", "yaml"))["spec"]["replicas"] == 2
    assert '"kind": "Deployment"' in web("get", "deployment", "web", "-o", "json")
    assert web("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "2"
    assert web("get", "svc", "-o", "name") == "service/web\n"
    assert web("get", "pods", "-l", "app=web", "--no-headers").count("\n") == 2
    assert "No resources found" in web("get", "pods", "--field-selector=status.phase=Failed")
    assert "replicaset.apps/web" in web("get", "all")


def test_describe_tells_the_story(web: Runner) -> None:
    assert "Scaled up replica set" in web("describe", "deployment", "web")
    assert "Started container" in web("describe", "pod", "-l", "app=web") or "Started" in web("events")
    assert "Endpoints:" in web("describe", "service", "web")
    assert "Ready" in web("describe", "node")


def test_changes_of_every_kind(web: Runner) -> None:
    assert "unchanged" in web("apply", "-f", "web.yaml")
    assert "serverside-applied" in web("apply", "--server-side", "--force-conflicts", "-f", "web.yaml")
    web("patch", "deployment", "web", "-p", '{"spec":{"replicas":1}}')
    web("patch", "deployment", "web", "--type=merge", "-p", '{"spec":{"replicas":3}}')
    web("patch", "deployment", "web", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":2}]')
    assert "edited" in web("edit", "deployment", "web", env={"EDITOR": "sed -i s/replicas:.2/replicas:\\ 4/"})
    assert web("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "4"
    web("scale", "deployment/web", "--replicas=1")
    web("label", "deployment", "web", "tier=front")
    web("annotate", "deployment", "web", "note=here")
    web("expose", "deployment", "web", "--name=door", "--type=NodePort", "--port=80", "--target-port=8080")
    web("replace", "-f", "web.yaml")
    web("delete", "-f", "web.yaml")
    assert "No resources found" in web("get", "deployments")


def test_rollouts(web: Runner) -> None:
    web("set", "image", "deployment/web", "web=kindling/web:2.0")
    web("rollout", "status", "deployment/web", "--timeout=60s")
    assert web("rollout", "history", "deployment/web").count("<none>") == 2
    web("rollout", "undo", "deployment/web")
    web("rollout", "status", "deployment/web", "--timeout=60s")
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    assert web("get", "deployment", "web", "-o", image) == "kindling/web:1.0"
    web("rollout", "restart", "deployment/web")
    web("rollout", "status", "deployment/web", "--timeout=60s")


def test_running_reading_and_entering_pods(kubectl: Runner) -> None:
    kubectl("run", "one", "--image=busybox", "--restart=Never", "--", "echo", "hello")
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/one", "--timeout=30s")
    assert kubectl("logs", "one") == "hello\n"
    kubectl("run", "stays", "--image=busybox", "--", "sleep", "3600")
    kubectl("wait", "--for=condition=Ready", "pod/stays", "--timeout=30s")
    assert kubectl("exec", "stays", "--", "sh", "-c", "echo in; hostname") == "in\nstays\n"
    assert "Started" in kubectl("events", "--for", "pod/stays")
    kubectl("delete", "pod", "stays", "--grace-period=1")


MADE: list[tuple[str, ...]] = [
    ("create", "deployment", "d", "--image=kindling/web:1.0", "--replicas=1", "--port=8080"),
    ("create", "configmap", "c", "--from-literal=a=b"),
    ("create", "secret", "generic", "s", "--from-literal=a=b"),
    ("create", "serviceaccount", "a"),
    ("create", "service", "clusterip", "h", "--clusterip=None"),
    ("create", "job", "j", "--image=busybox"),
    ("create", "ingress", "i", "--rule=example.org/*=h:80"),
    ("create", "token", "default"),
    ("explain", "pod.spec.containers.readinessProbe"),
    ("explain", "deployment", "--recursive"),
    ("api-resources",),
    ("api-versions",),
    ("auth", "can-i", "create", "pods"),
    ("auth", "whoami"),
    ("cluster-info",),
    ("version",),
    ("get", "--raw", "/readyz"),
]


@pytest.mark.parametrize("arguments", MADE, ids=" ".join)
def test_it_works(kubectl: Runner, arguments: tuple[str, ...]) -> None:
    assert kubectl(*arguments)


REFUSED: list[tuple[tuple[str, ...], str]] = [
    (("get", "podpresets"), "the server doesn't have a resource type"),
    (("top", "pod", "ghost"), 'pods "ghost" not found'),
    (("create", "configmap", "A_B"), "must consist of lower case"),
    (("get", "pods", "ghost"), 'pods "ghost" not found'),
]


@pytest.mark.parametrize(
    ("arguments", "words"), REFUSED, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_it_says_why_not(kubectl: Runner, arguments: tuple[str, ...], words: str) -> None:
    assert words in kubectl(*arguments, fails=True)


def test_nodes_are_emptied_and_taken_back(web: Runner) -> None:
    node = web("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
    web("cordon", node)
    assert "SchedulingDisabled" in web("get", "nodes")
    web("taint", "nodes", node, "k=v:NoSchedule")
    web("taint", "nodes", node, "k=v:NoSchedule-")
    assert "evicted" in web("drain", node, "--ignore-daemonsets", "--force", "--delete-emptydir-data", "--timeout=80s")
    web("uncordon", node)
    web("rollout", "status", "deployment/web", "--timeout=60s")
