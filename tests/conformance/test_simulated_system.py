"""kube-system as kubectl's user meets it: the page "Debugging DNS Resolution" step by step, and what comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from simkube.host.launcher import HostClient
from tests.conformance.conftest import Runner, kubectls, learners, topology

DNSUTILS = """
apiVersion: v1
kind: Pod
metadata: {name: dnsutils}
spec: {containers: [{name: dnsutils, image: "busybox:1.36", command: [sleep, infinity]}]}
"""
SYSTEM = ("-n", "kube-system")
DNS = ("-l", "k8s-app=kube-dns")


@pytest.fixture(scope="module")
def kubectl(host: HostClient, home: Path) -> Runner:
    host.create("a", topology("single"))
    return Runner(kubectls()[0], learners(host, "a", home))


@pytest.fixture
def pass_time(host: HostClient) -> None:
    """Let cluster time go a hundred times as fast."""
    host.control("a", "clock", {"speed": 100})


def test_the_first_look_finds_a_kind_cluster(kubectl: Runner) -> None:
    pods = kubectl("get", "pods", "-A", "--no-headers")
    assert pods.count("1/1") == len(pods.splitlines()) == 9
    for name in ("coredns-", "etcd-", "kindnet-", "kube-apiserver-", "kube-controller-manager-", "kube-proxy-",
                 "kube-scheduler-", "local-path-provisioner-"):  # fmt: skip
        assert name in pods
    assert "kube-proxy   1         1         1" in kubectl("get", "daemonset", *SYSTEM)
    assert "local-path-storage" in kubectl("get", "namespaces")
    assert "Running configuration SHA512" in kubectl("logs", *SYSTEM, *DNS)
    assert "Serving securely on [::]:6443" in kubectl("logs", *SYSTEM, "-l", "component=kube-apiserver", "--tail=-1")


def test_debugging_dns_step_by_step(kubectl: Runner, pass_time: None) -> None:
    kubectl("apply", "-f", "-", given=DNSUTILS)
    kubectl("wait", "--for=condition=Ready", "pod/dnsutils", "--timeout=60s")
    look = ("exec", "-i", "dnsutils", "--", "nslookup", "kubernetes.default")
    assert "Address: 10.96.0.1" in kubectl(*look)
    assert "nameserver 10.96.0.10" in kubectl("exec", "dnsutils", "--", "cat", "/etc/resolv.conf")
    assert "kube-dns   ClusterIP   10.96.0.10" in kubectl("get", "svc", *SYSTEM)
    of = "kubernetes.io/service-name=kube-dns"
    slices = kubectl("get", "endpointslices", "-l", of, *SYSTEM)
    assert slices.count("10.244.0.") == 2
    assert "endpointslices.discovery.k8s.io" in kubectl("describe", "clusterrole", "system:coredns")

    corefile = kubectl("get", "configmap", "coredns", *SYSTEM, "-o", "jsonpath={.data.Corefile}")
    write(kubectl, corefile.replace("errors\n", "log\n    errors\n", 1))
    kubectl("logs", *SYSTEM, *DNS, "--tail=-1")
    until(kubectl, lambda: kubectl("logs", *SYSTEM, *DNS, "--tail=-1").count("Reloading complete") == 2)
    kubectl(*look)
    assert '"A IN kubernetes.default.svc.cluster.local. udp' in kubectl("logs", *SYSTEM, *DNS, "--tail=-1")

    write(kubectl, corefile.replace("errors\n", "eros\n", 1))
    kubectl("rollout", "restart", *SYSTEM, "deployment/coredns")
    until(kubectl, lambda: "CrashLoopBackOff" in kubectl("get", "pods", *SYSTEM, *DNS))
    kubectl("delete", "pods", *SYSTEM, *DNS, "--wait=false")
    until(kubectl, lambda: "Unknown directive 'eros'" in kubectl("logs", *SYSTEM, *DNS, "--tail=-1"))
    until(kubectl, lambda: "1/1" not in kubectl("get", "pods", *SYSTEM, *DNS))
    kubectl(*look, fails=True)
    write(kubectl, corefile)
    kubectl("delete", "pods", *SYSTEM, *DNS)
    kubectl("rollout", "status", *SYSTEM, "deployment/coredns", "--timeout=60s")
    assert "Address: 10.96.0.1" in kubectl(*look)


def write(kubectl: Runner, corefile: str) -> None:
    text = "".join(f"    {line}\n" for line in corefile.splitlines())
    meta = "metadata: {name: coredns, namespace: kube-system}"
    kubectl("replace", "-f", "-", given=f"apiVersion: v1\nkind: ConfigMap\n{meta}\ndata:\n  Corefile: |\n{text}")


def until(kubectl: Runner, expected: object) -> None:
    """Look again, each time with a process of kubectl, until it is as expected."""
    assert callable(expected)
    for _ in range(60):
        try:
            if expected():
                return
        except AssertionError:
            pass  # a pod that has just gone has no log
        kubectl("version")
    raise AssertionError(kubectl("get", "pods", "-A"))


def test_what_is_deleted_comes_back(kubectl: Runner, pass_time: None) -> None:
    kubectl("delete", "service", "--all")
    until(kubectl, lambda: "10.96.0.1" in kubectl("get", "service"))
    kubectl("delete", "pods", *SYSTEM, "--all")
    until(kubectl, lambda: kubectl("get", "pods", *SYSTEM, "--no-headers").count("1/1") == 8)
