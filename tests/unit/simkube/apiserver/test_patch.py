"""JSON patches, merge patches, strategic merge patches."""

import copy
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.fields import json_patch, patch
from simkube.apiserver.fields.strategic import PatchError

DEPLOYMENT = ("apps", "v1", "Deployment")
CONFIG_MAP = ("", "v1", "ConfigMap")


def deployment() -> dict:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "labels": {"app": "web", "tier": "front"},
            "annotations": {"note": "first"},
            "finalizers": ["example.org/a", "example.org/b"],
        },
        "spec": {
            "replicas": 0,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
            "template": {
                "spec": {
                    "volumes": [{"name": "config", "configMap": {"name": "web"}}, {"name": "scratch", "emptyDir": {}}],
                    "containers": [
                        {
                            "name": "web",
                            "image": "nginx:1",
                            "args": ["one", "two"],
                            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                            "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 443, "name": "https"}],
                        },
                        {"name": "side", "image": "side:1"},
                    ],
                }
            },
        },
    }


def smp(change: dict, original: dict | None = None) -> dict:
    before = original or deployment()
    kept = copy.deepcopy(before)
    result = patch.apply_patch("strategic", before, change, DEPLOYMENT)
    assert before == kept
    return result


def template(**spec: object) -> dict:
    return {"spec": {"template": {"spec": spec}}}


def containers(obj: dict) -> list[dict]:
    return obj["spec"]["template"]["spec"]["containers"]


def names(items: list[dict]) -> list[str]:
    return [item["name"] for item in items]


# strategic merge patch


def test_containers_merge_by_name() -> None:
    found = containers(smp(template(containers=[{"name": "web", "image": "nginx:2"}])))
    assert [one["image"] for one in found] == ["nginx:2", "side:1"]
    assert found[0]["args"] == ["one", "two"]


def test_a_new_element_is_put_in_front() -> None:
    assert names(containers(smp(template(containers=[{"name": "log", "image": "log:1"}])))) == ["log", "web", "side"]


def test_lists_within_elements_merge_by_their_own_keys() -> None:
    change = {"name": "web", "env": [{"name": "B", "value": "two"}, {"name": "C", "value": "3"}]}
    env = containers(smp(template(containers=[change])))[0]["env"]
    assert {one["name"]: one["value"] for one in env} == {"A": "1", "B": "two", "C": "3"}


def test_a_list_without_merge_key_is_replaced() -> None:
    found = containers(smp(template(containers=[{"name": "web", "args": ["three"]}])))
    assert found[0]["args"] == ["three"]


def test_primitive_lists_that_merge() -> None:
    added = smp({"metadata": {"finalizers": ["example.org/c"]}})
    assert added["metadata"]["finalizers"] == ["example.org/c", "example.org/a", "example.org/b"]
    left = smp({"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.org/a", "example.org/x"]}}, added)
    assert left["metadata"]["finalizers"] == ["example.org/c", "example.org/b"]


def test_an_element_is_deleted_by_directive() -> None:
    change = template(containers=[{"name": "side", "$patch": "delete"}])
    once = smp(change)
    assert names(containers(once)) == ["web"]
    assert smp(change, once) == once


def test_null_removes() -> None:
    found = smp({"metadata": {"labels": {"tier": None, "team": "blue"}, "annotations": None}})
    assert found["metadata"]["labels"] == {"app": "web", "team": "blue"}
    assert "annotations" not in found["metadata"]


def test_replace_directives() -> None:
    found = smp({"metadata": {"annotations": {"$patch": "replace", "only": "this"}}})
    assert found["metadata"]["annotations"] == {"only": "this"}
    env = [{"$patch": "replace"}, {"name": "D", "value": "4"}]
    assert containers(smp(template(containers=[{"name": "web", "env": env}])))[0]["env"] == [
        {"name": "D", "value": "4"}
    ]


def test_delete_directive_of_a_map() -> None:
    assert smp({"metadata": {"labels": {"$patch": "delete"}}})["metadata"]["labels"] == {}


def test_the_order_that_is_asked_for() -> None:
    order = [{"name": "side"}, {"name": "web"}, {"name": "new"}]
    change = template(**{"$setElementOrder/containers": order, "containers": [{"name": "new", "image": "new:1"}]})
    assert names(containers(smp(change))) == ["side", "web", "new"]


def test_an_order_alone_reorders() -> None:
    order = [{"name": "side"}, {"name": "web"}]
    assert names(containers(smp(template(**{"$setElementOrder/containers": order})))) == ["side", "web"]


def test_retain_keys() -> None:
    found = smp({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}})
    assert found["spec"]["strategy"] == {"type": "Recreate"}
    volume = {"$retainKeys": ["name", "hostPath"], "name": "scratch", "hostPath": {"path": "/tmp"}}
    volumes = smp(template(volumes=[volume]))["spec"]["template"]["spec"]["volumes"]
    assert volumes[1] == {"name": "scratch", "hostPath": {"path": "/tmp"}}


