"""What a course does with pods that run, with the real kubectl: what they use, debugging, resizing, logs, commands."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from simkube.host.launcher import HostClient
from tests.conformance.conftest import Runner, kubectls, learners, topology

SPEED = 20
"""How much faster than ours the cluster's time goes: metrics take half a minute to come."""
LOAD = """
apiVersion: v1
kind: Pod
metadata: {name: busy, labels: {app: load}}
spec:
  containers:
  - name: busy
    image: polinux/stress
    command: [stress, --cpu, "2"]
    resources: {limits: {cpu: 500m, memory: 64Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: pair, labels: {app: load}}
spec:
  initContainers:
  - {name: first, image: "busybox:1.36", command: [sh, -c, echo prepared]}
  - {name: helper, image: "busybox:1.36", command: [sh, -c, "echo helping; sleep 1d"], restartPolicy: Always}
  containers:
  - name: web
    image: nginx:1.29
    resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 200m, memory: 128Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: talk, labels: {app: load}}
spec:
  containers:
  - {name: talk, image: "busybox:1.36", command: [cat], stdin: true, stdinOnce: true}
---
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec:
  containers:
  - name: greedy
    image: polinux/stress
    command: [stress, --vm, "1", --vm-bytes, 250M, --vm-hang, "1"]
    resources: {limits: {memory: 100Mi}}
"""


@pytest.fixture(scope="module")
def kubectl(host: HostClient, home: Path) -> Runner:
    host.create("a", topology("single"))
    host.control("a", "clock", {"speed": SPEED})
    return Runner(kubectls()[0], learners(host, "a", home))


