"""Programs talk to a simulated cluster as to a real one: the official Python client, and lightkube."""

from __future__ import annotations

import contextlib
import gc
import json
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightkube
import pytest
from kubernetes import client as official
from kubernetes import config as official_config
from kubernetes import watch as official_watch
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic import DynamicClient
from kubernetes.stream import stream
from lightkube.core.exceptions import ApiError
from lightkube.models.apps_v1 import DeploymentSpec
from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Pod
from lightkube.types import CascadeType, PatchType

from labs.clusters.provider import Provider
from tests.conftest import SharedClusters, shared_spec

WEB = "kindling/web:1.0"

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def kubeconfig(provider: Provider, clusters: SharedClusters, tmp_path_factory: pytest.TempPathFactory) -> Path:
    handle, _ = clusters.at_start(provider, shared_spec())
    path = tmp_path_factory.mktemp("clients") / "config"
    path.write_text(provider.credentials(handle, "learner"))
    return path


@pytest.fixture
def api(kubeconfig: Path) -> Iterator[official.ApiClient]:
    made = official_config.new_client_from_config(str(kubeconfig))
    yield made
    made.close()
    gc.collect()  # the sockets that the client's watches and streams leave open end here, not in somebody else's test


@pytest.fixture
def namespace(api: official.ApiClient) -> Iterator[str]:
    name = f"clients-{uuid.uuid4().hex[:8]}"
    core = official.CoreV1Api(api)
    core.create_namespace({"metadata": {"name": name}})
    deadline = time.monotonic() + 30
    while not pods_are_taken(core, name):
        assert time.monotonic() < deadline
    yield name
    core.delete_namespace(name)


def pods_are_taken(core: official.CoreV1Api, namespace: str) -> bool:
    """Before 1.24 none is until the service account has its token."""
    with contextlib.suppress(ApiException):
        core.create_namespaced_pod(namespace, pod("first"), dry_run="All")
        return True
    return False


@pytest.fixture
def kube(kubeconfig: Path, namespace: str) -> Iterator[lightkube.Client]:
    settings = lightkube.KubeConfig.from_file(str(kubeconfig))
    made = lightkube.Client(config=settings, namespace=namespace, field_manager="tests")
    yield made
    made.close()


def pod(name: str, *command: str) -> dict[str, Any]:
    container = {"name": "web", "image": WEB, **({"command": list(command)} if command else {})}
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": {"containers": [container]}}


