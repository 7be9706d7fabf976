"""The kind provider beside plain kind: creating a cluster, resetting it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from bench.simulated import Silent
from bench.table import heading, measured, row
from labs import settings
from labs.clusters.dynamic_client import DynamicClient
from labs.clusters.provider import ClusterError, ClusterSpec, Provider
from labs.clusters.registry import Providers

IMAGES = ("kindling/web:1.0", "kindling/web:2.0")


def run(home: Path) -> None:
    """Measure, or say why not."""
    heading("Clusters of kind")
    chosen = settings.load({**os.environ, "KINDLING_HOME": str(home)})
    provider = Providers(chosen).get("kind")
    try:
        provider.capabilities()
    except ClusterError as error:
        print(f"not measured: {error}")
        return
    spec = ClusterSpec("kindling-bench", "single", IMAGES)
    provider.create(spec, Silent())  # images are built and pulled once, not measured
    provider.delete({"name": spec.name})
    plain, waited = plain_kind(chosen, wait=False), plain_kind(chosen, wait=True)
    with measured() as ours:
        handle = provider.create(spec, Silent())
    row("a lab on a single node, ready for its learner", f"{ours.seconds:.1f} s", "plain kind + 5 s")
    row("  over kind create cluster", f"{ours.seconds / plain:.2f}", "", f"{plain:.1f} s, node not ready yet")
    row("  over kind create cluster --wait", f"{ours.seconds / waited:.2f}", "", f"{waited:.1f} s, node ready")
    try:
        with measured() as untouched:
            provider.reset(handle, spec, Silent())
        make_a_mess(provider)
        with measured() as mess:
            provider.reset(handle, spec, Silent())
    finally:
        provider.delete(handle)
    row("reset of an untouched cluster", f"{untouched.seconds:.1f} s", "10 s", f"{waited:.1f} s to create anew")
    row("reset of a cluster with 30 objects of a learner", f"{mess.seconds:.1f} s", "10 s")


def plain_kind(chosen: settings.Settings, *, wait: bool) -> float:
    """Seconds that kind takes by itself, with the same node image and topology."""
    same = ["cluster", "-q", "--name", "kindling-bench-plain", "--kubeconfig", str(chosen.home / "plain.kubeconfig")]
    create = [chosen.kind_binary, "create", *same, "--config", str(chosen.topologies / "single.yaml")]
    create += ["--image", chosen.kind_node_image] if chosen.kind_node_image else []
    create += ["--wait", "120s"] if wait else []
    with measured() as watch:
        subprocess.run(create, check=True)
    subprocess.run([chosen.kind_binary, "delete", *same], check=True)
    return watch.seconds


def make_a_mess(provider: Provider) -> None:
    """What a busy learner leaves behind: a namespace, deployments, config maps, roles."""
    with DynamicClient(provider.credentials({"name": "kindling-bench"}, "learner")) as objects:
        objects.request("POST", "/api/v1/namespaces", {"metadata": {"name": "mess"}})
        for number in range(10):
            meta = {"name": f"mess-{number}"}
            objects.request("POST", "/api/v1/namespaces/mess/configmaps", {"metadata": meta, "data": {"a": "b"}})
            objects.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", {"metadata": meta, "rules": []})
            labels = {"app": meta["name"]}
            container = {"name": "web", "image": IMAGES[0]}
            template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
            deployment = {"selector": {"matchLabels": labels}, "template": template}
            path = "/apis/apps/v1/namespaces/default/deployments"
            objects.request("POST", path, {"metadata": meta, "spec": deployment})
