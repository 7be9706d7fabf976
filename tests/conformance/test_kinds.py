"""Kinds beyond Deployments and Services: the same sessions on a simulated and on a real cluster.

What Kubernetes 1.20 lacks is marked by version.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.conformance.conftest import Kubectl

WEB = "kindling/web:1.0"
BOX = "busybox:1.35"

STATEFUL_SET = f"""
apiVersion: v1
kind: Service
metadata: {{name: db}}
spec: {{clusterIP: None, selector: {{app: db}}, ports: [{{port: 8080}}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db}}
spec:
  serviceName: db
  replicas: 2
  selector: {{matchLabels: {{app: db}}}}
  template:
    metadata: {{labels: {{app: db}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: {WEB}
        readinessProbe: {{httpGet: {{path: /readyz, port: 8080}}, periodSeconds: 1}}
"""

DAEMON_SET = f"""
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: agent}}
spec:
  selector: {{matchLabels: {{app: agent}}}}
  template:
    metadata: {{labels: {{app: agent}}}}
    spec:
      terminationGracePeriodSeconds: 1
      tolerations: [{{operator: Exists}}]
      containers: [{{name: web, image: {WEB}}}]
"""

CUSTOM = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %(plural)s.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: %(plural)s, singular: %(singular)s, kind: %(kind)s, shortNames: [%(short)s]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, minimum: 1, description: How big it is.}
              colour: {type: string, default: red, enum: [red, blue]}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""

VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: %(name)s, labels: {disk: %(name)s}}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  hostPath: {path: /tmp/%(name)s, type: DirectoryOrCreate}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: disk}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: ""
  selector: {matchLabels: {disk: %(name)s}}
  resources: {requests: {storage: 500Mi}}
"""


def job(name: str, script: str, **spec: Any) -> str:
    template = {"restartPolicy": "Never", "containers": [{"name": "c", "image": BOX, "command": ["sh", "-c", script]}]}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}}
    return json.dumps({**job, "spec": {**spec, "template": {"spec": template}}})


def answers_inside(kubectl: Kubectl, url: str, start: str) -> None:
    """A pod of the namespace is answered so, once names and addresses are known everywhere."""
    kubectl(f"run asker --image={WEB} --restart=Never -- probe")
    kubectl("wait --for=condition=Ready pod/asker --timeout=60s")
    path = f"/api/v1/namespaces/{kubectl.namespace}/pods/asker:8080/proxy/request"
    wanted = json.dumps({"method": "GET", "url": url, "count": 1, "timeout_ms": 5000})
    deadline = time.monotonic() + 60
    record = {"body": ""}
    while not record["body"].startswith(start):
        assert time.monotonic() < deadline, record
        time.sleep(0.2)  # between two looks at a cluster that other processes change
        (record,) = json.loads(kubectl(f"create --raw {path} -f -", wanted))


def needs(kubectl: Kubectl, *version: int) -> None:
    if kubectl.server < version:
        pytest.skip(
            f"Kubernetes {kubectl.server[0]}.{kubectl.server[1]} lacks it; it came with {version[0]}.{version[1]}"
        )


def test_a_stateful_set_keeps_names_and_order(kubectl: Kubectl) -> None:
    kubectl("apply -f -", STATEFUL_SET)
    kubectl("rollout status statefulset/db --timeout=80s")
    names = kubectl("get pods -l app=db --sort-by=.metadata.creationTimestamp -o jsonpath={.items[*].metadata.name}")
    assert names == "db-0 db-1"
    before = kubectl("get pod db-0 -o jsonpath={.metadata.uid}")
    kubectl("delete pod db-0")
    kubectl.until("get pod db-0 -o jsonpath={.metadata.uid}/{.status.phase}", lambda out: out.endswith("/Running"))
    assert kubectl("get pod db-0 -o jsonpath={.metadata.uid}") != before
    kubectl("rollout status statefulset/db --timeout=80s")
    answers_inside(kubectl, "http://db-0.db:8080", "Hello from db-0,")
    assert kubectl("scale statefulset db --replicas=1") == "statefulset.apps/db scaled\n"
    kubectl("wait --for=delete pod/db-1 --timeout=60s")
    kubectl("rollout restart statefulset/db")
    kubectl("rollout status statefulset/db --timeout=80s")
    assert len(kubectl.json("get controllerrevisions")["items"]) == 2
    header, line = kubectl("get statefulset").splitlines()
    assert header.split() == ["NAME", "READY", "AGE"]
    assert line.split()[:2] == ["db", "1/1"]


