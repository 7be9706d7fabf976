"""Tries public manifests (``files.yaml``) on simulated clusters, and says what became of each.

``python -m tests.world.try_files --from TEMPLATE [--only TEXT]``: TEMPLATE says where the files are, an ``https://``
URL or a path, in which ``{repository}``, ``{commit}`` and ``{path}`` stand for a file's. They are fetched when it runs
and kept nowhere. Each is applied with kubectl on a cluster of its own, where images that are not simulated are stood in
for (counted apart); then some minutes of the cluster's time pass. Exits with 1 when any file did other than expected.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from simkube.testing import Cluster, Server
from tests.conformance.conftest import kubectls

HERE = Path(__file__).resolve().parent
MINUTES = 6
"""Of cluster time, for a file's pods to come up."""
MOST_BYTES = 1 << 20
Outcome = Literal["ready", "completed", "applied", "waiting", "refused"]
"""Every pod is ready; every pod of a job has ended; there are no pods; some pod does not get ready; not all of the
file was taken."""


@dataclass(frozen=True)
class Manifest:
    """One entry of ``files.yaml``. ``needs`` is applied before; ``because`` is part of what the cluster says."""

    repository: str
    path: str
    commit: str
    expect: Outcome
    because: str = ""
    needs: str = ""
    nodes: int = 1

    def fetched(self, template: str) -> str:
        """Its text from wherever the template says; OSError."""
        place = template.format(repository=self.repository, commit=self.commit, path=self.path)
        if place.startswith("https://"):
            with urllib.request.urlopen(place, timeout=30) as answer:
                return str(answer.read(MOST_BYTES).decode())
        return Path(place).read_text()


@dataclass(frozen=True)
class Result:
    """What became of a file: the outcome, what the cluster said; how many containers, of stand-ins, and failed pods."""

    outcome: Outcome
    said: str
    containers: int = 0
    stand_ins: int = 0
    failed: int = 0

    def as_expected(self, manifest: Manifest) -> bool:
        """Whether the data says so."""
        return self.outcome == manifest.expect and manifest.because in self.said


def listed() -> Iterator[Manifest]:
    """The entries of ``files.yaml``."""
    data: Mapping[str, Mapping[str, Mapping[str, Any]]] = yaml.safe_load((HERE / "files.yaml").read_text())
    for repository, files in data.items():
        for path, about in files.items():
            yield Manifest(repository, path, **about)


def kubectl(cluster: Cluster, folder: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """One kubectl command against a cluster."""
    kubeconfig = cluster.write_kubeconfig(folder / "kubeconfig")
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "HOME": str(folder)}
    return subprocess.run(
        [kubectls()[0], *words], env=environment, input=given, capture_output=True, text=True, timeout=60, check=False
    )


def attempt(server: Server, manifest: Manifest, text: str) -> Result:
    """Apply a file on a cluster of its own, and see."""
    with tempfile.TemporaryDirectory() as scratch, server.cluster(manifest.nodes) as cluster:
        folder = Path(scratch)
        if manifest.needs:
            first = kubectl(cluster, folder, "apply", "-f", "-", given=manifest.needs)
            assert first.returncode == 0, f"{manifest.path}: what it needs: {first.stderr}"
        kubectl(cluster, folder, "get", "pods", "-A")  # a cluster has its own programs when somebody looks
        cluster.step("30s")
        before = {_name(pod) for pod in cluster.client.list("pods")}
        applied = kubectl(cluster, folder, "apply", "-f", "-", given=text)
        cluster.step(f"{MINUTES}m")
        pods = [pod for pod in cluster.client.list("pods") if _name(pod) not in before]
        containers = [one for pod in pods for one in pod["status"].get("containerStatuses", ())]
        stand_ins = sum("stand-in" in one.get("imageID", "") for one in containers)
        told = [event.get("message", "") for event in cluster.client.list("events")]
        said = "\n".join([applied.stderr, *told])
        failed = sum(pod["status"].get("phase") == "Failed" for pod in pods)
        outcome: Outcome = "refused" if applied.returncode else _outcome(pods)
        return Result(outcome, said, len(containers), stand_ins, failed)


def _name(pod: Mapping[str, Any]) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def _outcome(pods: list[dict[str, Any]]) -> Outcome:
    if not pods:
        return "applied"
    if all(pod["status"].get("phase") in ("Succeeded", "Failed") for pod in pods):
        return "completed"
    ended = [pod for pod in pods if pod["status"].get("phase") == "Succeeded"]
    ready = [pod for pod in pods if {"type": "Ready", "status": "True"}.items() <= _ready(pod).items()]
    return "ready" if len(ended) + len(ready) == len(pods) else "waiting"


def _ready(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next((one for one in pod["status"].get("conditions", ()) if one["type"] == "Ready"), {})
    return found


def main(words: list[str]) -> int:
    """Try them all; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--from", dest="template", required=True, metavar="TEMPLATE", help="where the files are")
    parser.add_argument("--only", default="", metavar="TEXT", help="files whose repository or path has this in it")
    options = parser.parse_args(words)
    counts: Counter[str] = Counter()
    wrong = 0
    with Server() as server:
        for manifest in listed():
            if options.only not in f"{manifest.repository}/{manifest.path}":
                continue
            result = attempt(server, manifest, manifest.fetched(options.template))
            counts[result.outcome] += 1
            counts["containers"] += result.containers
            counts["stand-ins"] += result.stand_ins
            right = result.as_expected(manifest)
            wrong += not right
            word = "as expected" if right else "UNEXPECTED"
            print(f"{word:11} {result.outcome:9} {manifest.repository}/{manifest.path}")
            if not right:
                print(
                    f"  expected {manifest.expect} {manifest.because}\n  " + result.said[-1500:].replace("\n", "\n  ")
                )
    print(", ".join(f"{count} {what}" for what, count in sorted(counts.items())) + f"; {wrong} not as expected")
    return min(1, wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
