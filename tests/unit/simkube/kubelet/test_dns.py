"""dnsPolicy, dnsConfig, hostAliases and subdomains, as they are seen in a container."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.kubelet.dns import aliases, full_name, lookups
from simkube.runtime.cri import SandboxConfig
from tests.doubles.container_node import Bench
from tests.unit.simkube.proxy.test_services import Plane

CLUSTER = ("default.svc.cluster.local", "svc.cluster.local", "cluster.local")

CONFIG = {
    "dnsConfig": {
        "nameservers": ["9.9.9.9"],
        "searches": ["a.org"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
    }
}


@pytest.mark.parametrize(
    ("spec", "servers", "searches", "options"),
    [
        ({}, ("",), CLUSTER, ("ndots:5",)),
        ({"hostNetwork": True}, ("172.18.0.1",), (), ()),
        ({"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}, ("",), CLUSTER, ("ndots:5",)),
        ({"dnsPolicy": "Default"}, ("172.18.0.1",), (), ()),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["9.9.9.9"]}}, ("9.9.9.9",), (), ()),
        (CONFIG, ("", "9.9.9.9"), (*CLUSTER, "a.org"), ("ndots:2", "edns0")),
    ],
)  # fmt: skip
def test_policies(spec: dict[str, Any], servers: Any, searches: Any, options: Any) -> None:
    found = lookups(spec, "default", "cluster.local")
    assert (found["dns_servers"], found["dns_searches"], found["dns_options"]) == (servers, searches, options)


def test_what_a_container_sees() -> None:
    bench = Bench()
    spec = {
        "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
        "hostAliases": [{"ip": "10.1.2.3", "hostnames": ["db", "db.example.org"]}],
        "subdomain": "nodes",
    }
    fqdn = full_name(spec, "one", "default", "cluster.local")
    config = SandboxConfig(
        "u", "default", "one", "one", "node-1", hosts=aliases(spec), fqdn=fqdn,
        **lookups(spec, "default", "cluster.local"),
    )  # fmt: skip
    container = bench.idle(sandbox=bench.engine.sandbox(config))
    seen = bench.run(
        "cat /etc/resolv.conf; grep db /etc/hosts; hostname -f; ping -c1 db | head -1", container, seconds=20
    )
    assert seen.out.splitlines() == [
        "search default.svc.cluster.local svc.cluster.local cluster.local",
        "nameserver 10.96.0.10",
        "options ndots:2",
        "10.1.2.3\tdb\tdb.example.org",
        "one.nodes.default.svc.cluster.local",
        "PING db (10.1.2.3): 56 data bytes",
    ]


@pytest.mark.parametrize(
    ("policy", "waits", "words"),
    [
        ({"dnsPolicy": "Default"}, 0, "not known"),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["9.9.9.9"]}}, 10, "Temporary failure"),
    ],
)
def test_other_name_servers_know_no_names_of_the_cluster(policy: dict[str, Any], waits: float, words: str) -> None:
    from simkube.clock.clock import spawn
    from simkube.runtime.cri import NetworkError

    bench = Bench()
    config = SandboxConfig("u", "default", "one", "one", "node-1", **lookups(policy, "default", "cluster.local"))
    sandbox = bench.engine.sandbox(config)
    looking = spawn(bench.network.resolve(sandbox.ip, "kubernetes"))
    bench.clock.advance(max(0.0, waits - 0.1))
    assert looking.done == (not waits)
    bench.clock.advance(0.2)
    with pytest.raises(NetworkError, match=words):
        looking.result()


@pytest.mark.parametrize(("policy", "found"), [("ClusterFirst", False), ("ClusterFirstWithHostNet", True)])
def test_pods_on_the_host_network_ask_whom_they_say(policy: str, *, found: bool) -> None:
    plane = Plane()
    plane.service()
    plane.endpoints((plane.web("one"), {"ready": True}))
    spec = {"hostNetwork": True, "dnsPolicy": policy}
    config = SandboxConfig(
        "u", "default", "host", "node-1", "node-1", host_network=True, **lookups(spec, "default", "cluster.local")
    )
    container = plane.bench.idle(sandbox=plane.bench.engine.sandbox(config))
    result = plane.bench.run("wget -qO- http://web", container)
    assert (result.code == 0) == found
    assert ("bad address 'web'" in result.err) == (not found)