def test_a_daemon_set_has_a_pod_on_every_node(kubectl: Kubectl) -> None:
    kubectl("apply -f -", DAEMON_SET)
    kubectl("rollout status daemonset/agent --timeout=80s")
    nodes = kubectl("get nodes -o jsonpath={.items[*].metadata.name}").split()
    on = kubectl("get pods -l app=agent -o jsonpath={.items[*].spec.nodeName}").split()
    assert sorted(on) == sorted(nodes)
    header, line = kubectl("get daemonset").splitlines()
    assert header.split()[:6] == ["NAME", "DESIRED", "CURRENT", "READY", "UP-TO-DATE", "AVAILABLE"]
    assert line.split()[:6] == ["agent", *[str(len(nodes))] * 5]
    kubectl("set image daemonset/agent web=kindling/web:2.0")
    kubectl("rollout status daemonset/agent --timeout=80s")
    kubectl("rollout undo daemonset/agent")
    kubectl("rollout status daemonset/agent --timeout=80s")
    assert kubectl("get pods -l app=agent -o jsonpath={.items[0].spec.containers[0].image}") == WEB


def test_a_job_runs_to_its_end(kubectl: Kubectl) -> None:
    kubectl("apply -f -", job("sum", "echo $((6*7))", completions=2, parallelism=2))
    kubectl("wait --for=condition=complete job/sum --timeout=60s")
    assert kubectl("logs job/sum").splitlines()[-1] == "42"
    status = kubectl.json("get job sum")["status"]
    assert (status["succeeded"], status.get("failed", 0), status.get("active", 0)) == (2, 0, 0)
    assert "2/2" in kubectl("get job sum")
    kubectl("delete job sum")
    kubectl.until("get pods", lambda out: "sum-" not in out)


def test_a_job_that_fails_says_so(kubectl: Kubectl) -> None:
    kubectl("apply -f -", job("bad", "exit 3", backoffLimit=0))
    kubectl("wait --for=condition=failed job/bad --timeout=60s")
    (failed,) = [one for one in kubectl.json("get job bad")["status"]["conditions"] if one["type"] == "Failed"]
    assert (failed["reason"], failed["message"]) == (
        "BackoffLimitExceeded",
        "Job has reached the specified backoff limit",
    )
    (pod,) = kubectl.json("get pods -l job-name=bad")["items"]
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3


def test_a_job_is_made_of_a_cron_job(kubectl: Kubectl) -> None:
    needs(kubectl, 1, 21)
    kubectl(f"create cronjob tick --image={BOX} --schedule='0 0 1 1 *' -- echo tock")
    kubectl("create job now --from=cronjob/tick")
    kubectl("wait --for=condition=complete job/now --timeout=60s")
    assert kubectl("logs job/now") == "tock\n"
    assert kubectl("get cronjob tick -o jsonpath={.spec.schedule}") == "0 0 1 1 *"


def test_roles_say_who_may_what(kubectl: Kubectl) -> None:
    kubectl("create serviceaccount robot")
    kubectl("create role reader --verb=get,list --resource=pods")
    kubectl(f"create rolebinding reads --role=reader --serviceaccount={kubectl.namespace}:robot")
    who = f"system:serviceaccount:{kubectl.namespace}:robot"
    assert kubectl(f"auth can-i list pods --as={who}") == "yes\n"
    assert kubectl.run(f"auth can-i delete pods --as={who}").stdout == "no\n"
    assert kubectl(f"get pods --as={who}") == ""
    refused = kubectl.refused(f"get secrets --as={who}")
    assert refused.strip() == (
        f'Error from server (Forbidden): secrets is forbidden: User "{who}" cannot list resource "secrets" in API '
        f'group "" in the namespace "{kubectl.namespace}"'
    )
    grab = kubectl.refused(f"create rolebinding grab --clusterrole=cluster-admin --user=me --as={who}")
    assert "cannot create resource" in grab