def test_lists_of_many_elements_merge_in_good_time() -> None:
    many = [{"name": f"c{number}", "image": "i"} for number in range(5000)]
    order = [{"name": one["name"]} for one in reversed(many)]
    change = template(**{"$setElementOrder/containers": order, "containers": list(reversed(many))})
    started = time.process_time()
    found = containers(smp(change, template(containers=many)))
    assert time.process_time() - started < 2
    assert names(found) == names(order)


def test_directives_do_not_survive_in_new_values() -> None:
    change = {"spec": {"selector": {"$retainKeys": ["matchLabels"], "matchLabels": {"a": "b", "c": None}}}}
    assert smp(change)["spec"]["selector"] == {"matchLabels": {"a": "b"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            template(containers=[{"image": "nginx:9"}]),
            "map: map[image:nginx:9] does not contain declared merge key: name",
        ),
        ({"metadata": {"labels": {"$patch": "explode"}}}, "unknown patch type: explode in map: map[$patch:explode]"),
        (
            template(
                **{"$setElementOrder/containers": [{"name": "side"}], "containers": [{"name": "web", "image": "n:3"}]}
            ),
            "The order in patch list:\n[map[image:n:3 name:web]]\n doesn't match $setElementOrder list:\n"
            "[map[name:side]]\n",
        ),
    ],
)
def test_a_patch_that_makes_no_sense(change: dict, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        smp(change)
    assert (refused.value.code, refused.value.message) == (500, message)
    assert "reason" not in refused.value.body()


def test_the_result_must_have_the_shape_of_its_kind() -> None:
    with pytest.raises(StatusError) as refused:
        patch.patched("strategic", deployment(), {"spec": {"replicas": "two"}}, DEPLOYMENT)
    message = 'Invalid value: "map[spec:map[replicas:two]]": unrecognized type: int32'
    assert (refused.value.code, refused.value.message) == (422, f' "" is invalid: patch: {message}')


def test_unknown_fields_of_a_patch() -> None:
    change = {"spec": {"replicaz": 1}}
    obj, warnings = patch.patched("strategic", deployment(), change, DEPLOYMENT)
    assert (obj, warnings) == (deployment(), ['unknown field "spec.replicaz"'])
    assert patch.patched("strategic", deployment(), change, DEPLOYMENT, "Ignore") == (deployment(), [])
    with pytest.raises(StatusError) as refused:
        patch.patched("strategic", deployment(), change, DEPLOYMENT, "Strict")
    assert refused.value.message.endswith('strict decoding error: unknown field "spec.replicaz"')


# merge patch


def test_merge_patch_replaces_lists_and_null_removes() -> None:
    change = {"spec": {"template": {"spec": {"containers": [{"name": "only"}], "volumes": None}}}}
    found = patch.apply_patch("merge", deployment(), change, DEPLOYMENT)
    assert found["spec"]["template"]["spec"] == {"containers": [{"name": "only"}]}


def test_a_merge_patch_is_an_object() -> None:
    with pytest.raises(StatusError) as refused:
        patch.apply_patch("merge", deployment(), [1], DEPLOYMENT)
    wanted = "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
    assert (refused.value.code, refused.value.message) == (400, wanted)


# JSON patch


def jp(document: dict, *operations: dict) -> dict:
    return patch.apply_patch("json", document, list(operations), CONFIG_MAP)


@pytest.mark.parametrize(
    ("operations", "result"),
    [
        ([{"op": "add", "path": "/a", "value": 1}], {"a": 1, "list": [1, 2]}),
        ([{"op": "add", "path": "/list/-", "value": 3}], {"list": [1, 2, 3]}),
        ([{"op": "add", "path": "/list/0", "value": 0}], {"list": [0, 1, 2]}),
        ([{"op": "replace", "path": "/list/1", "value": 9}], {"list": [1, 9]}),
        ([{"op": "replace", "path": "/absent", "value": 9}], {"list": [1, 2], "absent": 9}),
        ([{"op": "remove", "path": "/list/0"}], {"list": [2]}),
        ([{"op": "add", "path": "/a~1b~0c", "value": 1}], {"list": [1, 2], "a/b~c": 1}),
        ([{"op": "move", "from": "/list", "path": "/other"}], {"other": [1, 2]}),
        ([{"op": "copy", "from": "/list", "path": "/other"}], {"list": [1, 2], "other": [1, 2]}),
        ([{"op": "test", "path": "/list/0", "value": 1}], {"list": [1, 2]}),
    ],
)
def test_json_patch(operations: list[dict], result: dict) -> None:
    original = {"list": [1, 2]}
    assert jp(original, *operations) == result
    assert original == {"list": [1, 2]}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/list/0", "value": True},
        {"op": "test", "path": "/list", "value": [2, 1]},
        {"op": "remove", "path": "/absent"},
        {"op": "remove", "path": "/list/7"},
        {"op": "add", "path": "/list/7", "value": 1},
        {"op": "add", "path": "/absent/deep", "value": 1},
        {"op": "explode", "path": "/list"},
        {"op": "add", "path": "list", "value": 1},
        {"op": "add", "path": "", "value": 1},
        {"op": "add", "value": 1},
        {"op": "move", "from": "/absent", "path": "/x"},
        {"op": "replace", "path": "/list/x", "value": 1},
        "remove",
    ],
)
def test_a_json_patch_that_cannot_be_applied(operation: dict) -> None:
    with pytest.raises(StatusError) as refused:
        jp({"list": [1, 2]}, operation)
    wanted = "the server rejected our request due to an error in our request"
    assert (refused.value.code, refused.value.reason, refused.value.message) == (422, "Invalid", wanted)


