"""What a learner does with kubectl has the same effect and the same words on a simulated and on a real cluster.

What Kubernetes 1.20 lacks is marked by version.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from labs.clusters.provider import Provider
from tests.conformance.conftest import Kubectl

WEB = "kindling/web:1.0"

DEPLOYMENT = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, labels: {{app: web}}}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: {WEB}
        ports: [{{containerPort: 8080, name: http}}]
        readinessProbe: {{httpGet: {{path: /readyz, port: http}}, periodSeconds: 1}}
"""


@pytest.fixture
def web(kubectl: Kubectl) -> Kubectl:
    """A namespace with a rolled-out deployment ``web`` of two replicas."""
    kubectl("apply -f -", DEPLOYMENT)
    kubectl("rollout status deployment/web --timeout=80s")
    return kubectl


def container(**fields: Any) -> str:
    """A strategic merge patch of the container ``web`` of a deployment."""
    return json.dumps({"spec": {"template": {"spec": {"containers": [{"name": "web", **fields}]}}}})


def words(line: str) -> list[str]:
    """The columns of a line of a table."""
    return re.split(r"\s{2,}", line.strip())


def test_a_deployment_is_applied_shown_and_deleted(kubectl: Kubectl) -> None:
    assert kubectl("apply -f -", DEPLOYMENT) == "deployment.apps/web created\n"
    assert kubectl("apply -f -", DEPLOYMENT) == "deployment.apps/web unchanged\n"
    assert "successfully rolled out" in kubectl("rollout status deployment/web --timeout=80s")
    header, line = kubectl("get deployments").splitlines()
    assert words(header) == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert words(line)[:4] == ["web", "2/2", "2", "2"]
    header, line = kubectl("get deployment web -o wide").splitlines()
    assert words(header)[5:] == ["CONTAINERS", "IMAGES", "SELECTOR"]
    assert words(line)[5:] == ["web", WEB, "app=web"]
    header, *lines = kubectl("get pods -o wide").splitlines()
    assert words(header) == [
        *("NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED NODE", "READINESS GATES")
    ]
    assert [words(line)[1:4] for line in lines] == [["1/1", "Running", "0"]] * 2
    assert re.fullmatch(r"deployment.apps \"web\" deleted( from \S+ namespace)?\n", kubectl("delete deployment web"))
    kubectl("wait --for=delete pod -l app=web --timeout=60s")
    assert kubectl("get pods") == ""