class TestOfficialClient:
    def test_a_pod_is_created_watched_executed_in_and_deleted(self, api: official.ApiClient, namespace: str) -> None:
        core = official.CoreV1Api(api)
        core.create_namespaced_pod(namespace, pod("web"))
        seen = []
        watch = official_watch.Watch()
        for event in watch.stream(core.list_namespaced_pod, namespace, timeout_seconds=60):
            statuses = event["object"].status.container_statuses or []
            seen.append((event["type"], bool(statuses and statuses[0].ready)))
            if seen[-1][1]:
                watch.stop()
        assert seen[0][0] == "ADDED"
        assert seen[-1] == ("MODIFIED", True)
        command = ["sh", "-c", "echo $((6*7)); hostname"]
        asked = core.connect_get_namespaced_pod_exec
        running = stream(asked, "web", namespace, command=command, stdout=True, stderr=True, _preload_content=False)
        running.run_forever(timeout=30)
        assert running.read_all() == "42\nweb\n"
        running.close()
        core.delete_namespaced_pod("web", namespace, grace_period_seconds=0)
        with pytest.raises(ApiException, match="not found"):
            core.read_namespaced_pod("web", namespace)

    def test_pages_selectors_and_field_selectors(self, api: official.ApiClient, namespace: str) -> None:
        core = official.CoreV1Api(api)
        for number in range(7):
            labels = {"parity": "odd" if number % 2 else "even"}
            core.create_namespaced_config_map(namespace, {"metadata": {"name": f"c{number}", "labels": labels}})
        names, after = [], None
        while after != "":
            page = core.list_namespaced_config_map(namespace, label_selector="parity", limit=3, _continue=after)
            names += [item.metadata.name for item in page.items]
            after = page.metadata._continue or ""
        assert names == [f"c{number}" for number in range(7)]
        odd = core.list_namespaced_config_map(namespace, label_selector="parity!=even,parity")
        assert [item.metadata.name for item in odd.items] == ["c1", "c3", "c5"]
        one = core.list_namespaced_config_map(namespace, field_selector="metadata.name=c4")
        assert [item.metadata.name for item in one.items] == ["c4"]

    def test_the_dynamic_client_discovers_and_applies(self, api: official.ApiClient, namespace: str) -> None:
        kinds = DynamicClient(api).resources.get(api_version="v1", kind="ConfigMap")
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"a": "1"}}
        for _ in range(2):
            applied = kinds.server_side_apply(body, namespace=namespace, field_manager="tests")
        assert applied.data.to_dict() == {"a": "1"}
        versions = {kinds.server_side_apply(body, namespace=namespace, field_manager="tests").metadata.resourceVersion}
        assert versions == {applied.metadata.resourceVersion}

    def test_no_update_is_lost_between_writers_that_compete(self, api: official.ApiClient, namespace: str) -> None:
        core = official.CoreV1Api(api)
        core.create_namespaced_config_map(namespace, {"metadata": {"name": "count"}, "data": {"n": "0"}})
        refused: list[int] = []

        def count(times: int) -> None:
            while times:
                seen = core.read_namespaced_config_map("count", namespace)
                seen.data = {"n": str(int(seen.data["n"]) + 1)}
                try:
                    core.replace_namespaced_config_map("count", namespace, seen)
                    times -= 1
                except ApiException as error:
                    refused.append(error.status)

        writers = [threading.Thread(target=count, args=(10,)) for _ in range(5)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(60)
        assert core.read_namespaced_config_map("count", namespace).data == {"n": "50"}
        assert set(refused) <= {409}

    def test_an_error_is_a_status(self, api: official.ApiClient, namespace: str) -> None:
        with pytest.raises(ApiException) as refused:
            official.CoreV1Api(api).create_namespaced_pod(namespace, pod("Bad_Name"))
        status = json.loads(refused.value.body)
        assert (status["kind"], status["reason"], status["code"]) == ("Status", "Invalid", 422)


class TestLightkube:
    def test_a_deployment_lives_its_life(self, kube: lightkube.Client, namespace: str) -> None:
        labels = {"app": "web"}
        template = PodTemplateSpec(
            metadata=ObjectMeta(labels=labels), spec=PodSpec(containers=[Container(name="web", image=WEB)])
        )
        wanted = DeploymentSpec(replicas=2, selector=LabelSelector(matchLabels=labels), template=template)
        kube.create(Deployment(metadata=ObjectMeta(name="web", labels=labels), spec=wanted))
        kube.wait(Deployment, "web", for_conditions=["Available"])
        pods = [one.metadata.name for one in kube.list(Pod, labels=labels)]
        assert len(pods) == 2
        assert list(kube.log(pods[0], follow=False)) is not None
        scale = {"spec": {"replicas": 1}}
        kube.patch(Deployment.Scale, "web", scale, patch_type=PatchType.MERGE)
        assert kube.get(Deployment, "web").spec.replicas == 1
        seen = kube.get(Deployment, "web").metadata.resourceVersion
        kube.delete(Deployment, "web", cascade=CascadeType.FOREGROUND)
        told = [kind for kind, _ in self.until_deleted(kube, seen)]
        assert told[-1] == "DELETED"
        assert [one.metadata.name for one in kube.list(Pod, labels=labels)] == []

    def until_deleted(self, kube: lightkube.Client, seen: str) -> Iterator[tuple[str, Any]]:
        name = {"metadata.name": "web"}
        for event in kube.watch(Deployment, fields=name, resource_version=seen, server_timeout=60):
            yield event
            if event[0] == "DELETED":
                return

    def test_apply_conflicts_and_errors(self, kube: lightkube.Client, namespace: str) -> None:
        one = ConfigMap(metadata=ObjectMeta(name="c", namespace=namespace), data={"a": "1"})
        kube.apply(one)
        other = ConfigMap(metadata=ObjectMeta(name="c", namespace=namespace), data={"a": "2"})
        with pytest.raises(ApiError) as conflict:
            kube.apply(other, field_manager="another")
        assert (conflict.value.status.code, conflict.value.status.reason) == (409, "Conflict")
        assert kube.apply(other, field_manager="another", force=True).data == {"a": "2"}
        with pytest.raises(ApiError) as missing:
            kube.get(ConfigMap, "nowhere")
        assert missing.value.status.reason == "NotFound"

    def test_a_watch_tells_of_each_change_once(self, kube: lightkube.Client, namespace: str) -> None:
        kube.create(ConfigMap(metadata=ObjectMeta(name="w", namespace=namespace), data={"n": "0"}))
        start = kube.get(ConfigMap, "w").metadata.resourceVersion
        for number in range(1, 6):
            kube.patch(ConfigMap, "w", {"data": {"n": str(number)}})
        told = []
        for kind, seen in kube.watch(
            ConfigMap, fields={"metadata.name": "w"}, resource_version=start, server_timeout=30
        ):
            told.append((kind, seen.data["n"]))
            if seen.data["n"] == "5":
                break
        assert told == [("MODIFIED", str(number)) for number in range(1, 6)]


def test_what_a_client_reads_is_what_it_can_send_back(api: official.ApiClient, namespace: str) -> None:
    apps = official.AppsV1Api(api)
    template = {"metadata": {"labels": {"app": "a"}}, "spec": pod("a")["spec"]}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "a"}}, "template": template}
    apps.create_namespaced_deployment(namespace, {"metadata": {"name": "a"}, "spec": spec})
    deadline = time.monotonic() + 30
    before = apps.read_namespaced_deployment("a", namespace)
    while not before.metadata.annotations and time.monotonic() < deadline:  # what its controller adds is a change, too
        time.sleep(0.05)
        before = apps.read_namespaced_deployment("a", namespace)
    read = api.sanitize_for_serialization(before)
    del read["metadata"]["resourceVersion"], read["metadata"]["uid"]
    after = apps.replace_namespaced_deployment("a", namespace, read)
    assert after.metadata.generation == before.metadata.generation
    assert after.spec == before.spec
