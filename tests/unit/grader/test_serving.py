"""Who serves is told by the log of its container: from which addresses the probe's request may have come."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from grader import serving
from grader.clock import WallClock
from grader.errors import CheckFailed
from grader.evidence import Evidence
from grader.objects import Pod
from grader.serving import Serving

IMAGE = "kindling/web:1.0"
INFO = {"startup_seconds": 3, "message": "Hello", "version": "1.0", "hostname": "web-1"}


class Web:
    """A pod of the web image whose log says that requests come from ``seen_from``; as probe and cluster see it."""

    ip, host_ip, node, image, image_id = "10.0.0.9", "172.18.0.2", "control-plane", IMAGE, ""

    def __init__(self, seen_from: str) -> None:
        self.seen_from = seen_from
        self.log: list[str] = []

    def get(self, url: str, characters: int) -> Any:
        self.log.append(f"GET {url.partition(':8080')[2]} 200 to {self.seen_from}")
        return SimpleNamespace(ok=True, json=lambda: INFO)

    def logs(self, pod: Pod, container: str, lines: int) -> str:
        return "\n".join(self.log)


def asked(node: str, seen_from: str) -> serving.Application:
    status = {"name": "web", "image": IMAGE, "imageID": "", "state": {"running": {}}, "ready": True}
    raw = {
        "metadata": {"name": "web-1", "uid": "u", "namespace": "default"},
        "spec": {"nodeName": node, "containers": [{"name": "web", "image": IMAGE}]},
        "status": {"podIP": "10.0.1.5", "phase": "Running", "containerStatuses": [status]},
    }
    web: Any = Web(seen_from)
    return Serving(web, web, Evidence(WallClock())).application(Pod(raw), IMAGE)


@pytest.fixture(autouse=True)
def one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "LOG_SECONDS", 0)


@pytest.mark.parametrize(
    ("node", "seen_from"), [("control-plane", Web.ip), ("worker", Web.ip), ("worker", Web.host_ip)]
)
def test_a_request_of_the_probes(node: str, seen_from: str) -> None:
    assert asked(node, seen_from).container == "web"


@pytest.mark.parametrize(
    ("node", "seen_from"), [("control-plane", Web.host_ip), ("worker", "127.0.0.1"), ("worker", "10.0.1.5")]
)
def test_a_request_of_somebody_elses(node: str, seen_from: str) -> None:
    with pytest.raises(CheckFailed, match="has no request from the grader's probe"):
        asked(node, seen_from)
