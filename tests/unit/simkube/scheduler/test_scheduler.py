"""Where pods go, and why not, in the scheduler's words."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.client.client import Obj
from simkube.component_helpers.pods import condition
from tests.doubles.control_plane import Plane

SUFFIX = "no new claims to deallocate, preemption: 0/2 nodes are available:"
HELPLESS = f"{SUFFIX} 2 Preemption is not helpful for scheduling."


@pytest.fixture
def plane() -> Plane:
    """Two nodes: one in the east, one in the west that is for databases."""
    plane = Plane()
    amounts = {"cpu": "2", "memory": "4Gi", "pods": "5"}
    plane.node("one", labels={"zone": "east"}, amounts=amounts)
    taint = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
    plane.node("two", labels={"zone": "west"}, amounts=amounts, taints=[taint])
    return plane


def asking(**amounts: str) -> dict[str, Any]:
    return {"containers": [{"name": "a", "image": "a:1", "resources": {"requests": amounts}}]}


def why(plane: Plane, name: str) -> str:
    found = condition(plane.client.get("pods", name, "default"), "PodScheduled")
    assert found is not None
    assert found["reason"] == "Unschedulable"
    assert found["message"] in plane.events("FailedScheduling")
    return str(found["message"])


def where(plane: Plane, name: str) -> str:
    return str(plane.client.get("pods", name, "default")["spec"].get("nodeName", ""))


def test_binds_and_says_so(plane: Plane) -> None:
    plane.pod("a")
    plane.settle()
    assert where(plane, "a") == "one"
    assert plane.events("Scheduled") == ["Successfully assigned default/a to one"]


def test_no_nodes() -> None:
    plane = Plane()
    plane.pod("a")
    plane.settle()
    assert why(plane, "a") == "no nodes available to schedule pods"


@pytest.mark.parametrize(
    ("spec", "reasons", "after"),
    [
        (asking(cpu="3"), "1 Insufficient cpu, 1 node(s) had untolerated taint(s).", HELPLESS),
        (
            {**asking(cpu="3", memory="5Gi"), "tolerations": [{"operator": "Exists"}]},
            "2 Insufficient cpu, 2 Insufficient memory.",
            HELPLESS,
        ),
        (
            {"nodeSelector": {"zone": "north"}},
            "1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated taint(s).",
            HELPLESS,
        ),
        (
            {
                "affinity": {
                    "podAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": [
                            {
                                "labelSelector": {"matchLabels": {"app": "ghost"}},
                                "topologyKey": "kubernetes.io/hostname",
                            }
                        ]
                    }
                }
            },
            "1 node(s) didn't match pod affinity rules, 1 node(s) had untolerated taint(s).",
            HELPLESS,
        ),
    ],
)
def test_says_why_not(plane: Plane, spec: Obj, reasons: str, after: str) -> None:
    plane.pod("a", **spec)
    plane.settle()
    assert why(plane, "a") == f"0/2 nodes are available: {reasons} {after}"


def test_a_full_node(plane: Plane) -> None:
    plane.pod("a", **asking(cpu="1500m"))
    plane.pod("b", **asking(cpu="1"))
    plane.settle()
    assert why(plane, "b") == (
        f"0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s). {SUFFIX} "
        "1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling."
    )


def test_tries_again_when_room_is_made_and_not_by_itself(plane: Plane) -> None:
    plane.pod("a", **asking(cpu="1500m"))
    plane.pod("b", **asking(cpu="1"))
    plane.settle(300)
    revision = plane.store.revision
    plane.settle(600)
    assert plane.store.revision == revision
    plane.client.delete("pods", "a", "default")
    plane.settle(1)
    assert where(plane, "b") == "one"


def test_tries_again_when_a_node_changes(plane: Plane) -> None:
    plane.pod("a", nodeSelector={"disk": "fast"})
    plane.settle(5)
    plane.client.patch("nodes", "one", {"metadata": {"labels": {"disk": "fast"}}})
    plane.settle(1)
    assert where(plane, "a") == "one"


def test_backs_off_between_tries_when_many_wait(plane: Plane) -> None:
    for number in range(11):
        plane.pod("a" if not number else f"other-{number}", nodeSelector={"disk": "none" if number else "fast"})
    plane.settle()
    for number in range(5):
        plane.client.patch("nodes", "one", {"metadata": {"labels": {"n": str(number)}}})
        plane.settle()
    plane.client.patch("nodes", "one", {"metadata": {"labels": {"disk": "fast"}}})
    plane.settle()
    assert where(plane, "a") == ""
    plane.settle(1)
    assert where(plane, "a") == "one"


def test_tolerations_and_selectors(plane: Plane) -> None:
    toleration = {"key": "dedicated", "operator": "Equal", "value": "db", "effect": "NoSchedule"}
    plane.pod("db", nodeSelector={"zone": "west"}, tolerations=[toleration])
    plane.settle()
    assert where(plane, "db") == "two"


def test_anti_affinity_holds_both_ways(plane: Plane) -> None:
    term = {"labelSelector": {"matchLabels": {"app": "one"}}, "topologyKey": "kubernetes.io/hostname"}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    plane.pod("first", labels={"app": "one"}, affinity=apart)
    plane.settle()
    plane.pod("second", labels={"app": "one"}, affinity=apart)
    plane.pod("third", labels={"app": "one"})
    plane.settle()
    assert "1 node(s) didn't match pod anti-affinity rules" in why(plane, "second")
    assert "1 node(s) didn't satisfy existing pods anti-affinity rules" in why(plane, "third")


def test_spreads_over_domains() -> None:
    plane = Plane()
    for name, zone in (("a", "x"), ("b", "x"), ("c", "y")):
        plane.node(name, labels={"zone": zone})
    constraint = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    plane.deploy(replicas=6, pod={"topologySpreadConstraints": [constraint]})
    plane.settle()
    assert len([pod for pod in plane.pods() if pod["spec"]["nodeName"] == "c"]) == 3
    plane.client.patch("nodes", "c", {"spec": {"unschedulable": True}})
    plane.scale(8)
    plane.settle()
    waiting = [pod for pod in plane.pods() if "nodeName" not in pod["spec"]]
    assert len(waiting) == 1
    assert "2 node(s) didn't match pod topology spread constraints" in why(plane, waiting[0]["metadata"]["name"])


def test_replicas_are_spread_without_being_told() -> None:
    plane = Plane()
    plane.node("a")
    plane.node("b")
    plane.deploy(replicas=4)
    plane.settle()
    assert sorted(pod["spec"]["nodeName"] for pod in plane.pods()) == ["a", "a", "b", "b"]


def test_pods_that_are_held_back_are_left_alone(plane: Plane) -> None:
    plane.pod("gated", schedulingGates=[{"name": "example.org/wait"}])
    plane.pod("foreign", schedulerName="another")
    plane.settle()
    assert (where(plane, "gated"), where(plane, "foreign")) == ("", "")
    plane.client.patch("pods", "gated", {"spec": {"schedulingGates": None}}, "default")
    plane.settle()
    assert where(plane, "gated") == "one"


def test_what_cannot_be_judged_stays_pending(plane: Plane) -> None:
    volume = {"name": "d", "persistentVolumeClaim": {"claimName": "ghost"}}
    plane.pod("store", volumes=[volume])
    plane.settle()
    assert why(plane, "store") == '0/2 nodes are available: persistentvolumeclaim "ghost" not found. not found'


def test_host_ports_are_taken_once(plane: Plane) -> None:
    container = {"name": "a", "image": "a:1", "ports": [{"containerPort": 80, "hostPort": 80}]}
    plane.pod("a", containers=[container])
    plane.pod("b", containers=[container])
    plane.settle()
    assert "1 node(s) didn't have free ports for the requested pod ports" in why(plane, "b")


def test_without_a_scheduler_pods_stay_pending(plane: Plane) -> None:
    plane.cluster.stop_component("kube-scheduler")
    plane.pod("a")
    plane.settle(60)
    assert where(plane, "a") == ""
    plane.cluster.start_component("kube-scheduler")
    plane.settle()
    assert where(plane, "a") == "one"


def critical(**amounts: str) -> dict[str, Any]:
    return {**asking(**amounts), "priorityClassName": "system-node-critical"}


def priority(plane: Plane, name: str, value: int, **rest: Any) -> None:
    meta = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}}
    plane.client.create("priorityclasses.scheduling.k8s.io", {**meta, "value": value, **rest})


def test_takes_the_place_of_the_least_important(plane: Plane) -> None:
    plane.pod("first", **asking(cpu="1500m"))
    plane.pod("small", **asking(cpu="100m"))
    plane.settle()
    uid = plane.pod("important", **critical(cpu="1800m"))["metadata"]["uid"]
    plane.settle(2)
    assert where(plane, "important") == "one"
    assert sorted(pod["metadata"]["name"] for pod in plane.pods()) == ["important", "small"]
    assert plane.events("Preempted") == [f"Preempted by pod {uid} on node one"]


def test_takes_nobodys_place_in_vain(plane: Plane) -> None:
    plane.pod("first", **asking(cpu="1500m"))
    plane.settle()
    plane.pod("huge", **critical(cpu="5"))
    priority(plane, "courteous", 1000, preemptionPolicy="Never")
    plane.pod("polite", **asking(cpu="1"), priorityClassName="courteous")
    plane.settle(2)
    assert where(plane, "first") == "one"
    assert "2 Preemption is not helpful for scheduling" in why(plane, "huge")
    assert why(plane, "polite").endswith("preemption: not eligible due to preemptionPolicy=Never.")


def test_waits_for_its_victim_to_end() -> None:
    plane = Plane()
    plane.node("one", amounts={"cpu": "2", "memory": "4Gi", "pods": "5"})
    plane.pod("first", **asking(cpu="1500m"))
    plane.settle()
    plane.cluster.kubelets["one"].stop()
    plane.pod("important", **critical(cpu="1"))
    plane.settle(5)
    assert plane.client.get("pods", "important", "default")["status"]["nominatedNodeName"] == "one"
    assert "deletionTimestamp" in plane.client.get("pods", "first", "default")["metadata"]
    assert where(plane, "important") == ""
    plane.client.delete("pods", "first", "default", gracePeriodSeconds=0)
    plane.settle(11)
    assert where(plane, "important") == "one"


def test_takes_the_place_of_one_that_goes_at_once(plane: Plane) -> None:
    plane.pod("first", terminationGracePeriodSeconds=0, **asking(cpu="1500m"))
    plane.settle()
    plane.pod("important", **critical(cpu="1800m"))
    plane.settle()
    assert where(plane, "important") == "one"


def test_the_most_important_pod_is_placed_first(plane: Plane) -> None:
    priority(plane, "high", 1000)
    plane.pod("plain", **asking(cpu="1500m"))
    plane.pod("high", **asking(cpu="1500m"), priorityClassName="high")
    plane.settle(2)
    assert (where(plane, "high"), where(plane, "plain")) == ("one", "")
    assert plane.events("Preempted") == []


def test_room_that_was_promised_is_not_taken_by_a_lesser_pod() -> None:
    plane = Plane()
    plane.node("one", amounts={"cpu": "2", "memory": "4Gi", "pods": "5"})
    priority(plane, "low", 10)
    plane.pod("first", **asking(cpu="1500m"))
    plane.settle()
    plane.cluster.kubelets["one"].stop()
    plane.pod("important", **critical(cpu="1800m"))
    plane.settle(2)
    plane.pod("opportunist", **asking(cpu="400m"), priorityClassName="low")
    plane.settle(2)
    assert (where(plane, "important"), where(plane, "opportunist")) == ("", "")
    plane.client.delete("pods", "first", "default", gracePeriodSeconds=0)
    plane.settle(12)
    assert (where(plane, "important"), where(plane, "opportunist")) == ("one", "")
    assert "nominatedNodeName" not in plane.client.get("pods", "important", "default")["status"]


def test_spares_what_a_disruption_budget_protects() -> None:
    plane = Plane()
    for name in ("one", "two"):
        plane.node(name, amounts={"cpu": "2", "memory": "4Gi", "pods": "5"}, labels={"on": name})
    plane.pod("kept", labels={"app": "kept"}, **asking(cpu="1500m"), nodeSelector={"on": "one"})
    plane.pod("other", labels={"app": "other"}, **asking(cpu="1500m"), nodeSelector={"on": "two"})
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "kept"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "kept"}}},
    }
    plane.client.create("poddisruptionbudgets.policy", budget, "default")
    plane.settle(2)
    plane.pod("important", **critical(cpu="1"))
    plane.settle(5)
    assert (where(plane, "important"), where(plane, "kept")) == ("two", "one")
    assert "other" not in [pod["metadata"]["name"] for pod in plane.pods()]


def test_a_gated_pod_says_so_until_its_gates_are_gone(plane: Plane) -> None:
    plane.pod("a", schedulingGates=[{"name": "example.org/wait"}])
    plane.settle(5)
    found = condition(plane.client.get("pods", "a", "default"), "PodScheduled")
    assert found is not None
    assert (found["reason"], where(plane, "a"), plane.events("FailedScheduling")) == ("SchedulingGated", "", [])
    plane.client.patch("pods", "a", {"spec": {"schedulingGates": None}}, "default")
    plane.settle()
    assert where(plane, "a") == "one"


def test_a_pod_is_drawn_to_others_that_want_it(plane: Plane) -> None:
    plane.client.patch("nodes", "two", {"spec": {"taints": None}})
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"}
    wish = {
        "podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]}
    }
    plane.pod("cache", affinity=wish, nodeSelector={"zone": "west"}, **asking(cpu="500m"))
    plane.settle()
    plane.pod("web", labels={"app": "web"})
    plane.settle()
    assert where(plane, "web") == "two"


def test_its_own_labels_become_part_of_a_pods_selectors(plane: Plane) -> None:
    term = {"labelSelector": {"matchLabels": {"app": "x"}}, "topologyKey": "zone", "matchLabelKeys": ["version"]}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    plane.pod("old", labels={"app": "x", "version": "1"}, affinity=affinity)
    made = plane.pod("new", labels={"app": "x", "version": "2"}, affinity=affinity)
    plane.settle()
    (merged,) = made["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert merged["labelSelector"]["matchExpressions"] == [{"key": "version", "operator": "In", "values": ["2"]}]
    assert (where(plane, "old"), where(plane, "new")) == ("one", "one")


@pytest.mark.parametrize(
    ("extra", "expected"),
    [({}, "one"), ({"minDomains": 3}, "")],
)
def test_spread_counts_domains_that_are_still_to_come(plane: Plane, extra: dict[str, Any], expected: str) -> None:
    constraint = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "x"}},
        "nodeTaintsPolicy": "Honor",
        **extra,
    }
    for name in ("a", "b"):
        plane.pod(name, labels={"app": "x"}, topologySpreadConstraints=[constraint])
        plane.settle()
    assert (where(plane, "a"), where(plane, "b")) == ("one", expected)


def test_extended_resources_and_ephemeral_storage_are_counted(plane: Plane) -> None:
    amounts = {"cpu": "2", "memory": "4Gi", "pods": "5", "example.org/gpu": "1", "ephemeral-storage": "1Gi"}
    plane.client.patch("nodes", "one", {"status": {"allocatable": amounts, "capacity": amounts}}, subresource="status")
    gpu = {"limits": {"example.org/gpu": "1"}, "requests": {"ephemeral-storage": "600Mi"}}
    for name in ("a", "b"):
        plane.pod(name, containers=[{"name": "a", "image": "a:1", "resources": gpu}])
        plane.settle()
    assert where(plane, "a") == "one"
    reasons = "1 Insufficient ephemeral-storage, 1 Insufficient example.org/gpu, 1 node(s) had untolerated taint(s)"
    assert why(plane, "b").startswith(f"0/2 nodes are available: {reasons}.")


def test_a_pod_for_named_nodes_is_asked_of_no_other(plane: Plane) -> None:
    field = {"key": "metadata.name", "operator": "In", "values": ["one"]}
    required = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    plane.pod("a", affinity=affinity, **asking(cpu="9"))
    plane.settle()
    reasons = "1 Insufficient cpu, 1 node(s) didn't satisfy plugin(s) [NodeAffinity]"
    assert why(plane, "a").startswith(f"0/2 nodes are available: {reasons}.")
