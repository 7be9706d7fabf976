"""Every check ends as passed, failed or ungradable: learners' mistakes are failed, trouble is ungradable."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grader.mark import Mark
from grader.processes import GRADE, Worker, Zygote
from grader.protocol import Event, GradeRequest, Outcome, Verdict
from grader.runner import grade, put_back
from tests.doubles.api_server import APPS, CORE, answered, node_status, pod

Run = Callable[..., Verdict]


def outcomes(verdict: Verdict) -> dict[str, str]:
    return {one.name: str(one.outcome) for one in verdict.checks}


def test_points_are_added_up_per_check(run: Run) -> None:
    verdict = run(
        """
        @check(points=3, title="One")
        def test_one(cluster): pass

        @check(points=4, title="Two")
        def test_two(cluster): fail(expected="a", observed="b", look="kubectl get pods")

        @check(points=0.5, title="Three")
        def test_three_of_them(): assert True
        """
    )
    assert outcomes(verdict) == {"one": "passed", "two": "failed", "three-of-them": "passed"}
    assert (verdict.outcome, verdict.score, verdict.max_score) == (Outcome.FAILED, 3.5, 7.5)
    assert verdict.checks[1].message == "Expected: a\nObserved: b\nLook: kubectl get pods"
    assert verdict.checks[1].title == "Two"
    assert verdict.cause == ""
    assert "pods" in verdict.snapshot


def test_all_passed_is_passed(run: Run) -> None:
    verdict = run("@check(points=1, title='One')\ndef test_one(): pass")
    assert (verdict.outcome, verdict.score) == (Outcome.PASSED, 1)


@pytest.mark.parametrize(
    "body",
    [
        "1 / 0",
        "import pytest; pytest.skip('no')",
        "import pytest; pytest.xfail('no')",
        "raise SystemExit(0)",
        "raise Ungradable('broken')",
        "cluster.connection.get('/nothing/here')['items']",
    ],
)
def test_whatever_is_not_the_learners_is_ungradable(run: Run, body: str) -> None:
    verdict = run(f"@check(points=2, title='One')\ndef test_one(cluster):\n    {body}\n")
    (check,) = verdict.checks
    assert (verdict.outcome, check.outcome, check.points) == (Outcome.UNGRADABLE, Outcome.UNGRADABLE, 0)
    assert check.message.startswith("Not graded: ")
    assert "Traceback" not in check.message
    assert check.cause
    assert verdict.cause == check.cause


@pytest.mark.parametrize("mark", ["skip(reason='no')", "xfail(reason='no')", "skipif(True, reason='no')"])
def test_a_check_that_is_switched_off_is_ungradable(run: Run, mark: str) -> None:
    verdict = run(f"import pytest\n@pytest.mark.{mark}\n@check(points=2, title='One')\ndef test_one(): pass")
    assert outcomes(verdict) == {"one": "ungradable"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("assert 1 == 2, 'one is not two'", "one is not two"),
        ("assert 1 == 2", "This does not hold: One"),
        ("import pytest; pytest.fail('said by pytest')", "said by pytest"),
        ("cluster.get('service', 'web')", "Observed: there is none"),
        ("cluster.pod('web')", "Observed: there is none"),
        (f"cluster.connection.get('{CORE}/services/web')", "Expected: services web to exist"),
        ("poll(lambda: False, 0.1, expected='the moon')", "Expected: the moon"),
        ("poll(lambda: fail(expected='a', observed='b'), 0.1)", "Observed: b"),
        ("hold(lambda: False, 0.1)", "Observed: it broke"),
    ],
)
def test_the_learners_mistakes_are_failed(run: Run, body: str, message: str) -> None:
    verdict = run(f"@check(points=2, title='One')\ndef test_one(cluster):\n    {body}\n")
    assert outcomes(verdict) == {"one": "failed"}
    assert message in verdict.checks[0].message


def test_messages_carry_no_control_characters(run: Run) -> None:
    verdict = run(
        "@check(points=2, title='One')\ndef test_one(): fail(expected='a\\x1b[31m\\u202e<b>', observed='x' * 10_000)"
    )
    message = verdict.checks[0].message
    assert "\x1b" not in message
    assert "\u202e" not in message
    assert "<b>" in message  # markup is text; whoever shows it as HTML escapes it
    assert len(message) <= 2000


def test_a_cluster_that_is_gone_is_ungradable_and_soon(scripted: Any, run: Run) -> None:
    scripted.gone = True
    began = time.monotonic()
    verdict = run(
        """
        @check(points=2, title="One")
        def test_one(cluster): poll(lambda: cluster.pods(), 1)

        @check(points=2, title="Two")
        def test_two(cluster): cluster.get("service", "web")

        @check(points=2, title="Three")
        def test_three(cluster): poll(lambda: cluster.ready_pods("app=web", 1, 0.5), 0.5)
        """,
        {"patience": 0.5},
    )
    assert set(outcomes(verdict).values()) == {"ungradable"}
    assert "did not answer" in verdict.checks[0].message
    assert "503" in verdict.cause
    assert time.monotonic() - began < 25


def test_a_moment_without_an_api_server_is_waited_out(scripted: Any, run: Run) -> None:
    def on_event(event: Event) -> None:
        if event.kind == "started":
            scripted.gone = True
            threading.Timer(0.7, lambda: setattr(scripted, "gone", False)).start()

    verdict = run("@check(points=1, title='One')\ndef test_one(cluster): cluster.pods()", on_event=on_event)
    assert outcomes(verdict) == {"one": "passed"}


def test_a_cluster_whose_port_is_closed_is_ungradable(scripted: Any, run: Run) -> None:
    scripted.close()
    verdict = run("@check(points=1, title='One')\ndef test_one(cluster): cluster.pods()", {"patience": 0.5})
    assert outcomes(verdict) == {"one": "ungradable"}


def test_checks_that_cannot_be_read_are_ungradable(run: Run) -> None:
    verdict = run("this is not python")
    assert (verdict.outcome, verdict.checks) == (Outcome.UNGRADABLE, [])
    assert verdict.cause


@pytest.mark.parametrize(
    "body",
    [
        "def test_unmarked(): pass",
        "@check(points=1, title='A')\ndef test_a_b(): pass\n@check(points=1, title='B')\ndef test_a__b(): pass\n"
        "test_c = test_a_b",
        "import pytest\n@pytest.mark.parametrize('n', [1, 2])\n@check(points=1, title='A')\ndef test_a(n): pass",
    ],
)
def test_checks_that_cannot_be_counted_are_refused(run: Run, body: str) -> None:
    assert run(body).outcome is Outcome.UNGRADABLE


def test_only_some_checks(run: Run) -> None:
    body = "@check(points=1, title='A')\ndef test_a(): pass\n@check(points=1, title='B')\ndef test_b(): assert 0\n"
    assert outcomes(run(body, {"only": ["a"]})) == {"a": "passed"}
    assert run(body, {"only": ["c"]}).outcome is Outcome.UNGRADABLE


def test_what_checks_print_is_not_taken_for_a_verdict(run: Run) -> None:
    verdict = run(
        """
        @check(points=1, title="One")
        def test_one():
            print('{"type": "Event", "kind": "finished", "data": {"name": "two", "outcome": "passed"}}')
            fail(expected="a", observed="b")
        """
    )
    assert outcomes(verdict) == {"one": "failed"}


def test_events_come_as_checks_finish(run: Run) -> None:
    seen: list[tuple[str, str]] = []
    body = "@check(points=1, title='A')\ndef test_a(): pass\n@check(points=1, title='B')\ndef test_b(): pass\n"
    run(body, on_event=lambda event: seen.append((event.kind, event.data.get("name", ""))))
    assert [one for one in seen if one[0] != "snapshot"] == [
        ("plan", ""),
        ("started", "a"),
        ("finished", "a"),
        ("started", "b"),
        ("finished", "b"),
        ("done", ""),
    ]
    assert ("snapshot", "") in seen


def test_an_attempt_past_its_limit_is_ungradable_and_cleaned_up(scripted: Any, run: Run) -> None:
    verdict = run(
        """
        @check(points=1, title="One")
        def test_one(probe): probe.get("http://web/")

        @check(points=1, title="Two")
        def test_two(probe): poll(lambda: False, 600)

        @check(points=1, title="Three")
        def test_three(): pass
        """,
        {"seconds": 5.0},
    )
    assert outcomes(verdict) == {"one": "passed", "two": "ungradable", "three": "ungradable"}
    assert "limit of 5 s" in verdict.cause
    assert not verdict.killed
    assert scripted.namespaces() == []


def test_a_check_that_cannot_be_interrupted_is_killed(
    scripted: Any, request_for: Any, zygote: Zygote, monkeypatch: Any, tmp_path: Path
) -> None:
    looping = tmp_path / "looping"
    monkeypatch.setattr("grader.runner.CLEAN_UP_SECONDS", 0.5)
    monkeypatch.setattr("grader.runner.END_SECONDS", 0.5)
    request = request_for(
        f"""
        @check(points=1, title="One")
        def test_one(probe):
            probe.get("http://web/")
            while True:
                try:
                    open({str(looping)!r}, "w").close()
                    time.sleep(60)
                except BaseException:
                    pass
        """
    )
    verdict = grade(request, zygote=zygote, cancelled=looping.exists)
    assert outcomes(verdict) == {"one": "ungradable"}
    assert scripted.namespaces() == []  # removed by another process


def test_a_process_that_dies_is_ungradable(run: Run) -> None:
    verdict = run(
        """
        import os, signal
        @check(points=1, title="One")
        def test_one(): pass

        @check(points=1, title="Two")
        def test_two(): os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    assert outcomes(verdict) == {"one": "passed", "two": "ungradable"}
    assert verdict.outcome is Outcome.UNGRADABLE
    assert verdict.killed