def test_deployment_create_scale_and_expose_by_command(kubectl: Kubectl) -> None:
    assert kubectl(f"create deployment web --image={WEB} --replicas=1") == "deployment.apps/web created\n"
    assert kubectl("scale deployment web --replicas=3") == "deployment.apps/web scaled\n"
    assert kubectl("expose deployment web --port=80 --target-port=8080") == "service/web exposed\n"
    kubectl.until("get deployment web -o jsonpath={.status.readyReplicas}", lambda out: out == "3")
    kubectl.until("get endpoints web -o jsonpath={.subsets[0].addresses[*].ip}", lambda out: len(out.split()) == 3)
    service = kubectl.json("get service web")["spec"]
    assert service["selector"] == {"app": "web"}
    assert service["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 8080}]
    assert service["clusterIP"].startswith("10.96.")


def test_a_service_answers_by_name_from_inside(web: Kubectl) -> None:
    web("expose deployment web --port=80 --target-port=http")
    web.until("get endpoints web -o jsonpath={.subsets[0].addresses[*].ip}", lambda out: len(out.split()) == 2)
    web(f"run asker --image={WEB} --restart=Never -- probe")
    web("wait --for=condition=Ready pod/asker --timeout=60s")
    wanted = {"method": "GET", "url": "http://web", "count": 12, "timeout_ms": 5000}
    path = f"/api/v1/namespaces/{web.namespace}/pods/asker:8080/proxy/request"
    records = json.loads(web(f"create --raw {path} -f -", json.dumps(wanted)))
    answers = [record["body"].strip() for record in records]
    assert len(answers) == 12
    names = web("get pods -l app=web -o jsonpath={.items[*].metadata.name}").split()
    assert set(answers) == {f"Hello from {name}, version 1.0" for name in names}


def test_an_image_is_rolled_out_and_undone(web: Kubectl) -> None:
    assert web("set image deployment/web web=kindling/web:2.0") == "deployment.apps/web image updated\n"
    web("rollout status deployment/web --timeout=80s")
    history = web("rollout history deployment/web").splitlines()
    assert history[0] == "deployment.apps/web "
    assert [words(line)[0] for line in history[2:4]] == ["1", "2"]
    assert "kindling/web:2.0" in web("rollout history deployment/web --revision=2")
    assert web("rollout undo deployment/web") == "deployment.apps/web rolled back\n"
    web("rollout status deployment/web --timeout=80s")
    assert web("get deployment web -o jsonpath={.spec.template.spec.containers[0].image}") == WEB
    assert len(web.json("get replicasets")["items"]) == 2
    assert web("rollout restart deployment/web") == "deployment.apps/web restarted\n"
    web("rollout status deployment/web --timeout=80s")
    assert web("rollout pause deployment/web") == "deployment.apps/web paused\n"
    assert web("rollout resume deployment/web") == "deployment.apps/web resumed\n"


def test_three_kinds_of_patch(web: Kubectl) -> None:
    web(f"patch deployment web -p '{container(env=[{'name': 'A', 'value': '1'}])}'")
    patched = web.json("get deployment web")["spec"]["template"]["spec"]["containers"][0]
    assert (patched["image"], patched["env"]) == (WEB, [{"name": "A", "value": "1"}])
    web("""patch deployment web --type=merge -p '{"metadata":{"labels":{"tier":"front","app":null}}}'""")
    assert web.json("get deployment web")["metadata"]["labels"] == {"tier": "front"}
    web("""patch deployment web --type=json -p '[{"op":"replace","path":"/spec/replicas","value":1}]'""")
    assert web.json("get deployment web")["spec"]["replicas"] == 1
    web.refused("""patch deployment web --type=json -p '[{"op":"test","path":"/spec/replicas","value":7}]'""")


def test_server_side_apply_keeps_account_of_owners(kubectl: Kubectl) -> None:
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '%s'}\n"
    assert kubectl("apply --server-side -f -", manifest % 1) == "configmap/c serverside-applied\n"
    conflict = kubectl.refused("apply --server-side --field-manager=other -f -", manifest % 2)
    assert 'conflict with "kubectl"' in conflict
    assert ".data.a" in conflict
    kubectl("apply --server-side --field-manager=other --force-conflicts -f -", manifest % 2)
    assert kubectl.json("get configmap c")["data"] == {"a": "2"}


def test_what_was_patched_after_an_apply_is_not_taken_over(kubectl: Kubectl) -> None:
    kubectl("apply -f -", DEPLOYMENT.replace("replicas: 2", "replicas: 0"))
    kubectl("""patch deployment web -p '{"spec":{"paused":true,"replicas":1}}'""")
    conflict = kubectl.refused("apply --server-side -f -", DEPLOYMENT.replace("replicas: 2", "replicas: 0"))
    assert 'conflict with "kubectl-patch" using apps/v1: .spec.replicas' in conflict
    kubectl("apply --server-side --force-conflicts -f -", DEPLOYMENT.replace("replicas: 2", "replicas: 0"))
    assert kubectl.json("get deployment web")["spec"]["replicas"] == 0


def test_labels_annotations_and_selectors(web: Kubectl) -> None:
    pod = web("get pods -o name").split()[0]
    assert web(f"label {pod} tier=front") == f"{pod} labeled\n"
    assert web("get pods -l tier=front -o name").split() == [pod]
    assert "already has a value" in web.refused(f"label {pod} tier=back")
    web(f"label {pod} tier-")
    assert web("get pods -l 'tier in (front)' -o name") == ""
    web(f"annotate {pod} note=kept")
    assert web(f"get {pod} -o jsonpath={{.metadata.annotations.note}}") == "kept"
    assert len(web("get pods --field-selector=status.phase=Running -o name").split()) == 2


def test_a_changed_label_is_replaced_by_a_new_pod(web: Kubectl) -> None:
    pod = web("get pods -o name").split()[0]
    web(f"label {pod} app=other --overwrite")
    web.until("get pods -l app=web -o name", lambda out: len(out.split()) == 2 and pod not in out)
    assert web(f"get {pod} -o jsonpath={{.metadata.ownerReferences}}") == ""


