"""What would have been: one change, the same check again, and a sentence from the numbers of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from grader.changes import make
from grader.checks import check, of
from grader.errors import Ungradable
from grader.evidence import Evidence
from grader.protocol import CheckResult, Outcome
from grader.what_if import line, without
from tests.doubles.api_server import APPS, answered
from tests.doubles.clock import SteppedClock

CHECKS = """
    def one_more(operate, params):
        operate.patch("web", {"spec": {"replicas": params["replicas"] + 1}})

    def nothing():
        return False

    def impossible(cluster):
        cluster.get("deployment", "missing")

    CHANGES = {"with one more": one_more, "as it is": nothing, "with a wonder": impossible}

    @check(points=1, title="Lots", what_if=CHANGES)
    def test_lots(cluster, probe, evidence):
        with probe.traffic("http://web/"):
            pass
        assert cluster.get("deployment", "web")["spec"]["replicas"] > 3, "too few"
"""


def result(outcome: Outcome, **measures: float) -> CheckResult:
    named = {name.replace("_", " "): value for name, value in measures.items()}
    return CheckResult("a", "A", outcome, 0.0, 1.0, measures=named)


FAILED, PASSED, UNGRADABLE = Outcome.FAILED, Outcome.PASSED, Outcome.UNGRADABLE
PASSES = ", and this check passes"
WAS = result(FAILED, failed_requests=41)


@pytest.mark.parametrize(
    ("was", "would_be", "said"),
    [
        (WAS, result(PASSED, failed_requests=0), f"0 failed requests instead of 41{PASSES}"),
        (WAS, result(FAILED, failed_requests=1), "1 failed request instead of 41"),
        (result(FAILED, x=1, lost_replicas=8), result(FAILED, x=1, lost_replicas=2), "2 lost replicas instead of 8"),
        (WAS, result(PASSED, failed_requests=44), f"44 failed requests instead of 41{PASSES}"),
        (WAS, result(FAILED, failed_requests=60), "60 failed requests instead of 41"),
        (WAS, result(FAILED, failed_requests=45), "hardly any difference"),
        (WAS, result(FAILED, failed_requests=41), "no difference"),
        (WAS, result(PASSED, failed_requests=41), "this check passes"),
    ],
)  # fmt: skip
def test_the_first_number_that_differs_is_said(was: CheckResult, would_be: CheckResult, said: str) -> None:
    assert line("with the probe passing 2 s later", was, would_be) == (
        f"What if: with the probe passing 2 s later: {said}"
    )


def test_nothing_is_said_of_what_could_not_be_decided_or_compared() -> None:
    was = result(FAILED, failed_requests=41)
    assert line("with luck", was, result(UNGRADABLE, failed_requests=0)) == ""
    assert line("with luck", was, result(FAILED)) == ""
    assert line("with luck", was, result(PASSED, lost_replicas=0)) == ""


def test_a_message_is_the_same_without_its_lines() -> None:
    message = "Expected: a\nObserved: b\nLook: c"
    one = line("with luck", result(FAILED, failed_requests=41), result(PASSED, failed_requests=0))
    assert without(f"{message}\n{one}\n{one}") == message


def test_a_check_says_what_could_be_different() -> None:
    def change() -> None: ...

    @check(points=1, title="One", what_if={"with luck": change})
    def test_one() -> None: ...

    marked = of(test_one)
    assert marked is not None
    assert marked.what_if == {"with luck": change}
    with pytest.raises(Ungradable, match="there is no what_if 'with skill'; there are: with luck"):
        make(marked, "with skill", lambda name: None, None)  # type: ignore[arg-type]


def test_measures_are_numbers_by_what_they_count() -> None:
    evidence = Evidence(SteppedClock())
    evidence.measure("failed requests", 3)
    evidence.measure("failed requests", 41)
    assert evidence.measures == {"failed requests": 41.0}
    evidence.begin()
    assert evidence.measures == {}


@pytest.fixture
def deployment(scripted: Any) -> Any:
    """A Deployment of three replicas, rolled out."""
    scripted.answer_url = lambda method, url: answered(0, error="refused")
    return scripted.add(
        f"{APPS}/deployments",
        "web",
        spec={"replicas": 3, "template": {}},
        status={"replicas": 4, "updatedReplicas": 4, "availableReplicas": 4},
    )


def test_the_change_is_made_before_the_check(deployment: Any, run: Callable[..., Any]) -> None:
    plans: list[Any] = []
    verdict = run(
        CHECKS,
        {"what_if": "with one more", "only": ["lots"], "parameters": {"replicas": 3}},
        on_event=lambda event: plans.append(event.data) if event.kind == "plan" else None,
    )
    assert verdict.outcome is Outcome.PASSED, verdict
    assert verdict.checks[0].measures == {"failed requests": 1.0}
    assert plans[0]["checks"][0]["what_if"] == ["with one more", "as it is", "with a wonder"]


@pytest.mark.parametrize("what_if", ["as it is", "with a wonder", "unheard of"])
def test_a_change_that_cannot_be_made_decides_nothing(deployment: Any, run: Callable[..., Any], what_if: str) -> None:
    verdict = run(CHECKS, {"what_if": what_if, "only": ["lots"]})
    assert verdict.outcome is Outcome.UNGRADABLE


def test_without_a_wish_nothing_is_changed(deployment: Any, run: Callable[..., Any]) -> None:
    verdict = run(CHECKS)
    assert verdict.outcome is Outcome.FAILED
    assert deployment["spec"]["replicas"] == 3
