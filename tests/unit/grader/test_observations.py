"""What the grader says about pods, answers and text: one sentence, plain, bounded."""

import itertools
from typing import Any

import pytest

from grader import limits
from grader.answers import answers
from grader.checks import fail
from grader.clock import used
from grader.cluster import Cluster
from grader.connection import Connection
from grader.errors import CheckFailed, ProbeUnavailable, Ungradable
from grader.evidence import Evidence
from grader.explain import stuck
from grader.objects import Pod, endpoints
from grader.probe_pod import label, manifest
from grader.snapshot import snapshot
from grader.text import bounded, plain, quoted
from grader.waiting import hold, poll
from tests.doubles.api_server import CORE, answered, pod
from tests.doubles.clock import SteppedClock


def crashed(code: int = 1) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": "Error"}}


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (pod(), "pod web is ready"),
        (
            pod(ready=False, state={"waiting": {"reason": "CrashLoopBackOff"}}, last=crashed(), restarts=3),
            'pod web is in CrashLoopBackOff: container web exited with code 1, last log line "fatal: no database"',
        ),
        (
            pod(ready=False, state={"waiting": {"reason": "ImagePullBackOff"}}, phase="Pending"),
            'pod web is in ImagePullBackOff: container web wants the image "kindling/web:1.0"',
        ),
        (
            pod(
                ready=False,
                node="",
                phase="Pending",
                conditions=[{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}],
            ),
            'pod web is Pending: "0/1 nodes are available"',
        ),
        (
            pod(ready=False, state={"waiting": {"reason": "CreateContainerConfigError", "message": "no secret x"}}),
            'pod web is waiting (CreateContainerConfigError): container web has not started: "no secret x"',
        ),
        (
            pod(ready=False, phase="Failed", state=crashed(3)),
            "pod web has ended (Failed: web exited with code 3)",
        ),
        (pod(meta={"deletionTimestamp": "2026-11-23T02:00:00Z"}), "pod web is being deleted"),
        (
            pod(ready=False),
            'pod web is running but its container web is not ready: "Readiness probe failed: 503"',
        ),
    ],
)
def test_a_pod_is_explained_in_one_sentence(scripted: Any, raw: dict[str, Any], sentence: str) -> None:
    events = f"{CORE}/events"
    involved = {"uid": "uid-web", "name": "web"}
    scripted.add(
        events,
        "a",
        involvedObject=involved,
        message="Readiness probe failed: 503",
        lastTimestamp="2026-11-23T02:00:09Z",
    )
    scripted.add(events, "b", involvedObject=involved, message="older", lastTimestamp="2026-11-23T02:00:01Z")
    scripted.add(
        events, "c", involvedObject={"uid": "other"}, message="another's", lastTimestamp="2026-11-23T02:00:19Z"
    )
    cluster = Cluster(Connection(scripted.kubeconfig), "default")
    assert cluster.explain(Pod(raw)) == sentence


def test_a_sidecar_is_one_of_the_containers_and_others_wait_for_it(scripted: Any) -> None:
    raw = pod(ready=False, state={"waiting": {"reason": "PodInitializing"}}, phase="Pending")
    raw["spec"]["initContainers"] = [
        {"name": "once", "image": "busybox:1.35"},
        {"name": "writer", "image": "busybox:1.35", "restartPolicy": "Always"},
    ]
    waiting = {"waiting": {"reason": "ImagePullBackOff"}}
    raw["status"]["initContainerStatuses"] = [{"name": "writer", "restartCount": 2, "state": waiting}]
    found = Pod(raw)
    assert [one.name for one in found.containers] == ["web", "writer"]
    assert found.restarts == 2
    cluster = Cluster(Connection(scripted.kubeconfig), "default")
    said = 'pod web is in ImagePullBackOff: container writer wants the image "busybox:1.35"'
    assert cluster.explain(found) == said


def test_pods_are_explained_together(scripted: Any) -> None:
    cluster = Cluster(Connection(scripted.kubeconfig), "default")
    waiting = Pod(pod("b", ready=False, state={"waiting": {"reason": "ContainerCreating"}}))
    assert cluster.explain_all([Pod(pod("a")), waiting], 3).startswith(
        "1 of 3 ready: pod b is waiting (ContainerCreating)"
    )
    assert cluster.explain_all([], 2) == "0 of 2 ready: there is no such pod"
    assert cluster.explain_all([Pod(pod("a"))], 1) == "1 of 1 ready"


