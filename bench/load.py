"""Many clusters, many pods, many watchers: what one host of simulated clusters carries, beside kind where kind can."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import yaml

from bench import throughput
from bench.simulated import Silent, cpu_seconds, host_pid, host_processes, resident
from bench.table import heading, measured, repeated, row
from labs import settings
from labs.clusters.provider import ClusterError, ClusterSpec
from labs.clusters.registry import Providers
from simkube.host import launcher
from simkube.host.launcher import HostClient

NODE = {"role": "worker"}
WORKERS = 10
PODS, FEW_PODS = 1000, 40
IDLE, ACTIVE = 500, 200
RATE, SECONDS = 200.0, 20.0
WATCHERS, CHANGES = 500, 20


class Kind:
    """One cluster of kind to measure the same on, as its kubeconfig; None when there is none here."""

    def __init__(self, home: Path) -> None:
        self._provider = Providers(settings.load({**os.environ, "KINDLING_HOME": str(home)})).get("kind")
        self._spec = ClusterSpec("kindling-bench-load", "single", ("kindling/web:1.0",))

    def __enter__(self) -> str | None:
        try:
            self._provider.capabilities()
        except ClusterError as error:
            print(f"kind is not measured: {error}")
            return None
        return self._provider.credentials(self._provider.create(self._spec, Silent()), "learner")

    def __exit__(self, *_: object) -> None:
        with suppress(ClusterError):
            self._provider.delete({"name": self._spec.name})


def run(home: Path) -> None:
    """Measure on a host of its own, whose modules are compiled at its first start as in an installation."""
    os.environ["PYTHONPYCACHEPREFIX"] = str(home / "bytecode")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    folder = home / "load"
    host = launcher.connect(folder)
    single = yaml.safe_load((Path(__file__).parents[1] / "kind-configs" / "single.yaml").read_text())
    try:
        with Kind(home) as kind:
            heading("Speed and memory of simulated clusters")
            created(host, single)
            kubectl(host, single, kind, home)
            asyncio.run(pods(host, kind))
            asyncio.run(watchers(host, single, kind))
        asyncio.run(active(host, single))
        idle(host, single, folder)
        back(host, folder)
    finally:
        launcher.shutdown(folder)


def created(host: HostClient, single: dict[str, Any]) -> None:
    """One more cluster."""
    names = iter(range(1000))

    def one() -> float:
        with measured() as watch:
            host.create(f"one-{next(names)}", single)
        return watch.seconds

    low, middle, high = repeated(one, 20)
    row("one more cluster (min, median, max of 20)", f"{low:.3f} {middle:.3f} {high:.3f} s", "0.030 s", "35 s (below)")
    for number in range(20):
        host.delete(f"one-{number}")


def kubectl(host: HostClient, single: dict[str, Any], kind: str | None, home: Path) -> None:
    """``kubectl get pods`` of twenty pods, in turns."""
    host.create("kubectl", single)
    configs = {"simulated": host.kubeconfig("kubectl") or "", **({"kind": kind} if kind else {})}
    program = settings.load({**os.environ, "KINDLING_HOME": str(home)}).kubectl
    times: dict[str, list[float]] = {name: [] for name in configs}
    for name, text in configs.items():
        (home / f"{name}.kubeconfig").write_text(text)
        asyncio.run(_twenty_pods(text))
    for _ in range(15):
        for name in configs:
            with measured() as watch:
                command = [program, "--kubeconfig", str(home / f"{name}.kubeconfig"), "get", "pods"]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times[name].append(watch.seconds)
    ours, theirs = median(times["simulated"]), median(times.get("kind", [0.0]))
    beside = f"{theirs:.3f} s; ratio {ours / theirs:.2f}" if theirs else ""
    row("kubectl get pods, 20 pods (median of 15, in turns)", f"{ours:.3f} s", "no slower than kind", beside)
    host.delete("kubectl")


async def _twenty_pods(kubeconfig: str) -> None:
    async with throughput.session() as session:
        await throughput.deploy(throughput.Api(session, kubeconfig), "twenty", 20)


async def pods(host: HostClient, kind: str | None) -> None:
    """A deployment until every pod is ready."""
    host.create("pods", {"nodes": [{"role": "control-plane"}, *[NODE] * WORKERS]})
    async with throughput.session() as session:
        api = throughput.Api(session, host.kubeconfig("pods") or "")
        few = await throughput.deploy(api, "few", FEW_PODS)
        beside = ""
        if kind:
            theirs = await throughput.deploy(throughput.Api(session, kind), "few", FEW_PODS)
            beside = f"{theirs:.1f} s; ratio {few / theirs:.3f}"
        row(f"a deployment of {FEW_PODS} pods, all ready", f"{few:.2f} s", "", beside)
        many = await throughput.deploy(api, "many", PODS)
        row(f"a deployment of {PODS} pods on {WORKERS} nodes, all ready", f"{many:.2f} s", "5 s")
    host.delete("pods")


async def watchers(host: HostClient, single: dict[str, Any], kind: str | None) -> None:
    """From the acknowledgement of a change to its last watcher."""
    host.create("watched", single)
    async with throughput.session() as session:
        ours = await throughput.watched(throughput.Api(session, host.kubeconfig("watched") or ""), WATCHERS, CHANGES)
        beside = ""
        if kind:
            theirs = await throughput.watched(throughput.Api(session, kind), WATCHERS, CHANGES)
            beside = f"{median(theirs):.3f} {max(theirs):.3f} s"
    shown = f"{median(ours):.3f} {max(ours):.3f} s"
    row(f"a change at all of {WATCHERS} watchers (median, worst of {CHANGES})", shown, "0.200 s", beside)
    host.delete("watched")


async def active(host: HostClient, single: dict[str, Any]) -> None:
    """Requests at a steady rate over many clusters, each with two pods running."""
    names = [f"active-{number}" for number in range(ACTIVE)]
    for name in names:
        host.create(name, single)
    async with throughput.session() as session:
        apis = [throughput.Api(session, host.kubeconfig(name) or "") for name in names]
        for api in apis:
            await throughput.deploy(api, "web", 2)
        taken = await throughput.steady(apis, RATE, SECONDS)
    cuts = quantiles(taken, n=100)
    what = f"{RATE:.0f} requests a second to {ACTIVE} clusters (p50, p99, worst)"
    row(what, f"{cuts[49] * 1000:.1f} {cuts[98] * 1000:.1f} {max(taken) * 1000:.0f} ms", "p99 50 ms")


def idle(host: HostClient, single: dict[str, Any], folder: Path) -> None:
    """Memory and CPU of clusters that nobody uses, beside those that were."""
    pids = host_processes(folder)
    before = resident(*pids)
    for number in range(IDLE - ACTIVE):
        host.create(f"idle-{number}", single)
    grown = (resident(*pids) - before) / (IDLE - ACTIVE)
    row("memory of one idle cluster", f"{grown / 2**20:.2f} MiB", "1.50 MiB")
    spent = cpu_seconds(*pids)
    time.sleep(SECONDS)
    share = (cpu_seconds(*pids) - spent) / SECONDS
    row(f"CPU of {IDLE} clusters over {SECONDS:.0f} s", f"{share:.2%} of a core", "2.00%")
    for number in range(IDLE - ACTIVE):
        host.delete(f"idle-{number}")


def back(host: HostClient, folder: Path) -> None:
    """After kill -9, until the last of the clusters has answered; all are asked at once with the kubeconfigs they had.

    What the asking process itself used of a processor meanwhile is in the figure, and is shown beside it.
    """
    configs = [host.kubeconfig(f"active-{number}") or "" for number in range(ACTIVE)]
    asyncio.run(_back(configs, folder))


async def _back(configs: list[str], folder: Path) -> None:
    async with throughput.session() as session:
        apis = [throughput.Api(session, config) for config in configs]
        os.kill(host_pid(folder), signal.SIGKILL)
        own = time.process_time()
        with measured() as watch:
            with measured() as starting:
                launcher.connect(folder)
            answers = await asyncio.gather(*(api("GET", "/api/v1/namespaces/default/pods") for api in apis))
        own = time.process_time() - own
    for status, found in answers:
        if status != 200 or len(found["items"]) != 2:
            raise RuntimeError(f"answered {status} with {len(found.get('items', ()))} pods after coming back")
    what = f"{ACTIVE} clusters after kill -9, all have answered"
    row(what, f"{watch.seconds:.2f} s", "3 s", f"({starting.seconds:.2f} s to start; {own:.2f} s of the client's CPU)")
