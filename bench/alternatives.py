"""What a test of a controller or an operator can run against: simkube.testing, what envtest starts, a kind cluster.

The same steps for each: from nothing to an API that answers; a fresh cluster for one more test; a Deployment of three
from its creation until it is available. envtest is etcd and kube-apiserver without controllers: ``KUBEBUILDER_ASSETS``
names the folder of the two programs, as it does for envtest itself. A kind cluster is made by ``KIND_BINARY`` from
``KIND_NODE_IMAGE``. What is not there is not measured, and said so.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.table import measured, repeated

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "busybox:1.35", command: [sleep, "3600"]}]}
"""
FRESH = 10


def run(_home: Path) -> None:
    """Measure what is there, one row each."""
    print(f"\n{'':<28}{'first cluster':>16}{'one more (median)':>20}{'Deployment of 3':>18}{'memory':>10}", flush=True)
    simkube()
    assets = os.environ.get("KUBEBUILDER_ASSETS", "")
    if assets and all((Path(assets) / name).exists() for name in ("etcd", "kube-apiserver")):
        envtest(Path(assets))
    else:
        print("etcd and kube-apiserver: not measured, KUBEBUILDER_ASSETS names no folder with both")
    kind()


def row(what: str, first: str, more: str, deployment: str, memory: str) -> None:
    """One of the alternatives."""
    print(f"{what:<28}{first:>16}{more:>20}{deployment:>18}{memory:>10}", flush=True)


_SIMKUBE = f"""
import resource, sys, time
began = time.perf_counter()
from simkube.testing import Server
server = Server()
cluster = server.cluster()
cluster.client.list("namespaces")
print(time.perf_counter() - began)
fresh = []
for _ in range({FRESH}):
    began = time.perf_counter()
    with server.cluster() as one:
        one.client.list("namespaces")
    fresh.append(time.perf_counter() - began)
print(sorted(fresh)[len(fresh) // 2])
began = time.perf_counter()
cluster.apply(sys.argv[1])
cluster.until(lambda: cluster.client.get("deployments.apps", "web", "default")["status"]["availableReplicas"] == 3)
print(time.perf_counter() - began)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
server.close()
"""


def simkube() -> None:
    """In a process of its own, so that loading it counts."""
    command = [sys.executable, "-c", _SIMKUBE, MANIFEST]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    first, more, deployment, memory = map(float, said)
    row(
        "simkube.testing", f"{first:.2f} s", f"{more * 1000:.0f} ms", f"{deployment * 1000:.0f} ms", f"{memory:.0f} MiB"
    )


def envtest(assets: Path) -> None:
    """A control plane without controllers: a Deployment stays a row in etcd."""
    memory = 0.0

    def once() -> float:
        nonlocal memory
        began = time.perf_counter()
        with control_plane(assets) as pids:
            took = time.perf_counter() - began
            memory = sum(resident(pid) for pid in pids)
            return took

    first, (_, more, _) = once(), repeated(once, 3)
    row("etcd and kube-apiserver", f"{first:.1f} s", f"{more:.1f} s", "never: no loops", f"{memory:.0f} MiB")


@contextmanager
def control_plane(assets: Path) -> Iterator[list[int]]:
    """etcd and kube-apiserver, until the latter is ready; their process ids."""
    folder = Path(tempfile.mkdtemp(prefix="bench-envtest-"))
    client, peer, port = free_port(), free_port(), free_port()
    etcd = [assets / "etcd", "--data-dir", folder / "etcd", "--unsafe-no-fsync"]
    etcd += [f"--listen-client-urls=http://127.0.0.1:{client}", f"--advertise-client-urls=http://127.0.0.1:{client}"]
    etcd += [f"--listen-peer-urls=http://127.0.0.1:{peer}"]
    key = folder / "sa.key"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    api = [assets / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{client}", f"--cert-dir={folder}"]
    api += [f"--secure-port={port}", "--bind-address=127.0.0.1", "--service-cluster-ip-range=10.0.0.0/24"]
    api += ["--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount"]
    api += [f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}"]
    api += [f"--service-account-issuer=https://127.0.0.1:{port}/", "--allow-privileged=true"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = [subprocess.Popen(etcd, **quiet), subprocess.Popen(api, **quiet)]  # type: ignore[call-overload]
    try:
        until_ready(f"https://127.0.0.1:{port}/readyz")
        yield [process.pid for process in running]
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def until_ready(url: str, seconds: float = 60) -> None:
    """Ask until it answers 200."""
    context = ssl._create_unverified_context()  # its certificate is made as it starts
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, context=context, timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def kind() -> None:
    """A real cluster of one node."""
    image = os.environ.get("KIND_NODE_IMAGE", "")
    found = shutil.which(os.environ.get("KIND_BINARY", "kind"))
    if found is None or not docker_works():
        print("kind: not measured, it needs the kind program and Docker")
        return
    with tempfile.TemporaryDirectory(prefix="bench-kind-") as folder:
        config = Path(folder) / "kubeconfig"
        name = ["--name", "bench-alternatives", "-q"]
        with measured() as first:
            create = [found, "create", "cluster", *name, "--kubeconfig", config, "--wait", "180s"]
            subprocess.run([*create, *(["--image", image] if image else [])], check=True)
        try:
            kubectl = [Path(sys.executable).parent / "kubectl", "--kubeconfig", config]
            subprocess.run([found, "load", "docker-image", "busybox:1.35", *name], check=False, capture_output=True)
            with measured() as deployment:
                apply = [*kubectl, "apply", "--validate=false", "-f", "-"]
                subprocess.run(apply, input=MANIFEST.encode(), check=True, capture_output=True)
                wait = [*kubectl, "wait", "--for=condition=Available", "deployment/web", "--timeout=120s"]
                subprocess.run(wait, check=True, capture_output=True)
            memory = container_memory("bench-alternatives-control-plane")
        finally:
            subprocess.run([found, "delete", "cluster", *name], check=True)
    row("kind, one node", f"{first.seconds:.1f} s", f"{first.seconds:.1f} s", f"{deployment.seconds:.1f} s", memory)


def docker_works() -> bool:
    """Whether an engine answers."""
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def container_memory(name: str) -> str:
    """What Docker says that a container uses."""
    shown = ["docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", name]
    return subprocess.run(shown, capture_output=True, text=True, check=True).stdout.partition(" ")[0]


def free_port() -> int:
    """A port of loopback that nobody uses at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def resident(pid: int) -> float:
    """MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024
