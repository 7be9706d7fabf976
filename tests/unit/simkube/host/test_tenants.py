"""What is left of a cluster when it is gone: nothing that anybody holds."""

from __future__ import annotations

import asyncio
import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import yaml

from simkube.apiserver.http.encoding import Encodings
from simkube.client.client import Client
from simkube.etcd.journal import Journal
from simkube.host.tenants import Tenants
from tests.unit.simkube.host.test_controls import deployment

TOPOLOGY = yaml.safe_load((Path(__file__).parents[4] / "kind-configs" / "single.yaml").read_text())


@pytest.mark.parametrize("end", ["delete", "restore"])
def test_nobody_holds_a_cluster_that_was_closed(end: str) -> None:
    async def live() -> None:
        tenants = Tenants(Journal(), Encodings(), address="127.0.0.1:1", ca="")
        tenant = tenants.create("a", TOPOLOGY, {})
        tenants.snapshot("a")
        cluster: Any = tenant.cluster
        client = Client(cluster.apiserver, "kubectl", cluster.clock)
        client.create("deployments.apps", deployment("web"), "default")
        await asyncio.sleep(0.2)
        assert not tenants.closed.is_set()
        getattr(tenants, end)("a")
        assert tenants.closed.is_set()
        gone = weakref.ref(cluster)
        del cluster, client, tenant
        await asyncio.sleep(0)
        gc.collect()
        assert gone() is None, [type(each) for each in gc.get_referrers(gone())]
        tenants.stop()

    asyncio.run(live())


def test_the_token_that_a_cluster_was_made_with_is_reviewed_as_whose_it_is() -> None:
    async def live() -> Any:
        tenants = Tenants(Journal(), Encodings(), address="127.0.0.1:1", ca="")
        tenant = tenants.create("a", TOPOLOGY, {}, users={"learner": "lea"})
        client = Client(tenant.cluster.apiserver, "kr8s", tenant.cluster.clock)
        asked = [{"token": tenant.meta["tokens"]["learner"], **more} for more in ({}, {"audiences": ["vault"]})]
        said = [client.create("tokenreviews.authentication.k8s.io", {"spec": spec})["status"] for spec in asked]
        tenants.stop()
        return said

    own, others = asyncio.run(live())
    assert own["authenticated"]
    assert own["user"] == {"username": "lea", "groups": ["system:masters", "system:authenticated"]}
    assert "authenticated" not in others


def test_what_was_encoded_of_a_cluster_goes_with_it() -> None:
    encodings = Encodings(most_bytes=1000)
    one, other = encodings.open(), encodings.open()
    obj = {"kind": "A", "apiVersion": "v1", "metadata": {"uid": "u", "resourceVersion": "1"}, "data": "x" * 100}
    assert one.object(obj) is one.object(obj)
    assert other.object(obj) is not one.object(obj)
    assert len(encodings) == 2
    one.forget()
    assert len(encodings) == 1
    for number in range(50):
        other.object({**obj, "metadata": {"uid": "u", "resourceVersion": str(number)}})
    assert len(encodings) < 8
