"""Kinds that users define, as a cluster serves them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.admission import custom_resource_limits as limits
from simkube.apiserver.discovery import discovery
from simkube.apiserver.http.paths import PageNotFound, parse
from simkube.apiserver.http.tables import table
from simkube.apiserver.openapi import documents as openapi
from simkube.apiserver.registry.request import Request, options_of
from simkube.apiserver.server import APIServer
from simkube.client.client import Caller, Obj
from simkube.clock.clock import Clock
from simkube.cluster.cluster import Cluster
from simkube.etcd.journal import Journal
from simkube.etcd.store import Store

ME = Caller("learner", ("system:masters",), "tester")
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
BOATS = "boats.sea.example.org"
NOW = 1_800_000_000.0

SCHEMA: Obj = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["hull"],
            "properties": {
                "hull": {"type": "string", "enum": ["wood", "steel"]},
                "masts": {"type": "integer", "default": 1, "minimum": 0, "maximum": 5},
                "crew": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["id"],
                    "items": {
                        "type": "object",
                        "required": ["id"],
                        "properties": {"id": {"type": "string"}, "role": {"type": "string", "default": "hand"}},
                    },
                },
                "port": {"x-kubernetes-int-or-string": True},
                "note": {"type": "string", "nullable": True},
                "extra": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        },
        "status": {"type": "object", "properties": {"masts": {"type": "integer"}}},
    },
}


def definition(plural: str = "boats", **spec: Any) -> Obj:
    kind = plural.removesuffix("s").capitalize()
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        "subresources": {
            "status": {},
            "scale": {"specReplicasPath": ".spec.masts", "statusReplicasPath": ".status.masts"},
        },
    }
    names = {"plural": plural, "kind": kind}
    whole = {"group": "sea.example.org", "scope": "Namespaced", "names": names, "versions": [version], **spec}
    return copy.deepcopy({"metadata": {"name": f"{plural}.sea.example.org"}, "spec": whole})


def boat(name: str = "sloop", **spec: Any) -> Obj:
    return {
        "apiVersion": "sea.example.org/v1",
        "kind": "Boat",
        "metadata": {"name": name},
        "spec": {"hull": "wood", **spec},
    }


def version(name: str, **more: Any) -> Obj:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {"name": name, "served": True, "storage": False, "schema": {"openAPIV3Schema": schema}, **more}


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def cluster(journal: Journal) -> Cluster:
    made = Cluster("one", Store(journal, "one"), Clock(NOW), {"nodes": []})
    made.start()
    made.run_until_quiet()
    return made


def define(cluster: Cluster, obj: Obj | None = None) -> Obj:
    made = cluster.apiserver.create(ME, CRDS, obj or definition())
    cluster.run_until_quiet()
    return cluster.apiserver.get(ME, CRDS, made["metadata"]["name"])


def post(server: APIServer, body: Obj, **options: Any) -> tuple[Obj, list[str]]:
    """As a stranger's request comes in over HTTP: checked."""
    resource = server.registry.named(BOATS)
    assert resource is not None
    request = Request(ME, "create", resource, "default", options=options_of("create", options), checked=True)
    return server.do_create(request, body), request.warnings


def refused(call: Any, *args: Any, **kwargs: Any) -> StatusError:
    with pytest.raises(StatusError) as caught:
        call(*args, **kwargs)
    return caught.value


def conditions(obj: Obj) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in obj["status"]["conditions"]}


# serving


def test_a_definition_is_established_and_served(cluster: Cluster) -> None:
    made = define(cluster)
    assert conditions(made) == {
        "NamesAccepted": ("True", "NoConflicts"),
        "Established": ("True", "InitialNamesAccepted"),
    }
    assert made["status"]["acceptedNames"] == {
        "plural": "boats",
        "singular": "boat",
        "kind": "Boat",
        "listKind": "BoatList",
    }
    target = parse("/apis/sea.example.org/v1/namespaces/default/boats/x/scale", cluster.apiserver.registry)
    assert (target.resource.kind, target.subresource) == ("Boat", "scale")


def test_nobody_else_sees_it(cluster: Cluster, journal: Journal) -> None:
    define(cluster)
    other = Cluster("two", Store(journal, "two"), Clock(NOW), {"nodes": []})
    other.start()
    assert other.apiserver.registry.extra == []
    assert refused(other.apiserver.list, ME, BOATS).code == 501
    with pytest.raises(PageNotFound):
        parse("/apis/sea.example.org/v1/boats", other.apiserver.registry)
    assert discovery.groups(other.apiserver.registry.extra) == discovery.groups()


