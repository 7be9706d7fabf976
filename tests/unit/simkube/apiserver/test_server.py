"""The request path in-process: creates, updates, deletes, subresources, admission, as components and learners meet
it.
"""

from __future__ import annotations

from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError, StoreError
from simkube.apiserver.registry.kinds import RESOURCES
from simkube.apiserver.registry.request import Request, options_of
from simkube.apiserver.server import APIServer
from simkube.client.client import Caller, Event
from simkube.clock.clock import Clock
from simkube.etcd.journal import Journal
from simkube.etcd.store import Limits, Store

ME = Caller("learner", ("system:masters",), "tester")
NOW = 1_700_000_000.0


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def server(clock: Clock) -> APIServer:
    made = APIServer(Store(Journal(), "c"), clock)
    made.create(ME, "namespaces", {"metadata": {"name": "default"}})
    made.create(ME, "serviceaccounts", {"metadata": {"name": "default"}}, "default")
    return made


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


def pod(name: str = "web", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "web", "image": "nginx"}], **spec}}


def deployment(name: str = "web", **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "nginx:1"}]}}
    return {
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
    }


def refused(call: Any, *args: Any, **kwargs: Any) -> StatusError:
    with pytest.raises(StatusError) as caught:
        call(*args, **kwargs)
    return caught.value


def test_a_create_gives_identity_and_keeps_the_callers_object(server: APIServer) -> None:
    given = config_map("a", k="v")
    made = server.create(ME, "configmaps", given)
    assert made["metadata"]["uid"]
    assert made["metadata"]["creationTimestamp"] == "2023-11-14T22:13:20Z"
    assert made["metadata"]["managedFields"][0]["manager"] == "tester"
    assert given == config_map("a", k="v")
    assert server.get(ME, "configmaps", "a", "default") is made


def test_a_name_is_given_once(server: APIServer) -> None:
    server.create(ME, "configmaps", config_map("a"))
    error = refused(server.create, ME, "configmaps", config_map("a"))
    assert (error.code, error.message) == (409, 'configmaps "a" already exists')


def test_generated_names_differ(server: APIServer) -> None:
    base = {"metadata": {"generateName": "x-", "namespace": "default"}}
    names = {server.create(ME, "configmaps", base)["metadata"]["name"] for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith("x-") and len(name) == 7 for name in names)


def test_two_writers_with_one_version_lose_no_update(server: APIServer) -> None:
    read = server.create(ME, "configmaps", config_map("a", n="0"))
    first = {**read, "data": {"n": "1"}}
    server.update(ME, "configmaps", first)
    error = refused(server.update, ME, "configmaps", {**read, "data": {"n": "2"}})
    assert error.reason == "Conflict"
    assert server.get(ME, "configmaps", "a", "default")["data"] == {"n": "1"}


def test_an_update_that_changes_nothing_is_not_written(server: APIServer) -> None:
    made = server.create(ME, "configmaps", config_map("a", n="0"))
    again = server.patch(ME, "configmaps", "a", {"data": {"n": "0"}}, "default")
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_a_dry_run_stores_nothing(server: APIServer) -> None:
    made = server.create(ME, "configmaps", config_map("a"), options={"dryRun": ["All"]})
    assert made["metadata"]["uid"]
    assert refused(server.get, ME, "configmaps", "a", "default").reason == "NotFound"


def test_a_namespace_must_be_there(server: APIServer) -> None:
    error = refused(server.create, ME, "configmaps", {"metadata": {"name": "a"}}, "ghost")
    assert error.message == 'namespaces "ghost" not found'


def test_a_namespace_that_ends_takes_nothing_new(server: APIServer) -> None:
    server.create(ME, "namespaces", {"metadata": {"name": "gone"}})
    marked = server.delete(ME, "namespaces", "gone")
    assert marked["status"]["phase"] == "Terminating"
    error = refused(server.create, ME, "configmaps", {"metadata": {"name": "a"}}, "gone")
    assert error.code == 403
    finalized = {**marked, "spec": {}}
    server.update(ME, "namespaces", finalized, subresource="finalize")
    assert refused(server.get, ME, "namespaces", "gone").reason == "NotFound"


def test_kinds_that_are_not_simulated_are_named(server: APIServer) -> None:
    error = refused(server.list, ME, "storageversions.internal.apiserver.k8s.io")
    assert error.code == 501
    assert "storageversions.internal.apiserver.k8s.io" in error.message