@pytest.mark.parametrize(
    ("raw", "is_stuck"),
    [
        (pod(), False),
        (pod(state={"waiting": {"reason": "ImagePullBackOff", "message": 'pulling "kindling/web:1.0"'}}), True),
        (pod(state={"waiting": {"reason": "ImagePullBackOff", "message": 'pulling "old:1"'}}), False),
        (pod(state={"waiting": {"reason": "ErrImagePull"}}), False),
        (pod(state={"waiting": {"reason": "CrashLoopBackOff"}}, last=crashed(), restarts=2), True),
        (pod(state={"waiting": {"reason": "CrashLoopBackOff"}}, last=crashed(), restarts=1), False),
        (pod(state={"waiting": {"reason": "CrashLoopBackOff"}}, last=crashed(137), restarts=5), False),
        (pod(phase="Succeeded"), True),
    ],
)
def test_waiting_for_a_pod_ends_when_it_is_no_use(raw: dict[str, Any], is_stuck: bool) -> None:
    assert stuck(Pod(raw)) is is_stuck


def test_pods_of_a_selector_leave_out_those_that_go(scripted: Any) -> None:
    for name, more in (("a", {}), ("b", {"meta": {"deletionTimestamp": "x"}}), ("c", {"phase": "Failed"})):
        scripted.objects[f"{CORE}/pods/{name}"] = pod(name, labels={"app": "web"}, **more)
    scripted.objects[f"{CORE}/pods/d"] = pod("d", labels={"app": "other"})
    cluster = Cluster(Connection(scripted.kubeconfig), "default")
    assert [one.name for one in cluster.pods({"app": "web"})] == ["a"]
    assert [one.name for one in cluster.pods("app=web", terminating=True)] == ["a", "b", "c"]


def test_endpoints_that_are_not_ready_are_told_apart() -> None:
    raw = {
        "subsets": [
            {
                "addresses": [{"ip": "10.0.0.1", "targetRef": {"kind": "Pod", "name": "a"}}],
                "notReadyAddresses": [{"ip": "10.0.0.2"}],
                "ports": [{"port": 8080}, {"port": 8081}],
            }
        ]
    }
    assert [(one.ip, one.port, one.pod, one.ready) for one in endpoints(raw)] == [
        ("10.0.0.1", 8080, "a", True),
        ("10.0.0.1", 8081, "a", True),
        ("10.0.0.2", 8080, "", False),
        ("10.0.0.2", 8081, "", False),
    ]


def test_answers_do_their_arithmetic() -> None:
    records = [
        answered(200, "Hello you from web-a, version 1.0\n", t=100.0),
        answered(0, error="refused", t=101.0),
        answered(503, "starting\n", t=102.0),
        answered(200, "Hello from x from web-b, version 2.0\n", t=103.0),
    ]
    got = answers("http://web/", records)
    assert (got.hosts, got.versions) == ({"web-a", "web-b"}, {"1.0", "2.0"})
    assert got[3].message == "Hello from x"
    assert (len(got.ok), len(got.failed), got.outage) == (2, 2, 2.0)
    assert got.counted() == {"200": 2, "refused": 1, "503": 1}
    assert str(got) == "2 of 4 requests failed (1 status 503, 1 refused), the first after 1.0 s"
    assert [one.t for one in got.since(102)] == [102, 103]
    assert [one.t for one in got.before(101)] == [100]
    assert len(got[1:3]) == 2
    assert str(got[1]).startswith("no answer (refused: nothing listens")
    assert str(got[2]) == 'status 503, "starting"'
    rows = got.record(most=3)["rows"]
    assert len(rows) == 3
    assert [row[2] for row in rows] == [200, "refused", 503]


def test_answers_of_a_dns_that_is_down_say_nothing() -> None:
    with pytest.raises(ProbeUnavailable):
        answers("http://web/", [answered(0, error="dns unavailable")])


def test_an_answer_that_is_not_the_applications_has_no_host() -> None:
    (one,) = answers("http://web/", [answered(200, "<b>no</b>")])
    assert (one.host, one.version, one.message, one.json()) == ("", "", "", {})


def test_text_is_made_plain() -> None:
    assert plain("a\x1b[2Jb\x00c\r\nd\te\u202ef\u200bg") == "a�[2Jb�c\nd e�f�g"
    assert len(plain("x" * 10_000, 100)) == 100
    assert quoted('say "yes"\nor\tno\x07') == "\"say 'yes' or no�\""
    assert len(quoted("y" * 10_000)) < 200


def test_evidence_is_bounded() -> None:
    nested: Any = "x"
    for _ in range(100):
        nested = [nested]
    assert len(str(bounded({"deep": nested, "long": "y" * 10**6, "many": list(range(10**5))}, 10_000))) < 100_000
    evidence = Evidence(SteppedClock())
    for number in range(1000):
        evidence.add(f"entry {number}", text="z" * 10_000)
    assert len(evidence.entries) == limits.EVIDENCE_ENTRIES
    assert len(str(evidence.entries)) < limits.EVIDENCE_CHARACTERS * 1.2


