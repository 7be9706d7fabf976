"""Python's other clients: kr8s, kubernetes_asyncio and pykube-ng do a round of what people write with them.

The official client and lightkube have a suite that runs on real clusters as well: ``conformance/test_clients.py``.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.world.conftest import Place, client

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore:Kubernetes version .* is not supported",  # kr8s names the minors it was tested with
)
IMAGE = "kindling/web:1.0"
LABELS = {"app": "web"}


def pod(name: str) -> dict[str, Any]:
    container = {"name": "web", "image": IMAGE, "ports": [{"containerPort": 8080}]}
    metadata = {"name": name, "labels": LABELS}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


def deployment(replicas: int) -> dict[str, Any]:
    template = {"metadata": {"labels": LABELS}, "spec": pod("x")["spec"]}
    spec = {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": LABELS}, "spec": spec}


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    """Look again until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)  # between two looks at a cluster that another process changes


class TestKr8s:
    def test_pods_are_created_waited_for_read_and_executed_in(self, place: Place) -> None:
        kr8s = client("kr8s")
        objects = client("kr8s.objects")
        api = kr8s.api(kubeconfig=str(place.kubeconfig))
        assert api.version()["gitVersion"].startswith("v1.")
        one = objects.Pod({**pod("web"), "metadata": {**pod("web")["metadata"], "namespace": place.namespace}}, api=api)
        one.create()
        one.wait("condition=Ready", timeout=30)
        assert one.exec(["sh", "-c", "echo $((6*7))"]).stdout.decode() == "42\n"
        assert [found.name for found in api.get("pods", namespace=place.namespace, label_selector=LABELS)] == ["web"]
        one.label(colour="blue")
        assert one.labels["colour"] == "blue"
        assert isinstance(list(one.logs()), list)
        one.delete()
        until(lambda: not one.exists())

    def test_a_deployment_is_scaled_and_its_pods_are_found(self, place: Place) -> None:
        kr8s = client("kr8s")
        objects = client("kr8s.objects")
        api = kr8s.api(kubeconfig=str(place.kubeconfig))
        web = objects.Deployment(deployment(1), namespace=place.namespace, api=api)
        web.create()
        web.wait("condition=Available", timeout=30)
        web.scale(2)
        until(lambda: len(web.pods()) == 2)
        web.delete(propagation_policy="Foreground")
        until(lambda: not web.exists())

    def test_it_knows_who_it_is(self, place: Place) -> None:
        kr8s = client("kr8s")
        assert kr8s.api(kubeconfig=str(place.kubeconfig)).whoami() == place.kubectl(
            "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"
        )

    def test_a_port_is_forwarded(self, place: Place) -> None:
        kr8s = client("kr8s")
        objects = client("kr8s.objects")
        requests = client("httpx")
        api = kr8s.api(kubeconfig=str(place.kubeconfig))
        place.kubectl("run", "web", f"--image={IMAGE}", "--port=8080")
        place.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=30s")
        found = objects.Pod.get("web", namespace=place.namespace, api=api)
        with found.portforward(remote_port=8080) as local:
            assert requests.get(f"http://127.0.0.1:{local}/").status_code == 200


class TestKubernetesAsyncio:
    def test_a_pod_is_watched_from_creation_to_its_end(self, place: Place) -> None:
        asyncio.run(self.watched(place))
        gc.collect()

    async def watched(self, place: Place) -> None:
        package = client("kubernetes_asyncio")
        settings = package.client.Configuration()
        await package.config.load_kube_config(str(place.kubeconfig), client_configuration=settings)
        async with package.client.ApiClient(settings) as api:
            core = package.client.CoreV1Api(api)
            await core.create_namespaced_pod(place.namespace, pod("web"))
            seen: list[str] = []
            async with package.watch.Watch() as watch:
                async for event in watch.stream(core.list_namespaced_pod, place.namespace, timeout_seconds=30):
                    seen.append(event["type"])
                    if any(one.ready for one in event["object"].status.container_statuses or []):
                        break
            assert seen[0] == "ADDED"
            await core.delete_namespaced_pod("web", place.namespace, grace_period_seconds=0)
            with pytest.raises(package.client.ApiException) as gone:
                await core.read_namespaced_pod("web", place.namespace)
            assert gone.value.status == 404

    def test_a_command_is_executed_over_a_websocket(self, place: Place) -> None:
        place.kubectl("run", "web", f"--image={IMAGE}")
        place.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=30s")
        assert asyncio.run(self.executed(place)).strip() == "42"
        gc.collect()

    async def executed(self, place: Place) -> str:
        package = client("kubernetes_asyncio")
        stream = client("kubernetes_asyncio.stream")
        settings = package.client.Configuration()
        await package.config.load_kube_config(str(place.kubeconfig), client_configuration=settings)
        async with stream.WsApiClient(settings) as api:
            core = package.client.CoreV1Api(api)
            command = ["sh", "-c", "echo $((6*7))"]
            told: str = await core.connect_get_namespaced_pod_exec("web", place.namespace, command=command, stdout=True)
            return told

    def test_many_at_once(self, place: Place) -> None:
        assert asyncio.run(self.many(place, 40)) == 40
        gc.collect()

    async def many(self, place: Place, count: int) -> int:
        package = client("kubernetes_asyncio")
        settings = package.client.Configuration()
        await package.config.load_kube_config(str(place.kubeconfig), client_configuration=settings)
        async with package.client.ApiClient(settings) as api:
            core = package.client.CoreV1Api(api)
            body = [{"metadata": {"name": f"c{number}", "labels": LABELS}} for number in range(count)]
            await asyncio.gather(*(core.create_namespaced_config_map(place.namespace, one) for one in body))
            found = await core.list_namespaced_config_map(place.namespace, label_selector="app=web")
            return len(found.items)


class TestPykube:
    def test_a_deployment_is_made_scaled_rolled_back_and_deleted(self, place: Place) -> None:
        pykube = client("pykube")
        api = pykube.HTTPClient(pykube.KubeConfig.from_file(str(place.kubeconfig)))
        made = pykube.Deployment(api, {**deployment(1), "metadata": {"name": "web", "namespace": place.namespace}})
        made.create()
        until(lambda: self.ready(made) == 1)
        made.scale(3)
        until(lambda: self.ready(made) == 3)
        pods = pykube.Pod.objects(api).filter(namespace=place.namespace, selector=LABELS)
        assert len(list(pods)) == 3
        assert all(one.ready for one in pods)
        made.annotations["why"] = "a test"
        made.update()
        made.reload()
        assert made.annotations["why"] == "a test"
        made.delete()
        until(lambda: not made.exists())

    def ready(self, made: Any) -> int:
        made.reload()
        found: int = made.obj["status"].get("readyReplicas", 0)
        return found

    def test_a_watch_tells_and_errors_carry_the_status(self, place: Place) -> None:
        pykube = client("pykube")
        api = pykube.HTTPClient(pykube.KubeConfig.from_file(str(place.kubeconfig)))
        maps = pykube.ConfigMap.objects(api, namespace=place.namespace).filter(selector=LABELS)
        watch = maps.watch()
        one = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": LABELS}}
        stream = iter(watch)
        pykube.ConfigMap(api, {**one, "metadata": {**one["metadata"], "namespace": place.namespace}}).create()
        event = next(stream)
        assert (event.type, event.object.name) == ("ADDED", "c")
        bad = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "No_Good", "namespace": place.namespace}}
        with pytest.raises(pykube.exceptions.HTTPError, match="RFC 1123"):
            pykube.ConfigMap(api, bad).create()
        api.session.close()
        gc.collect()
