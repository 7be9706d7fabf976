"""Which worker a cluster is in: the one whose store it is kept in; a new one's owner says where it goes.

A store is a file, and a file has a number; a worker serves the files whose number it is, counted round by the number of
workers. So placement is kept wherever a cluster is, and survives any restart, also with more or fewer workers. All
clusters that an owner makes go to one worker, which a hash of the owner's name chooses: whoever asks twice is sent to
the same place, and nobody has to remember anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from simkube.etcd.journal import Journal
from simkube.host.home import Home


class Placement:
    """What control knows of clusters: where each is, and whose tokens are whose."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._where: dict[str, int] = {}
        self._tokens: dict[str, tuple[str, ...]] = {}
        self._of_token: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._where)

    def ids(self) -> list[str]:
        """Every cluster."""
        return list(self._where)

    def of(self, cluster: str) -> int | None:
        """The number of a cluster's worker; None when there is none."""
        return self._where.get(cluster)

    def of_token(self, token: str) -> int | None:
        """The number of the worker of the cluster that a token is for."""
        return self._where.get(self._of_token.get(token, ""))

    def count(self, worker: int) -> int:
        """How many clusters a worker has."""
        return sum(where == worker for where in self._where.values())

    def chosen(self, owner: str) -> int:
        """The number of the worker for a new cluster of an owner."""
        return int.from_bytes(hashlib.sha256(owner.encode("utf-8", "replace")).digest()[:8]) % self._workers

    def put(self, cluster: str, worker: int, tokens: Iterable[str]) -> None:
        """There is a cluster."""
        self.drop(cluster)
        self._where[cluster] = worker
        self._tokens[cluster] = tuple(tokens)
        self._of_token |= dict.fromkeys(self._tokens[cluster], cluster)

    def drop(self, cluster: str) -> None:
        """There is none any more; a no-op when there was none."""
        self._where.pop(cluster, None)
        for token in self._tokens.pop(cluster, ()):
            self._of_token.pop(token, None)

    def replace(self, worker: int, found: Mapping[str, Iterable[str]]) -> None:
        """A worker has these clusters, and no others."""
        for cluster in [each for each, where in self._where.items() if where == worker and each not in found]:
            self.drop(cluster)
        for cluster, tokens in found.items():
            self.put(cluster, worker, tokens)


def stores(home: Home, workers: int) -> list[list[Path]]:
    """The files that each worker serves; new clusters go to the first of them."""
    found = [[home.shard(number)] for number in range(workers)]
    for path in home.shards():
        number = home.number(path)
        if number >= workers:
            found[number % workers].append(path)
    return found


def known(files: list[list[Path]]) -> list[dict[str, list[str]]]:
    """The clusters in each worker's stores with their tokens, which also makes stores that are missing."""
    return [
        {cluster: list(meta.get("tokens", {}).values()) for path in paths for cluster, meta in _read(path)}
        for paths in files
    ]


def _read(path: Path) -> list[tuple[str, dict[str, Any]]]:
    journal = Journal(path)
    try:
        return list(journal.clusters().items())
    finally:
        journal.close()
