"""Failed checks graded again with one thing different: bounded, after the verdict, and without any effect on it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from grader import parts, replays
from grader.parts import chains
from grader.processes import Zygote
from grader.protocol import CheckResult, GradeRequest, Outcome, Verdict
from grader.replays import MOST, MOST_OF_ONE, Replay, chosen, with_what_ifs
from grader.verdict import total
from tests.doubles.api_server import APPS, answered
from tests.unit.grader.test_parts import Copying

FAILED, PASSED, UNGRADABLE = Outcome.FAILED, Outcome.PASSED, Outcome.UNGRADABLE


def result(name: str, outcome: Outcome = FAILED, failed: float = 41) -> CheckResult:
    points = 1.0 if outcome is PASSED else 0.0
    message = "" if outcome is PASSED else "Expected: a\nObserved: b"
    return CheckResult(name, name, outcome, points, 1.0, message, measures={"failed requests": failed})


def verdict_of(*results: CheckResult) -> Verdict:
    return total(results, 1.0, {})


def plan(**wishes: list[str]) -> list[dict[str, Any]]:
    return [{"name": name, "points": 1, "what_if": words} for name, words in wishes.items()]


def told(verdict: Verdict, wanted: list[Replay], again: replays.Again) -> Verdict:
    with ThreadPoolExecutor(2) as pool:
        return with_what_ifs(verdict, wanted, again, pool)


def test_only_what_failed_is_replayed_and_the_first_of_each_comes_first() -> None:
    planned = plan(a=["a1", "a2"], b=["b1"], c=["c1", "c2"], d=[])
    planned += plan(early=["e1"])
    early = dataclasses.replace(result("early"), measures={})
    verdict = verdict_of(result("a"), result("b", PASSED), result("c"), result("d"), early)
    found = chosen(planned, chains(planned), verdict)
    assert found == [Replay((name,), words) for name, words in [("a", "a1"), ("c", "c1"), ("a", "a2"), ("c", "c2")]]


def test_a_check_that_builds_on_others_is_replayed_behind_them() -> None:
    planned = plan(a=[], b=["b1"], c=[])
    planned[1]["after"], planned[2]["after"] = "a", "b"
    found = chosen(planned, chains(planned), verdict_of(result("a", PASSED), result("b"), result("c")))
    assert found == [Replay(("a", "b"), "b1")]


def test_their_number_is_bounded() -> None:
    names = [f"check{number}" for number in range(10)]
    planned = plan(**{name: [f"{name} {number}" for number in range(10)] for name in names})
    found = chosen(planned, chains(planned), verdict_of(*map(result, names)))
    assert len(found) == MOST
    (one,) = names[:1]
    assert len(chosen(planned[:1], [[one]], verdict_of(result(one)))) == MOST_OF_ONE


def test_nothing_but_messages_and_evidence_of_failed_checks_changes() -> None:
    before = verdict_of(result("a"), result("b", PASSED))
    after = told(before, [Replay(("a",), "with luck")], lambda replay, late: result("a", PASSED, 0))
    assert after.checks[0].message == (
        "Expected: a\nObserved: b\nWhat if: with luck: 0 failed requests instead of 41, and this check passes"
    )
    assert after.checks[0].evidence[-1]["measures"] == {"failed requests": 0}
    same = [dataclasses.replace(one, message="", evidence=[]) for one in before.checks]
    assert [dataclasses.replace(one, message="", evidence=[]) for one in after.checks] == same
    assert dataclasses.replace(after, checks=[]) == dataclasses.replace(before, checks=[])


def test_a_replay_that_goes_wrong_says_nothing() -> None:
    def again(replay: Replay, late: Callable[[], bool]) -> CheckResult | None:
        if replay.what_if == "wrong":
            raise RuntimeError("the copy is gone")
        return None if replay.what_if == "late" else result("a", UNGRADABLE)

    before = verdict_of(result("a"))
    after = told(before, [Replay(("a",), words) for words in ("wrong", "late", "undecided")], again)
    assert [one.message for one in after.checks] == [one.message for one in before.checks]
    assert after.outcome is FAILED


def test_they_are_told_when_it_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "SECONDS", -1.0)
    late: list[bool] = []
    told(verdict_of(result("a")), [Replay(("a",), "x")], lambda replay, is_late: late.append(is_late()))  # type: ignore[func-returns-value]
    assert late == [True]


CHECKS = """
    import random

    def one_more(operate):
        operate.patch("web", {"spec": {"replicas": 4}})

    @check(points=1, title="First", what_if={"never": one_more})
    def test_first(): pass

    @check(points=1, title="Second", after="first", what_if={"with one more": one_more})
    def test_second(cluster, evidence):
        replicas = cluster.get("deployment", "web")["spec"]["replicas"]
        evidence.measure("missing replicas", 4 - replicas)
        evidence.measure("luck", random.random())
        assert replicas == 4, f"only {replicas}"
"""


@pytest.fixture
def scripted_web(scripted: Any) -> Any:
    """A Deployment of three replicas that is always rolled out, as often as it is looked at."""
    scripted.answer_url = lambda method, url: answered(200)
    status = {"replicas": 4, "updatedReplicas": 4, "availableReplicas": 4}
    scripted.add(f"{APPS}/deployments", "web", spec={"replicas": 3, "template": {}}, status=status)
    return scripted


@pytest.mark.parametrize("what_ifs", [True, False])
def test_an_attempt_tells_what_would_have_been(
    scripted_web: Any, request_for: Callable[..., GradeRequest], zygote: Zygote, what_ifs: bool
) -> None:
    copies, events = Copying(scripted_web.kubeconfig), []
    request = request_for(CHECKS, what_ifs=what_ifs, attempt="one")
    verdict = parts.grade(request, copies, threading.Semaphore(1), zygote, on_event=events.append)
    said = "\nWhat if: with one more: 0 missing replicas instead of 1, and this check passes" if what_ifs else ""
    assert [(one.outcome, one.message) for one in verdict.checks] == [(PASSED, ""), (FAILED, "only 3" + said)]
    assert (copies.made, copies.idle, copies.open) == (1 + what_ifs, int(what_ifs), 0)
    assert sum(event.kind == "finished" for event in events) == 2
    if what_ifs:  # the same choices, made by chance
        assert verdict.checks[1].evidence[-1]["measures"]["luck"] == verdict.checks[1].measures["luck"]
