"""What all tests share: which providers are there, the clusters they share, and the rule about skipping.

A test that needs what a user may not have (Docker, kind, a browser) says why it skips. With CI=true nothing of the kind
may be missing: the run fails instead.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from labs import settings
from labs.clusters.provider import ClusterError, ClusterSpec, Handle, Provider
from labs.clusters.registry import Providers
from labs.definition import Lab
from labs.errors import KindlingError
from labs.grading import ProcessGrader
from simkube.apimachinery.crashes import FILE as CRASHES
from simkube.host import launcher

_CRASHES = Path(tempfile.mkdtemp(prefix="crashes-")) / "crashes"
os.environ[CRASHES] = str(_CRASHES)
THIS_RUN = secrets.token_hex(3)
"""Two runs on one machine do not take each other's clusters."""
NEED_THREE_NODES = ("[self-healing", "-self-healing", "/test_faults.py")
IMAGES = ("kindling/web:1.0", "kindling/web:2.0", "busybox:1.35")


class ByCluster(LoadScopeScheduling):
    """Hands tests to several processes; those that share a real cluster, or a browser, go to the same one."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, parameters = nodeid.partition("[")
        if "tests/e2e/" in file:
            return "browser"
        if "kind" not in re.split(r"[-\]]", parameters) or "simulated" in parameters:
            return nodeid
        return "three-node" if any(each in nodeid for each in NEED_THREE_NODES) else "single"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByCluster:
    """Use it whenever tests run in several processes."""
    return ByCluster(config, log)


def pytest_report_header() -> str:
    """Which states are tried again on a real cluster, and why these."""
    from tests import proven

    try:
        return proven.report()
    except KindlingError as error:  # of a lab's files: the tests of labs say so
        return f"proofs: {error}"


def unavailable(why: str) -> None:
    """Skip with the reason; fail where nothing may be missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"must be there in CI: {why}")
    pytest.skip(why)


def _crashes() -> list[str]:
    return _CRASHES.read_text().splitlines() if _CRASHES.exists() else []


@pytest.fixture(autouse=True)
def _no_crashes(request: pytest.FixtureRequest) -> Iterator[None]:
    """No component of any cluster, in this process or in a host's, may meet an exception that nobody foresaw.

    A test that is about such exceptions is marked with ``crashes``.
    """
    before = len(_crashes())
    yield
    met = _crashes()[before:]
    if met and request.node.get_closest_marker("crashes") is None:
        pytest.fail("components met exceptions that nobody foresaw:\n" + "\n".join(met))


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    shutil.rmtree(_CRASHES.parent, ignore_errors=True)


class Watched:
    """A progress that notes what it is told. ``planned``: the steps; ``said``: (step, done) in order."""

    def __init__(self) -> None:
        self.planned: list[str] = []
        self.said: list[tuple[str, bool]] = []

    def plan(self, steps: Sequence[str]) -> None:
        self.planned = list(steps)

    def step(self, name: str, *, done: bool) -> None:
        self.said.append((name, done))


class SharedClusters:
    """At most one cluster per provider and topology for the whole run: a real one takes most of a minute to make."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], tuple[Provider, Handle, Watched]] = {}

    def at_start(self, provider: Provider, spec: ClusterSpec) -> tuple[Handle, Watched]:
        """A cluster of the spec's topology in the spec's starting state, and the progress of its creation."""
        kind = (provider.name, spec.topology)
        if kind in self._made:
            handle, watched = self._made[kind][1:]
            return provider.reset(handle, spec, Watched()), watched
        watched = Watched()
        handle = provider.create(spec, watched)
        self._made[kind] = (provider, handle, watched)
        return handle, watched

    def delete(self) -> None:
        """Remove them all."""
        for provider, handle, _ in self._made.values():
            provider.delete(handle)


def shared_spec(topology: str = "single", setup: Sequence[Mapping[str, Any]] = ()) -> ClusterSpec:
    """What a test asks of :class:`SharedClusters`."""
    return ClusterSpec(f"kindling-tests-{THIS_RUN}-{topology}", topology, IMAGES, setup, {"lab": "tests"})


def shared_start(clusters: SharedClusters, provider: Provider, lab: Lab) -> Callable[[Mapping[str, Any]], Handle]:
    """Brings a shared cluster to the starting state of a lab, with the parameters that it is called with."""

    def start(values: Mapping[str, Any]) -> Handle:
        spec = lab.spec(shared_spec(lab.topology).name, values, {"lab": lab.name})
        return clusters.at_start(provider, spec)[0]

    return start


@pytest.fixture(scope="session")
def grader() -> Iterator[ProcessGrader]:
    """What grading processes are forked from is started once."""
    with closing(ProcessGrader()) as made:
        yield made


@pytest.fixture(scope="session")
def kindling_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One KINDLING_HOME for every test that shares clusters; its host of simulated clusters ends with the tests."""
    home = tmp_path_factory.mktemp("kindling-home")
    yield home
    launcher.shutdown(home / "simkube")


@pytest.fixture(scope="session")
def providers(kindling_home: Path) -> Providers:
    """The providers of this machine, with a home of their own."""
    return Providers(settings.load({**os.environ, "KINDLING_HOME": str(kindling_home)}))


@pytest.fixture(scope="session")
def clusters() -> Iterator[SharedClusters]:
    """The clusters that tests share."""
    shared = SharedClusters()
    yield shared
    shared.delete()


@pytest.fixture(
    scope="module", params=["simulated", pytest.param("kind", marks=pytest.mark.kind)], ids=["simulated", "kind"]
)
def provider(request: pytest.FixtureRequest, providers: Providers) -> Provider:
    """Each provider in turn; skipped, with the reason, where it cannot work."""
    return usable(providers, request.param)


def usable(providers: Providers, name: str) -> Provider:
    """The provider of that name; the test is skipped where it cannot work."""
    found = providers.get(name)
    try:
        found.capabilities()
    except ClusterError as error:
        unavailable(f"{name}: {error} {error.fix}")
    return found
