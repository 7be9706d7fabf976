"""The figures that a kubelet publishes: its own, those of containers (cAdvisor's and the short ones), of probes.

Names and labels as in ``pkg/kubelet/metrics``, ``pkg/kubelet/metrics/collectors`` and cAdvisor's ``metrics``. Each is
what the simulation counted; what it does not count (network and disk traffic, page faults, load) is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from simkube.apiserver.metrics.metrics import build_info
from simkube.component_helpers.metrics import Family, Series, render
from simkube.runtime.cri import Container

if TYPE_CHECKING:
    from simkube.kubelet.kubelet import Kubelet
    from simkube.kubelet.pod import Pod

_CPU = "container_cpu_usage_seconds_total"
_MEMORY = "container_memory_working_set_bytes"
_STARTED = "container_start_time_seconds"


def kubelet(node: Kubelet) -> str:
    """``/metrics``."""
    states: Counter[str] = Counter(container.state for _, container in _containers(node))
    running = sum(any(run.running for run in pod.runs.values()) for pod in _pods(node))
    shown: list[Series] = [({"container_state": state}, number) for state, number in sorted(states.items())]
    return render(
        (
            build_info(),
            Family("kubelet_node_name", "gauge", "The node's name.", [({"node": node.node_name}, 1)]),
            Family("kubelet_running_pods", "gauge", "Pods with a container that runs.", [({}, running)]),
            Family("kubelet_running_containers", "gauge", "Containers by state.", shown),
            Family("process_start_time_seconds", "gauge", "When it started.", [({}, node.runtime.machine.started)]),
        )
    )


def cadvisor(node: Kubelet) -> str:
    """``/metrics/cadvisor``."""
    now = node.clock.now()
    cpu: list[Series] = []
    memory: list[Series] = []
    used: list[Series] = []
    started: list[Series] = []
    seen: list[Series] = []
    limits: list[Series] = []
    files: list[Series] = []
    for pod, container in _containers(node):
        if container.state != "running":
            continue
        labels = {**_labels(pod, container), "id": f"/kubepods/pod{pod.uid}/{container.id}", "image": _image(container)}
        labels["name"] = container.id
        cpu.append(({**labels, "cpu": "total"}, container.cpu_seconds))
        memory.append((labels, container.working_set))
        used.append((labels, container.working_set))
        started.append((labels, container.started_at))
        seen.append((labels, now))
        limits.append((labels, container.config.memory or 0))
        files.append((labels, container.written))
    machine = node.runtime.machine
    return render(
        (
            Family(_CPU, "counter", "Processor seconds used.", cpu),
            Family(_MEMORY, "gauge", "Bytes of memory in use.", memory),
            Family("container_memory_usage_bytes", "gauge", "Bytes of memory in use.", used),
            Family(_STARTED, "gauge", "When it started, in seconds since 1970.", started),
            Family("container_last_seen", "gauge", "When it was looked at.", seen),
            Family("container_spec_memory_limit_bytes", "gauge", "Its limit in bytes; 0: none.", limits),
            Family("container_fs_usage_bytes", "gauge", "Bytes of files of its own.", files),
            Family("machine_cpu_cores", "gauge", "Processors of the node.", [({}, machine.cores)]),
            Family("machine_memory_bytes", "gauge", "Memory of the node in bytes.", [({}, machine.memory.capacity)]),
        )
    )


def resource(node: Kubelet) -> str:
    """``/metrics/resource``, which a metrics server reads."""
    cpu: list[Series] = []
    memory: list[Series] = []
    started: list[Series] = []
    pods: dict[tuple[str, str], list[float]] = {}
    for pod, container in _containers(node):
        if container.state != "running":
            continue
        labels = _labels(pod, container)
        cpu.append((labels, container.cpu_seconds))
        memory.append((labels, container.working_set))
        started.append((labels, container.started_at))
        total = pods.setdefault((pod.namespace, pod.name), [0.0, 0.0])
        total[0] += container.cpu_seconds
        total[1] += container.working_set
    machine = node.runtime.machine
    held = machine.memory.capacity - max(0, machine.memory.available)
    of_pods = [({"namespace": where, "pod": name}, total) for (where, name), total in pods.items()]
    return render(
        (
            Family(_CPU, "counter", "Processor seconds used.", cpu),
            Family(_MEMORY, "gauge", "Bytes of memory in use.", memory),
            Family(_STARTED, "gauge", "When it started, in seconds since 1970.", started),
            Family("node_cpu_usage_seconds_total", "counter", "Of the node.", [({}, node.runtime.node_cpu_seconds())]),
            Family("node_memory_working_set_bytes", "gauge", "Of the node.", [({}, held)]),
            Family("pod_cpu_usage_seconds_total", "counter", "Of pods.", [(each, one[0]) for each, one in of_pods]),
            Family("pod_memory_working_set_bytes", "gauge", "Of pods.", [(each, one[1]) for each, one in of_pods]),
            Family("resource_scrape_error", "gauge", "1 when something could not be read.", [({}, 0)]),
        )
    )


def probes(node: Kubelet) -> str:
    """``/metrics/probes``."""
    found: list[Series] = []
    for pod in _pods(node):
        for run in pod.runs.values():
            for (kind, result), number in sorted(run.probed.items()):
                labels = {"container": run.name, "namespace": pod.namespace, "pod": pod.name, "pod_uid": pod.uid}
                found.append(({**labels, "probe_type": kind, "result": result}, number))
    return render([Family("prober_probe_total", "counter", "Probes by kind and result.", found)])


def _pods(node: Kubelet) -> Iterator[Pod]:
    for worker in node.workers.values():
        if not worker.gone and not worker.pod.over:
            yield worker.pod


def _containers(node: Kubelet) -> Iterator[tuple[Pod, Container]]:
    for pod in _pods(node):
        for run in pod.runs.values():
            if run.container is not None:
                yield pod, run.container


def _labels(pod: Pod, container: Container) -> dict[str, str]:
    return {"container": container.config.name, "namespace": pod.namespace, "pod": pod.name}


def _image(container: Container) -> str:
    return container.config.image
