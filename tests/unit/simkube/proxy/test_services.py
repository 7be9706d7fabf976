"""Services lead to ready endpoints; names lead to services. Driven by the objects alone, without controllers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simkube.addons.dns import CoreDNS
from simkube.client.client import Event
from simkube.client.workqueue import WorkLoop
from simkube.clock.clock import spawn
from simkube.proxy.services import KubeProxy
from simkube.runtime.container import SimContainer
from simkube.runtime.cri import HTTPRequest, NetworkError
from tests.doubles.container_node import Bench

Obj = dict[str, Any]
CLUSTER_IP = "10.96.0.50"


class Objects:
    """An API server that only tells of what is put into it."""

    def __init__(self) -> None:
        self._handlers: dict[str, list[Callable[[Event], None]]] = {}
        self._objects: dict[str, dict[str, Obj]] = {}

    def subscribe(self, resource: str, handler: Callable[[Event], None]) -> Callable[[], None]:
        self._handlers.setdefault(resource, []).append(handler)
        for obj in self._objects.get(resource, {}).values():
            handler(Event("ADDED", obj))
        return lambda: self._handlers[resource].remove(handler)

    def put(self, resource: str, obj: Obj) -> None:
        known = self._objects.setdefault(resource, {})
        name = f"{obj['metadata'].get('namespace')}/{obj['metadata']['name']}"
        event = Event("MODIFIED" if name in known else "ADDED", obj, known.get(name))
        known[name] = obj
        for handler in list(self._handlers.get(resource, [])):
            handler(event)


class Plane:
    """A bench with kube-proxy and DNS."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.objects = Objects()
        self.work = WorkLoop(self.bench.clock)
        network = self.bench.network
        self.proxy = KubeProxy(self.objects, self.work, network)  # type: ignore[arg-type] # only subscribe is used
        self.dns = CoreDNS(self.objects, self.work, network)  # type: ignore[arg-type] # as above
        self.proxy.start()
        self.dns.start()
        self.client = self.bench.idle(sandbox=self.bench.sandbox("client"))

    def web(self, name: str) -> SimContainer:
        return self.bench.started("kindling/web:1.0", sandbox=self.bench.sandbox(name))

    def service(self, **spec: Any) -> None:
        meta = {"namespace": "default", "name": "web"}
        full = {"clusterIP": CLUSTER_IP, "ports": [{"name": "http", "port": 80, "targetPort": "http"}], **spec}
        self.objects.put("services", {"metadata": meta, "spec": full})

    def endpoints(self, *endpoints: tuple[SimContainer, dict[str, bool]]) -> None:
        self.objects.put(
            "endpointslices.discovery.k8s.io",
            {
                "metadata": {"namespace": "default", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
                "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
                "endpoints": [
                    {"addresses": [one.sandbox.ip], "conditions": conditions, "nodeName": "node-1"}
                    for one, conditions in endpoints
                ],
            },
        )
        self.advance(2)

    def advance(self, seconds: float) -> None:
        self.bench.clock.advance(seconds, lambda: (self.work.run_until_quiet(), None)[1])

    def ask(self, host: str = CLUSTER_IP, port: int = 80) -> str:
        asked = spawn(self.bench.network.request(self.client.sandbox.ip, host, port, HTTPRequest()))
        self.advance(0)
        return asked.result().body.decode().split()[2].rstrip(",")


READY = {"ready": True, "serving": True, "terminating": False}
UNREADY = {"ready": False, "serving": False, "terminating": False}
LEAVING = {"ready": False, "serving": True, "terminating": True}


def test_every_ready_endpoint_is_reached_and_no_other() -> None:
    plane = Plane()
    one, two, three = plane.web("one"), plane.web("two"), plane.web("three")
    plane.service()
    plane.endpoints((one, READY), (two, READY), (three, UNREADY))
    assert {plane.ask() for _ in range(50)} == {"one", "two"}
    assert plane.ask("web") in ("one", "two")
    assert plane.ask("web.default.svc.cluster.local") in ("one", "two")


def test_terminating_endpoints_serve_when_there_is_no_other() -> None:
    plane = Plane()
    one, two = plane.web("one"), plane.web("two")
    plane.service()
    plane.endpoints((one, READY), (two, LEAVING))
    assert {plane.ask() for _ in range(20)} == {"one"}
    plane.endpoints((two, LEAVING))
    assert plane.ask() == "two"


def test_without_endpoints_connections_are_refused_and_unknown_ports_find_no_answer() -> None:
    plane = Plane()
    plane.service()
    plane.endpoints()
    with pytest.raises(NetworkError, match="refused"):
        plane.ask()
    asked = spawn(plane.bench.network.request(plane.client.sandbox.ip, CLUSTER_IP, 81, HTTPRequest()))
    plane.advance(100)
    assert not asked.done


def test_session_affinity_keeps_to_one_endpoint() -> None:
    plane = Plane()
    webs = [plane.web(name) for name in ("one", "two", "three")]
    plane.service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 10}})
    plane.endpoints(*((web, READY) for web in webs))
    assert len({plane.ask() for _ in range(20)}) == 1


def test_node_ports_lead_to_endpoints() -> None:
    plane = Plane()
    plane.service(type="NodePort", ports=[{"name": "http", "port": 80, "nodePort": 30080}])
    plane.endpoints((plane.web("one"), READY))
    assert plane.ask(plane.bench.engine.node.address, 30080) == "one"


def test_rules_stay_when_kube_proxy_stops() -> None:
    plane = Plane()
    one, two = plane.web("one"), plane.web("two")
    plane.service()
    plane.endpoints((one, READY))
    plane.proxy.stop()
    plane.endpoints((two, READY))
    assert plane.ask() == "one"
    plane.proxy.start()
    plane.advance(2)
    assert plane.ask() == "two"


