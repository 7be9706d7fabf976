"""The network of a simulated cluster as kubectl's user meets it: forwarded ports, services, policies, an ingress."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from simkube.host.launcher import HostClient
from tests.conformance.conftest import REPOSITORY, Runner, kubectls, learners, topology, which, with_home

MANIFEST = REPOSITORY / "simkube" / "addons" / "manifests" / "ingress-nginx.yaml"

OBJECTS = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  replicas: 2
  serviceName: web
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "kindling/web:1.0", ports: [{containerPort: 8080, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: None, selector: {app: web}, ports: [{name: http, port: 8080, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: door}
spec: {type: NodePort, selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec: {containers: [{name: client, image: "curlimages/curl:latest", command: [sleep, 1d]}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  ingressClassName: nginx
  rules:
  - host: web.example.org
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: door, port: {name: http}}}}]}
"""
DENY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {role: friend}}}]}]}
"""


@pytest.fixture(scope="module")
def config(host: HostClient, home: Path) -> Path:
    host.create("a", topology("three-node"))
    return learners(host, "a", home)


@pytest.fixture(scope="module")
def kubectl(config: Path) -> Runner:
    """With everything that the tests ask running."""
    run = Runner(kubectls()[0], config)
    run("apply", "-f", str(MANIFEST))
    run("apply", "-f", "-", given=OBJECTS)
    run("rollout", "status", "statefulset/web", "--timeout=60s")
    run("wait", "--for=condition=Ready", "pod/client", "--timeout=60s")
    run("rollout", "status", "-n", "ingress-nginx", "deployment", "--timeout=60s")
    return run


def curl(kubectl: Runner, *arguments: str, fails: bool = False) -> str:
    """curl in the client pod, tried for a while: rules of services follow a second later."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return kubectl("exec", "client", "--", "curl", "-sS", "-m", "2", *arguments, fails=fails)
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


@contextmanager
def forwarded(config: Path, *arguments: str, binary: str = "") -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A forwarded port: the local one, and the process."""
    command = [binary or kubectls()[0], "--kubeconfig", str(config), "port-forward", *arguments]
    process = subprocess.Popen(
        command, env=with_home(config), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Forwarding from 127.0.0.1:"), line
        yield int(line.split(":")[1].split()[0]), process
    finally:
        process.kill()
        process.communicate()


def get(port: int, path: str = "/", **headers: str) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("binary", kubectls(), ids=which)
@pytest.mark.parametrize("target", ["pod/web-0", "service/door", "statefulset/web"])
def test_ports_are_forwarded(kubectl: Runner, config: Path, binary: str, target: str) -> None:
    port = "80" if target.startswith("service") else "8080"
    with forwarded(config, target, f":{port}", binary=binary) as (local, _):
        assert [get(local).split()[0] for _ in range(3)] == ["Hello"] * 3


def test_a_port_nobody_listens_on_and_a_pod_that_goes(kubectl: Runner, config: Path) -> None:
    with forwarded(config, "pod/web-0", ":9999") as (local, process):
        with pytest.raises((urllib.error.URLError, OSError)):
            get(local)
        _, errors = process.communicate(timeout=10)
        assert "failed to connect to localhost:9999 inside namespace" in errors
        assert "connection refused" in errors
        assert "lost connection to pod" in errors
    with forwarded(config, "pod/web-1", ":8080") as (local, process):
        assert "web-1" in get(local)
        kubectl("delete", "pod", "web-1")
        with pytest.raises((urllib.error.URLError, OSError)):
            get(local)
        _, errors = process.communicate(timeout=10)
        assert "lost connection to pod" in errors
    kubectl("rollout", "status", "statefulset/web", "--timeout=60s")


def test_names_node_ports_and_the_api_server(kubectl: Runner) -> None:
    assert "web-0" in curl(kubectl, "http://web-0.web:8080/")
    assert "service = 0 100 8080 web-1.web.default.svc.cluster.local" in kubectl(
        "exec", "client", "--", "nslookup", "-type=srv", "_http._tcp.web.default.svc.cluster.local"
    )
    port = kubectl("get", "service", "door", "-o", "jsonpath={.spec.ports[0].nodePort}")
    nodes = kubectl("get", "nodes", "-o", "jsonpath={.items[*].status.addresses[?(@.type=='InternalIP')].address}")
    for node in nodes.split():
        assert "Hello" in curl(kubectl, f"http://{node}:{port}/")
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    script = f'curl -sS --cacert {folder}/ca.crt -H "Authorization: Bearer $(cat {folder}/token)" '
    asked = script + "https://kubernetes.default.svc/api/v1/namespaces/default/pods/client"
    assert "system:serviceaccount:default:default" in kubectl("exec", "client", "--", "sh", "-c", asked)
    kubectl("create", "rolebinding", "view", "--clusterrole=view", "--serviceaccount=default:default")
    assert '"name":"client"' in kubectl("exec", "client", "--", "sh", "-c", asked).replace(": ", ":")
    assert "unable to get local issuer" in curl(kubectl, "https://kubernetes.default.svc/", fails=True)


def test_an_ingress_routes_and_says_where_it_is(kubectl: Runner, config: Path) -> None:
    address = kubectl(
        "get", "service", "-n", "ingress-nginx", "ingress-nginx-controller", "-o", "jsonpath={.spec.clusterIP}"
    )
    shown = kubectl("get", "ingress", "web")
    assert address in shown
    assert "web.example.org" in shown
    assert "Hello" in curl(kubectl, "-H", "Host: web.example.org", f"http://{address}/")
    with forwarded(config, "-n", "ingress-nginx", "service/ingress-nginx-controller", ":80") as (local, _):
        assert "Hello" in get(local, Host="web.example.org")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(local, Host="other.example.org")


def test_a_policy_shuts_out_all_but_friends(kubectl: Runner, config: Path) -> None:
    assert "Hello" in curl(kubectl, "http://door/")
    kubectl("apply", "-f", "-", given=DENY)
    assert "timed out" in curl(kubectl, "http://door/", fails=True)
    with forwarded(config, "pod/web-0", ":8080") as (local, _):
        assert "Hello" in get(local)
    kubectl("label", "pod", "client", "role=friend")
    assert "Hello" in curl(kubectl, "http://door/")
    kubectl("delete", "networkpolicy", "deny")


def test_two_programs_talk_over_tcp(kubectl: Runner) -> None:
    kubectl("run", "echo", "--image=busybox:1.36", "--port=9000", "--", "nc", "-lk", "-p", "9000", "-e", "cat")
    kubectl("wait", "--for=condition=Ready", "pod/echo", "--timeout=60s")
    ip = kubectl("get", "pod", "echo", "-o", "jsonpath={.status.podIP}")
    assert kubectl("exec", "client", "--", "sh", "-c", f"echo over tcp | nc {ip} 9000") == "over tcp\n"
    assert "refused" in kubectl("exec", "client", "--", "nc", "-z", ip, "9001", fails=True)
