"""What a host keeps of labs that are gone: 2,000 of them made, worked in as a check does, and removed.

Each lab's cluster is worked in over HTTPS with connections of its own: a Deployment is made and watched until it is
ready, its pods are listed, logged, asked through the proxy and get a command each, a node is broken and healed, the lab
is reset. The memory is that of the host's processes alone; it is read when nothing happens.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import requests
import yaml
from websocket import create_connection

from simkube.host.launcher import HostClient
from soak import processes
from soak.processes import Usage
from soak.stage import TOPOLOGY, Stage

LABS = 2000
SHOWN = (20, 200, 1000, 2000)
AT_ONCE = 2
REST_SECONDS = 10.0
"""Until the host has collected what closed clusters leave."""
REACH = 20
"""MiB that a host may hold after all of them beyond what it held after the first 20."""
SPARE_FILES = 16
"""Connections that are just ending."""
_PODS = "/api/v1/namespaces/default/pods"


def run(
    stage: Stage,
    labs: int = LABS,
    shown: tuple[int, ...] = SHOWN,
    rest: Callable[[float], None] = time.sleep,
) -> None:
    """Rows at some numbers of labs; what is left must be nothing: no cluster, no file, no process more than before."""
    report, host = stage.report, stage.host()
    report.part(f"{labs} labs made, checked and removed")
    ca = stage.home / "host.crt"
    ca.write_text(host.ca)
    found: list[Usage] = []
    done = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for until in [*(number for number in shown if number < labs), labs]:
            list(pool.map(lambda number: lab(host, f"soak-{number}", ca), range(done, until)))
            done = until
            rest(REST_SECONDS)
            found.append(stage.usage())
            _row(stage, until, found)
    first, last = found[0], found[-1]
    report.invariant("no cluster is left", not host.clusters(), host.clusters()[:5])
    report.invariant("files do not add up", last.files <= first.files + SPARE_FILES, f"{first.files}, {last.files}")
    report.invariant("nor do processes", last.processes <= first.processes, f"{first.processes}, {last.processes}")


def _row(stage: Stage, labs: int, found: list[Usage]) -> None:
    cpu = processes.cpu_seconds(stage.host_pid())
    what = f"the host after {labs} labs ({cpu:.0f} s of processor time)"
    now, more = found[-1].memory >> 20, (found[-1].memory - found[0].memory) >> 20
    if len(found) == 1:
        stage.report.row(what, f"{now} MiB")
        return
    before = "1.2 MiB more a lab" if labs == LABS else ""
    reach = f"at most {REACH} MiB more"
    stage.report.row(what, f"{now} MiB, {more:+d} MiB", reach=reach, before=before, good=more <= REACH)


def lab(host: HostClient, name: str, ca: Path) -> None:
    """From its creation to its removal."""
    host.create(name, TOPOLOGY)
    try:
        host.snapshot(name)
        config = yaml.safe_load(host.kubeconfig(name, "admin") or "")
        _check(config["clusters"][0]["cluster"]["server"], config["users"][0]["user"]["token"], ca)
        node = f"{name}-control-plane"
        host.fault(name, "pause-node", node)
        host.heal(name)
        host.restore(name)
    finally:
        host.delete(name)


def _check(server: str, token: str, ca: Path) -> None:
    """What checks ask of a cluster."""
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "kindling/web:1.0"}]},
    }
    deployment = {
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    }
    with requests.Session() as session:
        session.trust_env, session.verify = False, str(ca)
        session.headers["Authorization"] = f"Bearer {token}"
        session.post(f"{server}/apis/apps/v1/namespaces/default/deployments", json=deployment).raise_for_status()
        _watch(session, server)
        pods = session.get(f"{server}{_PODS}", params={"labelSelector": "app=web"}).json()["items"]
        for pod in pods:
            pod_name = pod["metadata"]["name"]
            session.get(f"{server}{_PODS}/{pod_name}/log").raise_for_status()
            session.get(f"{server}{_PODS}/{pod_name}:8080/proxy/healthz").raise_for_status()
            _command(f"{server}{_PODS}/{pod_name}/exec", token, str(ca))
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
        asked.shutdown()  # type: ignore[no-untyped-call]  # websocket-client has few types
