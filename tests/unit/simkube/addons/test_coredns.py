"""CoreDNS in its pods: its Corefile is obeyed, and names are answered while it runs.

The steps are those of Kubernetes' page "Debugging DNS Resolution".
"""

from __future__ import annotations

import pytest

from simkube.component_helpers.pods import is_ready
from tests.unit.simkube.addons.house import DNS, House, without

NAME = "kubernetes.default"
GONE = "can't find nobody"


@pytest.fixture
def house() -> House:
    house = House()
    house.dnsutils()
    return house


def resolves(house: House, name: str = NAME) -> bool:
    return house.shell(f"nslookup {name}")[0] == 0


def test_names_are_answered_by_its_pods(house: House) -> None:
    code, said = house.shell(f"nslookup {NAME}")
    assert code == 0
    assert "Address:\t10.96.0.10:53" in said
    assert "Address: 10.96.0.1" in said
    assert len(house.system(DNS)) == 2
    slices = house.client.list(
        "endpointslices.discovery.k8s.io", "kube-system", labels="kubernetes.io/service-name=kube-dns"
    )
    addresses = {address for each in slices for one in each["endpoints"] for address in one["addresses"]}
    assert addresses == {pod["status"]["podIP"] for pod in house.system(DNS)}
    assert house.shell(f"nslookup {NAME} {addresses.pop()}")[0] == 0


def test_queries_are_logged_after_log_was_added_to_the_corefile(house: House) -> None:
    resolves(house)
    assert "A IN" not in house.logs(DNS)
    house.edit("errors\n", "log\n    errors\n")
    house.settle(90)
    assert house.logs(DNS).count("[INFO] Reloading complete") == 2
    assert resolves(house)
    address = house.client.get("pods", "dnsutils", "default")["status"]["podIP"]
    assert f"[INFO] {address}:" in house.logs(DNS)
    assert '"A IN kubernetes.default.svc.cluster.local. udp' in house.logs(DNS)
    assert "NOERROR qr,aa,rd" in house.logs(DNS)


def test_without_its_pods_no_name_is_found(house: House) -> None:
    house.patch("deployments.apps", "coredns", {"spec": {"replicas": 0}})
    house.settle(60)
    assert house.system(DNS) == []
    code, said = house.shell(f"nslookup {NAME}")
    assert code == 1
    assert "no servers could be reached" in said
    house.patch("deployments.apps", "coredns", {"spec": {"replicas": 1}})
    house.settle(10)
    assert resolves(house)


def test_a_broken_corefile_does_not_matter_until_a_pod_starts_with_it(house: House) -> None:
    house.edit("errors\n", "errrors\n")
    house.settle(90)
    assert "Error during parsing: Unknown directive 'errrors'" in house.logs(DNS)
    assert all(is_ready(pod) for pod in house.system(DNS))
    assert resolves(house)
    for pod in house.system(DNS):
        house.client.delete("pods", pod["metadata"]["name"], "kube-system")
    house.settle(60)
    for pod in house.system(DNS):
        (status,) = pod["status"]["containerStatuses"]
        assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        assert status["lastState"]["terminated"]["exitCode"] == 1
        assert house.log(pod) == ["/etc/coredns/Corefile:2 - Error during parsing: Unknown directive 'errrors'"]
    assert not resolves(house)
    house.edit("errrors\n", "errors\n")
    house.settle(330)
    assert resolves(house)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("errors {", "Error during parsing: unknown property 'health'"),
        ("whoami", "the plugin 'whoami' is not simulated here"),
        ("forward . nowhere", 'not an IP address or file: "nowhere"'),
        ("rewrite class CH IN", "only 'rewrite name' is simulated here"),
        ("kubernetes {\n pods maybe\n}", "wrong value for pods: maybe"),
        ("import other", "File to import not found: other"),
    ],
)
def test_what_is_wrong_with_a_corefile_is_said(house: House, broken: str, why: str) -> None:
    house.edit("errors\n", f"{broken}\n")
    for pod in house.system(DNS):
        house.client.delete("pods", pod["metadata"]["name"], "kube-system", gracePeriodSeconds=0)
    house.settle(5)
    assert why in house.logs(DNS)


def changed(house: House, old: str, new: str) -> None:
    house.edit(old, new)
    house.settle(90)
    assert "Reloading complete" in house.logs(DNS)


def test_hosts_of_ones_own(house: House) -> None:
    assert not resolves(house, "printer.example.org")
    changed(house, "ready\n", "ready\n    hosts {\n      10.1.2.3 printer.example.org\n      fallthrough\n    }\n")
    assert "Address: 10.1.2.3" in house.shell("nslookup printer.example.org")[1]
    assert resolves(house)


def test_names_rewritten(house: House) -> None:
    changed(house, "ready\n", "ready\n    rewrite name suffix .shop.test .default.svc.cluster.local\n")
    code, said = house.shell("nslookup kubernetes.shop.test")
    assert code == 0
    assert "Name:\tkubernetes.shop.test\nAddress: 10.96.0.1" in said
    changed(
        house,
        "rewrite name suffix .shop.test .default.svc.cluster.local",
        "rewrite name regex (.*)\\.x\\.test {1}.default.svc.cluster.local",
    )
    assert "Address: 10.96.0.1" in house.shell("nslookup kubernetes.x.test")[1]


