"""Ownership of fields by whoever creates, updates or patches."""

import copy

from hypothesis import given
from hypothesis import strategies as st

from simkube.apiserver.fields import managed_fields
from simkube.apiserver.fields.fieldset import paths

CONFIG_MAP = ("", "v1", "ConfigMap")
DEPLOYMENT = ("apps", "v1", "Deployment")
POD = ("", "v1", "Pod")
NOW = "2026-01-02T03:04:05Z"
LATER = "2026-01-02T03:05:00Z"


def config_map(data: dict | None = None, **metadata: object) -> dict:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b", **metadata}}
    return obj if data is None else {**obj, "data": data}


def created(obj: dict, gvk: tuple = CONFIG_MAP, manager: str = "alice") -> dict:
    made = managed_fields.update(None, obj, gvk, manager, time=NOW)
    return {**made, "metadata": {**made["metadata"], "uid": "1", "resourceVersion": "1"}}


def owned(obj: dict) -> dict[str, list[str]]:
    return {
        "/".join(filter(None, (entry["manager"], entry.get("subresource")))): list(paths(entry["fieldsV1"]))
        for entry in obj["metadata"].get("managedFields", [])
    }


def changed(old: dict, new: dict, manager: str, gvk: tuple = CONFIG_MAP, subresource: str = "") -> dict:
    return managed_fields.update(old, new, gvk, manager, "Update", subresource, LATER)


def test_who_creates_owns_everything_but_identity() -> None:
    made = created(config_map({"a": "1"}, labels={"app": "web"}, finalizers=["x/y"]))
    assert made["metadata"]["managedFields"] == [
        {
            "manager": "alice",
            "operation": "Update",
            "apiVersion": "v1",
            "time": NOW,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:data": {".": {}, "f:a": {}},
                "f:metadata": {
                    "f:labels": {".": {}, "f:app": {}},
                    "f:finalizers": {".": {}, 'v:"x/y"': {}},
                },
            },
        }
    ]


def test_fields_that_are_always_there_are_not_owned_as_such() -> None:
    container = {"name": "web", "image": "nginx", "resources": {}, "ports": [{"containerPort": 80}]}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": {"a": "b"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}},
    }
    made = created({"metadata": {"name": "a"}, "spec": spec, "status": {}}, DEPLOYMENT)
    assert made["metadata"]["managedFields"][0]["fieldsV1"] == {
        "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:strategy": {"f:type": {}, "f:rollingUpdate": {".": {}, "f:maxSurge": {}}},
            "f:template": {
                "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
                "f:spec": {
                    "f:containers": {
                        'k:{"name":"web"}': {
                            ".": {},
                            "f:name": {},
                            "f:image": {},
                            "f:resources": {},
                            "f:ports": {
                                ".": {},
                                'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}},
                            },
                        }
                    }
                },
            },
        }
    }


def test_elements_that_cannot_be_told_apart_are_one() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    spec = {"containers": [{"name": "web", "env": env}]}
    made = created({"metadata": {"name": "a"}, "spec": spec}, POD)
    container = made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:containers"]['k:{"name":"web"}']
    assert container["f:env"] == {".": {}, 'k:{"name":"A"}': {}}


def test_who_changes_a_field_takes_it_over() -> None:
    old = created(config_map({"a": "1", "b": "2"}))
    new = changed(old, {**old, "data": {"a": "1", "b": "3", "c": "4"}}, "bob")
    assert owned(new) == {"alice": [".data", ".data.a"], "bob": [".data.b", ".data.c"]}
    assert [entry["time"] for entry in new["metadata"]["managedFields"]] == [NOW, LATER]


def test_a_removed_field_has_no_owner_and_a_removal_changes_no_time() -> None:
    old = created(config_map({"a": "1", "b": "2"}))
    new = changed(old, {**old, "data": {"a": "1"}}, "alice")
    assert owned(new) == {"alice": [".data", ".data.a"]}
    assert new["metadata"]["managedFields"][0]["time"] == NOW
    gone = changed(new, config_map(uid="1"), "bob")
    assert owned(gone) == {}
    assert "managedFields" not in gone["metadata"]


def test_nothing_changed_is_nothing_changed() -> None:
    old = created(config_map({"a": "1"}))
    same = copy.deepcopy(old)
    new = changed(old, same, "bob")
    assert new == old
    assert new["metadata"]["managedFields"] is old["metadata"]["managedFields"]


def test_a_client_that_leaves_managed_fields_out_forgets_nothing() -> None:
    old = created(config_map({"a": "1"}))
    new = changed(old, config_map({"a": "1"}, uid="1", labels={"x": "y"}), "bob")
    assert owned(new) == {"alice": [".data", ".data.a"], "bob": [".metadata.labels", ".metadata.labels.x"]}


def test_managed_fields_are_forgotten_on_request() -> None:
    old = created(config_map({"a": "1"}))
    for forget in ([{}], []):
        new = {**old, "metadata": {**old["metadata"], "managedFields": forget}}
        assert owned(changed(old, new, "bob")) == {}


def test_who_was_never_tracked_is_not_tracked_later() -> None:
    old = config_map({"a": "1"}, uid="1")
    assert owned(changed(old, {**old, "data": {"a": "2"}}, "bob")) == {}


