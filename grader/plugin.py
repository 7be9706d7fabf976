"""The pytest plugin: fixtures for checks, and what became of each of them.

Fixtures: ``cluster`` (grader.cluster), ``namespace``, ``params``, ``thresholds``, ``clock`` (grader.clock), ``probe``
(grader.probe), ``serving`` (grader.serving), ``watch`` (grader.watch), ``identities`` (grader.identities), ``faults``
(grader.faults), ``operate`` (grader.operate), ``collateral`` (grader.collateral), ``predict`` (grader.predict),
``evidence`` (grader.evidence). ``poll``, ``hold`` and ``fail`` are imported from ``grader``.

While grading, ``grader.worker`` registers :class:`Grading`. While authoring, plain pytest does::

    pytest -p grader.plugin labs/catalog/services/checks.py --kubeconfig FILE --values values.yaml

where ``values.yaml`` holds ``namespace``, ``parameters`` and ``thresholds``; faults below the cluster are refused
there. It refuses tests without ``@check``, two checks of one name, and parametrised checks.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from grader import changes, checks, verdict
from grader.clock import Clock, clock_of, used
from grader.cluster import Ask, Cluster
from grader.collateral import Collateral
from grader.connection import Connection
from grader.errors import ClusterUnreachable, FaultUnavailable, Ungradable
from grader.evidence import Evidence
from grader.faults import Faults
from grader.identities import Identities
from grader.mark import Changing, unmarked
from grader.operate import Operate
from grader.predict import Predict
from grader.probe import Probe
from grader.probe_pod import ProbePod
from grader.protocol import CheckResult, GradeRequest, Outcome
from grader.sampling import SampledClock
from grader.series import Watch
from grader.serving import Serving
from grader.snapshot import snapshot
from grader.verdict import Judgement

SNAPSHOT_SECONDS = 30.0
FORK_SECONDS = 86400.0
"""Of cluster time, which nobody has to wait for: longer than any lab needs on a fork."""
PUT_BACK_SECONDS, PUT_BACK_PAUSE = 15.0, 0.5
"""For how long an attempt that is over tries to put everything back in a cluster that does not answer."""
Tell = Callable[..., None]
"""Tell the session of an event: kind, and its fields as keywords."""


class Grading:
    """One attempt."""

    def __init__(self, request: GradeRequest, tell: Tell, ask: Ask, changing: Changing = unmarked) -> None:
        """``changing`` is called before something is changed that nobody else could put back."""
        self.given = request
        self._tell, self._ask, self._changing = tell, ask, changing
        self._connection = Connection(request.kubeconfig, request.patience)
        plain_clock = clock_of(self._connection, request.time)
        self._clock = SampledClock(plain_clock)
        self._cluster = Cluster(self._connection, request.namespace, ask)
        seconds = request.seconds if request.time == "wall" else FORK_SECONDS
        self._pod = ProbePod(
            self._connection, request.namespace, request.attempt, request.probe_image, seconds, plain_clock
        )
        self._looking: threading.Thread | None = None
        self._phases: list[Judgement] = []
        self._evidence = Evidence(self._clock)
        self._probe = Probe(self._pod, self._evidence, self._clock)
        self._watch = Watch(self._cluster, self._probe, self._clock, self._evidence)
        self._identities = Identities(self._connection, request.namespace, self._evidence)
        self._operate = Operate(self._cluster, self._evidence, changing)
        self._predict = Predict(request.questions, self._evidence)
        self._began = 0.0
        self._undone: list[Faults] = []
        self._unsure = self._waited = False
        """Whether what the check before this one did has still to be put back: it did not come to its own end."""
        self._thrown_away = request.part == "checks"
        """Whether the cluster is thrown away when this is over."""
        self._more = 0
        """Checks that are still to come."""

    # -- fixtures ----------------------------------------------------------------------------------------------------

    @pytest.fixture(scope="session")
    def cluster(self) -> Cluster:
        """The learner's cluster."""
        return self._cluster

    @pytest.fixture(scope="session")
    def namespace(self) -> str:
        """The namespace the lab is in."""
        return self.given.namespace

    @pytest.fixture(scope="session")
    def params(self) -> Mapping[str, Any]:
        """The learner's parameters."""
        return dict(self.given.parameters)

    @pytest.fixture(scope="session")
    def thresholds(self) -> Mapping[str, Any]:
        """The lab's thresholds."""
        return dict(self.given.thresholds)

    @pytest.fixture(scope="session")
    def clock(self) -> Clock:
        """The cluster's time."""
        return self._clock

    @pytest.fixture(scope="session")
    def evidence(self) -> Evidence:
        """What the check under way is decided from."""
        return self._evidence

    @pytest.fixture(scope="session")
    def probe(self) -> Probe:
        """Requests from inside the cluster."""
        return self._probe

    @pytest.fixture(scope="session")
    def watch(self) -> Watch:
        """Replicas and nodes over time."""
        return self._watch

    @pytest.fixture(scope="session")
    def identities(self) -> Identities:
        """What others may do in the cluster."""
        return self._identities

    @pytest.fixture(scope="session")
    def serving(self) -> Serving:
        """Who answers."""
        return Serving(self._cluster, self._probe, self._evidence)

    @pytest.fixture(scope="session")
    def predict(self) -> Predict:
        """What happened, of that which the learner was asked to predict."""
        return self._predict

    @pytest.fixture
    def faults(self) -> Iterator[Faults]:
        """Breaks things; undone when the check ends."""
        self.looked()
        made = Faults(self._cluster, self._probe, self._ask, self._evidence, self._clock, self._changing)
        self._undone.append(made)
        yield made
        if self._thrown_away and not self._more:
            return
        made.undo()
        self._undone.remove(made)

    @pytest.fixture(scope="session")
    def operate(self) -> Iterator[Operate]:
        """Scales and rolls Deployments; they are put back when the attempt ends, or a check that did not pass."""
        self.looked()
        yield self._operate
        if not self._thrown_away:
            self._operate.restore()

    @pytest.fixture(autouse=True)
    def _what_if(self, request: pytest.FixtureRequest) -> None:
        """Before the check: the one thing that is to be different this time."""
        if self.given.what_if and [_check(request.node).name] == self.given.only[-1:]:
            operate = request.getfixturevalue("operate")
            changes.make(_check(request.node), self.given.what_if, request.getfixturevalue, operate)

    @pytest.fixture
    def collateral(self) -> Collateral:
        """What was healthy before and was touched."""
        return Collateral(self._connection, self.given.start, self._evidence, self.looked)

    # -- the attempt -------------------------------------------------------------------------------------------------

    def looked(self) -> None:
        """Wait until the snapshot has been told."""
        if self._looking is not None:
            self._looking.join(SNAPSHOT_SECONDS)

    def close(self) -> None:
        """Undo and remove whatever there still is; may be called twice, and after anything."""
        try:
            if not self._thrown_away:
                self._put_back(PUT_BACK_SECONDS)
        finally:
            if not self._thrown_away:
                self._pod.close()
            self._identities.close()
            self._connection.close()

    def _put_back(self, seconds: float) -> None:
        """A cluster that is away is waited for; the session, asked to heal it, brings it back if it can."""
        began, waited = time.monotonic(), 0.0
        while True:
            try:
                while self._undone:
                    self._undone[-1].undo()
                    self._undone.pop()
                self._operate.restore()
            except (ClusterUnreachable, FaultUnavailable):
                if max(waited, time.monotonic() - began) >= seconds:
                    raise
            else:
                return
            with contextlib.suppress(Ungradable, LookupError):
                self._ask("heal", "")
            self._clock.sleep(PUT_BACK_PAUSE)
            waited += PUT_BACK_PAUSE

    def _take_snapshot(self) -> None:
        self._tell("snapshot", **snapshot(self._connection, self.given.namespace))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Say what will be checked; begin with what takes time."""
        _refuse_disorder([_check(one) for one in items])
        if self.given.only:
            unknown = set(self.given.only) - {_check(one).name for one in items}
            if unknown:
                raise pytest.UsageError(f"there is no check {', '.join(sorted(unknown))}")
            items[:] = [one for one in items if _check(one).name in self.given.only]
        if config.option.collectonly:
            return
        self._tell("plan", checks=[_planned(_check(one)) for one in items])
        if self.given.part != "checks":
            self._looking = threading.Thread(target=self._take_snapshot, name="snapshot", daemon=True)
            self._looking.start()
        if self.given.time == "cluster":
            self.looked()
        if self.given.part == "look":
            items.clear()
        if any({"probe", "serving", "faults"} & set(getattr(one, "fixturenames", ())) for one in items):
            self._pod.start()
        self._more = len(items)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """One check from beginning to end."""
        self._phases, self._began = [], time.monotonic()
        self._more -= 1
        self._predict.begin()
        marked = _check(item)
        random.seed(f"{self.given.attempt} {marked.name}")  # so that a replay does the same
        self._tell("started", name=marked.name)
        with used(self._clock):
            result = yield
        self._finish(item, marked)
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """A check that meets what is left of the one before could only be wrong: it is ungradable when that stays."""
        self._evidence.begin()
        if self._unsure or self._undone:
            seconds = 0.0 if self._waited else PUT_BACK_SECONDS  # the other checks do not wait once more
            self._unsure = self._waited = True
            self._put_back(seconds)
            self._unsure = self._waited = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport:
        """Judge one phase by what it raised, not by pytest's own outcomes; its report, with a long trace that nobody
        reads, would take longer than many a check."""
        if call.excinfo is None:
            self._phases.append(verdict.PASSED)
        else:
            trace = "".join(traceback.format_exception(call.excinfo.value, limit=-3))
            self._phases.append(_judge(call.excinfo.value, _check(item).title, trace))
        assert call.when != "collect"  # which is not one of a test's
        outcome: Literal["passed", "failed"] = "passed" if call.excinfo is None else "failed"
        return pytest.TestReport(item.nodeid, item.location, {}, outcome, None, call.when, duration=call.duration)

    def _finish(self, item: pytest.Item, marked: checks.Check) -> None:
        how = verdict.combine(self._phases)
        if len(self._phases) < 3 and how.outcome is Outcome.PASSED:
            how = verdict.ungradable("the check did not run to its end", f"only {len(self._phases)} phases ran")
        if any(item.get_closest_marker(name) for name in ("skip", "skipif", "xfail")):
            how = verdict.ungradable("the check is switched off", "skip and xfail are not allowed in checks")
        passed = how.outcome is Outcome.PASSED
        self._unsure = self._unsure or not passed
        result = CheckResult(
            name=marked.name,
            title=marked.title,
            outcome=how.outcome,
            points=marked.points if passed else 0.0,
            max_points=marked.points,
            message=how.message,
            seconds=round(time.monotonic() - self._began, 3),
            evidence=self._evidence.entries,
            cause=how.cause,
            measures=self._evidence.measures,
            happened={} if how.outcome is Outcome.UNGRADABLE else self._predict.found,
        )
        self._tell("finished", **dataclasses.asdict(result))


def _check(item: pytest.Item) -> checks.Check:
    found = checks.of(getattr(item, "function", None))
    if found is None:
        raise pytest.UsageError(f"{item.name} is not marked with @check(points=..., title=...)")
    return found


def _planned(check: checks.Check) -> dict[str, Any]:
    given = {"name": check.name, "title": check.title, "points": check.points, "after": check.after}
    return {**given, "what_if": list(check.what_if)}


def _refuse_disorder(found: list[checks.Check]) -> None:
    """Every name is there once, and what a check builds on comes before it."""
    before: set[str] = set()
    for one in found:
        if one.name in before:
            raise pytest.UsageError("two checks have the same name (parametrised checks are not supported)")
        if one.after and one.after not in before:
            raise pytest.UsageError(f"the check {one.name} is after {one.after}, and there is none before it")
        before.add(one.name)


def _judge(error: BaseException, title: str, trace: str) -> Judgement:
    if isinstance(error, pytest.skip.Exception | pytest.xfail.Exception):
        return verdict.ungradable("the check is switched off", f"skip and xfail are not allowed in checks: {error}")
    if isinstance(error, pytest.fail.Exception):
        error = AssertionError(str(error))
    return verdict.judge(error, title, trace)


# -- plain pytest, for authors ---------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of an author's run."""
    group = parser.getgroup("kindling", "checks of a Kindling lab")
    group.addoption("--kubeconfig", help="kubeconfig of the cluster to check")
    group.addoption("--values", help="YAML file with namespace, parameters and thresholds")


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures when a kubeconfig is given."""
    path = config.getoption("--kubeconfig", default=None)
    if not path:
        return
    try:
        values = yaml.safe_load(Path(config.getoption("--values")).read_text()) if config.getoption("--values") else {}
        request = GradeRequest(
            checks="",
            kubeconfig=Path(path).read_text(),
            namespace=str(values.get("namespace") or "default"),
            parameters=values.get("parameters") or {},
            thresholds=values.get("thresholds") or {},
            attempt=uuid.uuid4().hex,
        )
    except (OSError, AttributeError, yaml.YAMLError) as error:
        raise pytest.UsageError(f"--kubeconfig or --values cannot be read: {error}") from error
    grading = Grading(request, _print, _refuse)
    config.pluginmanager.register(grading, "kindling-grading")
    config.add_cleanup(grading.close)


def _print(kind: str, **data: Any) -> None:
    if kind == "finished":
        sys.stderr.write(f"\n{data['name']}: {data['outcome']} {data['message']}\n")


def _refuse(fault: str, target: str) -> None:
    if fault != "heal":
        raise FaultUnavailable(f"{fault} {target}: only 'kindling check' and 'kindling replay' can do this")
