"""What the server says it serves."""

import pytest

from simkube.apiserver.discovery import discovery
from simkube.apiserver.registry.kinds import ALL, GROUPS


def test_every_resource_is_advertised_once_in_both_forms() -> None:
    legacy = {
        (group, entry["name"])
        for group, version in (("", "v1"), *GROUPS)
        for entry in discovery.resources(group, version)["resources"]
    }
    aggregated = set()
    for core in (True, False):
        for item in discovery.aggregated(core)["items"]:
            group = item["metadata"].get("name", "")
            for entry in item["versions"][0]["resources"]:
                aggregated.add((group, entry["resource"]))
                aggregated |= {
                    (group, f"{entry['resource']}/{one['subresource']}") for one in entry.get("subresources", [])
                }
    assert legacy == aggregated
    assert {(resource.group, resource.plural) for resource in ALL} <= legacy


def test_an_entry() -> None:
    entries = {one["name"]: one for one in discovery.resources("apps", "v1")["resources"]}
    assert entries["deployments"] == {
        "name": "deployments",
        "singularName": "deployment",
        "namespaced": True,
        "kind": "Deployment",
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "shortNames": ["deploy"],
        "categories": ["all"],
        "storageVersionHash": "8aSe+NMegvE=",
    }
    assert entries["deployments/scale"] == {
        "name": "deployments/scale",
        "singularName": "",
        "namespaced": True,
        "group": "autoscaling",
        "version": "v1",
        "kind": "Scale",
        "verbs": ["get", "patch", "update"],
    }


def test_groups() -> None:
    found = discovery.groups()["groups"]
    assert [one["name"] for one in found] == list(dict.fromkeys(name for name, _ in GROUPS))
    assert discovery.group("apps")["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    assert discovery.group("example.org") is None
    assert discovery.resources("apps", "v9") is None


def test_version_and_paths() -> None:
    assert discovery.version()["gitVersion"] == "v1.36.2"
    assert discovery.version()["minor"] == "36"
    assert "/apis/apps/v1" in discovery.paths()["paths"]
    assert discovery.legacy_versions("127.0.0.1:1")["versions"] == ["v1"]


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json", True),
        ("application/json; g=apidiscovery.k8s.io; v=v2; as=APIGroupDiscoveryList", True),
        (
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            True,
        ),
        ("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json", False),
        ("application/json", False),
        ("*/*", False),
        ("", False),
        (";;;,=,application/json;as", False),
    ],
)
def test_who_asks_for_the_aggregated_form(accept: str, wanted: bool) -> None:
    assert discovery.wants_aggregated(accept) is wanted
