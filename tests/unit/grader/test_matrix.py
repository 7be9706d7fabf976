"""Who reaches whom: the pods that stand for somebody else, what is done to them, and the sentence that comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from grader import Source, Target
from grader.connection import Connection
from grader.errors import CheckFailed, Obstructed, ProbeUnavailable, Ungradable
from grader.evidence import Evidence
from grader.matrix import Matrix, Reach, reaches
from grader.probe import Probe
from grader.probe_pod import ProbePod
from tests.doubles.api_server import CORE
from tests.doubles.clock import SteppedClock

CART, STRANGER = Source("cart", {"app": "cart"}), Source("stranger", namespace_labels={"team": "other"})
DB, DNS = Target("db", "10.0.0.7", 5432), Target("dns", "10.96.0.10", 53, "UDP")


def matrix(*reached: tuple[str, str]) -> Matrix:
    return Matrix(
        [
            Reach(source, target, 80, "TCP", "" if (source, target) in reached else "timeout", 1.0)
            for source in ("cart", "stranger")
            for target in ("db", "web")
        ]
    )


class TestVerdicts:
    def test_just_what_was_asked_for(self) -> None:
        asked = {("cart", "db"), ("cart", "web")}
        matrix(*asked).must_be(asked)
        assert matrix(*asked).wrong(asked) == []
        assert str(matrix(*asked)) == "2 of 4 connections come through"

    def test_both_kinds_of_mistakes_are_said(self) -> None:
        with pytest.raises(CheckFailed) as raised:
            matrix(("stranger", "db")).must_be({("cart", "db")})
        assert "2 of them are otherwise: cart does not reach db on port 80 (no answer in time); " in str(raised.value)
        assert "stranger reaches db on port 80" in str(raised.value)

    def test_many_mistakes_are_one_sentence(self) -> None:
        pairs = [Reach(f"s{at}", "db", 80, "TCP", "", 1.0) for at in range(50)]
        with pytest.raises(CheckFailed) as raised:
            Matrix(pairs).must_be(set())
        assert "; and 44 more" in str(raised.value)
        assert len(str(raised.value)) < 1000

    @pytest.mark.parametrize("told", [None, {}, [], [{"error": ""}], ["x", "y"]])
    def test_a_probe_that_says_something_else_is_none(self, told: object) -> None:
        with pytest.raises(ProbeUnavailable):
            reaches(CART, [DB, DNS], told)


class Reached:
    """What the probes of a scripted cluster say of targets; keeps the manifests of the pods that were made."""

    def __init__(self, scripted: Any) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.pods: dict[str, Any] = {}
        self.spaces: dict[str, Any] = {}
        self.before_answer: Any = lambda pod: None
        self._scripted, self._usual = scripted, scripted.handle
        scripted.handle = self.handle

    def handle(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        if method == "POST" and target.endswith("/pods"):
            self.pods[f"{target}/{body['metadata']['name']}"] = body
        if method == "POST" and target == "/api/v1/namespaces":
            self.spaces[body["metadata"]["name"]] = body
        if "/proxy/reach" in target:
            path = target.partition(":8080")[0]
            self.asked.append((path, body))
            self.before_answer(path)
            mine = self.pods[path]["metadata"].get("labels") or {}
            error = "" if mine == {"app": "cart"} else "timeout"
            return 200, self._scripted.said(target, [{"error": error, "ms": 1.0} for _ in body["targets"]])
        usual: tuple[int, Any] = self._usual(method, target, body)
        return usual


@pytest.fixture
def reached(scripted: Any) -> Reached:
    return Reached(scripted)


@pytest.fixture
def evidence() -> Evidence:
    return Evidence(SteppedClock())


@pytest.fixture
def probe(scripted: Any, reached: Reached, evidence: Evidence) -> Any:
    clock = SteppedClock()
    pod = ProbePod(Connection(scripted.kubeconfig, patience=0.0), "default", "a", "kindling/web:1.0", 30, clock)
    yield Probe(pod, evidence, clock)
    pod.close()


def left(scripted: Any) -> list[str]:
    return [path for path in scripted.objects if "/pods/source-" in path]


def test_everybody_is_tried_with_everything_and_nothing_is_left(
    scripted: Any, probe: Probe, reached: Reached, evidence: Evidence
) -> None:
    seen = probe.matrix([CART, STRANGER], [DB, DNS], timeout=1.0)
    assert [(one.source, one.target, one.reached) for one in seen] == [
        ("cart", "db", True),
        ("cart", "dns", True),
        ("stranger", "db", False),
        ("stranger", "dns", False),
    ]
    assert seen["cart", "db"].reached
    assert reached.asked[0][1] == {
        "targets": [
            {"host": "10.0.0.7", "port": 5432, "protocol": "TCP"},
            {"host": "10.96.0.10", "port": 53, "protocol": "UDP"},
        ],
        "timeout_ms": 1000.0,
    }
    assert left(scripted) == []
    assert len(scripted.namespaces()) == 1  # the probe's own
    (kept,) = evidence.entries
    assert [one["reached"] for one in kept["pairs"]] == [True, True, False, False]


def test_a_source_is_nobodys_but_the_graders(probe: Probe, reached: Reached) -> None:
    """No Service sends it clients, no workload adopts it, and it goes with the grader's namespace."""
    probe.matrix([CART], [DB])
    (path,) = [path for path in reached.pods if path.startswith(f"{CORE}/pods/source-")]
    made = reached.pods[path]
    assert made["metadata"]["labels"] == {"app": "cart"}
    assert made["spec"]["readinessGates"] == [{"conditionType": "kindling.dev/never-a-backend"}]
    (owner,) = made["metadata"]["ownerReferences"]
    (space,) = [name for name in reached.spaces if name.startswith("kindling-probe-")]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Namespace", space, True)
    assert len(owner["uid"]) > 10
    assert made["spec"]["serviceAccountName"] == "default"
    assert made["spec"]["automountServiceAccountToken"] is False