def test_logs_and_exec(web: Kubectl) -> None:
    pod = web("get pods -o name").split()[0]
    name = pod.removeprefix("pod/")
    assert web(f"exec {name} -- hostname") == name + "\n"
    done = web.run(f"exec {name} -- sh -c 'echo out; echo err >&2; exit 3'")
    assert (done.stdout, done.returncode) == ("out\n", 3)
    assert done.stderr.startswith("err\n")
    assert "exit code 3" in done.stderr
    assert web(f"exec -i {name} -- cat", "through and back") == "through and back"
    web.until(f"logs {name}", lambda out: "GET /readyz 200" in out)
    assert len(web(f"logs {name} --tail=1").splitlines()) == 1
    assert "not found" in web.refused(f"exec {name} -- no-such-program")
    assert "container nope" in web.refused(f"logs {name} -c nope")


def test_a_crashing_container_backs_off(kubectl: Kubectl) -> None:
    kubectl(f"run crash --image={WEB} --env=CRASH=on-purpose")
    kubectl.until("get pods", lambda out: "CrashLoopBackOff" in out)
    assert kubectl("logs crash --previous") == "fatal: on-purpose\n"
    status = kubectl.json("get pod crash")["status"]["containerStatuses"][0]
    assert status["lastState"]["terminated"]["exitCode"] == 1
    assert status["lastState"]["terminated"]["reason"] == "Error"
    assert "Back-off restarting failed container" in kubectl("describe pod crash")


def test_an_image_that_is_not_there(kubectl: Kubectl) -> None:
    kubectl("run lost --image=kindling/wbe:1.0")
    kubectl.until("get pods", lambda out: "ImagePullBackOff" in out)
    described = kubectl("describe pod lost")
    assert 'Failed to pull image "kindling/wbe:1.0"' in described
    assert "Error: ImagePullBackOff" in described


def test_a_readiness_probe_takes_a_pod_out_of_its_service(web: Kubectl) -> None:
    web("expose deployment web --port=80 --target-port=http")
    web.until("get endpoints web -o jsonpath={.subsets[0].addresses[*].ip}", lambda out: len(out.split()) == 2)
    web(f"patch deployment web -p '{container(readinessProbe={'httpGet': {'path': '/nope'}})}'")
    web.until("get pods", lambda out: "0/1" in out)
    assert len(web("get endpoints web -o jsonpath={.subsets[0].addresses[*].ip}").split()) == 2
    ready = web.until(
        "get endpoints web -o jsonpath={.subsets[0].notReadyAddresses[*].ip}", lambda out: len(out.split()) == 1
    )
    pod = web.json("get pods --field-selector=status.podIP=" + ready.strip())["items"][0]
    assert pod["status"]["containerStatuses"][0]["ready"] is False
    web.until(
        "describe pod " + pod["metadata"]["name"],
        lambda out: "Readiness probe failed: HTTP probe failed with statuscode: 404" in out,
    )


def test_mistakes_are_refused_in_the_api_servers_words(kubectl: Kubectl) -> None:
    unknown = kubectl.refused("apply -f -", DEPLOYMENT.replace("replicas", "replica"))
    # before 1.25 kubectl looks for unknown fields itself, in words of its own
    assert ('unknown field "spec.replica"' if kubectl.server >= (1, 25) else 'unknown field "replica"') in unknown
    wrong = DEPLOYMENT.replace("matchLabels: {app: web}", "matchLabels: {app: other}")
    assert "`selector` does not match template `labels`" in kubectl.refused("apply -f -", wrong)
    assert "Invalid value" in kubectl.refused("run Upper --image=x")
    assert kubectl.refused("get pod nope") == 'Error from server (NotFound): pods "nope" not found\n'
    assert "doesn't have a resource type" in kubectl.refused("get nonsense")
    kubectl("apply -f -", DEPLOYMENT)
    assert "field is immutable" in kubectl.refused(
        'patch deployment web --type=merge -p \'{"spec":{"selector":{"matchLabels":{"app":"x"}}}}\''
    )


def test_wait_and_events(kubectl: Kubectl) -> None:
    kubectl(f"run one --image={WEB}")
    assert kubectl("wait --for=condition=Ready pod/one --timeout=60s") == "pod/one condition met\n"
    reasons = kubectl("get events -o jsonpath={.items[*].reason}").split()
    assert {"Scheduled", "Pulled", "Created", "Started"} <= set(reasons)
    timeout = kubectl.refused("wait --for=condition=Nope pod/one --timeout=1s")
    assert "timed out waiting for the condition" in timeout


