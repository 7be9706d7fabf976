"""The ``serving`` fixture: who answers, told by what nobody can say in another's stead.

The words of an answer prove nothing: any program can print them, and a host name is whatever a pod's spec says. What
is looked at instead, and what each proves:

- A pod is asked at the *address* that the API server has for its UID: whatever answers is in that pod.
- The *image* that the kubelet reports for a container (``status.containerStatuses[].image`` and ``imageID``) is what
  it runs, whatever its spec says by now; of the image that the probe itself runs, the id must be the probe's.
- A container's *log* is written by its kubelet. When it has the request, with a number that nobody could know before,
  from the probe's own address, then this container was at the other end of the probe's connection: nothing stood in
  front of it (a proxy has an address of its own), and nobody answered in its place. On another node than the probe's
  it may be the address of the probe's node: some pod networks hide pods behind their nodes.
- ``/info`` of a container found so says its settings (message, start-up work), wherever it has them from.

What it does not prove: that the container's command is the image's own. A program of the learner's inside the asked
image that answers and logs as the real one does, word for word, is taken for it; so is anything done by somebody who
is root on a node, where images and logs are kept.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import TypeVar

from grader.answers import Answers
from grader.checks import fail
from grader.cluster import Cluster
from grader.errors import CheckFailed
from grader.evidence import Evidence
from grader.objects import Container, Pod, image_name
from grader.probe import Probe
from grader.text import quoted
from grader.waiting import poll

T = TypeVar("T")
LOG_SECONDS = 3.0
"""Until a line that was written is in the log: the kubelet reads what the runtime has copied."""
OTHER_LINES = 300
"""Of a log, beside those that are looked for: probes and other clients ask as well."""
LOOK = "kubectl describe pod {0} (image, command, ports); kubectl logs {0} --all-containers"


@dataclass(frozen=True)
class Application:
    """``kindling/web`` in a container of a pod, as it says it is set. ``startup_seconds``: its start-up work."""

    pod: Pod
    container: str
    message: str
    version: str
    hostname: str
    startup_seconds: float

    @property
    def greeting(self) -> str:
        """What it answers at ``/``."""
        return f"{self.message} from {self.hostname}, version {self.version}\n"


@dataclass(frozen=True)
class Received:
    """Requests to one address, and who got them. ``by``: pod name -> how many it was seen to receive."""

    answers: Answers
    by: dict[str, int]

    @property
    def silent(self) -> list[str]:
        """The pods that received none."""
        return sorted(name for name, count in self.by.items() if not count)

    @property
    def elsewhere(self) -> int:
        """How many were answered by somebody else."""
        return max(len(self.answers.ok) - sum(self.by.values()), 0)

    def __str__(self) -> str:
        """For a message: ``2 of 3 pods answered; silent: pod-c; 20 of 75 requests were answered by something else``."""
        said = f"{len(self.by) - len(self.silent)} of {len(self.by)} pods answered"
        said += f"; silent: {', '.join(self.silent)}" if self.silent else ""
        if self.elsewhere:
            example = next(iter(self.answers.ok))
            said += f"; {self.elsewhere} of {len(self.answers)} requests were answered by something else"
            said += f", for example {quoted(example.body)}"
        return said + (f"; {self.answers}" if self.answers.failed else "")


class Serving:
    """Finds out who serves. What is wrong fails the check; meant to be called within ``poll``."""

    def __init__(self, cluster: Cluster, probe: Probe, evidence: Evidence) -> None:
        self._cluster, self._probe, self._evidence = cluster, probe, evidence

    def runs(self, container: Container, image: str) -> bool:
        """Whether a container runs that image, as its kubelet reports."""
        if image_name(container.reported or container.image) != image_name(image):
            return False
        ours = self._probe.image_id if image_name(self._probe.image) == image_name(image) else ""
        return not ours or not container.image_id or _digest(ours) == _digest(container.image_id)

    def application(self, pod: Pod, image: str, port: int = 8080) -> Application:
        """The container of a pod that runs ``image``, a version of ``kindling/web``, and itself answers on ``port``."""
        candidates = self._candidates(pod, image)
        nonce = secrets.token_hex(8)
        answer = self._probe.get(f"http://{pod.ip}:{port}/info?{nonce}", characters=2000)
        if not answer.ok:
            fail(
                expected=f"an answer of {image} on port {port} of pod {pod.name}",
                observed=str(answer),
                look=LOOK.format(pod.name),
            )
        lines = self._lines(pod, f"/info?{nonce}", {200})
        found = _awaited(lambda: next((one for one in candidates if self._count(pod, one, lines, 1)), None))
        info = answer.json()
        if found is None or not isinstance(info.get("startup_seconds"), int | float):
            names = ", ".join(one.name for one in candidates)
            fail(
                expected=f"{image} itself to answer on port {port} of pod {pod.name}",
                observed=f"something else does, or stands in front of it: the log of container {names} has no request "
                f"from the grader's probe; {answer}",
                look=LOOK.format(pod.name),
            )
        message, version, hostname = (str(info.get(key, "")) for key in ("message", "version", "hostname"))
        self._evidence.add(
            "serves", pod=pod.name, uid=pod.uid, container=found.name, image_id=found.image_id, info=info
        )
        return Application(pod, found.name, message, version, hostname, float(info["startup_seconds"]))

    def received(self, url: str, pods: Sequence[Pod], image: str, n: int) -> Received:
        """``n`` requests to ``url``, and how many of them each of these pods received in a container of ``image``."""
        nonce = secrets.token_hex(8)
        answers = self._probe.requests(f"{url}?{nonce}", n)
        path = "/" + url.partition("://")[2].partition("/")[2]
        statuses = {one.status for one in answers.ok}
        lines = {pod.name: self._lines(pod, f"{path}?{nonce}", statuses) for pod in pods}
        candidates = {pod.name: (pod, self._candidates(pod, image)) for pod in pods}

        def counted() -> Received:
            by = {
                name: sum(self._count(pod, one, lines[name], n) for one in containers)
                for name, (pod, containers) in candidates.items()
            }
            return Received(answers, by)

        found = _awaited(counted, lambda made: not made.elsewhere)
        self._evidence.add("received", url=url, requests=n, by=found.by, elsewhere=found.elsewhere)
        return found

    def _candidates(self, pod: Pod, image: str) -> list[Container]:
        candidates = [one for one in pod.containers if one.running and self.runs(one, image)]
        if not candidates:
            others = ", ".join(quoted(one.reported or one.image) for one in pod.containers)
            fail(
                expected=f"a running container of {image} in pod {pod.name}",
                observed=f"{self._cluster.explain(pod)}; its containers are of {others}",
                look=LOOK.format(pod.name),
            )
        return candidates

    def _lines(self, pod: Pod, path: str, statuses: Set[int]) -> set[str]:
        """What the application logs of a request of the probe's that was answered with one of these."""
        sources = {self._probe.ip} if pod.node == self._probe.node else {self._probe.ip, self._probe.host_ip}
        return {f"GET {path} {status} to {source}" for status in statuses for source in sources}

    def _count(self, pod: Pod, container: Container, lines: set[str], most: int) -> int:
        log = self._cluster.logs(pod, container.name, lines=3 * most + OTHER_LINES)
        return sum(line in lines for line in log.splitlines())


def _awaited(look: Callable[[], T], enough: Callable[[T], object] = bool) -> T:
    """What ``look`` gives once it is enough, or after :data:`LOG_SECONDS`."""
    found: list[T] = []

    def looked() -> object:
        found[:] = [look()]
        return enough(found[0])

    with contextlib.suppress(CheckFailed):
        poll(looked, LOG_SECONDS)
    return found[0]


def _digest(image_id: str) -> str:
    return image_id.rpartition("sha256:")[2]
