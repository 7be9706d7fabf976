"""Where a fault on a kind cluster strikes."""

from __future__ import annotations

import pytest

from labs.clusters.kind import nodes
from labs.clusters.kind.nodes import _PUT_ASIDE, ROLE_LABEL, Nodes, place_of
from labs.clusters.provider import ClusterError, Fault


def test_a_container_is_found_where_it_runs_and_a_sidecar_too() -> None:
    pod = {
        "metadata": {"namespace": "default", "name": "web"},
        "spec": {"nodeName": "worker"},
        "status": {
            "containerStatuses": [{"name": "server", "containerID": "containerd://a1"}, {"name": "late"}],
            "initContainerStatuses": [{"name": "writer", "containerID": "containerd://b2"}],
        },
    }
    assert place_of(pod, "server") == ("worker", "a1")
    assert place_of(pod, "writer") == ("worker", "b2")
    for name in ("late", "nobody"):
        with pytest.raises(ValueError, match=f"pod default/web runs no container '{name}'"):
            place_of(pod, name)


class SlowKubelet:
    """A control-plane node whose kubelet follows its manifests some looks later; each look is a moment of its clock."""

    name, status, labels = "node", "running", {ROLE_LABEL: "control-plane"}

    def __init__(self, behind: int) -> None:
        self.behind, self.now = behind, 0.0
        self.aside = False
        self._changes = [(-behind, False)]

    def exec_run(self, command: list[str]) -> tuple[int, bytes]:
        script = command[-1]
        if command[0] == "pgrep":
            _, aside = [change for change in self._changes if change[0] + self.behind <= self.now][-1]
            return int(aside), b""
        if " mv " in script:
            self.aside = script.endswith(f"{_PUT_ASIDE}/kube-scheduler.yaml")
            self._changes.append((self.now, self.aside))
        return 0, b"kube-scheduler.yaml" if self.aside else b""

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += 1

    def list(self, **_: object) -> list[SlowKubelet]:
        return [self]

    @property
    def containers(self) -> SlowKubelet:
        return self


def slow(monkeypatch: pytest.MonkeyPatch, behind: int) -> tuple[SlowKubelet, Nodes]:
    node = SlowKubelet(behind)
    monkeypatch.setattr(nodes, "time", node)
    return node, Nodes(node, "cluster")  # type: ignore[arg-type]  # all that is used of an engine


def runs(node: SlowKubelet) -> bool:
    return node.exec_run(["pgrep"])[0] == 0


def test_a_component_that_was_healed_runs_and_one_that_is_stopped_after_it_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node, found = slow(monkeypatch, behind=5)
    for _ in range(2):
        found.inject(Fault.STOP_COMPONENT, "kube-scheduler", lambda _: ("", ""))
        assert not runs(node)
        assert found.heal()
        assert runs(node)
    node.now += 100
    assert runs(node)
    assert not found.heal()


def test_a_kubelet_that_does_not_follow_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    _, found = slow(monkeypatch, behind=1000)
    with pytest.raises(ClusterError, match="kube-scheduler did not stop within 120 s of its manifest being taken away"):
        found.inject(Fault.STOP_COMPONENT, "kube-scheduler", lambda _: ("", ""))