def test_a_zone_of_its_own_is_asked_elsewhere(house: House) -> None:
    block = "stub.test:53 {\n    errors\n    forward . 10.250.0.1\n}\n.:53"
    changed(house, ".:53", block)
    code, _ = house.shell("nslookup a.stub.test")
    assert code == 1
    assert "[ERROR] plugin/errors: 2 a.stub.test. A: read udp" in house.logs(DNS)
    assert resolves(house)


def test_another_domain(house: House) -> None:
    changed(house, "kubernetes cluster.local in-addr", "kubernetes cluster.local corp.test in-addr")
    assert "Address: 10.96.0.1" in house.shell("nslookup kubernetes.default.svc.corp.test")[1]


def test_without_the_plugin_of_kubernetes_the_cluster_is_unknown(house: House) -> None:
    text = house.client.get("configmaps", "coredns", "kube-system")["data"]["Corefile"]
    start = text.index("kubernetes cluster")
    changed(house, text[start : text.index("}", start) + 1], "")
    assert "NXDOMAIN" in house.shell("nslookup kubernetes.default.svc.cluster.local")[1]


def test_a_change_of_equal_length_is_noticed(house: House) -> None:
    house.edit("errors\n", "errorz\n")
    house.settle(90)
    assert "Unknown directive 'errorz'" in house.logs(DNS)


def test_a_name_server_of_ones_own(house: House) -> None:
    text = ".:53 {\n    log\n    hosts {\n      10.9.9.9 own.test\n    }\n}\n"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own"}, "data": {"Corefile": text}}
    house.client.create("configmaps", body, "default")
    mount = {"name": "c", "mountPath": "/etc/coredns"}
    image = "registry.k8s.io/coredns/coredns:v1.14.2"
    args = ["-conf", "/etc/coredns/Corefile"]
    container = {"name": "dns", "image": image, "args": args, "volumeMounts": [mount]}
    house.pod("own", containers=[container], volumes=[{"name": "c", "configMap": {"name": "own"}}])
    house.settle(5)
    address = house.client.get("pods", "own", "default")["status"]["podIP"]
    assert "Address: 10.9.9.9" in house.shell(f"nslookup own.test {address}")[1]
    assert house.shell("nslookup own.test")[0] == 1
    house.edit(".:53", f"own.test:53 {{\n    forward . {address}\n}}\n.:53")
    house.settle(90)
    assert "Address: 10.9.9.9" in house.shell("nslookup own.test")[1]
    house.client.delete("pods", "own", "default", gracePeriodSeconds=0)
    house.settle(5)
    assert house.shell("nslookup own.test")[0] == 1


def test_a_loop_is_found_at_the_start(house: House) -> None:
    house.edit("forward . /etc/resolv.conf", "forward . 10.96.0.10")
    for pod in house.system(DNS):
        house.client.delete("pods", pod["metadata"]["name"], "kube-system", gracePeriodSeconds=0)
    house.settle(5)
    assert "[FATAL] plugin/loop: Loop" in house.logs(DNS)


def test_servers_that_ask_each_other_for_ever_give_up(house: House) -> None:
    house.edit("    loop\n", "")
    changed(house, "forward . /etc/resolv.conf", "forward . 10.96.0.10")
    assert house.shell("nslookup example.org")[0] == 1


def test_what_it_may_not_read_it_does_not_know(house: House) -> None:
    house.client.delete("clusterrolebindings.rbac.authorization.k8s.io", "system:coredns")
    for pod in house.system(DNS):
        house.client.delete("pods", pod["metadata"]["name"], "kube-system", gracePeriodSeconds=0)
    house.settle(30)
    assert 'User "system:serviceaccount:kube-system:coredns" cannot list resource "endpointslices"' in house.logs(DNS)
    assert not any(is_ready(pod) for pod in house.system(DNS))
    assert not resolves(house)


def test_a_pod_that_nobody_is_ready_in_is_not_asked(house: House) -> None:
    changed(house, "    ready\n", "")
    house.settle(60)
    assert not any(is_ready(pod) for pod in house.system(DNS))
    assert not resolves(house)


def test_it_counts_what_it_is_asked(house: House) -> None:
    resolves(house)
    pod = house.system(DNS)
    totals = ""
    for each in pod:
        totals += house.shell(f"wget -qO- http://{each['status']['podIP']}:9153/metrics")[1]
    assert 'coredns_dns_requests_total{family="1",proto="udp",server="dns://:53",type="A"}' in totals


def test_without_its_service_nobody_finds_it(house: House) -> None:
    house.client.delete("services", "kube-dns", "kube-system")
    house.settle(5)
    assert not resolves(house)
    assert (
        house.shell(f"nslookup kubernetes.default.svc.cluster.local {house.system(DNS)[0]['status']['podIP']}")[0] == 0
    )


def test_the_component_stands_still_and_its_pods_show_it(house: House) -> None:
    with without(house, "coredns"):
        house.settle(40)
        assert not any(is_ready(pod) for pod in house.system(DNS))
        assert not resolves(house)
    house.settle(15)
    assert all(is_ready(pod) for pod in house.system(DNS))
    assert resolves(house)


def test_it_goes_on_after_the_host_was_killed(house: House) -> None:
    house.edit("ready\n", "ready\n    hosts {\n      10.1.2.3 printer.example.org\n      fallthrough\n    }\n")
    house.settle(90)
    after = house.killed()
    assert len(after.system(DNS)) == 2
    assert "Address: 10.1.2.3" in after.shell("nslookup printer.example.org")[1]
    assert sum(pod["status"]["containerStatuses"][0]["restartCount"] for pod in after.system(DNS)) == 0
