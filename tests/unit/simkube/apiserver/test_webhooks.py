"""Webhooks that lead to pods: a whole cluster on a manual clock, and the program that Kubernetes tests its own with."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.webhook.calling import Replies, Waiting
from simkube.client.client import Client, Obj
from tests.doubles.control_plane import START, Plane
from tests.unit.simkube.certificates import Authority

NODE = {"kind": "Cluster", "nodes": [{"role": "control-plane"}]}
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.53"
GROUP = "admissionregistration.k8s.io"
NAME = "hooks.default.svc"


class Hooks:
    """A cluster in which ``agnhost webhook`` serves behind a Service, with a certificate of an authority of its own."""

    def __init__(self) -> None:
        self.plane = Plane(NODE)
        self.client: Client = self.plane.client
        self.authority = Authority(datetime.fromtimestamp(START, UTC))

    def serve(self, *arguments: str, names: tuple[str, ...] = (NAME,), **dates: timedelta) -> None:
        """Run the program with a certificate for ``names``."""
        chain, key = self.authority.server(names, **dates)
        data = {"tls.crt": base64.b64encode(chain).decode(), "tls.key": base64.b64encode(key).decode()}
        secret = {"metadata": {"name": "certs"}, "type": "kubernetes.io/tls", "data": data}
        self.client.create("secrets", secret, "default")
        files = ["--tls-cert-file=/certs/tls.crt", "--tls-private-key-file=/certs/tls.key"]
        probe = {"httpGet": {"path": "/readyz", "port": 443, "scheme": "HTTPS"}, "periodSeconds": 1}
        container = {"name": "hooks", "image": AGNHOST, "args": [*(arguments or ("webhook",)), *files]}
        container |= {"volumeMounts": [{"name": "certs", "mountPath": "/certs"}], "readinessProbe": probe}
        volume = {"name": "certs", "secret": {"secretName": "certs"}}
        self.plane.pod("hooks", labels={"app": "hooks"}, containers=[container], volumes=[volume])
        self.plane.service("hooks", ports=[{"port": 443, "targetPort": 443}])
        self.plane.settle(5)

    def config(self, path: str) -> Obj:
        bundle = base64.b64encode(self.authority.pem).decode()
        return {"service": {"name": "hooks", "namespace": "default", "path": path}, "caBundle": bundle}

    def hook(self, kind: str, path: str, name: str = "a", resource: str = "configmaps", **fields: Any) -> None:
        rule = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": [resource]}
        one = {
            "name": f"{name}.example.org",
            "rules": [rule],
            "clientConfig": self.config(path),
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            **fields,
        }
        resource = f"{kind}webhookconfigurations.{GROUP}"
        self.client.create(resource, {"metadata": {"name": name}, "webhooks": [one]})

    def config_map(self, name: str = "a", **data: str) -> Obj:
        return self.client.create("configmaps", {"metadata": {"name": name}, "data": data}, "default")

    def refused(self, **data: str) -> StatusError:
        with pytest.raises(StatusError) as caught:
            self.config_map(**data)
        return caught.value


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    made = Hooks()
    yield made
    made.plane.cluster.stop()


def test_a_validating_webhook_refuses_with_the_words_of_its_program(hooks: Hooks) -> None:
    hooks.serve()
    hooks.hook("validating", "/configmaps")
    assert hooks.config_map(x="y")["data"] == {"x": "y"}
    error = hooks.refused(**{"webhook-e2e-test": "webhook-disallow"})
    words = 'admission webhook "a.example.org" denied the request: the configmap contains unwanted key and value'
    assert (error.code, error.message) == (400, words)
    hooks.config_map("kept", **{"webhook-e2e-test": "webhook-nondeletable"})
    with pytest.raises(StatusError, match="cannot be deleted"):
        hooks.client.delete("configmaps", "kept", "default")
    assert hooks.client.get("configmaps", "kept", "default")


def test_mutating_webhooks_change_an_object_one_after_the_other(hooks: Hooks) -> None:
    hooks.serve()
    hooks.hook("mutating", "/mutating-configmaps", "a")
    hooks.hook("mutating", "/mutating-configmaps", "b")
    made = hooks.config_map(**{"mutation-start": "yes"})
    assert made["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}
    assert hooks.client.get("configmaps", "a", "default")["data"] == made["data"]


@pytest.mark.parametrize(("policy", "stages"), [("Never", 1), ("IfNeeded", 2)])
def test_a_webhook_sees_again_what_a_later_one_changed_if_it_wants_to(hooks: Hooks, policy: str, stages: int) -> None:
    hooks.serve()
    hooks.hook("mutating", "/mutating-configmaps", "a", reinvocationPolicy=policy)
    hooks.hook("mutating", "/add-label", "b")
    made = hooks.config_map(**{"mutation-start": "yes"})
    assert made["metadata"]["labels"] == {"added-label": "yes"}
    assert len(made["data"]) == 1 + stages


def test_what_controllers_create_goes_the_same_way(hooks: Hooks) -> None:
    """A sidecar for every pod of a Deployment, with the token that every container has."""
    hooks.serve("webhook", "--sidecar-image", "registry.k8s.io/pause:3.10")
    selector = {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["hooks"]}]}
    hooks.hook("mutating", "/mutating-pods-sidecar", resource="pods", objectSelector=selector)
    hooks.plane.deploy(replicas=2, image="nginx:1.27")
    hooks.plane.settle(20)
    pods = [pod for pod in hooks.plane.pods() if pod["metadata"]["name"].startswith("web-")]
    assert len(pods) == 2
    for pod in pods:
        assert [each["name"] for each in pod["spec"]["containers"]] == ["web", "webhook-added-sidecar"]
        assert all(each["volumeMounts"] for each in pod["spec"]["containers"])
        assert all(each["ready"] for each in pod["status"]["containerStatuses"])


def test_match_conditions_decide_who_is_asked(hooks: Hooks) -> None:
    hooks.serve()
    condition = {"name": "not-mine", "expression": "object.metadata.name != 'mine'"}
    hooks.hook("validating", "/always-deny", matchConditions=[condition])
    assert hooks.config_map("mine")
    error = hooks.refused()
    assert error.message == 'admission webhook "a.example.org" denied the request: this webhook denies all requests'


def test_while_its_pod_is_not_ready_nobody_listens_at_its_service(hooks: Hooks) -> None:
    hooks.serve()
    hooks.hook("validating", "/configmaps")
    hooks.client.delete("pods", "hooks", "default", gracePeriodSeconds=0)
    hooks.plane.settle(5)
    error = hooks.refused()
    assert error.code == 500
    assert error.message.startswith(
        'Internal error occurred: failed calling webhook "a.example.org": failed to call webhook: '
        'Post "https://hooks.default.svc:443/configmaps?timeout=10s": dial tcp 10.96.'
    )
    assert error.message.endswith(":443: connect: connection refused")


def test_a_webhook_that_fails_may_be_ignored(hooks: Hooks) -> None:
    hooks.hook("validating", "/configmaps", failurePolicy="Ignore")
    assert hooks.config_map()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"names": ("other.default.svc",)}, "x509: certificate is valid for other.default.svc, not hooks.default.svc"),
        ({"names": ()}, "x509: certificate relies on legacy Common Name field, use SANs instead"),
        ({"until": timedelta(seconds=2)}, "x509: certificate has expired or is not yet valid: current time 2027-01-"),
    ],
)
def test_a_certificate_that_is_not_believed(hooks: Hooks, given: dict[str, Any], words: str) -> None:
    hooks.serve(**given)
    hooks.hook("validating", "/configmaps")
    assert f"tls: failed to verify certificate: {words}" in hooks.refused().message


def test_an_authority_that_nobody_named(hooks: Hooks) -> None:
    hooks.serve()
    hooks.authority = Authority(datetime.fromtimestamp(START, UTC))
    hooks.hook("validating", "/configmaps")
    assert hooks.refused().message.endswith("x509: certificate signed by unknown authority")


def test_a_server_that_speaks_no_tls(hooks: Hooks) -> None:
    hooks.plane.pod("hooks", labels={"app": "hooks"}, containers=[{"name": "a", "image": "nginx:1.27"}])
    hooks.plane.service("hooks", ports=[{"port": 443, "targetPort": 80}])
    hooks.plane.settle(20)
    hooks.hook("validating", "/configmaps")
    assert hooks.refused().message.endswith(": http: server gave HTTP response to HTTPS client")


def test_a_component_does_not_wait_for_one_that_takes_its_time(hooks: Hooks) -> None:
    hooks.serve()
    hooks.hook("validating", "/always-allow-delay-5s")
    assert hooks.refused().message.endswith('/always-allow-delay-5s?timeout=10s": context deadline exceeded')


def test_a_request_over_http_waits_and_begins_anew(hooks: Hooks) -> None:
    """What the HTTP side does: ask, wait for the answer, ask again with it; nothing is to be seen in between."""
    hooks.serve()
    hooks.hook("validating", "/always-allow-delay-5s")
    replies, outgoing = Replies(), hooks.plane.cluster.apiserver.outgoing
    with pytest.raises(Waiting) as caught, outgoing.patient(replies):
        hooks.config_map("late")
    hooks.plane.settle(4)
    assert not caught.value.task.done
    hooks.plane.settle(2)
    assert hooks.client.list("configmaps", "default", fields="metadata.name=late") == []
    replies[caught.value.key] = caught.value.task
    with outgoing.patient(replies):
        assert hooks.config_map("late")


def test_a_path_that_is_not_there(hooks: Hooks) -> None:
    hooks.serve()
    hooks.hook("validating", "/no-such-path")
    assert hooks.refused().message.endswith("failed to call webhook: the server could not find the requested resource")


def test_a_server_whose_key_is_another_ones_does_not_start(hooks: Hooks) -> None:
    other = hooks.authority.server((NAME,))[1]
    real = hooks.authority.server
    hooks.authority.server = lambda *given, **dates: (real(*given, **dates)[0], other)  # type: ignore[method-assign]
    hooks.serve()
    (status,) = hooks.client.get("pods", "hooks", "default")["status"]["containerStatuses"]
    assert not status["ready"]
    assert status["restartCount"] >= 1