@pytest.mark.parametrize("name", ["deployments", "deployments.extensions"])
def test_a_kind_in_another_group_is_proposed(server: APIServer, name: str) -> None:
    error = refused(server.get, ME, name, "web", "default")
    assert (error.code, error.message) == (400, f"there is no kind {name}; did you mean deployments.apps?")


def test_a_pod_gets_its_defaults(server: APIServer) -> None:
    made = server.create(ME, "pods", pod(), "default")
    spec = made["spec"]
    assert spec["serviceAccountName"] == "default"
    assert spec["containers"][0]["imagePullPolicy"] == "Always"
    assert [each["tolerationSeconds"] for each in spec["tolerations"]] == [300, 300]
    assert spec["volumes"][0]["projected"]["sources"][0] == {
        "serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}
    }
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


@pytest.mark.parametrize(
    ("resources", "qos"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
    ],
)
def test_quality_of_service(server: APIServer, resources: dict[str, Any], qos: str) -> None:
    containers = [{"name": "web", "image": "nginx", "resources": resources}]
    assert server.create(ME, "pods", pod(containers=containers), "default")["status"]["qosClass"] == qos


def test_a_pod_without_node_goes_at_once(server: APIServer) -> None:
    server.create(ME, "pods", pod(), "default")
    server.delete(ME, "pods", "web", "default")
    assert refused(server.get, ME, "pods", "web", "default").reason == "NotFound"