def test_entries_that_no_server_wrote_do_not_count() -> None:
    old = created(config_map({"a": "1"}))
    for bad in (
        "everything",
        [1],
        [{"manager": "eve", "operation": "Steal"}],
        [{"manager": "eve", "operation": "Update", "fieldsV1": {"f:data": 3}}],
        [{"manager": "eve", "operation": "Update", "fieldsV1": "f:data"}],
    ):
        new = {**old, "metadata": {**old["metadata"], "managedFields": bad}}
        assert owned(changed(old, new, "bob")) == {"alice": [".data", ".data.a"]}


def test_status_is_owned_through_its_own_endpoint() -> None:
    old = created({"metadata": {"name": "a"}, "spec": {"nodeName": "n"}, "status": {}}, POD)
    new = {**old, "spec": {"nodeName": "other"}, "status": {"phase": "Running"}}
    assert owned(changed(old, new, "kubelet", POD, "status")) == {
        "alice": [".spec.nodeName"],
        "kubelet/status": [".status.phase"],
    }
    assert owned(changed(old, new, "bob", POD)) == {"bob": [".spec.nodeName"]}


def test_conditions_are_told_apart_by_type() -> None:
    conditions = [{"type": "Ready", "status": "False"}, {"type": "Initialized", "status": "True"}]
    old = created({"metadata": {"name": "a", "labels": {"a": "b"}}, "status": {}}, POD)
    one = changed(old, {**old, "status": {"conditions": conditions}}, "kubelet", POD, "status")
    two = {**one, "status": {"conditions": [{"type": "Ready", "status": "True"}, conditions[1]]}}
    found = owned(changed(one, two, "other", POD, "status"))
    assert found["other/status"] == ['.status.conditions[type="Ready"].status']
    assert '.status.conditions[type="Ready"].status' not in found["kubelet/status"]
    assert '.status.conditions[type="Initialized"].status' in found["kubelet/status"]


def test_many_managers_share_an_entry() -> None:
    obj = created(config_map({"k": "0"}))
    for number in range(15):
        new = {**obj, "data": {**obj["data"], f"k{number}": "x"}}
        obj = managed_fields.update(
            obj, new, CONFIG_MAP, f"m{number:02}", "Update", "", f"2026-01-02T04:00:{number:02}Z"
        )
    found = owned(obj)
    assert len(found) == managed_fields.MOST_UPDATERS
    assert ".data.k0" in found[managed_fields.ANCIENT]
    everything = sorted(path for fields in found.values() for path in fields)
    assert everything == sorted([".data", ".data.k", *(f".data.k{number}" for number in range(15))])


def test_a_scale_owns_the_replicas() -> None:
    old = created({"metadata": {"name": "a"}, "spec": {"replicas": 1, "paused": True}}, DEPLOYMENT)
    scaled = {**old, "spec": {**old["spec"], "replicas": 2}}
    new = managed_fields.update(old, scaled, DEPLOYMENT, "autoscaler", "Update", "scale", "")
    assert owned(new) == {"alice": [".spec.paused"], "autoscaler/scale": [".spec.replicas"]}
    entry = next(one for one in new["metadata"]["managedFields"] if one["manager"] == "autoscaler")
    assert "time" not in entry


def test_a_write_that_would_only_change_times_is_none() -> None:
    old = created(config_map({"a": "1"}))
    entries = [{**old["metadata"]["managedFields"][0], "time": LATER}]
    new = {**old, "metadata": {**old["metadata"], "managedFields": entries}}
    assert managed_fields.only_times_differ(old, new)
    assert not managed_fields.only_times_differ(old, {**new, "data": {"a": "2"}})
    assert not managed_fields.only_times_differ(old, {**new, "metadata": {**new["metadata"], "labels": {"x": "y"}}})


def test_true_is_not_one() -> None:
    old = created({"metadata": {"name": "a"}, "spec": {"paused": True, "replicas": 1}}, DEPLOYMENT)
    new = changed(old, {**old, "spec": {"paused": 1, "replicas": 1}}, "bob", DEPLOYMENT)
    assert owned(new) == {"alice": [".spec.replicas"], "bob": [".spec.paused"]}


KEYS = st.sampled_from("abcd")
DATA = st.dictionaries(KEYS, st.sampled_from(["1", "2"]), max_size=4)
WRITES = st.lists(st.tuples(st.sampled_from(["alice", "bob", "carol"]), DATA, DATA), min_size=1, max_size=6)


def existing(obj: dict) -> set[str]:
    data, labels = obj.get("data"), obj["metadata"].get("labels")
    found = set() if data is None else {".data", *(f".data.{key}" for key in data)}
    return found | (set() if labels is None else {".metadata.labels", *(f".metadata.labels.{key}" for key in labels)})


@given(WRITES)
def test_only_fields_that_exist_are_owned_each_by_one(writes: list) -> None:
    obj = created(config_map({"a": "0"}))
    for manager, data, labels in writes:
        new = config_map(data, uid="1", labels=labels)
        obj = changed(obj, new, manager)
        found = [path for fields in owned(obj).values() for path in fields]
        assert len(found) == len(set(found))
        assert set(found) <= existing(obj)
        assert {path for path in existing(obj) if path.count(".") > 2} <= set(found) | {".metadata.labels"}