def test_a_quota_is_kept(kubectl: Kubectl) -> None:
    kubectl("create quota few --hard=pods=1,configmaps=5")
    kubectl.until("get quota few -o jsonpath={.status.used.pods}", lambda out: out == "0")
    kubectl(f"run one --image={WEB}")
    refused = kubectl.refused(f"run two --image={WEB}")
    assert refused.strip() == (
        'Error from server (Forbidden): pods "two" is forbidden: exceeded quota: few, requested: pods=1, used: pods=1, '
        "limited: pods=1"
    )
    kubectl("delete pod one --grace-period=1")
    kubectl.until("get quota few -o jsonpath={.status.used.pods}", lambda out: out == "0")


def test_a_limit_range_fills_in_and_refuses(kubectl: Kubectl) -> None:
    limit = {"type": "Container", "default": {"memory": "64Mi"}, "max": {"memory": "128Mi"}}
    manifest = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": [limit]}}
    kubectl("apply -f -", json.dumps(manifest))
    kubectl(f"run one --image={WEB}")
    resources = kubectl.json("get pod one")["spec"]["containers"][0]["resources"]
    assert resources == {"limits": {"memory": "64Mi"}, "requests": {"memory": "64Mi"}}
    container = {"name": "c", "image": WEB, "resources": {"limits": {"memory": "1Gi"}}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "big"}, "spec": {"containers": [container]}}
    refused = kubectl.refused("apply -f -", json.dumps(pod))
    assert "maximum memory usage per Container is 128Mi, but limit is 1Gi" in refused


def test_a_budget_refuses_an_eviction(kubectl: Kubectl) -> None:
    needs(kubectl, 1, 21)
    kubectl(f"create deployment web --image={WEB} --replicas=1")
    kubectl("rollout status deployment/web --timeout=80s")
    kubectl("create poddisruptionbudget keep --selector=app=web --min-available=1")
    kubectl.until("get pdb keep -o jsonpath={.status.currentHealthy}", lambda out: out == "1")
    (pod,) = kubectl("get pods -o jsonpath={.items[*].metadata.name}").split()
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    path = f"/api/v1/namespaces/{kubectl.namespace}/pods/{pod}/eviction"
    refused = kubectl.refused(f"create --raw {path} -f -", json.dumps(eviction))
    assert "Cannot evict pod as it would violate the pod's disruption budget." in refused
    kubectl("scale deployment web --replicas=2")
    kubectl.until("get pdb keep -o jsonpath={.status.disruptionsAllowed}", lambda out: out == "1")
    kubectl(f"create --raw {path} -f -", json.dumps(eviction))
    kubectl(f"wait --for=delete pod/{pod} --timeout=60s")


def test_a_claim_finds_its_volume_and_the_volume_keeps_its_files(kubectl: Kubectl) -> None:
    name = f"disk-{kubectl.namespace}"
    try:
        kubectl("apply -f -", VOLUME % {"name": name})
        kubectl.until("get pvc disk -o jsonpath={.status.phase}", lambda out: out == "Bound")
        assert kubectl("get pvc disk -o jsonpath={.spec.volumeName}") == name
        for script, printed in (("date > /data/x; echo kept >> /data/x", ""), ("tail -n 1 /data/x", "kept\n")):
            mounts = [{"name": "disk", "mountPath": "/data"}]
            container = {"name": "c", "image": BOX, "command": ["sh", "-c", script], "volumeMounts": mounts}
            volumes = [{"name": "disk", "persistentVolumeClaim": {"claimName": "disk"}}]
            spec = {"restartPolicy": "Never", "containers": [container], "volumes": volumes}
            kubectl(
                "apply -f -", json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})
            )
            kubectl.until("get pod p -o jsonpath={.status.phase}", lambda out: out == "Succeeded")
            assert kubectl("logs p") == printed
            kubectl("delete pod p")
        kubectl("delete pvc disk")
        kubectl.until(f"get pv {name} -o jsonpath={{.status.phase}}", lambda out: out == "Released")
    finally:
        kubectl.run(f"delete pv {name} --wait=false")


