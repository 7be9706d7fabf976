"""The admission chain: its order, and what goes with a plug-in that is switched off."""

from __future__ import annotations

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.admission.chain import OWN, PLUGINS
from simkube.apiserver.admission.plugin import Plugin
from simkube.apiserver.server import APIServer
from simkube.client.client import Caller, Obj
from simkube.clock.clock import Clock
from simkube.etcd.journal import Journal
from simkube.etcd.store import Store

ADMIN = Caller("admin", ("system:masters",), "test")
UPSTREAM = (
    "NamespaceLifecycle LimitRanger ServiceAccount TaintNodesByCondition PodSecurity Priority DefaultTolerationSeconds "
    "DefaultStorageClass StorageObjectInUseProtection PersistentVolumeClaimResize CertificateApproval "
    "CertificateSigning CertificateSubjectRestriction DefaultIngressClass MutatingAdmissionWebhook "
    "ValidatingAdmissionPolicy ValidatingAdmissionWebhook ResourceQuota"
)


@pytest.fixture
def server() -> APIServer:
    made = APIServer(Store(Journal(), "c"), Clock(1_700_000_000.0))
    made.create(ADMIN, "namespaces", {"metadata": {"name": "default"}})
    return made


def pod(**spec: object) -> Obj:
    containers = [{"name": "a", "image": "nginx"}]
    return {"metadata": {"name": "a", "namespace": "default"}, "spec": {"containers": containers, **spec}}


def test_plugins_stand_in_the_order_of_the_real_server_and_ours_come_last() -> None:
    names = [plugin.name for plugin in PLUGINS]
    assert names[: -len(OWN)] == UPSTREAM.split()
    assert set(names[-len(OWN) :]) == OWN


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda one: one.name)
def test_each_plugin_does_something(plugin: type[Plugin]) -> None:
    assert plugin.admit is not Plugin.admit or plugin.validate is not Plugin.validate
    assert plugin.operations


def test_a_plugin_that_is_switched_off_does_nothing_until_it_is_back(server: APIServer) -> None:
    with pytest.raises(StatusError, match="error looking up service account"):
        server.create(ADMIN, "pods", pod())
    server.admission.disabled = frozenset({"ServiceAccount", "DefaultTolerationSeconds"})
    made = server.create(ADMIN, "pods", pod())
    assert "serviceAccountName" not in made["spec"]
    assert "tolerations" not in made["spec"]
    server.delete(ADMIN, "pods", "a", "default")
    server.admission.disabled = frozenset()
    with pytest.raises(StatusError, match="error looking up service account"):
        server.create(ADMIN, "pods", pod())


def test_what_protects_the_simulation_stays_on(server: APIServer) -> None:
    server.admission.disabled = frozenset(plugin.name for plugin in PLUGINS)
    assert not server.admission.disabled & OWN
