"""Where a namespace's pods are, to bring them back there after a node was away.

A node that comes back is empty: its pods were replaced on the others, and nothing moves them back. A learner who did
nothing would find their replicas on one node, and be graded worse the second time. So what is in excess elsewhere is
deleted, for its controller and the scheduler to place it anew: they prefer the empty node, as they did the first time.
Pods that nobody controls are made again where they were. It refuses to bind pods to nodes by itself, or to keep the
scheduler from a node: where the learner's own rules lead elsewhere, pods go there.
"""

from __future__ import annotations

import collections
import contextlib
import functools

from grader import limits
from grader.bare_pods import BarePods, delete
from grader.cluster import Cluster
from grader.errors import CheckFailed, Refused
from grader.objects import Pod
from grader.waiting import poll

ROUNDS = 3
SETTLE_SECONDS = 40.0
STAYING = ("DaemonSet", "Node")
"""Controllers whose pods are bound to their nodes."""


class Placement:
    """The pods of the cluster's namespace as they are when this is made."""

    def __init__(self, cluster: Cluster, bare_pods: BarePods) -> None:
        self._cluster, self._bare_pods = cluster, bare_pods
        self._before = cluster.pods()

    def restore(self) -> None:
        """Have as many of each controller's pods on each node as there were, as far as the scheduler agrees."""
        there = {pod.uid for pod in self._cluster.pods()}
        lost = [pod for pod in self._before if not pod.controller[0] and pod.uid not in there]
        self._bare_pods.make_again(lost, in_place=True)
        for _ in range(ROUNDS):
            surplus = self._surplus()
            if not surplus:
                return
            for pod in surplus:
                with contextlib.suppress(Refused):
                    delete(self._cluster.connection, pod, grace=_grace(pod))
            gone = {pod.uid for pod in surplus}
            seconds = SETTLE_SECONDS + max(map(_grace, surplus))
            with contextlib.suppress(CheckFailed):
                poll(functools.partial(self._settled, gone), seconds, every=0.3)

    def _surplus(self) -> list[Pod]:
        """Pods that are more on their node than there were, where others are fewer; of no controller more than that."""
        before, now = _counted(self._before), _counted(self._cluster.pods())
        surplus: list[Pod] = []
        for owner, on in before.items():
            missing = sum(max(len(pods) - len(now[owner][node]), 0) for node, pods in on.items())
            extra = [pod for node, pods in now[owner].items() for pod in pods[len(on[node]) :]]
            surplus += extra[:missing]
        return surplus

    def _settled(self, gone: set[str]) -> bool:
        pods = self._cluster.pods(terminating=True)
        mine = [pod for pod in pods if pod.controller[0] not in ("", *STAYING) and not pod.over]
        return all(pod.uid not in gone and pod.ready for pod in mine)


def _grace(pod: Pod) -> int:
    """Its own, cut short where it is longer than an attempt has time for."""
    return min(pod.grace, int(limits.GRACE_SECONDS))


def _counted(pods: list[Pod]) -> dict[str, dict[str, list[Pod]]]:
    """The pods of each controller by node."""
    found: dict[str, dict[str, list[Pod]]] = collections.defaultdict(lambda: collections.defaultdict(list))
    for pod in pods:
        kind, name = pod.controller
        if pod.node and kind not in ("", *STAYING):
            found[f"{kind}/{name}"][pod.node].append(pod)
    return found