def test_a_kind_of_ones_own(kubectl: Kubectl) -> None:
    number = re.sub(r"\D", "", kubectl.namespace)
    names = {
        "plural": f"widget{number}s",
        "singular": f"widget{number}",
        "kind": f"Widget{number}",
        "short": f"w{number}",
    }
    group = f"{names['plural']}.example.com"
    made = {"apiVersion": "example.com/v1", "kind": names["kind"], "metadata": {"name": "one"}, "spec": {"size": 3}}
    try:
        kubectl("apply -f -", CUSTOM % names)
        kubectl(f"wait --for=condition=Established crd/{group} --timeout=30s")
        kubectl.until(f"get {names['plural']}", lambda out: out == "")
        assert kubectl("apply -f -", json.dumps(made)) == f"{names['singular']}.example.com/one created\n"
        assert kubectl(f"get {names['short']} one -o jsonpath={{.spec.colour}}") == "red"
        header, line = kubectl(f"get {names['plural']}").splitlines()
        assert (header.split(), line.split()) == (["NAME", "SIZE"], ["one", "3"])
        refused = kubectl.refused("apply -f -", json.dumps({**made, "spec": {"size": 0}}))
        assert f'The {names["kind"]} "one" is invalid: spec.size: Invalid value: 0' in refused
        if kubectl.server >= (1, 27):  # before that kubectl finds custom kinds in a document that lags behind
            assert "How big it is." in kubectl(f"explain {names['singular']}.spec.size")
        kubectl(f'patch {names["singular"]} one --type=merge -p \'{{"spec":{{"size":5}}}}\'')
        assert kubectl(f"get {names['singular']} one -o jsonpath={{.metadata.generation}}") == "2"
    finally:
        kubectl.run(f"delete crd {group} --timeout=30s")


def test_configuration_reaches_containers(kubectl: Kubectl) -> None:
    kubectl("create configmap settings --from-literal=colour=blue")
    kubectl("create secret generic password --from-literal=word=geheim")
    env = [
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    mounts = [{"name": "s", "mountPath": "/secret", "readOnly": True}]
    script = "echo $COLOUR $POD $(cat /secret/word) $(cat /made/by)"
    shared = {"name": "made", "mountPath": "/made"}
    first = {"name": "first", "image": BOX, "command": ["sh", "-c", "echo init > /made/by"], "volumeMounts": [shared]}
    container = {
        "name": "c",
        "image": BOX,
        "command": ["sh", "-c", script],
        "env": env,
        "volumeMounts": [*mounts, shared],
    }
    volumes = [{"name": "s", "secret": {"secretName": "password"}}, {"name": "made", "emptyDir": {}}]
    spec = {"restartPolicy": "Never", "initContainers": [first], "containers": [container], "volumes": volumes}
    kubectl("apply -f -", json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}))
    kubectl.until("get pod p -o jsonpath={.status.phase}", lambda out: out == "Succeeded")
    assert kubectl("logs p") == "blue p geheim init\n"


def test_an_ingress_and_a_policy_are_kept_as_written(kubectl: Kubectl) -> None:
    kubectl("create ingress front --rule=example.com/*=web:80")
    header, line = kubectl("get ingress").splitlines()
    assert header.split() == ["NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "AGE"]
    assert line.split()[:4] == ["front", "<none>", "example.com", "80"]
    path = kubectl.json("get ingress front")["spec"]["rules"][0]["http"]["paths"][0]
    assert path == {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}
    policy = {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"from": [{"podSelector": {}}]}]}
    manifest = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "n"},
        "spec": policy,
    }
    kubectl("apply -f -", json.dumps(manifest))
    assert kubectl.json("get networkpolicy n")["spec"] == {**policy, "policyTypes": ["Ingress"]}
    assert "app=web" in kubectl("get networkpolicy n")


def test_a_namespace_takes_everything_with_it(kubectl: Kubectl) -> None:
    name = f"{kubectl.namespace}-gone"
    kubectl(f"create namespace {name}")
    kubectl(f"create deployment web --image={WEB} -n {name}")
    kubectl(f"create configmap c -n {name}")
    kubectl(f"delete namespace {name} --timeout=80s")
    assert "not found" in kubectl.refused(f"get namespace {name}")
    kubectl(f"create namespace {name}")
    assert kubectl(f"get deployments,pods -n {name}") == ""
    kubectl(f"delete namespace {name} --wait=false")
