"""What happened, of that which a learner predicted: said by checks, by name, and never twice differently."""

from collections.abc import Callable

from grader.protocol import GradeRequest, Outcome, Verdict, decode, encode
from tests.unit.grader.conftest import Run

ASKED = {"questions": {"who": ["kubelet", "controller"]}}


def test_what_a_check_measured_comes_with_its_result_and_the_evidence(run: Run) -> None:
    verdict = run(
        """
        @check(points=1, title="One")
        def test_one(predict):
            predict.happened("who", "controller")
            predict.happened("who", "controller")

        @check(points=1, title="Two")
        def test_two(predict): pass
        """,
        ASKED,
    )
    assert [one.happened for one in verdict.checks] == [{"who": "controller"}, {}]
    assert verdict.checks[0].evidence[0]["what"] == "happened"
    assert verdict.outcome is Outcome.PASSED


def test_a_failed_check_has_measured_and_an_ungradable_one_has_not(run: Run) -> None:
    verdict = run(
        """
        @check(points=1, title="One")
        def test_one(predict):
            predict.happened("who", "controller")
            fail(expected="a", observed="b")

        @check(points=1, title="Two")
        def test_two(predict):
            predict.happened("who", "kubelet")
            raise Ungradable("the cable was cut")
        """,
        ASKED,
    )
    assert [one.happened for one in verdict.checks] == [{"who": "controller"}, {}]


def test_what_lab_yaml_does_not_ask_or_two_answers_are_the_checks_own_error(run: Run) -> None:
    verdict = run(
        """
        @check(points=1, title="One")
        def test_one(predict): predict.happened("when", "controller")

        @check(points=1, title="Two")
        def test_two(predict): predict.happened("who", "scheduler")

        @check(points=1, title="Three")
        def test_three(predict):
            predict.happened("who", "kubelet")
            predict.happened("who", "controller")
        """,
        ASKED,
    )
    assert {one.outcome for one in verdict.checks} == {Outcome.UNGRADABLE}
    assert "has no option 'scheduler'; there are: kubelet, controller" in verdict.checks[1].cause


def test_an_authors_run_takes_whatever_is_said(request_for: Callable[..., GradeRequest], run: Run) -> None:
    verdict: Verdict = run("@check(points=1, title='One')\ndef test_one(predict): predict.happened('a', 'b')")
    assert verdict.checks[0].happened == {"a": "b"}
    asked = request_for("", **ASKED)
    assert decode(encode(asked)) == asked
