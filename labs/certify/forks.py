"""Where changes are tried: forks of an empty cluster, in virtual time, graded on forks of their own.

Clusters that it makes are noted in a folder while they exist, so that what a killed run left is removed by the next
(:func:`labs.replay.sweep`).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from grader.protocol import CheckResult, GradeRequest, Outcome, Verdict
from labs.certify.changes import Objects
from labs.certify.facts import Pod, World
from labs.certify.objects import Obj, everything, made
from labs.certify.run import Graded, Refused
from labs.certify.unknown import Unknown
from labs.clusters.dynamic_client import APIError, DynamicClient, Key, Resource, key_of
from labs.clusters.provider import ClusterError, Forkable, Handle, Provider
from labs.clusters.registry import Providers
from labs.definition import Lab, State
from labs.errors import NotPossible
from labs.forks import HandIn, kept
from labs.grading import ProcessGrader, request_for
from labs.replay import NotedCluster, carry_out, sweep
from labs.session.grader import Grader
from labs.settings import Settings

log = logging.getLogger(__name__)

PROVIDER = "simulated"
SETTLE_SECONDS = 30.0
"""Cluster time in which what was made comes to rest, or shows that it does not."""
PATIENT_SECONDS = 120.0
"""For how long pods whose probes take their time may go on getting ready, beyond that."""
STEP_SECONDS = 5.0
"""Of cluster time that one request lets pass: it is answered soon, also on a busy machine."""
FORK_SECONDS = 300.0
"""Wall time that one change may take."""


class ForkBench:
    """See :class:`labs.certify.run.Bench`. Use it in a ``with`` statement of :meth:`open`."""

    def __init__(
        self, lab: Lab, provider: Provider, cluster: Callable[[], NotedCluster], kubectl: str, grader: Grader
    ) -> None:
        """``cluster``: one for this lab, of its own name, that is not made yet. :class:`NotPossible`."""
        if not isinstance(provider, Forkable):
            raise NotPossible(f"clusters of {provider.name} cannot be forked")
        self._lab, self._provider, self._cluster = lab, provider, cluster
        self._kubectl, self._grader, self._fork = kubectl, grader, provider.fork
        self._base: Handle = {}
        self._resources: dict[tuple[str, str], Resource] = {}
        self._before: list[Key] = []

    @contextmanager
    def opened(self) -> Iterator[None]:
        """With its empty cluster, which is removed afterwards."""
        cluster = self._cluster()
        with cluster.kept():
            self._base = cluster.empty(self._lab)
            with self._client(self._base) as client:
                self._resources = {(one.api_version, one.kind): one for one in client.resources()}
                self._before = [key_of(one) for one in self._everything(client)]
            yield

    def made_by(self, state: State, values: Mapping[str, Any]) -> Objects:
        """See :class:`labs.certify.run.Bench`; the state is carried out with the real kubectl."""
        cluster = self._cluster()
        with cluster.kept():
            handle = cluster.starter(self._lab)(values)
            carry_out(self._lab, state, values, self._provider.credentials(handle, "learner"), self._kubectl)
            with self._client(handle) as client:
                return made(self._everything(client), self._before)

    def grade(self, manifests: Objects, values: Mapping[str, Any]) -> Graded:
        """See :class:`labs.certify.run.Bench`."""
        try:
            return self._graded(manifests, values)
        except ClusterError as error:  # nothing was learnt of the change: its host was started again, say
            log.warning("a change is tried again: %s", error)
            return self._graded(manifests, values)

    def _graded(self, manifests: Objects, values: Mapping[str, Any]) -> Graded:
        fork = self._fork(self._base, FORK_SECONDS)
        with kept(self._provider, fork):
            with self._client(fork) as client:
                for one in manifests:
                    self._make(client, one)
                objects = self._settled(client)
            hand_in = HandIn(self._provider, fork, FORK_SECONDS)
            verdict = uninterrupted(
                hand_in, lambda: hand_in.grade(self._grader, self._request(values), lambda _: None, lambda: False)
            )
        return Graded(objects, {one.name: (str(one.outcome), said(one)) for one in verdict.checks})

    def _settled(self, client: DynamicClient) -> list[Obj]:
        """What there is when it has come to rest."""
        let_pass(client, SETTLE_SECONDS)
        objects = self._everything(client)
        if left := still_to_come(objects, self._lab.namespace):
            let_pass(client, left)
            objects = self._everything(client)
        return objects

    def _request(self, values: Mapping[str, Any]) -> GradeRequest:
        attempt = f"certify-{secrets.token_hex(5)}"
        return request_for(self._lab, values, self._provider.name, seconds=FORK_SECONDS, attempt=attempt)

    def _client(self, handle: Handle) -> DynamicClient:
        return DynamicClient(self._provider.credentials(handle, "grader"))

    def _everything(self, client: DynamicClient) -> list[Obj]:
        return everything(client, self._resources.values(), self._lab.namespace)

    def _make(self, client: DynamicClient, one: Obj) -> None:
        resource = self._resources.get((one.get("apiVersion", ""), one.get("kind", "")))
        if resource is None:
            raise Refused(f"there is no kind {one.get('apiVersion')}/{one.get('kind')}")
        where = self._lab.namespace if resource.namespaced else ""
        body = {**one, "metadata": {**one["metadata"], **({"namespace": where} if where else {})}}
        try:
            client.request("POST", resource.path(where), body)
        except APIError as error:
            if 400 <= error.status < 500 or error.status == 501:
                raise Refused(str(error)) from error
            raise ClusterError(f"{one['kind']} {one['metadata']['name']}: {error}") from error


def let_pass(client: DynamicClient, seconds: float) -> None:
    """Have so much time pass in a cluster."""
    while seconds > 0:
        client.request("POST", "/simkube/sleep", {"seconds": min(seconds, STEP_SECONDS)})
        seconds -= STEP_SECONDS


def still_to_come(objects: Iterable[Obj], namespace: str) -> float:
    """Seconds for which it is worth waiting until pods are ready that are not, and were never restarted: as long as
    their start-up work takes, and their probes to succeed; 0.0 when nothing will come of it."""
    waiting = [pod for pod in World(objects, namespace).pods if not pod.ready and not pod.restarts]
    slowest = [_starts(pod) + sum(gate.passes for gate in pod.gates) for pod in waiting]
    worth = [one for one in slowest if SETTLE_SECONDS / 2 < one <= PATIENT_SECONDS]
    return max(worth, default=0.0)


def _starts(pod: Pod) -> float:
    """Seconds that its start-up work takes, where that is known."""
    known = [one.startup_seconds for one in pod.containers]
    return max((one for one in known if not isinstance(one, Unknown)), default=0.0)


def uninterrupted(hand_in: HandIn, grade: Callable[[], Verdict]) -> Verdict:
    """What was interrupted on this machine is graded once more, as a learner's attempt is: nothing was learnt."""
    verdict = grade()
    if verdict.killed and hand_in.there():
        log.warning("grading was interrupted and begins again: %s", verdict.cause)
        verdict = grade()
    return verdict


def said(result: CheckResult) -> str:
    """What a check said; of one that could not be decided why, which is its instructor's to know."""
    return f"{result.message} {result.cause}".strip() if result.outcome is Outcome.UNGRADABLE else result.message


@contextmanager
def bench_for(lab: Lab, settings: Settings) -> Iterator[ForkBench]:
    """A bench on the simulated provider of an installation."""
    providers = Providers(settings)
    providers.fit(PROVIDER, lab.needs, lab.name)
    provider, notes = providers.get(PROVIDER), settings.home / "replays"
    sweep(notes, providers.get)
    with closing(ProcessGrader()) as grader:
        bench = ForkBench(lab, provider, lambda: NotedCluster(provider, lab.topology, notes), settings.kubectl, grader)
        with bench.opened():
            yield bench
