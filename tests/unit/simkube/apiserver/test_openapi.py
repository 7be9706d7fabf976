"""The OpenAPI documents."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from simkube.apiserver.openapi import documents as openapi
from simkube.apiserver.registry.kinds import ALL, GROUPS

VERSIONS = ["api/v1", *(f"apis/{group}/{version}" for group, version in GROUPS)]
WRITES = {"post", "put", "patch"}


def document(path: str) -> dict:
    made = openapi.v3(path)
    assert made is not None
    return json.loads(made)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):  # a schema of schemas has a property of that name
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


@pytest.mark.parametrize("path", VERSIONS)
def test_every_reference_leads_somewhere(path: str) -> None:
    made = document(path)
    schemas = made["components"]["schemas"]
    assert set(references(made)) == {f"#/components/schemas/{name}" for name in schemas}


@pytest.mark.parametrize("resource", ALL, ids=lambda one: one.qualified)
def test_every_kind_has_a_schema_and_a_path(resource) -> None:
    made = document(f"apis/{resource.group}/{resource.version}" if resource.group else "api/v1")
    gvk = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    schemas = made["components"]["schemas"].values()
    assert any(gvk in one.get("x-kubernetes-group-version-kind", []) for one in schemas)
    operations = [
        operation
        for item in made["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict) and operation.get("x-kubernetes-group-version-kind") == gvk
    ]
    actions = {one["x-kubernetes-action"] for one in operations}
    wanted = {"create": "post", "update": "put"}
    assert {wanted.get(verb, verb) for verb in resource.verbs} - {"watch"} <= actions


@pytest.mark.parametrize("path", VERSIONS)
def test_writes_say_that_fields_are_validated(path: str) -> None:
    for item in document(path)["paths"].values():
        for method in WRITES & item.keys():
            if item[method].get("x-kubernetes-action") == "connect":
                continue
            names = {one["name"] for one in item[method]["parameters"]}
            assert {"fieldValidation", "fieldManager", "dryRun"} <= names


def operations_of(paths: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in paths.items():
        for method, operation in item.items():
            if method != "parameters":
                yield method, path, operation


PODS = "/api/v1/namespaces/{namespace}/pods"


@pytest.mark.parametrize(
    ("method", "path", "id", "description"),
    [
        ("get", PODS, "listCoreV1NamespacedPod", "list or watch objects of kind Pod"),
        ("get", "/api/v1/pods", "listCoreV1PodForAllNamespaces", "list or watch objects of kind Pod"),
        ("post", PODS, "createCoreV1NamespacedPod", "create a Pod"),
        ("delete", PODS, "deleteCoreV1CollectionNamespacedPod", "delete collection of Pod"),
        ("get", f"{PODS}/{{name}}", "readCoreV1NamespacedPod", "read the specified Pod"),
        ("patch", f"{PODS}/{{name}}", "patchCoreV1NamespacedPod", "partially update the specified Pod"),
        ("put", f"{PODS}/{{name}}/status", "replaceCoreV1NamespacedPodStatus", "replace status of the specified Pod"),
        ("post", f"{PODS}/{{name}}/eviction", "createCoreV1NamespacedPodEviction", "create eviction of a Pod"),
        ("get", f"{PODS}/{{name}}/log", "readCoreV1NamespacedPodLog", "read log of the specified Pod"),
        ("post", f"{PODS}/{{name}}/exec", "connectCoreV1PostNamespacedPodExec", "connect POST requests to exec of Pod"),
        ("get", "/api/v1/nodes/{name}", "readCoreV1Node", "read the specified Node"),
        ("get", "/api/v1/", "getCoreV1APIResources", "get available resources"),
        ("get", "/apis/rbac.authorization.k8s.io/", "getRbacAuthorizationAPIGroup", "get information of a group"),
        ("get", "/apis/", "getAPIVersions", "get available API versions"),
        ("get", "/api/", "getCoreAPIVersions", "get available API versions"),
        (
            "post",
            "/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses",
            "createNetworkingV1NamespacedIngress",
            "create an Ingress",
        ),
    ],
)
def test_operations_are_named_and_described(method: str, path: str, id: str, description: str) -> None:
    operation = json.loads(openapi.v2())["paths"][path][method]
    assert (operation["operationId"], operation["description"]) == (id, description)


def test_no_two_operations_are_called_the_same_and_all_are_described() -> None:
    found = list(operations_of(json.loads(openapi.v2())["paths"]))
    ids = [operation["operationId"] for _, _, operation in found]
    assert len(set(ids)) == len(ids)
    assert all(operation["description"] for _, _, operation in found)


@pytest.mark.parametrize("path", VERSIONS)
def test_lists_are_described(path: str) -> None:
    schemas = document(path)["components"]["schemas"]
    lists = [one for name, one in schemas.items() if name.endswith("List") and "items" in one.get("properties", {})]
    assert all(one.get("description") for one in lists)


def test_only_what_is_served_appears() -> None:
    paths = json.loads(openapi.v2())["paths"]
    assert not any("internal.apiserver" in path for path in paths)
    served = {("", "v1"), *GROUPS}
    for one in json.loads(openapi.v2())["definitions"].values():
        for gvk in one.get("x-kubernetes-group-version-kind", []):
            assert (gvk["group"], gvk["version"]) in served | {("autoscaling", "v1"), ("policy", "v1")}


def test_schemas_are_of_one_type_without_null() -> None:
    container = document("api/v1")["components"]["schemas"]["io.k8s.api.core.v1.Container"]
    assert container["type"] == "object"
    assert container["properties"]["image"]["type"] == "string"
    assert container["properties"]["ports"]["x-kubernetes-list-map-keys"] == ["containerPort", "protocol"]
    assert container["properties"]["resources"]["allOf"][0]["$ref"].endswith("ResourceRequirements")
    kind = document("apis/apps/v1")["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"]
    assert "enum" not in kind["properties"]["apiVersion"]


def test_int_or_string() -> None:
    name = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
    assert document("api/v1")["components"]["schemas"][name]["format"] == "int-or-string"
    assert json.loads(openapi.v2())["definitions"][name] == {"type": "string", "format": "int-or-string"}


def test_the_index_leads_to_every_document() -> None:
    index = json.loads(openapi.v3_index())["paths"]
    assert set(VERSIONS) <= set(index)
    for path, entry in index.items():
        assert entry["serverRelativeURL"].startswith(f"/openapi/v3/{path}?hash=")
        assert openapi.v3(path) is not None
    assert openapi.v3("apis/internal.apiserver.k8s.io/v1alpha1") is None
    assert openapi.v3("apis") is openapi.v3("apis")


def messages(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a protobuf message, in order."""
    at = 0

    def varint() -> int:
        nonlocal at
        number = shift = 0
        while True:
            byte = raw[at]
            at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    while at < len(raw):
        key = varint()
        if key & 7 == 0:
            varint()
            continue
        assert key & 7 == 2
        length = varint()
        yield key >> 3, raw[at : at + length]
        at += length


