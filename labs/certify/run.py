"""Certifies a lab: makes its right states, changes them in hundreds of ways, grades each, and compares with the oracle.

What needs a cluster is behind :class:`Bench`; nothing here knows how a state is brought about or graded.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from labs.certify.changes import Change, DoesNotApply, Objects, pairs, spread
from labs.certify.near_misses import near_misses
from labs.certify.neutral_changes import neutral_changes
from labs.certify.objects import Obj
from labs.certify.oracle import Judgement, Oracle, generic
from labs.definition import Lab, State
from labs.definition.certificate import Case, Certificate, Tally
from labs.definition.rulings import matches
from labs.errors import KindlingError, NotFound
from labs.parameters import seed_of

COUNT = 260
"""Changes that are tried by default: enough for :data:`labs.definition.certificate.LEAST` to be decided."""
PAIRED, NEUTRAL = 0.2, 0.25
"""The shares of pairs and of neutral changes."""
EVERY = 100_000
"""More changes than there are."""
UNCHANGED = "as it is"
JOBS = os.cpu_count() or 1


class Refused(Exception):
    """The API server does not take what a change has made: nobody can hand it in."""


class NotRight(KindlingError):
    """A right state of the lab does not pass, or not by the requirements: there is nothing to compare with."""


@dataclass(frozen=True)
class Graded:
    """What became of manifests: the objects of the cluster after it has settled; by check the outcome and message."""

    objects: list[Obj] = field(repr=False)
    outcomes: Mapping[str, tuple[str, str]]


class Bench(Protocol):
    """Where changes are tried; used by several threads."""

    def made_by(self, state: State, values: Mapping[str, Any]) -> Objects:
        """The manifests of what a state has come to, what there was from the start included."""

    def grade(self, manifests: Objects, values: Mapping[str, Any]) -> Graded:
        """Make them in an empty cluster, let it settle, look, and grade; :class:`Refused`."""


@dataclass(frozen=True)
class Trial:
    """One change, tried. ``expected`` and ``outcomes`` by check; ``refused``: why the API server did not take it."""

    change: str
    meant: Literal["near-miss", "neutral"]
    expected: Mapping[str, Judgement]
    outcomes: Mapping[str, tuple[str, str]]
    refused: str = ""

    @property
    def decided(self) -> bool:
        """The oracle knew of every check."""
        return not self.refused and all(one.said != "undecided" for one in self.expected.values())

    @property
    def right(self) -> bool:
        """Every check is to pass."""
        return all(one.said == "right" for one in self.expected.values())

    def cases(self, said: str, outcome: str | None = None) -> Iterator[Case]:
        """The checks of which the oracle said so and that ended so."""
        for check, judgement in self.expected.items():
            ended, message = self.outcomes.get(check, ("ungradable", "it was not graded"))
            if judgement.said == said and outcome in (None, ended):
                yield Case(change=self.change, check=check, why=judgement.why, said=message)


@dataclass(frozen=True)
class Planned:
    """One change of one state, to be tried."""

    change: str
    meant: Literal["near-miss", "neutral"]
    manifests: Objects = field(repr=False)
    values: Mapping[str, Any] = field(repr=False)


def certify(
    lab: Lab,
    bench: Bench,
    inputs: Mapping[str, str],
    count: int = COUNT,
    jobs: int = JOBS,
    *,
    on_done: Callable[[Trial], None],
) -> Certificate:
    """Try ``count`` changes; ``on_done`` after each, in any order. ``inputs``: of the lab. :class:`NotRight`."""
    began = time.monotonic()
    trials: list[Trial] = []
    with ThreadPoolExecutor(jobs) as pool:
        states = list(pool.map(lambda state: planned(lab, state, bench, _share(lab, state, count)), lab.right_states))
        control = [pool.submit(_tried, lab, bench, plan[0]) for plan in states]
        for each in control:
            _must_be_right(each.result())
        work = [pool.submit(_tried, lab, bench, one) for plan in states for one in plan[1:]]
        try:
            for future in as_completed(work):
                trials.append(future.result())
                on_done(trials[-1])
        except BaseException:
            for future in work:
                future.cancel()
            raise
    return certificate(lab, sorted(trials, key=lambda one: one.change), inputs, time.monotonic() - began)


def attempt(
    lab: Lab, bench: Bench, pattern: str, jobs: int = JOBS, *, on_done: Callable[[Planned, Trial], None]
) -> None:
    """Try the changes that a pattern names (``*`` for anything), whether they are in the sample or not."""

    def one(plan: Planned) -> None:
        on_done(plan, _tried(lab, bench, plan))

    with ThreadPoolExecutor(jobs) as pool:
        plans = pool.map(lambda state: planned(lab, state, bench, EVERY), lab.right_states)
        wanted = [plan for state in plans for plan in state if matches(pattern, plan.change)]
        if not wanted:
            raise NotFound(f"no change of {lab.name} is called {pattern!r}", "kindling certify")
        list(pool.map(one, wanted))


def planned(lab: Lab, state: State, bench: Bench, count: int) -> list[Planned]:
    """The state as it is, then so many changes of it."""
    values = lab.parameters_for(seed_of(state.name, lab.name))
    objects = bench.made_by(state, values)
    plans = [Planned(f"{state.name}: {UNCHANGED}", "neutral", objects, values)]
    for change in chosen(lab, state.name, objects, values, count):
        name = generic(f"{state.name}: {change.id}", values)
        plans.append(Planned(name, change.meant, change.applied(objects), values))
    return plans


def chosen(lab: Lab, seed: str, objects: Sequence[Obj], values: Mapping[str, Any], count: int) -> list[Change]:
    """So many changes of a state, a sample of every kind: near-misses, neutral ones, and pairs of these."""
    words = [str(value) for value in values.values()]
    near = [one for one in near_misses(objects, lab.file.images, words) if _changes(one, objects)]
    neutral = [one for one in neutral_changes(objects, lab.file.images) if _changes(one, objects)]
    two = [one for one in pairs([*near, *neutral], count, seed) if _changes(one, objects)]
    found = spread(neutral, round(count * NEUTRAL), seed)
    found += two[: round(count * PAIRED)]
    return found + spread(near, count - len(found), seed)


def _changes(change: Change, objects: Sequence[Obj]) -> bool:
    """Whether it can be made here and changes anything."""
    try:
        return change.applied(objects) != list(objects)
    except (DoesNotApply, KeyError, TypeError, AttributeError):  # what it is about has another shape here
        return False


def _share(lab: Lab, state: State, count: int) -> int:
    """This state's share of the changes."""
    states = lab.right_states
    each, more = divmod(count, len(states))
    return each + (1 if states.index(state) < more else 0)