def test_nodes_are_cordoned_and_tainted(kubectl: Kubectl) -> None:
    node = kubectl("get nodes -o name").split()[0].removeprefix("node/")
    try:
        assert kubectl(f"cordon {node}") == f"node/{node} cordoned\n"
        assert "SchedulingDisabled" in kubectl(f"get node {node}")
        kubectl(f"run waits --image={WEB}")
        kubectl.until("describe pod waits", lambda out: "0/1 nodes are available" in out)
        assert words(kubectl("get pod waits").splitlines()[1])[2] == "Pending"
    finally:
        kubectl(f"uncordon {node}")
    kubectl("wait --for=condition=Ready pod/waits --timeout=60s")
    try:
        assert kubectl(f"taint node {node} key=value:NoSchedule") == f"node/{node} tainted\n"
        kubectl(f"run repelled --image={WEB}")
        kubectl.until("describe pod repelled", lambda out: "had untolerated taint" in out or "had taint" in out)
    finally:
        kubectl(f"taint node {node} key-")
    kubectl("wait --for=condition=Ready pod/repelled --timeout=60s")


def test_drain_evicts_and_the_deployment_waits_for_a_node(web: Kubectl) -> None:
    node = web("get nodes -o name").split()[0].removeprefix("node/")
    try:
        out = web(f"drain {node} --ignore-daemonsets --delete-emptydir-data --pod-selector=app=web --timeout=60s")
        assert "drained" in out
        web.until("get pods --field-selector=status.phase=Pending -o name", lambda out: len(out.split()) == 2)
    finally:
        web(f"uncordon {node}")
    web("rollout status deployment/web --timeout=80s")


def test_config_reaches_containers(kubectl: Kubectl) -> None:
    kubectl("create configmap settings --from-literal=MESSAGE=Configured --from-literal=file.txt=content")
    kubectl("create secret generic hidden --from-literal=password=s3cret")
    manifest = f"""
apiVersion: v1
kind: Pod
metadata: {{name: reads}}
spec:
  containers:
  - name: web
    image: {WEB}
    envFrom: [{{configMapRef: {{name: settings}}}}]
    env: [{{name: PASSWORD, valueFrom: {{secretKeyRef: {{name: hidden, key: password}}}}}}]
    volumeMounts: [{{name: files, mountPath: /files}}]
  volumes: [{{name: files, configMap: {{name: settings}}}}]
"""
    kubectl("apply -f -", manifest)
    kubectl("wait --for=condition=Ready pod/reads --timeout=60s")
    assert kubectl("exec reads -- sh -c 'echo $MESSAGE $PASSWORD; cat /files/file.txt'") == "Configured s3cret\ncontent"
    assert "s3cret" not in kubectl("describe secret hidden")
    assert "6 bytes" in kubectl("describe secret hidden")


def test_deleting_a_namespace_takes_everything_in_it(kubectl: Kubectl) -> None:
    kubectl("create namespace other-" + kubectl.namespace)
    other = Kubectl(kubectl.program, kubectl.kubeconfig, "other-" + kubectl.namespace, kubectl.server)
    other("apply -f -", DEPLOYMENT)
    other("delete namespace " + other.namespace + " --timeout=80s")
    assert "not found" in kubectl.refused("get namespace " + other.namespace)


def test_explain_api_resources_and_dry_run(kubectl: Kubectl) -> None:
    explained = kubectl("explain deployment.spec.replicas")
    assert "replicas" in explained
    assert "integer" in explained
    listed = [words(line) for line in kubectl("api-resources --api-group=apps").splitlines()]
    assert ["deployments", "deploy", "apps/v1", "true", "Deployment"] in listed
    kubectl("apply --dry-run=server -f -", DEPLOYMENT)
    assert "not found" in kubectl.refused("get deployment web")


def test_replace_edit_and_diff(web: Kubectl) -> None:
    document = web("get deployment web -o yaml").replace("replicas: 2", "replicas: 1", 1)
    assert web("replace -f -", document) == "deployment.apps/web replaced\n"
    assert web.json("get deployment web")["spec"]["replicas"] == 1
    done = web.run("diff -f -", DEPLOYMENT)
    assert done.returncode == 1
    assert "+  replicas: 2" in done.stdout


def test_top_needs_metrics(kubectl: Kubectl, provider: Provider) -> None:
    served = provider.name == "simulated"  # a real cluster has them where its lab asks for them
    words = 'pods "ghost" not found' if served else "Metrics API not available"
    assert words in kubectl.refused("top pod ghost")