def test_a_bound_pod_is_given_grace_which_may_be_shortened(server: APIServer) -> None:
    server.create(ME, "pods", pod(), "default")
    server.create(ME, "pods", {"target": {"name": "n1"}}, "default", name="web", subresource="binding")
    marked = server.delete(ME, "pods", "web", "default")
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
    assert marked["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:50Z"
    sooner = server.delete(ME, "pods", "web", "default", options={"gracePeriodSeconds": 5})
    assert sooner["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:25Z"
    later = server.delete(ME, "pods", "web", "default", options={"gracePeriodSeconds": 60})
    assert later["metadata"]["deletionGracePeriodSeconds"] == 5
    server.delete(ME, "pods", "web", "default", options={"gracePeriodSeconds": 0})
    assert server.list(ME, "pods") == []


@pytest.mark.parametrize(
    ("spec", "feature"),
    [
        ({"volumes": [{"name": "v", "nfs": {"server": "nas", "path": "/"}}]}, "nfs"),
        ({"runtimeClassName": "gvisor"}, "a runtime class"),
    ],
)
def test_what_no_kubelet_here_does_is_refused_by_name(server: APIServer, spec: dict[str, Any], feature: str) -> None:
    request = Request(ME, "create", RESOURCES["pods"], "default", checked=True)
    error = refused(server.do_create, request, pod(**spec))
    assert error.code == 501
    assert feature in error.message
    made = deployment()
    made["spec"]["template"]["spec"].update(spec)
    request = Request(ME, "create", RESOURCES["deployments.apps"], "default", checked=True)
    server.do_create(request, made)
    assert feature in request.warnings[0]


def test_a_pod_is_bound_once(server: APIServer) -> None:
    server.create(ME, "pods", pod(), "default")
    server.create(ME, "pods", {"target": {"name": "n1"}}, "default", name="web", subresource="binding")
    error = refused(server.create, ME, "pods", {"target": {"name": "n2"}}, "default", name="web", subresource="binding")
    assert error.message.endswith('pod web is already assigned to node "n1"')


def test_an_eviction_marks_and_deletes(server: APIServer) -> None:
    server.create(ME, "pods", pod(), "default")
    server.create(ME, "pods", {"target": {"name": "n1"}}, "default", name="web", subresource="binding")
    server.create(ME, "pods", {"metadata": {"name": "web"}}, "default", name="web", subresource="eviction")
    found = server.get(ME, "pods", "web", "default")
    assert found["metadata"]["deletionTimestamp"]
    assert found["status"]["conditions"][-1]["reason"] == "EvictionByEvictionAPI"


def test_finalizers_hold_an_object(server: APIServer) -> None:
    held = config_map("a")
    held["metadata"]["finalizers"] = ["example.org/hold"]
    server.create(ME, "configmaps", held)
    server.delete(ME, "configmaps", "a", "default")
    assert server.get(ME, "configmaps", "a", "default")["metadata"]["deletionTimestamp"]
    server.patch(ME, "configmaps", "a", {"metadata": {"finalizers": None}}, "default")
    assert refused(server.get, ME, "configmaps", "a", "default").reason == "NotFound"


@pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
def test_propagation_leaves_the_garbage_collector_its_mark(server: APIServer, policy: str, finalizer: str) -> None:
    server.create(ME, "configmaps", config_map("a"))
    marked = server.delete(ME, "configmaps", "a", "default", options={"propagationPolicy": policy})
    assert marked["metadata"]["finalizers"] == [finalizer]


def test_status_and_spec_are_written_apart(server: APIServer) -> None:
    server.create(ME, "deployments.apps", deployment(), "default")
    new = {"spec": {"replicas": 5}, "status": {"replicas": 3, "observedGeneration": 1}}
    by_status = server.patch(ME, "deployments.apps", "web", new, "default", subresource="status")
    assert (by_status["spec"]["replicas"], by_status["status"]["replicas"]) == (1, 3)
    assert by_status["metadata"]["generation"] == 1
    by_spec = server.patch(ME, "deployments.apps", "web", {**new, "status": {}}, "default")
    assert (by_spec["spec"]["replicas"], by_spec["status"]["replicas"]) == (5, 3)
    assert by_spec["metadata"]["generation"] == 2


def test_scale_changes_replicas_alone(server: APIServer) -> None:
    server.create(ME, "deployments.apps", deployment(), "default")
    scale = server.get(ME, "deployments.apps", "web", "default", subresource="scale")
    assert scale["status"]["selector"] == "app=web"
    server.update(ME, "deployments.apps", {**scale, "spec": {"replicas": 4}}, subresource="scale")
    assert server.get(ME, "deployments.apps", "web", "default")["spec"]["replicas"] == 4


def test_immutable_fields_stay(server: APIServer) -> None:
    server.create(ME, "deployments.apps", deployment(), "default")
    change = {"spec": {"selector": {"matchLabels": {"x": "y"}}, "template": {"metadata": {"labels": {"x": "y"}}}}}
    error = refused(server.patch, ME, "deployments.apps", "web", change, "default")
    assert error.message.endswith("field is immutable")
    server.create(ME, "pods", pod(), "default")
    error = refused(server.patch, ME, "pods", "web", {"spec": {"restartPolicy": "Never"}}, "default")
    assert "pod updates may not change fields other than" in error.message


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


def test_services_get_addresses_and_ports_of_their_own(server: APIServer) -> None:
    made = [server.create(ME, "services", service(f"s{n}", type="NodePort"), "default") for n in range(50)]
    assert len({each["spec"]["clusterIP"] for each in made}) == 50
    ports = {each["spec"]["ports"][0]["nodePort"] for each in made}
    assert len(ports) == 50
    assert all(30000 <= port <= 32767 for port in ports)
    error = refused(server.create, ME, "services", service("t", clusterIP=made[0]["spec"]["clusterIP"]), "default")
    assert "provided IP is already allocated" in error.message


def test_a_service_keeps_its_address_and_gives_up_its_node_port(server: APIServer) -> None:
    made = server.create(ME, "services", service("s", type="NodePort"), "default")
    changed = server.patch(ME, "services", "s", {"spec": {"type": "ClusterIP"}}, "default")
    assert changed["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    assert "nodePort" not in changed["spec"]["ports"][0]
    assert "externalTrafficPolicy" not in changed["spec"]


def test_a_headless_service_has_no_address(server: APIServer) -> None:
    assert server.create(ME, "services", service("s", clusterIP="None"), "default")["spec"]["clusterIPs"] == ["None"]


def test_events_are_seen_through_both_groups(server: APIServer) -> None:
    about = {"kind": "Pod", "namespace": "default", "name": "web"}
    when = "2026-01-01T00:00:00.000000Z"
    new = {"metadata": {"name": "e"}, "regarding": about, "note": "hello", "type": "Normal", "eventTime": when}
    server.create(ME, "events.events.k8s.io", new, "default")
    assert server.get(ME, "events", "e", "default")["message"] == "hello"
    heard: list[Event] = []
    server.subscribe("events.events.k8s.io", heard.append)
    assert heard[0].obj["note"] == "hello"
    assert heard[0].obj["apiVersion"] == "events.k8s.io/v1"


def test_a_subscriber_sees_what_is_there_and_each_change(server: APIServer) -> None:
    server.create(ME, "configmaps", config_map("a"))
    heard: list[tuple[str, str]] = []
    end = server.subscribe("configmaps", lambda event: heard.append((event.type, event.obj["metadata"]["name"])))
    server.patch(ME, "configmaps", "a", {"data": {"k": "v"}}, "default")
    server.delete(ME, "configmaps", "a", "default")
    end()
    server.create(ME, "configmaps", config_map("b"))
    assert heard == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_deleting_a_collection_takes_what_matches(server: APIServer) -> None:
    for name in ("a", "b", "c"):
        made = config_map(name)
        made["metadata"]["labels"] = {"keep": "yes"} if name == "b" else {}
        server.create(ME, "configmaps", made)
    request = Request(ME, "deletecollection", RESOURCES["configmaps"], "default")
    found = server.do_list(request, {"labelSelector": "!keep"})
    server.delete(ME, "configmaps", "c", "default")  # somebody else was faster
    server.do_delete_each(request, found.items)
    assert [each["metadata"]["name"] for each in server.list(ME, "configmaps")] == ["b"]


@pytest.mark.parametrize(
    "terms", [["k!=v"] * 65, [f"k notin ({','.join(map(str, range(1001)))})"]], ids=["terms", "values"]
)
def test_a_selector_is_bounded(server: APIServer, terms: list[str]) -> None:
    server.create(ME, "configmaps", config_map("a"))
    request = Request(ME, "list", RESOURCES["configmaps"], "default")
    with pytest.raises(StatusError, match="a selector may have 64 requirements and 1000 values") as caught:
        server.do_list(request, {"labelSelector": ",".join(terms)})
    assert caught.value.code == 400
    assert len(server.do_list(request, {"labelSelector": ",".join(["k!=v"] * 64)}).items) == 1


def test_pages_cover_the_list_without_gap_or_repetition(server: APIServer) -> None:
    for number in range(25):
        server.create(ME, "configmaps", config_map(f"n{number:02}"))
    request = Request(ME, "list", RESOURCES["configmaps"], "default")
    names: list[str] = []
    query = {"limit": "7"}
    while True:
        page = server.do_list(request, query)
        names += [each["metadata"]["name"] for each in page.items]
        if not page.next:
            break
        query = {"limit": "7", "continue": page.next}
    assert names == [f"n{number:02}" for number in range(25)]


def test_a_cluster_that_is_full_says_so(clock: Clock) -> None:
    server = APIServer(Store(Journal(), "c", Limits(objects=2)), clock)
    server.create(ME, "namespaces", {"metadata": {"name": "default"}})
    server.create(ME, "configmaps", config_map("a"))
    error = refused(server.create, ME, "configmaps", config_map("b"))
    assert (error.code, error.reason) == (507, "InsufficientStorage")
    server.delete(ME, "configmaps", "a", "default")
    server.create(ME, "configmaps", config_map("b"))


def test_a_store_that_fails_is_a_500_and_nothing_happened(server: APIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise StoreError("the store took no write: database or disk is full")

    server.create(ME, "configmaps", config_map("a"))
    monkeypatch.setattr(server.store._journal, "put", fail)
    for call in (
        lambda: server.create(ME, "configmaps", config_map("b")),
        lambda: server.patch(ME, "configmaps", "a", {"data": {"k": "v"}}, "default"),
        lambda: server.delete(ME, "configmaps", "a", "default"),
    ):
        error = refused(call)
        assert error.code == 500
        assert "disk is full" in error.message
    assert [each["metadata"]["name"] for each in server.list(ME, "configmaps")] == ["a"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"dryRun": "true"}, "dryRun: Unsupported value"),
        ({"gracePeriodSeconds": "soon"}, "strconv.ParseInt"),
        ({"propagationPolicy": "Sideways"}, "propagationPolicy: Unsupported value"),
        ({"propagationPolicy": "Orphan", "orphanDependents": True}, "cannot be both set"),
        ({"preconditions": "x"}, "preconditions"),
    ],
)
def test_wrong_options_are_refused(given: dict[str, Any], words: str) -> None:
    assert words in refused(options_of, "delete", given).message