def test_evidence_of_repeated_looks_keeps_the_first_and_the_last() -> None:
    evidence = Evidence(SteppedClock())
    for number in range(50):
        evidence.add("request", url="http://web/", answer=number)
    assert [one["answer"] for one in evidence.entries] == [0, 1, 2, 49]
    assert evidence.entries[-1]["looks"] == 50


def test_looks_that_take_turns_and_have_a_nonce_each_leave_room_for_what_comes_after() -> None:
    evidence = Evidence(SteppedClock())
    for number in range(300):
        evidence.add("requests", url=f"http://web/?{number}", answer=number)
        evidence.add("received", url="http://web/", by=number)
    evidence.add("traffic", url="http://web/")
    assert len(evidence.entries) == 9
    assert [one["answer"] for one in evidence.entries if one["what"] == "requests"] == [0, 1, 2, 299]
    assert evidence.entries[-1]["what"] == "traffic"


def test_what_was_done_to_different_things_is_kept() -> None:
    evidence = Evidence(SteppedClock())
    for number in range(9):
        evidence.add("fault", fault="delete-pod", target=f"web-{number}")
        evidence.add("call", url="/api/v1/pods", who=f"user-{number}", method="GET")
    assert len(evidence.entries) == 18


def test_a_snapshot_leaves_the_values_of_secrets_out(scripted: Any) -> None:
    scripted.add(
        f"{CORE}/secrets",
        "s",
        data={"password": "aHVudGVyMg=="},
        metadata={"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hunter2", "note": "hunter2"}},
    )
    scripted.objects[f"{CORE}/pods/web"] = pod()
    taken = snapshot(Connection(scripted.kubeconfig), "default")
    assert "hunter2" not in str(taken)
    assert "aHVudGVyMg" not in str(taken)
    assert list(taken["secrets"]["objects"][0]["data"]) == ["password"]
    assert taken["pods"]["objects"][0]["metadata"]["name"] == "web"


def test_poll_gives_the_last_failure_and_hold_the_first() -> None:
    looks = iter(range(100))

    def never() -> bool:
        raise CheckFailed(f"look {next(looks)}")

    clock = SteppedClock()
    with used(clock):
        with pytest.raises(CheckFailed, match="look 10"):
            poll(never, 0.2, every=0.02)
        values = iter([True, True, False])
        with pytest.raises(CheckFailed, match=r"it broke after 0\.0 s"):
            hold(lambda: next(values), 5, every=0.01)
        began = clock.now()
        hold(lambda: True, 0.2, every=0.02)
        assert clock.now() - began == pytest.approx(0.2)
        assert poll(lambda: "found", 0) == "found"


def test_what_takes_requests_to_find_out_is_asked_for_once_and_only_when_it_is_read() -> None:
    asked: list[int] = []
    looks = itertools.count()

    def found(look: int) -> str:
        asked.append(look)
        return f"look {look}"

    def never() -> bool:
        look = next(looks)
        fail(expected="more", observed=lambda: found(look), look="kubectl get pods")

    with used(SteppedClock()), pytest.raises(CheckFailed) as failed:
        poll(never, 0.2, every=0.02)
    assert asked == [10]
    assert str(failed.value) == str(failed.value) == "Expected: more\nObserved: look 10\nLook: kubectl get pods"
    assert asked == [10]


@pytest.mark.parametrize("text", ["", "a: b", "[", "current-context: c\ncontexts: []\n"])
def test_a_kubeconfig_that_cannot_be_used_is_ungradable(text: str) -> None:
    with pytest.raises(Ungradable, match="kubeconfig"):
        Connection(text)


def test_a_kubeconfig_that_names_a_command_is_refused(scripted: Any) -> None:
    with pytest.raises(Ungradable, match="command to run"):
        Connection(scripted.kubeconfig.replace('"token": "secret"', '"exec": {"command": "touch"}'))


def test_the_probe_is_placed_without_the_scheduler_and_ends_by_itself() -> None:
    made = manifest({"a": "b"}, "kindling/web:1.0", "control-plane", 300)
    assert made["spec"]["nodeName"] == "control-plane"
    assert made["spec"]["tolerations"] == [{"operator": "Exists"}]
    assert made["spec"]["activeDeadlineSeconds"] == 300
    assert label("Ünder/score id " + "x" * 100)[:14] == "nder-score-id-"
    assert label("///") == "attempt"
