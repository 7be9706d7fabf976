"""Workloads as a course uses them, with each real kubectl there is: rollouts, jobs, schedules, budgets, autoscaling."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from simkube.host.launcher import HostClient
from tests.conformance.conftest import Runner, kubectls, learners, topology, which

SETS = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 3
  selector: {matchLabels: {app: db}}
  template: &template
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: "nginx:1.27"}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: "nginx:1.27"}]
"""
PARTS = """
apiVersion: batch/v1
kind: Job
metadata: {name: parts}
spec:
  completionMode: Indexed
  completions: 3
  parallelism: 3
  backoffLimitPerIndex: 0
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: a
        image: busybox:1.36
        command: [sh, -c, 'echo part $JOB_COMPLETION_INDEX; test $JOB_COMPLETION_INDEX != 1']
"""
VOLUMES = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: kv}
spec:
  serviceName: kv
  replicas: 2
  selector: {matchLabels: {app: kv}}
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Delete}
  template:
    metadata: {labels: {app: kv}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: box
        image: busybox:1.36
        command: [sh, -c, 'hostname >> /data/who; sleep 100000']
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""


@pytest.fixture(scope="module")
def config(host: HostClient, home: Path) -> Path:
    host.create("a", topology("three-node"))
    return learners(host, "a", home)


@pytest.fixture(params=kubectls(), ids=which)
def kubectl(request: pytest.FixtureRequest, config: Path) -> Iterator[Runner]:
    """In a namespace of the test's own."""
    run = Runner(request.param, config).elsewhere()
    yield run
    run("delete", "namespace", run.namespace, "--wait=false")


def image_of(kubectl: Runner, what: str) -> str:
    return kubectl("get", what, "-o", "jsonpath={.spec.template.spec.containers[0].image}")


@pytest.mark.parametrize("kind", ["sts/db", "ds/agent"])
def test_rollouts_of_sets(kubectl: Runner, kind: str) -> None:
    kubectl("apply", "-f", "-", given=SETS)
    kubectl("rollout", "status", kind, "--timeout=60s")
    kubectl("set", "image", kind, "web=nginx:1.28")
    kubectl("rollout", "status", kind, "--timeout=60s")
    history = kubectl("rollout", "history", kind)
    assert re.findall(r"^(\d+) ", history, re.MULTILINE) == ["1", "2"]
    assert "nginx:1.28" in kubectl("rollout", "history", kind, "--revision=2")
    kubectl("rollout", "undo", kind)
    kubectl("rollout", "status", kind, "--timeout=60s")
    assert image_of(kubectl, kind) == "nginx:1.27"
    assert re.findall(r"^(\d+) ", kubectl("rollout", "history", kind), re.MULTILINE) == ["2", "3"]
    kubectl("rollout", "undo", kind, "--to-revision=2")
    kubectl("rollout", "restart", kind)
    kubectl("rollout", "status", kind, "--timeout=60s")
    assert "kubectl.kubernetes.io/restartedAt" in kubectl("get", kind, "-o", "yaml")
    assert "pausing is not supported" in kubectl("rollout", "pause", kind, fails=True)
    label = kind.partition("/")[2]
    images = kubectl("get", "pods", "-l", f"app={label}", "-o", "jsonpath={.items[*].spec.containers[0].image}")
    assert set(images.split()) == {"nginx:1.28"}


def test_names_and_order_of_a_stateful_set(kubectl: Runner) -> None:
    kubectl("apply", "-f", "-", given=SETS)
    kubectl("rollout", "status", "sts/db", "--timeout=60s")
    assert kubectl("get", "pods", "-l", "app=db", "-o", "name").split() == ["pod/db-0", "pod/db-1", "pod/db-2"]
    before = kubectl("get", "pod", "db-1", "-o", "jsonpath={.metadata.uid}")
    kubectl("delete", "pod", "db-1")
    kubectl("wait", "--for=jsonpath={.status.readyReplicas}=3", "sts/db", "--timeout=60s")
    assert kubectl("get", "pod", "db-1", "-o", "jsonpath={.metadata.uid}") != before
    kubectl("scale", "sts/db", "--replicas=1")
    kubectl("wait", "--for=delete", "pod/db-2", "pod/db-1", "--timeout=60s")
    assert re.search(r"db +1/1 ", kubectl("get", "sts"))
    assert "Delete Pod db-2 in StatefulSet db successful" in kubectl("describe", "sts", "db")


def test_storage_of_a_stateful_set(kubectl: Runner) -> None:
    kubectl("apply", "-f", "-", given=VOLUMES)
    kubectl("rollout", "status", "sts/kv", "--timeout=60s")
    kubectl("delete", "pod", "kv-0")
    kubectl("wait", "--for=jsonpath={.status.readyReplicas}=2", "sts/kv", "--timeout=60s")
    assert kubectl("exec", "kv-0", "--", "cat", "/data/who") == "kv-0\nkv-0\n"
    kubectl("scale", "sts/kv", "--replicas=1")
    kubectl("wait", "--for=delete", "pvc/data-kv-1", "--timeout=60s")
    assert kubectl("get", "pvc", "-o", "name") == "persistentvolumeclaim/data-kv-0\n"
    kubectl("delete", "sts", "kv")
    kubectl("wait", "--for=delete", "pvc", "--all", "--timeout=60s")


def test_an_indexed_job_with_failures_of_its_own(kubectl: Runner) -> None:
    kubectl("apply", "-f", "-", given=PARTS)
    kubectl("wait", "--for=condition=failed", "job/parts", "--timeout=60s")
    status = json.loads(kubectl("get", "job", "parts", "-o", "json"))["status"]
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,2", "1")
    assert "Job has failed indexes" in kubectl("describe", "job", "parts")
    kubectl("delete", "job", "parts")
    kubectl("wait", "--for=delete", "pods", "--all", "--timeout=60s")


def test_cron_jobs(kubectl: Runner) -> None:
    kubectl("create", "cronjob", "tick", "--image=busybox:1.36", "--schedule=0 0 1 1 *", "--", "date")
    assert re.search(r"tick +0 0 1 1 \* +<none> +False +0 +<none>", kubectl("get", "cronjobs"))
    kubectl("create", "job", "now", "--from=cronjob/tick")
    kubectl("wait", "--for=condition=complete", "job/now", "--timeout=60s")
    kubectl("patch", "cronjob", "tick", "-p", '{"spec":{"schedule":"@every 1s"}}')
    kubectl("wait", "--for=jsonpath={.status.lastSuccessfulTime}", "cronjob/tick", "--timeout=60s")
    kubectl("patch", "cronjob", "tick", "-p", '{"spec":{"suspend":true}}')
    assert "Created job tick-" in kubectl("describe", "cronjob", "tick")
    kubectl("delete", "cronjob", "tick")
    kubectl("wait", "--for=delete", "jobs", "--all", "--timeout=60s")


def test_draining_asks_the_budget(kubectl: Runner) -> None:
    kubectl("apply", "-f", "-", given=SETS)
    kubectl("create", "deployment", "web", "--image=nginx:1.27", "--replicas=2")
    kubectl("create", "pdb", "web", "--selector=app=web", "--min-available=2")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert re.search(r"web +2 +N/A +0 ", kubectl("get", "pdb"))
    node = kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].spec.nodeName}")
    try:
        selected = ("drain", node, "--pod-selector=app=web")
        refused = kubectl(*selected, "--ignore-daemonsets", "--timeout=2s", fails=True)
        assert "Cannot evict pod as it would violate the pod's disruption budget." in refused
        assert "DaemonSet-managed" in kubectl("drain", node, "--pod-selector=app=agent", fails=True)
        kubectl("patch", "pdb", "web", "-p", '{"spec":{"minAvailable":1}}')
        assert "evicted" in kubectl(*selected, "--ignore-daemonsets", "--timeout=60s")
    finally:
        kubectl("uncordon", node)


def test_autoscaling(kubectl: Runner) -> None:
    kubectl("create", "deployment", "web", "--image=nginx:1.27")
    kubectl("autoscale", "deployment", "web", "--min=2", "--max=4", "--cpu-percent=50")
    assert re.search(r"web +Deployment/web +cpu: <unknown>/50% +2 +4 ", kubectl("get", "hpa"))
    kubectl("create", "--raw", "/simkube/clock", "-f", "-", given='{"speed": 20}')  # it looks every 15 seconds
    kubectl("wait", "--for=jsonpath={.spec.replicas}=2", "deployment/web", "--timeout=30s")
    kubectl("create", "--raw", "/simkube/clock", "-f", "-", given='{"speed": 1}')
    assert "Current number of replicas below Spec.MinReplicas" in kubectl("describe", "hpa", "web")
    kubectl("scale", "deployment/web", "--replicas=3", "--current-replicas=2")
    kubectl("delete", "hpa", "web")