class Recorded(Zygote):
    """Notes what is forked."""

    def __init__(self) -> None:
        super().__init__()
        self.forked: list[Worker] = []

    def fork(self, what: bytes = GRADE) -> Worker:
        self.forked.append(super().fork(what))
        return self.forked[-1]


@pytest.mark.parametrize("sends", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("to", ["process", "zygote"])
def test_whoever_kills_the_process_is_told_from_the_learner(
    sends: signal.Signals, to: str, request_for: Callable[..., GradeRequest], scripted: Any
) -> None:
    request = request_for("@check(points=1, title='One')\ndef test_one(): poll(lambda: 0, 60)")
    with Recorded() as zygote:

        def on_event(event: Event) -> None:
            if event.kind == "started":
                os.kill(zygote.forked[0].pid if to == "process" else zygote.pid, sends)

        verdict = grade(request, zygote=zygote, on_event=on_event)
        assert (verdict.outcome, verdict.killed) == (Outcome.UNGRADABLE, True)
        assert scripted.namespaces() == []
        again = request_for("@check(points=1, title='One')\ndef test_one(): pass")
        assert grade(again, zygote=zygote).outcome is Outcome.PASSED


def test_the_mark_says_what_only_the_process_could_put_back(scripted: Any, run: Run, tmp_path: Path) -> None:
    scripted.add(f"{APPS}/deployments", "web", spec={"replicas": 1, "template": {}})
    body = """
        import os, signal
        @check(points=1, title="One")
        def test_one(operate):
            operate.scale("web", 2)
            END
        """
    mark = tmp_path / "mark"
    assert run(body.replace("END", "pass"), {"mark": str(mark)}).outcome is Outcome.PASSED
    assert mark.read_bytes() == b""
    assert run(body.replace("END", "os.kill(os.getpid(), signal.SIGKILL)"), {"mark": str(mark)}).killed
    web = scripted.objects[f"{APPS}/deployments/web"]
    assert web["spec"]["replicas"] == 2
    put_back(scripted.kubeconfig, "default", mark.read_bytes(), lambda *_: None)
    assert web["spec"]["replicas"] == 1


def test_pods_that_a_killed_process_left_deleted_or_hung_are_put_back(scripted: Any, tmp_path: Path) -> None:
    scripted.objects[f"{CORE}/pods/web"] = pod()
    mark, asked = Mark(str(tmp_path / "mark")), []
    mark.changing("hang", pod(), "web")
    mark.changing("delete", pod("lone"))
    put_back(scripted.kubeconfig, "default", (tmp_path / "mark").read_bytes(), lambda *call: asked.append(call))
    assert asked == [("kill-container", "default/web/web")]
    assert scripted.objects[f"{CORE}/pods/lone"]["metadata"]["uid"] != "uid-lone"


def test_a_mark_that_was_not_written_whole_is_said_to_be_none(scripted: Any) -> None:
    with pytest.raises(ValueError, match="Unterminated"):
        put_back(scripted.kubeconfig, "default", b'{"how": "operate", "bef', lambda *_: None)


def test_a_cancelled_attempt_is_ungradable_and_cleaned_up(scripted: Any, run: Run) -> None:
    started = threading.Event()
    verdict = run(
        "@check(points=1, title='One')\ndef test_one(probe):\n    probe.get('http://web/')\n    poll(lambda: 0, 60)",
        on_event=lambda event: started.set() if event.kind == "started" else None,
        cancelled=lambda: started.is_set() and bool(scripted.namespaces()),
    )
    assert outcomes(verdict) == {"one": "ungradable"}
    assert scripted.namespaces() == []


def test_ctrl_c_leaves_nothing(scripted: Any, run: Run) -> None:
    def on_event(event: Event) -> None:
        if event.kind == "started":
            deadline = time.monotonic() + 10
            while not scripted.namespaces() and time.monotonic() < deadline:
                threading.Event().wait(0.01)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("@check(points=1, title='One')\ndef test_one(probe): poll(lambda: 0, 60)", on_event=on_event)
    assert scripted.namespaces() == []


def test_a_session_that_is_killed_leaves_nothing(
    scripted: Any, request_for: Callable[..., GradeRequest], zygote: Zygote
) -> None:
    with zygote.fork() as worker:
        worker.send(request_for("@check(points=1, title='One')\ndef test_one(probe): poll(lambda: 0, 60)"))
        deadline = time.monotonic() + 10
        while not scripted.namespaces():
            assert time.monotonic() < deadline
        worker.leave()
        assert worker.ended(10) is not None
        assert scripted.namespaces() == []


def test_faults_are_asked_for_and_healed(scripted: Any, run: Run) -> None:
    scripted.objects[f"{CORE}/pods/web"] = pod()
    scripted.add("/api/v1/nodes", "worker", status=node_status())
    asked: list[tuple[str, str]] = []
    verdict = run(
        """
        @check(points=1, title="One")
        def test_one(cluster, faults):
            faults.kill_container(cluster.pod("web"))
            faults.stop_node("worker")
            1 / 0
        """,
        {"faults": ["kill-container", "stop-node"]},
        faults=lambda name, target: asked.append((name, target)),
    )
    assert outcomes(verdict) == {"one": "ungradable"}
    assert asked == [("kill-container", "default/web/web"), ("stop-node", "worker"), ("heal", "")]


@pytest.mark.parametrize(
    ("body", "fields", "trouble"),
    [
        ("faults.stop_node('worker')", {"faults": ["kill-container"]}, "does not list"),
        ("faults.stop_node('worker')", {"faults": ["stop-node"]}, "broken machine"),
        ("faults.stop_node('control-plane')", {"faults": ["stop-node"]}, "only a worker"),
        ("faults.kill_container(cluster.pod('web'), 'other')", {}, "no container other"),
    ],
)
def test_faults_that_cannot_be_injected_are_ungradable(
    scripted: Any, run: Run, body: str, fields: dict[str, Any], trouble: str
) -> None:
    scripted.objects[f"{CORE}/pods/web"] = pod()
    scripted.add("/api/v1/nodes", "worker", status=node_status())

    def broken(name: str, target: str) -> None:
        if name != "heal":
            raise RuntimeError("broken machine")

    verdict = run(f"@check(points=1, title='One')\ndef test_one(cluster, faults):\n    {body}\n", fields, faults=broken)
    assert outcomes(verdict) == {"one": "ungradable"}
    assert trouble in verdict.cause


def test_a_fault_in_force_when_the_process_dies_is_healed(scripted: Any, run: Run) -> None:
    scripted.add("/api/v1/nodes", "worker", status=node_status())
    asked: list[str] = []
    run(
        """
        import os
        @check(points=1, title="One")
        def test_one(faults):
            faults.stop_node("worker")
            os._exit(9)
        """,
        {"faults": ["stop-node"]},
        faults=lambda name, target: asked.append(name),
    )
    assert asked == ["stop-node", "heal"]


def test_a_lonely_pod_that_was_deleted_is_made_again(scripted: Any, run: Run) -> None:
    scripted.objects[f"{CORE}/pods/web"] = pod()
    run("@check(points=1, title='One')\ndef test_one(cluster, faults): faults.delete_pod(cluster.pod('web'))")
    made = scripted.objects[f"{CORE}/pods/web"]
    assert made["metadata"]["uid"] != "uid-web"
    assert "nodeName" not in made["spec"]


@pytest.mark.parametrize(("replicas", "outcome"), [(2, "ungradable"), (0, "failed"), (None, "failed")])
def test_dns_that_is_down_is_ungradable_unless_it_was_done_away_with(
    scripted: Any, run: Run, replicas: int | None, outcome: str
) -> None:
    if replicas is not None:
        scripted.add("/apis/apps/v1/namespaces/kube-system/deployments", "coredns", spec={"replicas": replicas})
    scripted.answer_url = lambda method, url: answered(0, error="dns unavailable")
    verdict = run("@check(points=1, title='One')\ndef test_one(probe): assert probe.get('http://web/').ok")
    assert outcomes(verdict) == {"one": outcome}
    said = "the cluster's DNS did not answer" if replicas else "the cluster has no name server"
    assert said in verdict.checks[0].message


def test_a_probe_that_does_not_come_up_is_ungradable(scripted: Any, request_for: Any, run: Run) -> None:
    scripted.probe_image_missing = True
    verdict = run(
        "from grader import limits as module\nmodule.UP_SECONDS = 0.5\n"
        "@check(points=1, title='One')\ndef test_one(probe): module.UP_SECONDS = 0.5; assert probe.get('http://web/').ok"
    )
    assert outcomes(verdict) == {"one": "ungradable"}
    assert "probe pod did not come up" in verdict.cause
    assert scripted.namespaces() == []


def test_a_probe_whose_name_somebody_took_says_nothing(
    scripted: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = scripted.handle

    def handle(method: str, target: str, body: Any) -> tuple[int, Any]:
        if method == "POST" and target.startswith("/api/v1/namespaces/kindling-probe-") and target.endswith("/pods"):
            theirs = {**body["spec"], "containers": [{**body["spec"]["containers"][0], "image": "liar"}]}
            scripted.add(target, "probe", spec=theirs, status={"phase": "Running", "podIP": "10.0.0.9"})
            return 409, {"reason": "AlreadyExists", "message": 'pods "probe" already exists'}
        answer: tuple[int, Any] = usual(method, target, body)
        return answer

    monkeypatch.setattr(scripted, "handle", handle)
    verdict = run("@check(points=1, title='One')\ndef test_one(probe): assert probe.get('http://web/').ok")
    assert outcomes(verdict) == {"one": "failed"}
    assert "Observed: the grader's probe pod was changed: image is not" in verdict.checks[0].message


def test_what_cannot_be_put_back_at_once_is_put_back_when_the_cluster_is_there_again(
    scripted: Any, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = {"replicas": 1, "template": {"spec": {"containers": []}}}
    scripted.add("/apis/apps/v1/namespaces/default/deployments", "web", spec=spec)
    usual, left = scripted.handle, []

    def handle(method: str, target: str, body: Any) -> tuple[int, Any]:
        if left:
            left.pop()
            return 503, "no healthy upstream"
        if method == "PATCH" and body["spec"].get("replicas") == 3:
            left.extend(range(3))
        answer: tuple[int, Any] = usual(method, target, body)
        return answer

    monkeypatch.setattr(scripted, "handle", handle)
    mark, asked = tmp_path / "mark", []
    run(
        "@check(points=1, title='One')\ndef test_one(operate): operate.scale('web', 3)",
        {"patience": 0.0, "mark": str(mark)},
        faults=lambda *call: asked.append(call),
    )
    assert scripted.objects["/apis/apps/v1/namespaces/default/deployments/web"]["spec"]["replicas"] == 1
    assert mark.read_bytes() == b""
    assert ("heal", "") in asked


@pytest.mark.parametrize("end", ["1 / 0", "fail(expected='six', observed='five')"])
def test_what_a_check_left_when_it_ended_early_is_put_back_before_the_next(scripted: Any, run: Run, end: str) -> None:
    scripted.add(f"{APPS}/deployments", "web", spec={"replicas": 4, "template": {}})
    verdict = run(
        f"""
        @check(points=1, title="One")
        def test_one(operate):
            operate.scale("web", 6)
            {end}
        @check(points=1, title="Two")
        def test_two(cluster): assert cluster.get("deployment", "web")["spec"]["replicas"] == 4
        """
    )
    assert outcomes(verdict)["two"] == "passed"


def test_what_a_check_that_passed_leaves_is_there_for_the_next(scripted: Any, run: Run) -> None:
    scripted.add(f"{APPS}/deployments", "web", spec={"replicas": 4, "template": {}})
    verdict = run(
        """
        @check(points=1, title="One")
        def test_one(operate): operate.scale("web", 6)
        @check(points=1, title="Two")
        def test_two(cluster): assert cluster.get("deployment", "web")["spec"]["replicas"] == 6
        """
    )
    assert verdict.outcome is Outcome.PASSED


def test_while_it_cannot_be_put_back_checks_are_ungradable_and_then_graded(
    scripted: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = scripted.add(f"{APPS}/deployments", "web", spec={"replicas": 4, "template": {}})
    usual, refused = scripted.handle, []

    def handle(method: str, target: str, body: Any) -> tuple[int, Any]:
        if method == "PATCH" and body["spec"].get("replicas") == 4 and len(refused) < 2:
            refused.append(target)
            return 503, "no healthy upstream"
        answer: tuple[int, Any] = usual(method, target, body)
        return answer

    monkeypatch.setattr(scripted, "handle", handle)
    verdict = run(
        """
        import grader.plugin
        grader.plugin.PUT_BACK_SECONDS = 0.0
        @check(points=1, title="One")
        def test_one(operate):
            operate.scale("web", 6)
            1 / 0
        @check(points=1, title="Two")
        def test_two(cluster): assert cluster.get("deployment", "web")["spec"]["replicas"] == 4
        @check(points=1, title="Three")
        def test_three(cluster): assert cluster.get("deployment", "web")["spec"]["replicas"] == 4
        @check(points=1, title="Four")
        def test_four(cluster): assert cluster.get("deployment", "web")["spec"]["replicas"] == 4
        """,
        {"patience": 0.0},
    )
    assert outcomes(verdict) == {"one": "ungradable", "two": "ungradable", "three": "ungradable", "four": "passed"}
    assert web["spec"]["replicas"] == 4


def test_modules_in_the_folder_for_temporary_files_are_not_its_own(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "yaml", "grader"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert outcomes(run("@check(points=1, title='One')\ndef test_one(): pass")) == {"one": "passed"}
