"""Pods that are being taken away, asked at their own addresses while somebody may not have heard of it.

When a pod is told to end, those who send it requests hear of that later: the endpoints controller has to notice, then
kube-proxy on every node. Whether a request of theirs is still sent to the pod is luck, and so is whether one fails that
should not. So the pod is asked itself, as by a client that has not heard yet. It looks whenever the check waits
(:mod:`grader.sampling`).

It does not judge. A pod was told to end at some time after it was last seen untouched; what is sent later than
``seconds`` after that look does not count, so that who goes on serving for so long has answered everything. When a
request fails proves nothing: an address where nobody is any more says nothing at all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from grader.answers import Answer, Answers
from grader.cluster import Cluster
from grader.errors import ClusterUnreachable
from grader.objects import Pod
from grader.probe import Probe
from grader.sampling import SampledClock

AT_ONCE = 4
"""Requests to a pod at each look."""
TIMEOUT = 1.0


class Leaving:
    """Follows ``pods``, any of which may be taken away. ``gone``: the names of those that were seen to go."""

    due = 0.0

    def __init__(
        self,
        cluster: Cluster,
        probe: Probe,
        clock: SampledClock,
        pods: Sequence[Pod],
        seconds: float,
        port: int,
        every: float,
    ) -> None:
        self._cluster, self._probe, self._clock = cluster, probe, clock
        self._pods, self._seconds, self._port, self._every = pods, seconds, port, every
        self._until: dict[str, float] = {}
        """By uid until when a pod that goes now has to serve."""
        self._asked: list[Answer] = []
        self._asking = False
        self.gone: list[str] = []

    @property
    def answers(self) -> Answers:
        """What became of the requests that count, in the order of sending."""
        return Answers(sorted(self._asked, key=lambda one: one.t))

    def take(self, now: float) -> None:
        """See :class:`grader.sampling.Sampler`. A look that the cluster does not answer is a gap, not an error."""
        self.due = now + self._every
        with contextlib.suppress(ClusterUnreachable):
            here = {one.uid for one in self._cluster.pods()}  # neither being deleted nor over
            for pod in self._pods:
                if pod.uid in here:
                    self._until[pod.uid] = now + self._seconds
            going = [pod for pod in self._pods if pod.uid not in here]
            self.gone += [pod.name for pod in going if pod.name not in self.gone]
            asked = [pod for pod in going if now < self._until.get(pod.uid, 0.0)]
            self._asking = bool(asked)
            for pod in asked:
                self._ask(pod)

    def finish(self) -> None:
        """Go on until nobody is left who has to serve."""
        now = self._clock.now()
        self.take(now)
        while self._asking and self._clock.now() <= now + self._seconds:
            self._clock.sleep(self._every)  # in which it looks

    def _ask(self, pod: Pod) -> None:
        answers = self._probe.requests(f"http://{pod.ip}:{self._port}/", AT_ONCE, timeout=TIMEOUT, kept=False)
        counted = [one for one in answers if one.t <= self._until[pod.uid]]
        self._asked += counted
        if answers.failed:
            self._until[pod.uid] = 0.0  # it does not come back