def _tried(lab: Lab, bench: Bench, one: Planned) -> Trial:
    try:
        graded = bench.grade(one.manifests, one.values)
    except Refused as refusal:
        return Trial(one.change, one.meant, {}, {}, str(refusal))
    expected = Oracle(lab, one.values).judge(one.change, graded.objects)
    return Trial(one.change, one.meant, expected, graded.outcomes)


def _must_be_right(trial: Trial) -> None:
    """A state as it is must be right by the checks and by the requirements."""
    if trial.refused:
        raise NotRight(f"{trial.change}: {trial.refused}")
    for check, judgement in trial.expected.items():
        outcome, message = trial.outcomes.get(check, ("not graded", ""))
        if outcome != "passed":
            raise NotRight(f"{trial.change}: {check} is {outcome}: {message}", "kindling replay")
        if judgement.said == "wrong":
            raise NotRight(f"{trial.change}: {check} is wrong by its requirement {judgement.why}", "mend lab.yaml")


def certificate(lab: Lab, trials: Sequence[Trial], inputs: Mapping[str, str], seconds: float) -> Certificate:
    """What all trials come to."""
    graded = [one for one in trials if not one.refused]
    decided = [one for one in graded if one.decided]
    return Certificate(
        lab=lab.name,
        version=lab.version,
        inputs=dict(inputs),
        states=len(lab.right_states),
        decided=len(decided),
        near_misses=sum(not one.right for one in decided),
        neutral=sum(one.right for one in decided),
        refused=len(trials) - len(graded),
        seconds=round(seconds),
        checks={check.name: _tally(check.name, graded) for check in lab.checks},
        false_passes=[case for one in graded for case in one.cases("wrong", "passed")],
        false_fails=[case for one in graded for case in one.cases("right", "failed")],
        ungradable=[case for one in graded for said in ("right", "wrong") for case in one.cases(said, "ungradable")],
        undecided=[
            case.model_copy(update={"said": one.outcomes.get(case.check, ("ungradable", ""))[0]})
            for one in graded
            for case in one.cases("undecided")
        ],
    )


def _tally(check: str, trials: Sequence[Trial]) -> Tally:
    ends = [(one.expected[check].said, one.outcomes.get(check, ("ungradable", ""))[0]) for one in trials]
    return Tally(
        right=sum(said == "right" for said, _ in ends),
        wrong=sum(said == "wrong" for said, _ in ends),
        false_passes=ends.count(("wrong", "passed")),
        false_fails=ends.count(("right", "failed")),
        ungradable=ends.count(("right", "ungradable")) + ends.count(("wrong", "ungradable")),
        undecided=sum(said == "undecided" for said, _ in ends),
    )
