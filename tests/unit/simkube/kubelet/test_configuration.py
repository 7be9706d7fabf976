"""Volumes, environment, and what is refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from simkube.component_helpers.unsimulated import refusals
from simkube.kubelet.env import expand, service_variables
from tests.doubles.kubelet import START, Node, Script


def _container(**fields: Any) -> dict[str, Any]:
    return {"name": "web", "image": "web", **fields}


def _env(node: Node) -> dict[str, str]:
    return dict(node.runtime.started[-1].config.env)


def _volume(node: Node, path: str = "/data") -> Any:
    return next(mount for mount in node.runtime.started[-1].config.mounts if mount.path == path)


def _secret(node: Node, name: str, data: dict[str, str]) -> None:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    obj = {"kind": "Secret", "metadata": {"name": name, "namespace": "default"}, "data": encoded}
    node.server.create(node.caller, "secrets", obj, "default")


class TestEnvironment:
    def test_expansion(self) -> None:
        assert expand("$(A)-$(B) $$(A) $A $(", {"A": "1"}) == "1-$(B) $(A) $A $("

    def test_every_source_and_its_precedence(self) -> None:
        node = Node({"web": Script()})
        node.config_map("base", {"COLOUR": "red", "SIZE": "small"})
        _secret(node, "keys", {"token": "s3cret"})
        env = [
            {"name": "SIZE", "value": "large"},
            {"name": "BOTH", "value": "$(COLOUR)-$(SIZE)"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "TIER", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['tier']"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "requests.memory", "divisor": "1Mi"}}},
            {"name": "GONE", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "x", "optional": True}}},
        ]
        container = _container(
            env=env,
            envFrom=[{"configMapRef": {"name": "base"}}, {"prefix": "P_", "configMapRef": {"name": "base"}}],
            resources={"requests": {"memory": "64Mi"}},
            command=["run", "$(BOTH)"],
        )
        node.run({"containers": [container]}, labels={"tier": "front"})
        found = _env(node)
        assert found == {
            "COLOUR": "red", "SIZE": "large", "P_COLOUR": "red", "P_SIZE": "small", "BOTH": "red-large",
            "TOKEN": "s3cret", "NAME": "web", "TIER": "front", "IP": "10.244.0.2", "CPU": "4", "MEM": "64",
        }  # fmt: skip
        assert node.runtime.started[0].config.command == ["run", "red-large"]

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"envFrom": [{"configMapRef": {"name": "no"}}]}, 'configmap "no" not found'),
            ({"envFrom": [{"secretRef": {"name": "no"}}]}, 'secret "no" not found'),
            (
                {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "base", "key": "k"}}}]},
                "couldn't find key k in ConfigMap default/base",
            ),
        ],
    )
    def test_a_missing_reference(self, fields: dict[str, Any], message: str) -> None:
        node = Node({"web": Script()})
        node.config_map("base", {})
        node.run({"containers": [_container(**fields)]})
        assert node.container()["state"]["waiting"] == {"reason": "CreateContainerConfigError", "message": message}
        assert f"Warning Failed x1: Error: {message}" in node.events()

    def test_a_reference_that_appears_is_found(self) -> None:
        node = Node({"web": Script()})
        node.run({"containers": [_container(envFrom=[{"configMapRef": {"name": "late"}}])]})
        node.config_map("late", {"A": "1"})
        node.advance(15)
        assert _env(node) == {"A": "1"}

    def test_variables_of_services(self) -> None:
        ports = [{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}]
        service = {"metadata": {"name": "my-web"}, "spec": {"clusterIP": "10.96.0.9", "ports": ports}}
        headless = {"metadata": {"name": "db"}, "spec": {"clusterIP": "None", "ports": ports}}
        assert service_variables([service, headless]) == {
            "MY_WEB_SERVICE_HOST": "10.96.0.9",
            "MY_WEB_SERVICE_PORT": "80",
            "MY_WEB_SERVICE_PORT_HTTP": "80",
            "MY_WEB_SERVICE_PORT_DNS": "53",
            "MY_WEB_PORT": "tcp://10.96.0.9:80",
            "MY_WEB_PORT_80_TCP": "tcp://10.96.0.9:80",
            "MY_WEB_PORT_80_TCP_PROTO": "tcp",
            "MY_WEB_PORT_80_TCP_PORT": "80",
            "MY_WEB_PORT_80_TCP_ADDR": "10.96.0.9",
            "MY_WEB_PORT_53_UDP": "udp://10.96.0.9:53",
            "MY_WEB_PORT_53_UDP_PROTO": "udp",
            "MY_WEB_PORT_53_UDP_PORT": "53",
            "MY_WEB_PORT_53_UDP_ADDR": "10.96.0.9",
        }


class TestVolumes:
    def _run(self, node: Node, volume: dict[str, Any], **mount: Any) -> None:
        mounts = [{"name": "v", "mountPath": "/data", **mount}]
        node.run({"containers": [_container(volumeMounts=mounts)], "volumes": [{"name": "v", **volume}]})

    def test_an_empty_dir_is_shared_and_survives_a_restart(self) -> None:
        node = Node({"web": Script()})
        mounts = [{"name": "v", "mountPath": "/data"}]
        containers = [_container(volumeMounts=mounts), _container(name="two", volumeMounts=mounts)]
        node.run({"containers": containers, "volumes": [{"name": "v", "emptyDir": {}}]})
        first, second = (one.config.mounts[0].volume for one in node.runtime.started)
        assert first is second
        node.runtime.started[0].end(1)
        node.advance(2)
        assert node.runtime.started[-1].config.mounts[0].volume is first

    def test_a_config_map_with_items_and_modes(self) -> None:
        node = Node({"web": Script()})
        node.config_map("c", {"a": "1", "b": "2"})
        items = [{"key": "a", "path": "sub/a.txt", "mode": 0o600}]
        self._run(node, {"configMap": {"name": "c", "items": items}})
        mount = _volume(node)
        assert mount.volume.files == {"sub/a.txt": (b"1", 0o600)}
        assert mount.read_only is True

    def test_a_secret_is_decoded(self) -> None:
        node = Node({"web": Script()})
        _secret(node, "s", {"password": "hunter2"})
        self._run(node, {"secret": {"secretName": "s", "defaultMode": 0o400}})
        assert _volume(node).volume.files == {"password": (b"hunter2", 0o400)}

    def test_the_projected_volume_every_pod_gets(self) -> None:
        node = Node({"web": Script()})
        node.config_map("kube-root-ca.crt", {"ca.crt": "CERT"})
        sources = [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ]
        self._run(node, {"projected": {"sources": sources, "defaultMode": 420}})
        files = {path: content for path, (content, _) in _volume(node).volume.files.items()}
        assert files == {"token": b"token-of-default", "ca.crt": b"CERT", "namespace": b"default"}

    def test_the_downward_api_knows_labels(self) -> None:
        node = Node({"web": Script()})
        items = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
        node.run(
            {
                "containers": [_container(volumeMounts=[{"name": "v", "mountPath": "/data"}])],
                "volumes": [{"name": "v", "downwardAPI": {"items": items}}],
            },
            labels={"b": "2", "a": "1"},
        )
        assert _volume(node).volume.read("labels") == b'a="1"\nb="2"'

    def test_a_changed_config_map_reaches_the_files_after_a_while(self) -> None:
        node = Node({"web": Script()})
        node.config_map("c", {"a": "1", "gone": "x"})
        self._run(node, {"configMap": {"name": "c"}})
        node.config_map("c", {"a": "2"})
        node.advance(5)
        assert _volume(node).volume.read("a") == b"1"
        node.advance(60)
        assert _volume(node).volume.files == {"a": (b"2", 0o644)}
        assert node.container()["restartCount"] == 0

    @pytest.mark.parametrize(
        ("volume", "message"),
        [
            ({"configMap": {"name": "no"}}, 'configmap "no" not found'),
            ({"secret": {"secretName": "no"}}, 'secret "no" not found'),
            (
                {"configMap": {"name": "c", "items": [{"key": "k", "path": "p"}]}},
                "references non-existent config key: k",
            ),
            (
                {"nfs": {"server": "nas", "path": "/"}},
                "a volume of kind nfs is not simulated here; use a real cluster (kind) for it",
            ),
        ],
    )
    def test_a_volume_that_cannot_be_set_up(self, volume: dict[str, Any], message: str) -> None:
        node = Node({"web": Script()})
        node.config_map("c", {})
        self._run(node, volume)
        assert node.status()["phase"] == "Pending"
        assert node.container()["state"] == {"waiting": {"reason": "ContainerCreating"}}
        assert node.condition("PodReadyToStartContainers") == "False"
        assert node.events() == [f'Warning FailedMount x1: MountVolume.SetUp failed for volume "v" : {message}']

    def test_mounting_is_tried_again_until_the_source_is_there(self) -> None:
        node = Node({"web": Script()})
        self._run(node, {"configMap": {"name": "late"}})
        node.advance(3)
        node.config_map("late", {"a": "1"})
        node.advance(10)
        assert node.status()["phase"] == "Running"

    def test_an_optional_source_may_be_missing(self) -> None:
        node = Node({"web": Script()})
        self._run(node, {"configMap": {"name": "no", "optional": True}})
        assert node.status()["phase"] == "Running"
        assert _volume(node).volume.files == {}

    def test_a_sub_path_may_not_leave_the_volume(self) -> None:
        node = Node({"web": Script()})
        node.config_map("e", {"WHERE": "../../etc"})
        mounts = [{"name": "v", "mountPath": "/data", "subPathExpr": "$(WHERE)"}]
        container = _container(volumeMounts=mounts, envFrom=[{"configMapRef": {"name": "e"}}])
        node.run({"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]})
        assert node.container()["state"]["waiting"]["reason"] == "CreateContainerConfigError"


BLOCK = "a block volume (volumeDevices): the nodes have no block devices"


class TestRefusals:
    @pytest.mark.parametrize(
        ("spec", "feature"),
        [
            ({"runtimeClassName": "gvisor"}, "a runtime class"),
            ({"containers": [_container(volumeDevices=[{"name": "v", "devicePath": "/dev/x"}])]}, BLOCK),
        ],
    )
    def test_a_pod_that_asks_for_it_is_not_run_and_told_why(self, spec: dict[str, Any], feature: str) -> None:
        node = Node({"web": Script()})
        spec = {"containers": [_container()], **spec}
        node.run(spec)
        node.advance(60)
        assert refusals(spec) == [feature]
        assert node.events() == [
            f"Warning FailedCreatePodSandBox x1: Failed to create pod sandbox: {feature} is not simulated here; "
            "use a real cluster (kind) for it"
        ]
        assert node.status()["phase"] == "Pending"

    def test_an_ordinary_pod_has_none(self) -> None:
        assert refusals({"containers": [_container()], "volumes": [{"name": "v", "emptyDir": {}}]}) == []


def test_a_pods_start_time_is_the_clusters_time() -> None:
    node = Node({"web": Script()})
    node.advance(3600)
    node.run({"containers": [_container()]})
    assert node.status()["startTime"] == "2026-01-01T01:00:00Z"
    assert node.clock.now() == START + 3600


class TestSecurityContext:
    @pytest.mark.parametrize(
        ("context", "message"),
        [
            ({"runAsNonRoot": True}, "container has runAsNonRoot and image will run as root"),
            ({"runAsNonRoot": True, "runAsUser": 0}, "container's runAsUser breaks non-root policy"),
        ],
    )
    def test_a_root_user_that_is_not_wanted(self, context: dict[str, Any], message: str) -> None:
        node = Node({"web": Script()})
        node.run({"containers": [_container(securityContext=context)]})
        waiting = node.container()["state"]["waiting"]
        assert waiting["reason"] == "CreateContainerConfigError"
        assert waiting["message"] == f'{message} (pod: "web_default(uid-web)", container: web)'
        assert node.runtime.sandboxes[0].containers == []

    def test_the_containers_context_overrides_the_pods(self) -> None:
        node = Node({"web": Script()})
        container = _container(securityContext={"runAsUser": 1000, "readOnlyRootFilesystem": True})
        shared = {"runAsUser": 0, "runAsNonRoot": True, "runAsGroup": 3000, "fsGroup": 2000, "supplementalGroups": [4]}
        node.run({"containers": [container], "securityContext": shared})
        config = node.runtime.started[0].config
        assert (config.run_as_user, config.read_only_root) == (1000, True)
        assert (config.run_as_group, list(config.groups)) == (3000, [2000, 4])
        assert node.status()["phase"] == "Running"
