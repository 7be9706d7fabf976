"""The image that serves metrics: what kubelets say, and what is said of it to whoever scales by it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HOME = Path(__file__).parents[5] / "labs" / "images" / "metrics"
MODULES = ("api", "usage", "cluster")
POD = {"metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}}, "spec": {"nodeName": "one"}}
RUNNING: dict[str, Any] = {
    **POD,
    "spec": {"nodeName": "one", "containers": [{"name": "a"}, {"name": "b"}]},
    "status": {"phase": "Running"},
}


def said(seconds: float, at: int, containers: str = "ab") -> str:
    """What a kubelet says of its node and of a pod's containers, each with so many seconds of processor time."""
    lines = [
        "# TYPE container_cpu_usage_seconds_total counter",
        f"node_cpu_usage_seconds_total {seconds * 4} {at}000",
        f"node_memory_working_set_bytes 1.048576e+09 {at}000",
        "scrape_error 0",
    ]
    for name in containers:
        labels = f'container="{name}",namespace="shop",pod="web"'
        lines.append(f"container_cpu_usage_seconds_total{{{labels}}} {seconds} {at}000")
        lines.append(f"container_memory_working_set_bytes{{{labels}}} 2.097152e+06 {at}000")
    return "\n".join(lines)


@pytest.fixture
def image(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """The image's modules, as the image imports them."""
    monkeypatch.syspath_prepend(str(HOME))
    import api  # type: ignore[import-not-found]  # lies in the image's folder
    import cluster  # type: ignore[import-not-found]
    import usage  # type: ignore[import-not-found]

    yield {"api": api, "cluster": cluster, "usage": usage}
    for name in MODULES:
        sys.modules.pop(name, None)


class APIServer:
    """Has one node and one pod; notes what it was asked for."""

    def __init__(self, refused: type[Exception]) -> None:
        self.asked: list[tuple[str, str]] = []
        self._refused = refused

    def get(self, path: str, query: str = "") -> Any:
        self.asked.append((path, query))
        if path == "/api/v1/nodes":
            return {"items": [{"metadata": {"name": "one"}}]}
        if path.endswith("/pods"):
            return {"items": [RUNNING]}
        if path.endswith("/pods/web"):
            return RUNNING
        raise self._refused(404, b'{"kind": "Status", "code": 404}')


@pytest.fixture
def server(image: dict[str, ModuleType]) -> APIServer:
    return APIServer(image["cluster"].Refused)


def history(image: dict[str, ModuleType], *texts: str) -> Any:
    made = image["usage"].History()
    for text in texts:
        made.add(image["usage"].parse(text, 0.0))
    return made


def test_use_is_the_difference_of_two_looks(image: dict[str, ModuleType], server: APIServer) -> None:
    api = image["api"].API(server, {"one": history(image, said(10.0, 100), said(12.5, 110), said(12.5, 110))})
    status, found = api.answer("/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods/web")
    assert status == 200
    assert found["containers"] == [{"name": name, "usage": {"cpu": "250000000n", "memory": "2048Ki"}} for name in "ab"]
    assert (found["timestamp"], found["window"]) == ("1970-01-01T00:01:50Z", "10.000s")
    (node,) = api.answer("/apis/metrics.k8s.io/v1beta1/nodes")[1]["items"]
    assert node["usage"] == {"cpu": "1000000000n", "memory": "1024000Ki"}


def test_selectors_are_the_api_servers(image: dict[str, ModuleType], server: APIServer) -> None:
    api = image["api"].API(server, {"one": history(image, said(10.0, 100), said(12.5, 110))})
    path = "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods"
    (item,) = api.answer(f"{path}?labelSelector=app+in+%28web%2Capi%29&limit=5")[1]["items"]
    assert item["metadata"] == POD["metadata"]
    assert server.asked == [("/api/v1/namespaces/shop/pods", "labelSelector=app+in+%28web%2Capi%29")]


@pytest.mark.parametrize(
    "texts",
    [
        (),
        (said(10.0, 100),),  # one look says nothing yet
        (said(10.0, 100), said(12.0, 110, "a")),  # of one container alone
        (said(10.0, 100), said(0.5, 110)),  # it was started again between the two
    ],
)
def test_half_a_truth_is_not_told(image: dict[str, ModuleType], server: APIServer, texts: tuple[str, ...]) -> None:
    api = image["api"].API(server, {"one": history(image, *texts)})
    assert api.answer("/apis/metrics.k8s.io/v1beta1/pods")[1]["items"] == []
    status, found = api.answer("/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods/web")
    assert (status, found["reason"]) == (404, "NotFound")


def test_discovery_and_what_is_not_there(image: dict[str, ModuleType], server: APIServer) -> None:
    api = image["api"].API(server, {})
    names = [one["name"] for one in api.answer("/apis/metrics.k8s.io/v1beta1")[1]["resources"]]
    assert names == ["nodes", "pods"]
    assert api.answer("/apis/metrics.k8s.io")[1]["preferredVersion"]["version"] == "v1beta1"
    assert api.answer("/openapi/v2")[0] == api.answer("/apis/metrics.k8s.io/v1beta1/pods/a/b/c")[0] == 404
    assert api.answer("/apis/metrics.k8s.io/v1beta1/nodes/two") == (404, {"kind": "Status", "code": 404})


def test_what_a_kubelet_says_in_no_known_way_is_left_out(image: dict[str, ModuleType]) -> None:
    strange = 'container_cpu_usage_seconds_total{container="a"} 1\nnode_memory_working_set_bytes 5\n{} x\n'
    assert image["usage"].parse(strange, 0.0) == {}