def test_it_survives_a_restart(cluster: Cluster, journal: Journal) -> None:
    define(cluster)
    cluster.apiserver.create(ME, BOATS, boat(), "default")
    cluster.stop()
    again = Cluster("one", Store(journal, "one"), Clock(NOW), {"nodes": []})
    again.start()
    assert again.apiserver.get(ME, BOATS, "sloop", "default")["spec"] == {"hull": "wood", "masts": 1}


def test_names_that_are_taken_are_not_accepted_until_they_are_free(cluster: Cluster) -> None:
    define(cluster)
    names = {"plural": "ships", "kind": "Ship", "singular": "boat"}
    other = define(cluster, definition("ships", names=names))
    assert conditions(other) == {
        "NamesAccepted": ("False", "SingularConflict"),
        "Established": ("False", "NotAccepted"),
    }
    assert any('"boat" is already in use' in one["message"] for one in other["status"]["conditions"])
    cluster.apiserver.delete(ME, CRDS, BOATS)
    cluster.run_until_quiet()
    assert conditions(cluster.apiserver.get(ME, CRDS, "ships.sea.example.org"))["Established"][0] == "True"


def test_discovery_and_openapi_tell_of_it(cluster: Cluster) -> None:
    define(cluster)
    extra = cluster.apiserver.registry.extra
    assert discovery.groups(extra)["groups"][-1]["name"] == "sea.example.org"
    entries = discovery.resources("sea.example.org", "v1", extra)["resources"]
    assert [one["name"] for one in entries] == ["boats", "boats/scale", "boats/status"]
    groups = discovery.aggregated(False, extra)["items"]
    assert groups[-1]["versions"][0]["resources"][0]["responseKind"]["kind"] == "Boat"
    document = json.loads(openapi.v3("apis/sea.example.org/v1", extra))
    shape = document["components"]["schemas"]["org.example.sea.v1.Boat"]
    assert shape["properties"]["spec"]["properties"]["masts"]["default"] == 1
    patch = document["paths"]["/apis/sea.example.org/v1/namespaces/{namespace}/boats/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" not in patch["requestBody"]["content"]
    assert "apis/sea.example.org/v1" in json.loads(openapi.v3_index(extra))["paths"]
    whole = json.loads(openapi.v2(extra))
    assert "org.example.sea.v1.Boat" in whole["definitions"]
    assert "/apis/apps/v1/namespaces/{namespace}/deployments" in whole["paths"]
    assert openapi.v2_protobuf(extra).startswith(openapi.v2_protobuf())


# objects


def test_defaults_come_and_unknown_fields_go_with_a_warning(cluster: Cluster) -> None:
    define(cluster)
    body = boat(colour="red", crew=[{"id": "ann", "hat": 1}], extra={"any": {"thing": 1}}, note=None)
    made, warnings = post(cluster.apiserver, {**body, "status": {"masts": 3}})
    assert warnings == ['unknown field "spec.colour"', 'unknown field "spec.crew[0].hat"']
    crew = [{"id": "ann", "role": "hand"}]
    assert made["spec"] == {"hull": "wood", "masts": 1, "crew": crew, "extra": {"any": {"thing": 1}}, "note": None}
    assert "status" not in made
    assert made["metadata"]["generation"] == 1
    error = refused(post, cluster.apiserver, boat("b", colour="red"), fieldValidation="Strict")
    assert error.code == 400
    assert error.message.endswith('strict decoding error: unknown field "spec.colour"')


def test_the_metadata_of_objects_inside_is_decoded_as_any_objects(cluster: Cluster) -> None:
    given = definition()
    schema = copy.deepcopy(SCHEMA)
    cargo = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    schema["properties"]["spec"]["properties"]["cargo"] = {"type": "array", "items": cargo}
    given["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema
    define(cluster, given)
    inside = {"apiVersion": "v1", "kind": "Chest", "metadata": {"name": "c", "hue": 1}, "anything": 2}
    made, warnings = post(cluster.apiserver, boat(cargo=[inside]))
    assert warnings == ['unknown field "spec.cargo[0].metadata.hue"']
    assert made["spec"]["cargo"] == [{**inside, "metadata": {"name": "c"}}]
    wrong = {**inside, "metadata": {"labels": {"a": 1}}}
    assert refused(post, cluster.apiserver, boat("b", cargo=[wrong])).code == 400


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"hull": "glass"}, 'spec.hull: Unsupported value: "glass": supported values: "wood", "steel"'),
        ({"masts": "two"}, 'spec.masts: Invalid value: "string": spec.masts in body must be of type integer: "string"'),
        ({"masts": 9}, "spec.masts: Invalid value: 9: spec.masts in body should be less than or equal to 5"),
        ({"crew": [{"id": "a"}, {"id": "a"}]}, 'spec.crew[1]: Duplicate value: {"id":"a"}'),
        ({"port": True}, 'spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string'),
        ({"crew": [{}]}, "spec.crew[0].id: Required value"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused(cluster: Cluster, spec: Obj, message: str) -> None:
    define(cluster)
    error = refused(post, cluster.apiserver, boat("b", **spec))
    assert error.code == 422
    assert message in error.message


def test_patches_and_generation(cluster: Cluster) -> None:
    define(cluster)
    server = cluster.apiserver
    server.create(ME, BOATS, boat(), "default")
    assert refused(server.patch, ME, BOATS, "sloop", {}, "default", type="strategic").code == 415
    made = server.patch(ME, BOATS, "sloop", {"spec": {"masts": 2}}, "default")
    assert made["metadata"]["generation"] == 2
    made = server.patch(ME, BOATS, "sloop", {"metadata": {"labels": {"a": "b"}}}, "default")
    assert made["metadata"]["generation"] == 2
    made = server.patch(
        ME, BOATS, "sloop", {"spec": {"masts": 3}, "status": {"masts": 2}}, "default", subresource="status"
    )
    assert (made["spec"]["masts"], made["status"], made["metadata"]["generation"]) == (2, {"masts": 2}, 2)
    old = {**boat(), "metadata": {"name": "sloop", "namespace": "default"}}
    assert "must be specified for an update" in refused(server.update, ME, BOATS, old).message


def test_apply_merges_map_lists_and_finds_conflicts(cluster: Cluster) -> None:
    define(cluster)
    server = cluster.apiserver

    def apply(manager: str, **spec: Any) -> Obj:
        options = {"fieldManager": manager}
        return server.patch(ME, BOATS, "sloop", boat(**spec), "default", type="apply", options=options)

    apply("one", crew=[{"id": "ann"}], masts=2, extra={"a": {"b": 1}})
    made = apply("two", crew=[{"id": "bob", "role": "cook"}])
    assert made["spec"]["crew"] == [{"id": "ann", "role": "hand"}, {"id": "bob", "role": "cook"}]
    error = refused(apply, "two", masts=3)
    assert error.code == 409
    assert error.details["causes"][0]["field"] == ".spec.masts"
    fields = made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]
    assert fields["f:extra"] == {"f:a": {".": {}, "f:b": {}}}
    assert apply("one", masts=2)["spec"]["crew"] == [{"id": "bob", "role": "cook"}]


