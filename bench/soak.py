"""What a host keeps of labs that are gone: 2,000 of them made, worked in as a check does, and removed.

Each lab's cluster is worked in over HTTPS with connections of its own: a Deployment is made and watched until it is
ready, its pods are listed, logged, asked through the proxy and get a command each, a node is broken and healed, the lab
is reset. The memory is that of the host's process alone; it is read when nothing happens.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests
import yaml
from websocket import create_connection

from bench.simulated import cpu_seconds, host_pid, resident
from bench.table import heading, row
from simkube.host import launcher
from simkube.host.launcher import HostClient

LABS = 2000
SHOWN = (20, 50, 100, 200, 500, 1000, 1500, 2000)
REST_SECONDS = 10.0
"""Until the host has collected what closed clusters leave."""
REACH = 20
"""MiB that a host may hold after all of them beyond what it held after the first 20."""
_PODS = "/api/v1/namespaces/default/pods"


def run(home: Path) -> None:
    """Measure on a host of its own; ``KINDLING_SOAK`` is how many labs instead of 2,000."""
    labs = int(os.environ.get("KINDLING_SOAK", LABS))
    folder = home / "soak"
    host = launcher.connect(folder)
    single = yaml.safe_load((Path(__file__).parents[1] / "kind-configs" / "single.yaml").read_text())
    pid, first = host_pid(folder), 0
    try:
        heading(f"Soak: {labs} labs made, checked and removed")
        for number in range(1, labs + 1):
            _lab(host, f"soak-{number}", single)
            if number in SHOWN or number == labs:
                time.sleep(REST_SECONDS)
                now = resident(pid) >> 20
                first = first or now
                grown = f"{now - first:+d} MiB" if number > SHOWN[0] else ""
                row(f"after {number} labs ({cpu_seconds(pid):.0f} s of CPU)", f"{now} MiB {grown}", f"{REACH} MiB more")
    finally:
        launcher.shutdown(folder)


def _lab(host: HostClient, name: str, topology: dict[str, Any]) -> None:
    host.create(name, topology)
    try:
        host.snapshot(name)
        config = yaml.safe_load(host.kubeconfig(name, "admin") or "")
        _check(config["clusters"][0]["cluster"]["server"], config["users"][0]["user"]["token"], host.ca)
        node = f"{name}-control-plane"
        host.fault(name, "pause-node", node)
        host.heal(name)
        host.restore(name)
    finally:
        host.delete(name)


def _check(server: str, token: str, ca: str) -> None:
    """What checks ask of a cluster."""
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"soak-{os.getpid()}.crt"
    path.write_text(ca)
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "kindling/web:1.0"}]},
    }
    deployment = {
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    }
    with requests.Session() as session:
        session.trust_env, session.verify = False, str(path)
        session.headers["Authorization"] = f"Bearer {token}"
        session.post(f"{server}/apis/apps/v1/namespaces/default/deployments", json=deployment).raise_for_status()
        _watch(session, server)
        pods = session.get(f"{server}{_PODS}", params={"labelSelector": "app=web"}).json()["items"]
        for pod in pods:
            pod_name = pod["metadata"]["name"]
            session.get(f"{server}{_PODS}/{pod_name}/log").raise_for_status()
            session.get(f"{server}{_PODS}/{pod_name}:8080/proxy/healthz").raise_for_status()
            _command(f"{server}{_PODS}/{pod_name}/exec", token, str(path))
        for kind in ("nodes", "events", "services", "endpoints"):
            session.get(f"{server}/api/v1/{kind}").raise_for_status()


def _watch(session: requests.Session, server: str) -> None:
    """Until both pods are ready."""
    ready: set[str] = set()
    query = {"watch": "1", "labelSelector": "app=web", "timeoutSeconds": "30"}
    with session.get(f"{server}{_PODS}", params=query, stream=True) as answer:
        for line in answer.iter_lines():
            pod = json.loads(line)["object"]
            conditions = pod.get("status", {}).get("conditions", ())
            if any(each["type"] == "Ready" and each["status"] == "True" for each in conditions):
                ready.add(pod["metadata"]["name"])
            if len(ready) == 2:
                return


def _command(url: str, token: str, ca: str) -> None:
    """A command in a pod, over a WebSocket to its end."""
    query = urlencode([*(("command", word) for word in ("sh", "-c", "echo; hostname")), ("stdout", "1")])
    asked = create_connection(
        f"{url.replace('https', 'wss', 1)}?{query}",
        sslopt={"ca_certs": ca},
        subprotocols=["v5.channel.k8s.io"],
        header=[f"Authorization: Bearer {token}"],
        timeout=30,
    )
    try:
        while asked.recv():
            pass
    finally:
        asked.close()