def test_rules_follow_at_most_once_a_second_after_a_burst() -> None:
    plane = Plane()
    webs = [plane.web(f"web-{number}") for number in range(4)]
    plane.service()
    plane.advance(5)
    reached = []
    for web in webs:
        plane.objects.put(
            "endpointslices.discovery.k8s.io",
            {
                "metadata": {"namespace": "default", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
                "ports": [{"name": "http", "port": 8080}],
                "endpoints": [{"addresses": [web.sandbox.ip], "conditions": READY}],
            },
        )
        plane.advance(0.01)
        reached.append(plane.ask())
    assert reached == ["web-0", "web-1", "web-1", "web-1"]
    plane.advance(1)
    assert plane.ask() == "web-3"


def test_names_of_headless_and_external_services_and_pods() -> None:
    plane = Plane()
    one, two = plane.web("one"), plane.web("two")
    plane.service(clusterIP="None")
    plane.endpoints((one, READY), (two, UNREADY))
    plane.objects.put("namespaces", {"metadata": {"name": "default"}})
    alias = {"metadata": {"namespace": "default", "name": "alias"}}
    spec = {"type": "ExternalName", "externalName": "web.default.svc.cluster.local"}
    plane.objects.put("services", {**alias, "spec": spec})
    look = plane.dns.lookup
    assert look("web.default.svc.cluster.local") == [one.sandbox.ip]
    dashed = one.sandbox.ip.replace(".", "-")
    assert look(f"{dashed}.web.default.svc.cluster.local.") == [one.sandbox.ip]
    assert look("alias.default.svc.cluster.local") == [one.sandbox.ip]
    assert look(f"{dashed}.default.pod.cluster.local") == [one.sandbox.ip]
    assert look("web.other.svc.cluster.local") == look("example.com") == look("") == []


def test_records_of_ports_addresses_and_aliases() -> None:
    plane = Plane()
    one, two = plane.web("one"), plane.web("two")
    plane.service()
    plane.endpoints((one, READY), (two, READY))
    run = plane.bench.run
    assert "web.default.svc.cluster.local" in run("nslookup 10.96.0.50", plane.client).out
    query = "nslookup -type=srv _http._tcp.web.default.svc.cluster.local"
    assert "service = 0 100 80 web.default.svc.cluster.local" in run(query, plane.client).out
    plane.service(clusterIP="None")
    plane.endpoints((one, READY), (two, READY))
    dashed = [each.sandbox.ip.replace(".", "-") for each in (one, two)]
    found = run(query, plane.client).out.splitlines()
    assert sorted(line for line in found if "service =" in line) == [
        f"_http._tcp.web.default.svc.cluster.local\tservice = 0 100 8080 {each}.web.default.svc.cluster.local"
        for each in sorted(dashed)
    ]
    spec = {"type": "ExternalName", "externalName": "example.org"}
    plane.objects.put("services", {"metadata": {"namespace": "default", "name": "out"}, "spec": spec})
    assert "out.default.svc.cluster.local\tcanonical name = example.org" in run("nslookup out", plane.client).out
    assert "NXDOMAIN" in run("nslookup -type=srv _x._tcp.web.default.svc.cluster.local", plane.client).out


@pytest.mark.parametrize(
    "name", ["", ".", "a" * 64, "a." * 200, "..", "web..default", "*", "web.default.svc.cluster.local/x"]
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(NetworkError):
        Plane().dns.resolve(name, ("default.svc.cluster.local",))


def test_without_dns_names_are_waited_for_in_vain() -> None:
    plane = Plane()
    plane.service()
    plane.endpoints((plane.web("one"), READY))
    plane.dns.stop()
    result = plane.bench.run("wget -qO- http://web; nslookup web", plane.client)
    assert "wget: bad address 'web'" in result.err
    assert "no servers could be reached" in result.out
    assert plane.ask() == "one"


def test_a_node_that_is_gone_does_not_answer() -> None:
    plane = Plane()
    one = plane.web("one")
    plane.service()
    plane.endpoints((one, READY))
    plane.bench.engine.node.reachable = False
    asked = spawn(plane.bench.network.request("10.0.0.1", one.sandbox.ip, 8080, HTTPRequest()))
    plane.advance(126)
    assert not asked.done
    plane.advance(2)
    with pytest.raises(NetworkError, match="timed out"):
        asked.result()


def test_near_endpoints_are_preferred_where_there_are_any() -> None:
    plane = Plane()
    one, two = plane.web("one"), plane.web("two")
    plane.bench.network.node("node-2")
    for name, zone in (("node-1", "a"), ("node-2", "b")):
        plane.objects.put("nodes", {"metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}}})
    for wanted in ("PreferSameNode", "PreferSameZone"):
        plane.service(trafficDistribution=wanted)
        plane.endpoints((one, READY), (two, READY))
        slices = "endpointslices.discovery.k8s.io"
        slice_ = plane.objects._objects[slices]["default/web-1"]
        far = [{**each, "nodeName": node} for each, node in zip(slice_["endpoints"], ("node-1", "node-2"), strict=True)]
        plane.objects.put(slices, {**slice_, "endpoints": far})
        plane.advance(3)
        assert {plane.ask() for _ in range(20)} == {"one"}
        plane.objects.put(slices, {**slice_, "endpoints": [{**far[0], "conditions": UNREADY}, far[1]]})
        plane.advance(3)
        assert {plane.ask() for _ in range(5)} == {"two"}