def until(kubectl: Runner, words: str, *arguments: str) -> str:
    """What kubectl prints once ``words`` are in it."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            text = kubectl(*arguments)
        except AssertionError as error:
            text = str(error)
        if words in text:
            return text
        time.sleep(0.2)  # between two looks at a cluster that other processes change
    raise AssertionError(f"kubectl {' '.join(arguments)} never printed {words!r}; last:\n{text}")


def test_running_pods(kubectl: Runner, tmp_path: Path) -> None:
    kubectl("apply", "-f", "-", given=LOAD)
    kubectl("wait", "--for=condition=Ready", "pod", "-l", "app=load", "--timeout=30s")
    _use(kubectl)
    _limits(kubectl)
    _logs(kubectl)
    _debug(kubectl)
    _resize(kubectl)
    _inside(kubectl, tmp_path / "x")


def _use(kubectl: Runner) -> None:
    listed = until(kubectl, "busy", "top", "pod", "-l", "app=load", "--sort-by=cpu")
    assert listed.splitlines()[1].split()[:2] in (["busy", "500m"], ["busy", "501m"], ["busy", "499m"])
    columns = kubectl("top", "pod", "pair", "--containers")
    assert "helper" in columns
    assert "first" not in columns, "an init container that has ended uses nothing"
    assert "a-control-plane" in kubectl("top", "node")
    assert "pods" in kubectl("api-resources", "--api-group=metrics.k8s.io")
    assert "NotFound" in kubectl("top", "pod", "nobody", fails=True)


def _limits(kubectl: Runner) -> None:
    until(kubectl, "OOMKilled", "get", "pod", "greedy", "-o", "jsonpath={.status.containerStatuses[0].lastState}")
    assert "Exit Code:    137" in kubectl("describe", "pod", "greedy")
    kubectl("delete", "pod", "greedy", "--now")


def _logs(kubectl: Runner) -> None:
    assert kubectl("logs", "pair", "-c", "first") == "prepared\n"
    everything = kubectl("logs", "pair", "--all-containers", "--prefix")
    assert "[pod/pair/helper] helping" in everything
    assert kubectl("logs", "pair", "-c", "helper", "--limit-bytes=4") == "help"
    assert kubectl("logs", "pair", "-c", "helper", "--timestamps").startswith("20")
    assert kubectl("logs", "pair", "-c", "helper", "--tail=0") == ""
    assert "previous terminated container" in kubectl("logs", "pair", "-c", "helper", "--previous", fails=True)


def _debug(kubectl: Runner) -> None:
    debugging = ("debug", "pair", "-i", "--image=busybox:1.36", "--target=web", "-c", "look", "-q")
    seen = kubectl(*debugging, "--", "sh", "-c", "ps; ls /proc/1/root/usr/share/nginx/html")
    assert "nginx" in seen
    assert "index.html" in seen
    until(kubectl, "Completed", "get", "pod", "pair", "-o", "jsonpath={.status.ephemeralContainerStatuses[0].state}")
    kubectl(
        "debug",
        "pair",
        "--copy-to=copy",
        "--image=busybox:1.36",
        "-c",
        "tools",
        "--share-processes",
        "--",
        "sleep",
        "1d",
    )
    kubectl("wait", "--for=condition=Ready", "pod/copy", "--timeout=30s")
    assert "nginx" in kubectl("exec", "copy", "-c", "tools", "--", "ps")
    kubectl("delete", "pod", "copy", "--now")


def _resize(kubectl: Runner) -> None:
    wanted = {"spec": {"containers": [{"name": "web", "resources": {"limits": {"cpu": "300m"}}}]}}
    kubectl("patch", "pod", "pair", "--subresource", "resize", "--patch", json.dumps(wanted))
    status = "jsonpath={.status.containerStatuses[0]}"
    found = json.loads(until(kubectl, '"cpu":"300m"', "get", "pod", "pair", "-o", status))
    assert found["restartCount"] == 0
    assert "30000 100000" in kubectl("exec", "pair", "-c", "web", "--", "cat", "/sys/fs/cgroup/cpu.max")


def _inside(kubectl: Runner, copy: Path) -> None:
    web = ("exec", "pair", "-c", "web", "--", "sh", "-c")
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    ask = f'curl -s --cacert {folder}/ca.crt -H "Authorization: Bearer $(cat {folder}/token)" '
    assert "system:serviceaccount:default:default" in kubectl(*web, ask + "https://kubernetes.default.svc/api/v1/pods")
    helper = ("exec", "pair", "-c", "helper", "--", "sh", "-c")
    told = kubectl(*helper, "top -b -n 1; free -m; nproc; id; df; mount; hostname; date; dd if=/dev/zero of=/x count=1")
    for words in ("Mem:", "COMMAND", "uid=0(root)", "overlay", "pair", "1+0 records out"):
        assert words in told
    kubectl("cp", "pair:/x", str(copy), "-c", "helper")
    assert copy.read_bytes() == bytes(512)
    kubectl("cp", str(copy), "pair:/y", "-c", "helper")
    assert kubectl(*helper, "wc -c < /y").strip() == "512"
    assert "hello" in kubectl("attach", "-q", "-i", "talk", given="hello\n")


@pytest.mark.parametrize("profile", ["legacy", "general", "baseline", "netadmin", "restricted", "sysadmin"])
def test_debugging_a_node(kubectl: Runner, profile: str) -> None:
    here = kubectl.elsewhere()
    asked = ("debug", "node/a-control-plane", "--image=busybox:1.36", f"--profile={profile}")
    said = here(*asked, "--", "sh", "-c", "id -u; sleep 1d")
    pod = said.partition("Creating debugging pod ")[2].split()[0]
    if profile == "restricted":
        told = until(here, "runAsNonRoot", "get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].state}")
        assert "CreateContainerConfigError" in told
        return
    here("wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=30s")
    spec = json.loads(here("get", "pod", pod, "-o", "json"))["spec"]
    inside = ("exec", pod, "--")
    listed = here(*inside, "ps")
    assert ("/usr/bin/kubelet" in listed) == bool(spec.get("hostPID")) == (profile != "baseline"), listed
    address = here(*inside, "hostname", "-i").strip()
    node = here("get", "node", "a-control-plane", "-o", "jsonpath={.status.addresses[0].address}")
    assert (address == node) == bool(spec.get("hostNetwork")) == (profile != "baseline")
    if profile in ("legacy", "general", "sysadmin"):
        assert here(*inside, "chroot", "/host", "cat", "/etc/hostname").strip() == "a-control-plane"
        assert "trixie" in here(*inside, "cat", "/host/etc/os-release")
        assert "kube-apiserver.yaml" in here(*inside, "ls", "/host/etc/kubernetes/manifests")
        assert pod in here(*inside, "chroot", "/host", "crictl", "ps")
        assert f"{pod}_" in here(*inside, "ls", "/host/var/log/containers")


def test_ends_and_new_images(kubectl: Runner) -> None:
    here = kubectl.elsewhere()
    here("run", "nope", "--image=busybox:1.36", "--restart=Never", "--command", "--", "nope")
    assert "StartError" in until(here, "StartError", "get", "pod", "nope")
    told = here("describe", "pod", "nope")
    for words in ("Status:           Failed", "Reason:       StartError", "Exit Code:    128"):
        assert words in told
    assert here("logs", "nope") == ""
    here("run", "web", "--image=nginx:1.29", "--restart=Never")
    here("wait", "--for=condition=Ready", "pod/web", "--timeout=30s")
    here("set", "image", "pod/web", "web=httpd:2.4")
    image = "jsonpath={.status.containerStatuses[0].image} {.status.containerStatuses[0].restartCount}"
    assert until(here, "httpd:2.4 1", "get", "pod", "web", "-o", image)
    here("wait", "--for=condition=Ready", "pod/web", "--timeout=30s")
    assert "Container web definition changed, will be restarted" in here("describe", "pod", "web")
    here("run", "loop", "--image=busybox:1.36", "--command", "--", "sh", "-c", "echo once; exit 3")
    until(here, "CrashLoopBackOff", "get", "pod", "loop")
    told = until(here, "CrashLoopBackOff", "describe", "pod", "loop")
    assert "Last State:     Terminated" in told
    assert here("logs", "loop") == "once\n"
    until(here, "once", "logs", "loop", "--previous")