def test_a_json_patch_is_a_list_of_limited_length() -> None:
    with pytest.raises(StatusError) as refused:
        patch.apply_patch("json", {}, {"op": "remove"}, CONFIG_MAP)
    assert refused.value.message.endswith("cannot unmarshal object into Go value of type []handlers.jsonPatchOp")
    many = [{"op": "add", "path": "/a", "value": 1}] * (json_patch.MOST_OPERATIONS + 1)
    with pytest.raises(StatusError) as refused:
        patch.apply_patch("json", {}, many, CONFIG_MAP)
    assert refused.value.code == 413


def test_copies_share_nothing() -> None:
    found = jp({"list": []}, {"op": "copy", "from": "/list", "path": "/b"}, {"op": "add", "path": "/b/-", "value": 1})
    assert found == {"list": [], "b": [1]}


def test_copies_are_limited() -> None:
    bomb = [{"op": "copy", "from": "/a", "path": f"/a/{number}"} for number in range(60)]
    with pytest.raises(StatusError) as refused:
        jp({"a": {"b": 1}}, *bomb)
    assert refused.value.code == 422


# content types


def test_patch_types() -> None:
    assert patch.kind_of_content("application/merge-patch+json; charset=utf-8") == "merge"
    with pytest.raises(StatusError) as refused:
        patch.kind_of_content("application/json")
    assert (refused.value.code, refused.value.message) == (415, "415: Unsupported Media Type")


# laws

VALUES = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcde"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abcde"), VALUES, max_size=4)
CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("abcdef")},
        optional={
            "image": st.sampled_from(["i:1", "i:2"]),
            "args": st.lists(st.sampled_from("xyz"), max_size=2),
            "env": st.lists(
                st.fixed_dictionaries({"name": st.sampled_from("AB"), "value": st.sampled_from("12")}),
                max_size=2,
                unique_by=lambda one: one["name"],
            ),
        },
    ),
    max_size=5,
    unique_by=lambda one: one["name"],
)


@given(OBJECTS)
def test_merging_nothing_changes_nothing(obj: dict) -> None:
    assert patch.merge(obj, {}) == obj


@given(OBJECTS, OBJECTS)
def test_merging_twice_is_merging_once(obj: dict, change: dict) -> None:
    once = patch.merge(obj, change)
    assert patch.merge(once, change) == once


@given(CONTAINERS)
def test_an_empty_strategic_patch_changes_nothing(items: list[dict]) -> None:
    obj = template(containers=items)
    assert smp({}, obj) == obj
    assert smp(template(containers=[]), obj) == obj


@given(CONTAINERS, CONTAINERS)
def test_a_strategic_patch_twice_is_once(items: list[dict], change: list[dict]) -> None:
    once = smp(template(containers=change), template(containers=items))
    assert smp(template(containers=change), once) == once


@given(CONTAINERS, CONTAINERS)
def test_a_strategic_patch_keeps_every_element_and_takes_every_value(items: list[dict], change: list[dict]) -> None:
    merged = {one["name"]: one for one in containers(smp(template(containers=change), template(containers=items)))}
    assert set(merged) == {one["name"] for one in [*items, *change]}
    for one in change:
        assert one.get("image", merged[one["name"]].get("image")) == merged[one["name"]].get("image")
        assert one.get("args", merged[one["name"]].get("args")) == merged[one["name"]].get("args")


@given(CONTAINERS, CONTAINERS)
def test_the_order_directive_orders(items: list[dict], change: list[dict]) -> None:
    order = [{"name": one["name"]} for one in change]
    merged = containers(
        smp(template(**{"$setElementOrder/containers": order, "containers": change}), template(containers=items))
    )
    named = [one["name"] for one in merged if one["name"] in {item["name"] for item in change}]
    assert named == [one["name"] for one in change]


def test_copies_of_a_json_patch_do_not_multiply() -> None:
    operations = [{"op": "copy", "from": "/data", "path": f"/data/x{number}"} for number in range(30)]
    with pytest.raises(PatchError, match="the copies of this patch"):
        json_patch.apply({"data": {"a": "b"}}, operations)
    assert json_patch.apply({"data": {"a": "b"}}, operations[:5])["data"]["x0"] == {"a": "b"}
