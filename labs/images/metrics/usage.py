"""What kubelets say of processors and memory, and what can be said of it after two looks: cores and bytes.

A kubelet's ``/metrics/resource`` counts seconds of processor time; the use of a processor is the difference of two
looks by the time between them. Until there were two, nothing is said of a container: half a truth would scale a
Deployment. It knows nothing of HTTP and Kubernetes objects. Sources: ``pkg/kubelet/metrics/collectors``
(resource_metrics.go), ``kubernetes-sigs/metrics-server`` (``pkg/scraper``, ``pkg/storage``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CPU, MEMORY = "cpu_usage_seconds_total", "memory_working_set_bytes"
LINE = re.compile(r"^(node|container)_(" + CPU + "|" + MEMORY + r")(?:\{(.*)\})? (\S+)(?: (\d+))?$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Key = tuple  # ("",) * 3 for the node itself, else namespace, pod, container
NODE = ("", "", "")


@dataclass(frozen=True)
class Look:
    """One look at a container or node: when (s since 1970), processor seconds so far, bytes."""

    at: float
    seconds: float
    memory: int


@dataclass(frozen=True)
class Use:
    """What it used lately: until when, over how many seconds, cores, bytes."""

    at: float
    window: float
    cores: float
    memory: int


def parse(text: str, now: float) -> dict[Key, Look]:
    """What a kubelet says, by container; what it says only half of is left out. ``now``: where it names no time."""
    found: dict[Key, dict[str, tuple[float, float]]] = {}
    for line in text.splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        whose, what, written, value, stamp = match.groups()
        labels = dict(LABEL.findall(written or ""))
        key = NODE if whose == "node" else tuple(labels.get(name, "") for name in ("namespace", "pod", "container"))
        if whose == "node" or all(key):
            found.setdefault(key, {})[what] = float(value), int(stamp) / 1000 if stamp else now
    return {
        key: Look(one[CPU][1], one[CPU][0], int(one[MEMORY][0]))
        for key, one in found.items()
        if CPU in one and MEMORY in one
    }


class History:
    """The last two looks at everything on one node."""

    def __init__(self) -> None:
        self._last: dict[Key, Look] = {}
        self._uses: dict[Key, Use] = {}

    def add(self, looks: dict[Key, Look]) -> None:
        """Another look at all of it. A kubelet that has not looked since says the same again, which says nothing."""
        uses = {}
        for key, look in looks.items():
            before = self._last.get(key)
            if before is not None and look.at > before.at and look.seconds >= before.seconds:
                window = look.at - before.at
                uses[key] = Use(look.at, window, (look.seconds - before.seconds) / window, look.memory)
            elif before is not None and look.at == before.at and key in self._uses:
                uses[key] = self._uses[key]
        self._last, self._uses = looks, uses

    def use(self, key: Key) -> Use | None:
        """What one of them used; None when that is not known."""
        return self._uses.get(key)

    def containers(self, namespace: str, pod: str) -> dict[str, Use]:
        """Those of a pod, by name."""
        return {key[2]: use for key, use in self._uses.items() if key[:2] == (namespace, pod)}