def test_scale(cluster: Cluster) -> None:
    define(cluster)
    server = cluster.apiserver
    server.create(ME, BOATS, boat(), "default")
    assert server.get(ME, BOATS, "sloop", "default", subresource="scale")["spec"] == {"replicas": 1}
    made = server.patch(ME, BOATS, "sloop", {"spec": {"replicas": 4}}, "default", subresource="scale")
    assert made["spec"] == {"replicas": 4}
    assert server.get(ME, BOATS, "sloop", "default")["spec"]["masts"] == 4


def test_columns_and_selectable_fields(cluster: Cluster) -> None:
    obj = definition()
    obj["spec"]["versions"][0]["selectableFields"] = [{"jsonPath": ".spec.hull"}]
    obj["spec"]["versions"][0]["additionalPrinterColumns"] = [
        {"name": "Masts", "type": "integer", "jsonPath": ".spec.masts"},
        {"name": "Cook", "type": "string", "jsonPath": '.spec.crew[?(@.role=="cook")].id', "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]
    define(cluster, obj)
    server = cluster.apiserver
    made = server.create(ME, BOATS, boat(crew=[{"id": "ann"}, {"id": "bob", "role": "cook"}]), "default")
    resource = server.registry.named(BOATS)
    assert resource is not None
    shown = table(resource, [made], NOW + 90)
    assert [one["name"] for one in shown["columnDefinitions"]] == ["Name", "Masts", "Cook", "Age"]
    assert shown["rows"][0]["cells"] == ["sloop", 1, "bob", "90s"]
    assert len(server.list(ME, BOATS, field_selector="spec.hull=wood")) == 1
    assert server.list(ME, BOATS, field_selector="spec.hull=steel") == []
    assert (
        refused(server.list, ME, BOATS, field_selector="spec.masts=1").message
        == "field label not supported: spec.masts"
    )


def test_versions_show_the_same_objects(cluster: Cluster) -> None:
    obj = definition()
    obj["spec"]["versions"].append(version("v1beta1", deprecated=True))
    obj["spec"]["versions"].append(version("v2alpha1", served=False))
    define(cluster, obj)
    server = cluster.apiserver
    assert [one.version for one in server.registry.extra] == ["v1", "v1beta1"]
    older = server.registry.by_path("sea.example.org", "v1beta1", "boats")
    assert older is not None
    assert older.custom is not None
    assert older.custom.warning == "sea.example.org/v1beta1 Boat is deprecated"
    body = {
        "apiVersion": "sea.example.org/v1beta1",
        "kind": "Boat",
        "metadata": {"name": "b"},
        "spec": {"hull": "wood"},
    }
    made = server.do_create(Request(ME, "create", older, "default", checked=True), body)
    assert made["apiVersion"] == "sea.example.org/v1beta1"
    assert made["metadata"]["managedFields"][0]["apiVersion"] == "sea.example.org/v1beta1"
    newer = server.get(ME, BOATS, "b", "default")
    assert newer["apiVersion"] == "sea.example.org/v1"
    assert newer["spec"] == {"hull": "wood", "masts": 1}
    assert server.store.get(BOATS, "default", "b")["apiVersion"] == "sea.example.org/v1"


def test_a_changed_schema_counts_for_what_is_there(cluster: Cluster) -> None:
    define(cluster)
    server = cluster.apiserver
    server.create(ME, BOATS, boat(masts=5), "default")
    schema = copy.deepcopy(SCHEMA)
    schema["properties"]["spec"]["properties"]["sails"] = {"type": "integer", "default": 2}
    schema["properties"]["spec"]["properties"]["masts"]["maximum"] = 3
    obj = server.get(ME, CRDS, BOATS)
    obj = {**obj, "spec": definition()["spec"] | {"names": obj["spec"]["names"]}}
    obj["spec"]["versions"][0]["schema"] = {"openAPIV3Schema": schema}
    server.update(ME, CRDS, obj)
    assert server.get(ME, BOATS, "sloop", "default")["spec"] == {"hull": "wood", "masts": 5, "sails": 2}
    made = server.patch(ME, BOATS, "sloop", {"spec": {"hull": "steel"}}, "default")  # what did not change may stay
    assert made["spec"]["masts"] == 5
    assert refused(server.patch, ME, BOATS, "sloop", {"spec": {"masts": 4}}, "default").code == 422


@pytest.mark.parametrize(
    "status",
    [
        {"conditions": [{}], "acceptedNames": {}, "storedVersions": ["v1"]},
        {"conditions": [{"type": "Established", "status": "True"}], "acceptedNames": {"plural": "x"}},
        {"conditions": None, "acceptedNames": None},
    ],
)
def test_a_status_that_anybody_wrote_breaks_nothing(cluster: Cluster, journal: Journal, status: Obj) -> None:
    define(cluster)
    server = cluster.apiserver
    resource = server.registry.named(CRDS)
    assert resource is not None
    request = Request(ME, "patch", resource, "", BOATS, "status", checked=True)
    try:
        server.do_patch(request, {"status": status}, "merge")
    except StatusError as error:
        assert error.code == 422  # noqa: PT017  either answer is right; a failure is not
    cluster.run_until_quiet()
    cluster.stop()
    again = Cluster("one", Store(journal, "one"), Clock(NOW), {"nodes": []})
    again.start()
    again.run_until_quiet()
    assert again.apiserver.list(ME, BOATS) == []
    again.apiserver.delete(ME, CRDS, BOATS)
    again.run_until_quiet()
    assert again.apiserver.list(ME, CRDS) == []


def test_definitions_are_bounded(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_DEFINITIONS", 1)
    define(cluster)
    assert refused(cluster.apiserver.create, ME, CRDS, definition("ships")).code == 507
    monkeypatch.setattr(limits, "MOST_DEFINITIONS", 9)
    monkeypatch.setattr(limits, "MOST_BYTES", 2000)
    assert refused(cluster.apiserver.create, ME, CRDS, definition("ships")).code == 507


# the end


def test_the_end_of_a_definition_takes_its_instances_along(cluster: Cluster) -> None:
    define(cluster)
    server = cluster.apiserver
    server.create(ME, BOATS, boat(), "default")
    held = boat("held")
    held["metadata"]["finalizers"] = ["example.org/hold"]
    server.create(ME, BOATS, held, "default")
    ending = server.delete(ME, CRDS, BOATS)
    assert ending["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert conditions(ending)["Terminating"] == ("True", "InstanceDeletionPending")
    cluster.run_until_quiet()
    assert [one["metadata"]["name"] for one in server.list(ME, BOATS)] == ["held"]
    assert refused(post, server, boat("late")).code == 405
    server.patch(ME, BOATS, "held", {"metadata": {"finalizers": None}}, "default")
    cluster.run_until_quiet()
    assert server.list(ME, CRDS) == []
    assert server.registry.extra == []
    assert server.store.objects(BOATS) == []


def test_owners_and_namespaces_know_custom_objects(cluster: Cluster) -> None:
    define(cluster)
    server = cluster.apiserver
    server.create(ME, "namespaces", {"metadata": {"name": "sea"}})
    owner = server.create(ME, BOATS, boat(), "sea")
    reference = {"apiVersion": "sea.example.org/v1", "kind": "Boat", "name": "sloop", "uid": owner["metadata"]["uid"]}
    server.create(ME, "configmaps", {"metadata": {"name": "log", "ownerReferences": [reference]}}, "sea")
    cluster.run_until_quiet()
    assert server.get(ME, "configmaps", "log", "sea")
    server.delete(ME, BOATS, "sloop", "sea")
    cluster.run_until_quiet()
    assert refused(server.get, ME, "configmaps", "log", "sea").code == 404
    server.create(ME, BOATS, boat("other"), "sea")
    server.delete(ME, "namespaces", "sea")
    cluster.run_until_quiet()
    assert server.list(ME, BOATS) == []
    assert refused(server.get, ME, "namespaces", "sea").code == 404


def test_what_watches_a_kind_is_told_when_it_goes(cluster: Cluster) -> None:
    define(cluster)
    resource = cluster.apiserver.registry.named(BOATS)
    assert resource is not None
    assert resource.custom is not None
    ended: list[bool] = []
    resource.custom.ends.add(lambda: ended.append(True))
    cluster.apiserver.delete(ME, CRDS, BOATS)
    cluster.run_until_quiet()
    assert ended


def test_controllers_come_back_to_what_is_defined_then(cluster: Cluster) -> None:
    define(cluster)
    cluster.stop_component("kube-controller-manager")
    cluster.apiserver.delete(ME, CRDS, BOATS)
    define(cluster, definition("ships"))
    cluster.start_component("kube-controller-manager")
    cluster.run_until_quiet()
    server = cluster.apiserver
    server.create(ME, "namespaces", {"metadata": {"name": "sea"}})
    ship = {"metadata": {"name": "argo"}, "spec": {"hull": "wood"}}
    server.create(ME, "ships.sea.example.org", ship, "sea")
    server.delete(ME, "namespaces", "sea")
    cluster.run_until_quiet()
    assert refused(server.get, ME, "namespaces", "sea").code == 404


def test_quotas_count_custom_objects(cluster: Cluster) -> None:
    define(cluster)
    server = cluster.apiserver
    hard = {f"count/{BOATS}": "1"}
    server.create(ME, "resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": hard}}, "default")
    cluster.run_until_quiet()
    server.create(ME, BOATS, boat(), "default")
    assert "exceeded quota: q" in refused(server.create, ME, BOATS, boat("b"), "default").message
    server.delete(ME, BOATS, "sloop", "default")
    cluster.run_until_quiet()
    assert server.create(ME, BOATS, boat("b"), "default")["metadata"]["name"] == "b"


def test_roles_say_who_may(cluster: Cluster) -> None:
    define(cluster)
    server = cluster.apiserver
    review = {
        "spec": {"user": "ann", "resourceAttributes": {"verb": "get", "group": "sea.example.org", "resource": "boats"}}
    }
    review["spec"]["resourceAttributes"]["namespace"] = "default"  # type: ignore[index]

    def allowed() -> bool:
        return bool(
            server.create(ME, "subjectaccessreviews.authorization.k8s.io", copy.deepcopy(review))["status"]["allowed"]
        )

    assert not allowed()
    rules = [{"apiGroups": ["sea.example.org"], "resources": ["boats"], "verbs": ["get"]}]
    server.create(ME, "roles.rbac.authorization.k8s.io", {"metadata": {"name": "r"}, "rules": rules}, "default")
    binding = {
        "metadata": {"name": "b"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ann"}],
    }
    server.create(ME, "rolebindings.rbac.authorization.k8s.io", binding, "default")
    assert allowed()
