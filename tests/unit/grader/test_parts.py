"""An attempt in parts: a look, each independent check on a copy of its own, one verdict as if one process gave it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from grader import parts
from grader.parts import Copy, chains
from grader.processes import Zygote
from grader.protocol import Event, GradeRequest, Outcome, Verdict
from tests.doubles.api_server import APPS, CORE, pod

THREE = """
import os
@check(points=1, title="One")
def test_one(): fail(expected="", observed=f"by {os.getpid()}")
@check(points=2, title="Two", after="one")
def test_two(): fail(expected="", observed=f"by {os.getpid()}")
@check(points=4, title="Three")
def test_three(): fail(expected="", observed=f"by {os.getpid()}")
"""
Go = Callable[..., Verdict]


class Copying:
    """Gives the same scripted cluster as every copy; ``open``: those in use, ``most``: how many were at once; ``idle``:
    on how many no verdict depended."""

    def __init__(self, kubeconfig: str) -> None:
        self.kubeconfig = kubeconfig
        self.open = self.most = self.made = self.idle = 0
        self.asked: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, decides: bool = True) -> Iterator[Copy]:
        with self._lock:
            self.idle += not decides
            self.made += 1
            self.open += 1
            self.most = max(self.most, self.open)
        try:
            yield Copy(self.kubeconfig, lambda name, target: self.asked.append((name, target)))
        finally:
            with self._lock:
                self.open -= 1


@pytest.fixture
def copies(scripted: Any) -> Copying:
    return Copying(scripted.kubeconfig)


@pytest.fixture
def go(request_for: Callable[..., GradeRequest], copies: Copying, zygote: Zygote) -> Go:
    """Grade in parts."""

    def grade(body: str, fields: dict[str, Any] | None = None, places: int = 2, **options: Any) -> Verdict:
        request = request_for(body, **(fields or {}))
        return parts.grade(request, options.pop("copies", copies), threading.Semaphore(places), zygote, **options)

    return grade


def outcomes(verdict: Verdict) -> dict[str, str]:
    return {one.name: str(one.outcome) for one in verdict.checks}


def test_chains_are_what_builds_on_each_other() -> None:
    names = [("a", ""), ("b", "a"), ("c", ""), ("d", "b"), ("e", "c"), ("f", "")]
    assert chains([{"name": name, "after": after} for name, after in names]) == [["a", "b", "d"], ["c", "e"], ["f"]]


def test_the_verdict_is_that_of_one_process(go: Go, copies: Copying) -> None:
    verdict = go(
        """
        @check(points=3, title="One")
        def test_one(cluster): pass
        @check(points=4, title="Two")
        def test_two(cluster): fail(expected="a", observed="b", look="kubectl get pods")
        @check(points=0.5, title="Three")
        def test_three(): assert True
        """
    )
    assert list(outcomes(verdict).items()) == [("one", "passed"), ("two", "failed"), ("three", "passed")]
    assert (verdict.outcome, verdict.score, verdict.max_score) == (Outcome.FAILED, 3.5, 7.5)
    assert (verdict.cause, verdict.killed) == ("", False)
    assert "pods" in verdict.snapshot
    assert (copies.made, copies.open) == (3, 0)


def test_checks_that_build_on_each_other_share_a_copy_and_others_have_their_own(go: Go, copies: Copying) -> None:
    one, two, three = (check.message for check in go(THREE).checks)
    assert one == two != three
    assert copies.made == 2


@pytest.mark.parametrize("places", [1, 2])
def test_so_many_run_side_by_side_as_there_are_places(go: Go, copies: Copying, places: int) -> None:
    body = "".join(f"@check(points=1, title='{n}')\ndef test_{n}(): pass\n" for n in "abcdef")
    verdict = go(body, places=places)
    assert verdict.score == 6
    assert copies.most <= places


def test_two_wait_for_each_other(go: Go, tmp_path: Any) -> None:
    """They would wait in vain if one ran after the other."""
    body = f"""
        from pathlib import Path
        def meets(mine, other):
            (Path({str(tmp_path)!r}) / mine).touch()
            poll((Path({str(tmp_path)!r}) / other).exists, 20)
        @check(points=1, title="One")
        def test_one(): meets("one", "two")
        @check(points=1, title="Two")
        def test_two(): meets("two", "one")
        """
    assert go(body).outcome is Outcome.PASSED


def test_events_come_as_if_one_process_told_them(go: Go) -> None:
    seen: list[tuple[str, str]] = []
    go(THREE, on_event=lambda event: seen.append((event.kind, event.data.get("name", ""))))
    assert seen[0] == ("plan", "")
    assert sorted(kind for kind, _ in seen) == ["finished"] * 3 + ["plan", "snapshot"] + ["started"] * 3
    for name in ("one", "two", "three"):
        assert seen.index(("started", name)) < seen.index(("finished", name))


def test_what_is_broken_in_a_copy_is_thrown_away_with_it(scripted: Any, go: Go, copies: Copying) -> None:
    """Nothing is put back, removed or healed: that would take time for nothing."""
    scripted.objects[f"{CORE}/pods/web"] = pod()
    scripted.add(f"{APPS}/deployments", "web", spec={"replicas": 1, "template": {}})
    verdict = go(
        """
        @check(points=1, title="One")
        def test_one(cluster, faults, operate, probe):
            assert probe.get("http://web/").ok
            operate.scale("web", 2)
            faults.kill_container(cluster.pod("web"))
            faults.delete_pod(cluster.pod("web"))
            faults.stop_component("kube-scheduler")
        """,
        {"faults": ["kill-container", "stop-component"]},
    )
    assert verdict.outcome is Outcome.PASSED, verdict
    assert scripted.objects[f"{APPS}/deployments/web"]["spec"]["replicas"] == 2
    assert f"{CORE}/pods/web" not in scripted.objects
    assert len(scripted.namespaces()) == 1
    assert ("heal", "") not in copies.asked


def test_between_checks_that_share_a_copy_faults_are_undone(scripted: Any, go: Go, copies: Copying) -> None:
    verdict = go(
        """
        @check(points=1, title="One")
        def test_one(faults): faults.stop_component("kube-scheduler")
        @check(points=1, title="Two", after="one")
        def test_two(faults): faults.stop_component("kube-controller-manager")
        """,
        {"faults": ["stop-component"]},
    )
    assert verdict.outcome is Outcome.PASSED
    assert [name for name, _ in copies.asked] == ["stop-component", "heal", "stop-component"]


def test_a_part_whose_process_is_killed_is_told_from_the_learner(go: Go, copies: Copying) -> None:
    verdict = go(
        """
        import os, signal
        @check(points=1, title="One")
        def test_one(): pass
        @check(points=1, title="Two")
        def test_two(): os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    assert outcomes(verdict) == {"one": "passed", "two": "ungradable"}
    assert verdict.killed
    assert copies.open == 0


