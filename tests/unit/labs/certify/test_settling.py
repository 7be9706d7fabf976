"""How long it is worth waiting until what was made has come to rest, before it is looked at and graded."""

from __future__ import annotations

from typing import Any

import pytest

from labs.certify.forks import still_to_come


def pod(
    period: int,
    *,
    ready: bool = False,
    restarts: int = 0,
    startup: int = 0,
    work: int = 0,
    image: str = "kindling/web:1.0",
) -> dict[str, Any]:
    env = [{"name": "STARTUP_SECONDS", "value": str(work)}]
    container: dict[str, Any] = {"name": "web", "image": image, "env": env}
    container["readinessProbe"] = {"httpGet": {"port": 8080}, "periodSeconds": period}
    if startup:
        container["startupProbe"] = {"httpGet": {"port": 8080}, "periodSeconds": startup}
    status = {
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "containerStatuses": [{"name": "web", "restartCount": restarts}],
    }
    return {"kind": "Pod", "metadata": {"name": f"p{period}"}, "spec": {"containers": [container]}, "status": status}


@pytest.mark.parametrize(
    ("objects", "seconds"),
    [
        ([], 0),
        ([pod(1)], 0),
        ([pod(40)], 40),
        ([pod(40), pod(60), pod(80, ready=True), pod(1)], 60),
        ([pod(40, startup=30)], 70),
        ([pod(1, work=60)], 61),
        ([pod(1, work=1000)], 0),
        ([pod(40, image="nginx")], 40),
        ([pod(40, restarts=1)], 0),
        ([pod(600)], 0),
    ],
)
def test_as_long_as_probes_of_pods_that_are_not_ready_take(objects: list[dict[str, Any]], seconds: float) -> None:
    assert still_to_come(objects, "default") == seconds