def test_a_source_runs_where_and_as_whom_it_is_told(probe: Probe, reached: Reached) -> None:
    probe.matrix([Source("ci", {"a": "b"}, namespace="delivery", account="robot")], [DB])
    (made,) = [body for path, body in reached.pods.items() if path.startswith("/api/v1/namespaces/delivery/pods/")]
    assert made["spec"]["serviceAccountName"] == "robot"


def test_a_stranger_has_a_namespace_with_just_its_labels(probe: Probe, reached: Reached) -> None:
    probe.matrix([STRANGER], [DB])
    (space,) = [one["metadata"] for one in reached.spaces.values() if one["metadata"]["labels"] == {"team": "other"}]
    assert space["ownerReferences"][0]["name"] in reached.spaces


def test_the_same_pods_can_be_tried_again(scripted: Any, probe: Probe, reached: Reached) -> None:
    with probe.sources([CART]) as pods:
        pods.matrix([DB])
        pods.matrix([DNS])
        assert len(left(scripted)) == 1
    assert len({path for path, _ in reached.asked}) == 1
    assert left(scripted) == []


def test_all_are_removed_when_a_check_fails(scripted: Any, probe: Probe) -> None:
    with pytest.raises(CheckFailed), probe.sources([CART, STRANGER]) as pods:
        pods.matrix([DB]).must_be(set())
    assert left(scripted) == []


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"labels": {"app": "cart", "allowed": "yes"}}},
        {"metadata": {"labels": {"app": "other"}}},
        {"metadata": {"uid": "another"}},
        {"spec": {"hostNetwork": True}},
        {"spec": {"serviceAccountName": "other"}},
        {"metadata": {"deletionTimestamp": "2026-11-30T00:00:00Z"}},
    ],
)
def test_what_is_done_to_one_fails_the_check(
    scripted: Any, probe: Probe, reached: Reached, change: dict[str, dict[str, Any]]
) -> None:
    def interfere(path: str) -> None:
        for part, fields in change.items():
            scripted.objects[path][part] |= fields

    reached.before_answer = interfere
    with pytest.raises(Obstructed):
        probe.matrix([CART], [DB])
    assert left(scripted) == []


def test_one_that_is_deleted_fails_the_check(scripted: Any, probe: Probe, reached: Reached) -> None:
    reached.before_answer = lambda path: scripted.objects.pop(path)
    with pytest.raises(Obstructed, match="deleted"):
        probe.matrix([CART], [DB])


def test_what_a_namespaces_own_rules_give_to_every_container_is_none_of_it(
    scripted: Any, probe: Probe, reached: Reached
) -> None:
    def interfere(path: str) -> None:
        scripted.objects[path]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "1"}}

    reached.before_answer = interfere
    assert probe.matrix([CART], [DB]).reached("cart", "db")


@pytest.mark.parametrize("sources", [[], [CART, CART], [Source(str(at)) for at in range(21)]])
def test_an_authors_mistake_is_not_the_learners(probe: Probe, sources: list[Source]) -> None:
    with pytest.raises(Ungradable):
        probe.matrix(sources, [DB])
