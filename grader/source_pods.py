"""Pods of the grader's that stand for somebody else: with given labels, in a given namespace, as a given account.

Each is looked after as the probe pod is (:mod:`grader.tampering`). It must be like any pod of that description, and yet
be nobody's: it is never ready, so that no Service sends it clients; it has a controller, so that no ReplicaSet adopts
it; and that controller is the grader's own namespace, with which it goes, whatever becomes of the grader. It runs
beside the probe on the control plane's node, from where it can be asked under any network policy.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from grader import limits
from grader.clock import ClusterClock
from grader.errors import GraderError, Missing, Ungradable
from grader.evidence import Evidence
from grader.matrix import Matrix, Source, Target, reaches
from grader.probe_pod import ROLE, ProbePod, make_sure, manifest
from grader.tampering import Watch

NEVER = "kindling.dev/never-a-backend"
RESOLVER = {"ndots": "1", "timeout": "1", "attempts": "2"}
SOURCES, AT_ONCE = 20, 8


class SourcePod(ProbePod):
    """One of them."""

    def __init__(self, beside: ProbePod, source: Source, owner: dict[str, Any]) -> None:
        super().__init__(beside.connection, beside.graded, beside.attempt, beside.image, beside.seconds, beside.clock)
        self.source, self.node, self._owner = source, beside.node, owner
        self._own = source.namespace_labels is not None
        self.namespace = self.namespace if self._own else source.namespace or beside.graded
        self.name = "source-" + uuid.uuid4().hex[:10]

    def close(self) -> None:
        """Remove it, without waiting until it is gone."""
        self._closing.set()
        if self._thread is None:
            return
        self._thread.join(5)
        path = f"/api/v1/namespaces/{self.namespace}"
        with contextlib.suppress(Missing):
            self.connection.delete(f"{path}/pods/{self.name}", gracePeriodSeconds=0)
        if self._own:
            with contextlib.suppress(Missing):
                self.connection.delete(path, propagationPolicy="Background")

    def _make(self) -> None:
        try:
            self._wait(self._create())
        except GraderError as error:
            self._trouble = error

    def _create(self) -> Watch:
        path = f"/api/v1/namespaces/{self.namespace}"
        if self._own:
            labels = dict(self.source.namespace_labels or {})
            metadata = {"name": self.namespace, "labels": labels, "ownerReferences": [self._owner]}
            make_sure(self.connection, "/api/v1/namespaces", {"metadata": metadata})
            account = {"metadata": {"name": self.source.account}, "automountServiceAccountToken": False}
            make_sure(self.connection, f"{path}/serviceaccounts", account)
        asked = self._manifest()
        self._uid = str(make_sure(self.connection, f"{path}/pods", asked)["metadata"].get("uid") or "")
        return Watch(self.connection, self.namespace, asked, self._uid, name=self.name, guest=True)

    def _manifest(self) -> dict[str, Any]:
        asked = manifest(self.source.labels, self.image, self.node, int(self.seconds) + 120)
        asked["metadata"] |= {
            "name": self.name,
            "annotations": {ROLE: "source"},
            "ownerReferences": [self._owner],
        }
        options = [{"name": name, "value": value} for name, value in RESOLVER.items()]
        asked["spec"] |= {
            "serviceAccountName": self.source.account,
            "readinessGates": [{"conditionType": NEVER}],
            "dnsConfig": {"options": options},
        }
        return asked


class Sources:
    """Pods that are there until the block ends."""

    def __init__(self, pods: Sequence[SourcePod], evidence: Evidence) -> None:
        self._pods, self._evidence = pods, evidence

    def matrix(self, targets: Sequence[Target], *, timeout: float = 2.0) -> Matrix:
        """A connection from each to each of ``targets`` (at most 200), all at the same time. ``timeout``: seconds for a
        name and for a connection each; a packet that is lost is sent again after one."""
        told = self._each(lambda pod: _reach(pod, targets, timeout))
        pairs = [one for pod, said in zip(self._pods, told, strict=True) for one in reaches(pod.source, targets, said)]
        made = Matrix(pairs)
        self._evidence.add("matrix", **made.record())
        return made

    def _each(self, ask: Callable[[SourcePod], Any]) -> list[Any]:
        """What each says; where time stands still one after the other, so that none waits for another's time."""
        one_by_one = isinstance(self._pods[0].clock, ClusterClock)
        with ThreadPoolExecutor(1 if one_by_one else AT_ONCE) as pool:
            return list(pool.map(ask, self._pods))


def _reach(pod: SourcePod, targets: Sequence[Target], timeout: float) -> Any:
    wanted = {
        "targets": [{"host": one.host, "port": one.port, "protocol": one.protocol} for one in targets],
        "timeout_ms": timeout * 1000,
    }
    rounds = len(targets) / 64 + 1
    return pod.call("POST", "/reach", wanted, limits.SLACK_SECONDS + 2 * timeout * rounds, repeatable=True)


@contextlib.contextmanager
def source_pods(beside: ProbePod, sources: Sequence[Source], evidence: Evidence) -> Iterator[Sources]:
    """:class:`Sources`; all are removed when the block ends."""
    names = [one.name for one in sources]
    if not 0 < len(names) <= SOURCES or len(set(names)) < len(names):
        raise Ungradable(f"1 to {SOURCES} sources with names of their own, not {names}")
    beside.ready()
    pods = [SourcePod(beside, one, beside.owner()) for one in sources]
    try:
        for pod in pods:
            pod.start()
        for pod in pods:
            pod.ready()
        yield Sources(pods, evidence)
    finally:
        for pod in pods:
            pod.close()