def test_a_zygote_that_is_killed_is_told_from_the_learner(
    request_for: Callable[..., GradeRequest], copies: Copying
) -> None:
    with Zygote() as zygote:

        def on_event(event: Event) -> None:
            if event.kind == "started":
                os.kill(zygote.pid, signal.SIGKILL)

        request = request_for("@check(points=1, title='One')\ndef test_one(): poll(lambda: 0, 60)")
        verdict = parts.grade(request, copies, threading.Semaphore(2), zygote, on_event=on_event)
    assert (verdict.outcome, verdict.killed, copies.open) == (Outcome.UNGRADABLE, True, 0)


def test_the_limit_is_that_of_the_whole(go: Go, copies: Copying) -> None:
    verdict = go(
        """
        @check(points=1, title="One")
        def test_one(): poll(lambda: False, 600)
        @check(points=1, title="Two")
        def test_two(): pass
        """,
        {"seconds": 3.0},
    )
    assert outcomes(verdict) == {"one": "ungradable", "two": "passed"}
    assert "limit of 3 s" in verdict.cause
    assert not verdict.killed
    assert copies.open == 0


def test_a_cancelled_attempt_ends_all_parts(go: Go, copies: Copying) -> None:
    started = threading.Event()
    verdict = go(
        "".join(f"@check(points=1, title='{n}')\ndef test_{n}(): poll(lambda: False, 600)\n" for n in "abc"),
        on_event=lambda event: started.set() if event.kind == "started" else None,
        cancelled=started.is_set,
    )
    assert set(outcomes(verdict).values()) == {"ungradable"}
    assert not verdict.killed
    assert copies.open == 0


def test_ctrl_c_ends_all_parts(go: Go, copies: Copying) -> None:
    def on_event(event: Event) -> None:
        if event.kind == "started":
            raise KeyboardInterrupt

    body = "".join(f"@check(points=1, title='{n}')\ndef test_{n}(): poll(lambda: False, 600)\n" for n in "abc")
    with pytest.raises(KeyboardInterrupt):
        go(body, on_event=on_event)
    assert copies.open == 0


def test_a_copy_that_cannot_be_made_is_said(go: Go) -> None:
    class Full(Exception):
        pass

    @contextmanager
    def none(decides: bool = True) -> Iterator[Copy]:
        raise Full("there is no room")
        yield

    with pytest.raises(Full):
        go(THREE, copies=none)


@pytest.mark.parametrize(
    "body",
    [
        "this is not python",
        "@check(points=1, title='A', after='b')\ndef test_a(): pass\n@check(points=1, title='B')\ndef test_b(): pass",
        "@check(points=1, title='A', after='nobody')\ndef test_a(): pass",
    ],
)
def test_checks_that_cannot_be_read_are_ungradable(go: Go, copies: Copying, body: str) -> None:
    verdict = go(body)
    assert (verdict.outcome, verdict.checks, copies.made) == (Outcome.UNGRADABLE, [], 0)
    assert verdict.cause
