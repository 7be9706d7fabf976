"""The clusters of a host: made, brought back after a restart, reset, broken on purpose, removed.

What a cluster is (topology, tokens, labels) is a row in the journal before it is anything else, so that a host that was
killed finds every cluster again. Every call may be made twice.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simkube.apimachinery.errors import HostError
from simkube.apiserver.authentication.authentication import Authenticator
from simkube.apiserver.http.encoding import Encodings
from simkube.apiserver.http.handler import Frontend
from simkube.apiserver.http.responses import HOST_BYTES, Responses
from simkube.apiserver.streams.limits import Budget
from simkube.clock.pace import Beginning, PacedClock, begin
from simkube.cluster.cluster import Cluster
from simkube.etcd.journal import Journal
from simkube.etcd.store import Store
from simkube.eventloop.fairness import Shares
from simkube.host.home import check_id
from simkube.host.in_cluster_api import InClusterAPI
from simkube.host.signer import Signer

log = logging.getLogger(__name__)

MOST_CLUSTERS = 1000
MOST_BACKUPS = 3
_BREATH = 0.01
"""At least so many seconds for whoever asks for something after each cluster that is brought back."""
_MASTERS = ("system:masters",)
ADMIN = {"admin": "kubernetes-admin"}
"""Who may use a cluster when nobody else is named."""


class UnknownCluster(HostError):
    """There is no cluster of that id here."""


class Tenant:
    """One cluster while it runs: the cluster itself and its face to HTTP."""

    def __init__(self, meta: dict[str, Any], cluster: Cluster, frontend: Frontend) -> None:
        self.meta = meta
        self.cluster = cluster
        self.frontend = frontend
        self.in_cluster_api: InClusterAPI | None = None
        self.run = secrets.token_hex(8)
        """Another one whenever the cluster was brought back: by another process, or from its snapshot."""
        self.waiting = 0
        """Requests that wait for news of the trace."""
        self.pinned_because = ""

    def fault(self, fault: str, target: str) -> None:
        """Break something on purpose; HostError names what there is when the fault or target is unknown."""
        cluster = self.cluster
        faults: dict[str, Callable[[str], None]] = {
            "stop-node": cluster.stop_node,
            "pause-node": cluster.pause_node,
            "cut-node": cluster.faults.cut_node,
            "fill-node": cluster.faults.fill_node,
            "slow-node": cluster.faults.slow_node,
            "start-node": cluster.start_node,
            "stop-component": cluster.stop_component,
            "start-component": cluster.start_component,
            "stop-controller": cluster.faults.stop_controller,
            "start-controller": cluster.faults.start_controller,
            "slow-path": lambda where: cluster.faults.slow_path(*_impaired(where, "ms", 1000)),
            "lossy-path": lambda where: cluster.faults.lossy_path(*_impaired(where, "%", 100)),
            "mend-path": lambda where: cluster.faults.mend_path(*_path(where)),
            "backup-etcd": self._backup,
            "restore-etcd": self._restore_backup,
            "kill-container": lambda where: cluster.kill_container(*_container(where)),
            "freeze-container": lambda where: cluster.faults.freeze_container(*_container(where)),
            "thaw-container": lambda where: cluster.faults.freeze_container(*_container(where), frozen=False),
        }
        if fault not in faults:
            raise HostError(f"there is no fault {fault!r}; there are: {', '.join(faults)}")
        faults[fault](target)
        if cluster.trouble is not None:
            self.frontend.close()  # a stopped API server takes its watches with it

    def _backup(self, name: str) -> None:
        kept = self.cluster.store.backups()
        if not re.fullmatch(r"[a-z0-9][-a-z0-9]{0,39}", name):
            raise HostError(f"a backup has a name of at most 40 lower-case letters, digits and dashes, not {name!r}")
        if name not in kept and len(kept) >= MOST_BACKUPS:
            raise HostError(f"{MOST_BACKUPS} backups of this cluster are kept, which is all there may be")
        self.cluster.store.backup(name)

    def _restore_backup(self, name: str) -> None:
        """Clients are cut off, as by an API server that is started anew on other data."""
        store = self.cluster.store
        if not store.restore_backup(name):
            raise HostError(f"there is no backup {name[:40]!r}; there are: {', '.join(store.backups()) or 'none'}")
        self.frontend.close()

    def owns(self, token: str) -> bool:
        """Whether a token is one of those this cluster was made with."""
        given = token.encode()
        return any(hmac.compare_digest(given, each.encode()) for each in self.meta["tokens"].values())

    def pin(self, seconds: float, why: str) -> None:
        """Have the clock run as the wall clock does, and nobody change it or stop a component, for at most so long.

        ``why`` begins the sentence that whoever tries is told.
        """
        self.pinned_because = why
        clock = self.cluster.clock
        assert isinstance(clock, PacedClock)  # every cluster of a host has one
        self.cluster.set_clock(clock.unpin if seconds <= 0 else lambda: clock.pin(seconds))


class Tenants:
    """All clusters of one process. ``address`` is ``host:port`` as clients see it, ``ca`` its certificate as PEM.

    ``journals`` are where they are kept, new ones in the first.
    ``signer`` issues client certificates; None where there is no authority for them. ``answer_bytes`` are what
    the large answers of all clusters may keep until they are read.
    """

    def __init__(
        self,
        journals: Journal | Sequence[Journal],
        encodings: Encodings,
        *,
        address: str,
        ca: str,
        signer: Signer | None = None,
        answer_bytes: int = HOST_BYTES,
    ) -> None:
        self._signer = signer
        self._journals = (journals,) if isinstance(journals, Journal) else tuple(journals)
        self._encodings = encodings
        self._kept = Budget(answer_bytes)
        self._address = address
        self._ca = ca
        self._meta: dict[str, dict[str, Any]] = {}
        self._kept_in: dict[str, Journal] = {}
        for journal in self._journals:
            found = journal.clusters()
            self._meta |= found
            self._kept_in |= dict.fromkeys(found, journal)
        self._running: dict[str, Tenant] = {}
        self._shares = Shares()
        self.closed = asyncio.Event()
        """Set when a cluster has been closed; whoever tidies up behind it clears it."""
        self.removed = asyncio.Event()
        """The same when one has been removed for good."""

    def ids(self) -> list[str]:
        """Every cluster there is."""
        return list(self._meta)

    def tokens(self, cluster_id: str) -> list[str]:
        """The tokens of a cluster's users."""
        return list(self._meta[cluster_id]["tokens"].values())

    def anybody(self) -> bool:
        """Whether any cluster is asked for something these days."""
        return self._shares.anybody()

    def grow_while(self, scarce: Callable[[], str]) -> None:
        """Refuse what would take more memory while that says why, with that sentence."""
        self._shares.scarce = scarce

    async def resume(self) -> None:
        """Bring back every cluster that is not running yet; whoever asks for one meanwhile gets it first.

        As fast as can be while nobody asks, else for half of the time.
        """
        for cluster in list(self._meta):
            began = time.perf_counter()
            try:
                self.get(cluster)
            except UnknownCluster:
                continue  # deleted meanwhile
            except Exception:
                # One cluster that cannot be brought back must not keep the others away.
                log.exception("cluster %s cannot be brought back", cluster)
            took = time.perf_counter() - began
            await asyncio.sleep(max(_BREATH, took) if self._shares.anybody() else 0)

    def get(self, cluster_id: str) -> Tenant:
        """A cluster, running; :class:`UnknownCluster`."""
        tenant = self._running.get(cluster_id)
        if tenant is None:
            meta = self._meta.get(cluster_id)
            if meta is None:
                raise UnknownCluster(f"there is no cluster {cluster_id!r} here")
            tenant = self._run(cluster_id, meta, Store(self._kept_in[cluster_id], cluster_id))
        return tenant

    def of_token(self, token: str) -> str | None:
        """The cluster that a token belongs to, or None."""
        for cluster_id, meta in self._meta.items():
            if token and token in meta["tokens"].values():
                return cluster_id
        return None

    def create(
        self,
        cluster_id: str,
        topology: Mapping[str, Any],
        labels: Mapping[str, str],
        *,
        users: Mapping[str, str] = ADMIN,
        stand_ins: bool = False,
        clock: Beginning | None = None,
        owner: str = "",
    ) -> Tenant:
        """A cluster of that id; the one there is, when there is one.

        ``users``: who gets a token of their own (by the name they are asked for with) and as which administrator of the
        cluster; ``stand_ins``: whether images that are not simulated run as stand-ins; ``clock``: how its clock begins,
        as the wall clock does when it is None; ``owner``: whose it is.
        """
        check_id(cluster_id)
        if cluster_id in self._meta:
            return self.get(cluster_id)
        why_not = self._shares.scarce()
        if why_not:
            raise HostError(why_not)
        if len(self._meta) >= MOST_CLUSTERS:
            raise HostError(f"this host holds {MOST_CLUSTERS} clusters, which is all it may; delete some first")
        tokens = {who: secrets.token_urlsafe(32) for who in users}
        meta: dict[str, Any] = {"topology": dict(topology), "labels": dict(labels), "tokens": tokens}
        meta |= {"users": dict(users), "stand_ins": stand_ins, "owner": owner}
        journal = self._journals[0]
        journal.delete_cluster(cluster_id)
        store = Store(journal, cluster_id)
        if clock is not None:
            begin(store.side, clock)
        tenant = self._run(cluster_id, meta, store)
        try:
            journal.put_cluster(cluster_id, meta)
        except HostError:
            self._end(cluster_id)
            raise
        self._meta[cluster_id], self._kept_in[cluster_id] = meta, journal
        return tenant

    def _run(self, cluster_id: str, meta: dict[str, Any], store: Store) -> Tenant:
        cluster = Cluster(
            cluster_id,
            store,
            PacedClock(store.side),
            meta["topology"],
            ca=self._ca,
            signer=self._signer,
            stand_ins=bool(meta.get("stand_ins")),
        )
        tenant = self._tenant(meta, cluster)
        cluster.start()
        tenant.in_cluster_api = InClusterAPI(cluster, f"https://{self._address}/clusters/{cluster_id}", self._ca)
        tenant.in_cluster_api.open()
        self._begin(cluster_id, tenant)
        return tenant

    def adopt(self, cluster_id: str, tenant: Tenant, meta: dict[str, Any]) -> Tenant:
        """Take over a cluster that runs, under that id and for the users in ``meta``.

        It is of another process, of which this one is a copy; nothing of what served it there is used any more.
        """
        taken = self._tenant(meta, tenant.cluster)
        taken.run, taken.in_cluster_api = tenant.run, tenant.in_cluster_api
        if taken.in_cluster_api is not None:
            taken.in_cluster_api.move(f"https://{self._address}/clusters/{cluster_id}")
        self._meta[cluster_id] = meta
        self._begin(cluster_id, taken)
        return taken

    def _tenant(self, meta: dict[str, Any], cluster: Cluster) -> Tenant:
        named = meta.get("users", {})
        users = {token: (named.get(who, who), _MASTERS) for who, token in meta["tokens"].items()}
        cluster.apiserver.credentials.known = users
        responses = Responses(self._encodings.open(), self._kept)
        share = self._shares.open()
        return Tenant(
            meta, cluster, Frontend(cluster.apiserver, cluster, Authenticator(), responses, self._address, share)
        )

    def _begin(self, cluster_id: str, tenant: Tenant) -> None:
        tenant.cluster.run_live(asyncio.get_running_loop(), tenant.frontend.share)
        self._running[cluster_id] = tenant

    def _end(self, cluster_id: str) -> None:
        tenant = self._running.pop(cluster_id, None)
        if tenant is not None:
            tenant.frontend.close()
            if tenant.in_cluster_api is not None:
                tenant.in_cluster_api.close()
            tenant.cluster.stop()
            tenant.frontend.share.close()
            self.closed.set()

    def delete(self, cluster_id: str) -> None:
        """Remove a cluster and everything in it; a no-op when there is none."""
        self._end(cluster_id)
        self._kept_in.get(cluster_id, self._journals[0]).delete_cluster(cluster_id)
        self._meta.pop(cluster_id, None)
        self.removed.set()
        self._kept_in.pop(cluster_id, None)

    def snapshot(self, cluster_id: str) -> None:
        """Keep the present state, for :meth:`restore`."""
        self.get(cluster_id).cluster.snapshot()

    def restore(self, cluster_id: str) -> None:
        """Back to the snapshot, all or nothing; credentials stay. HostError when none was kept."""
        tenant = self.get(cluster_id)
        clock, store = tenant.cluster.clock, tenant.cluster.store
        if isinstance(clock, PacedClock) and clock.in_virtual_time:
            raise HostError("a copy of a cluster does not go back to a snapshot; make another copy before")
        self._end(cluster_id)
        try:
            kept = store.restore()
        finally:
            self._run(cluster_id, tenant.meta, store)
        if not kept:
            raise HostError(f"cluster {cluster_id!r} has no snapshot; make one first")

    def fault(self, cluster_id: str, fault: str, target: str) -> None:
        """Break something on purpose; HostError names what there is when the fault or target is unknown."""
        self.get(cluster_id).fault(fault, target)

    def heal(self, cluster_id: str) -> None:
        """Undo every fault that is in force."""
        self.get(cluster_id).cluster.heal()

    def stop(self) -> None:
        """Stop every cluster in good order; nothing is removed."""
        for cluster_id in list(self._running):
            self._end(cluster_id)

    def compact(self) -> None:
        """Forget the history of watches in every cluster, as etcd's compaction does."""
        for tenant in self._running.values():
            tenant.cluster.store.compact()


def _container(target: str) -> tuple[str, str, str]:
    parts = target.split("/")
    if len(parts) != 3:
        raise HostError(f"a container is named NAMESPACE/POD/CONTAINER, not {target!r}")
    return parts[0], parts[1], parts[2]


def _path(target: str) -> tuple[str, str]:
    parts = target.split()
    if len(parts) != 2:
        raise HostError(f"a path is named NAMESPACE/POD NAMESPACE/POD, client and server, not {target[:200]!r}")
    return parts[0], parts[1]


def _impaired(target: str, unit: str, whole: int) -> tuple[str, str, float]:
    """A path and how much it is impaired, as a part of ``whole``: ``default/a default/b 200ms``."""
    way, _, amount = target.rpartition(" ")
    number = amount.removesuffix(unit)
    if number == amount or not number.isascii() or not number.isdecimal() or len(number) > 6:
        raise HostError(f"a path is followed by a whole number of {unit}, not {amount[:40]!r}")
    return *_path(way), int(number) / whole