def named(raw: bytes, field: int) -> dict[str, bytes]:
    pairs = [dict(messages(content)) for number, content in messages(raw) if number == field]
    return {pair[1].decode(): pair[2] for pair in pairs}


def test_the_binary_form_says_the_same() -> None:
    made = json.loads(openapi.v2())
    parts = dict(messages(openapi.v2_protobuf()))
    assert parts[1] == b"2.0"
    assert list(named(parts[8], 2)) == list(made["paths"])
    definitions = named(parts[9], 1)
    assert list(definitions) == list(made["definitions"])
    deployment = list(messages(definitions["io.k8s.api.apps.v1.Deployment"]))
    properties = next(content for number, content in deployment if number == 25)
    assert list(named(properties, 1)) == ["apiVersion", "kind", "metadata", "spec", "status"]
    extension = dict(messages(next(content for number, content in deployment if number == 31)))
    assert extension[1] == b"x-kubernetes-group-version-kind"
    gvk = [{"group": "apps", "kind": "Deployment", "version": "v1"}]
    assert json.loads(dict(messages(extension[2]))[2]) == gvk


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("application/com.github.proto-openapi.spec.v2@v1.0+protobuf", True),
        ("application/com.github.proto-openapi.spec.v2.v1.0+protobuf, application/json", True),
        ("application/json", False),
        ("", False),
    ],
)
def test_who_asks_for_the_binary_form(accept: str, wanted: bool) -> None:
    assert openapi.wants_protobuf(accept) is wanted
