"""Server-side apply: ownership, conflicts, removal."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.fields import managed_fields
from simkube.apiserver.fields.apply import LAST_APPLIED, server_side_apply
from simkube.apiserver.fields.fieldset import paths

CONFIG_MAP = ("", "v1", "ConfigMap")
DEPLOYMENT = ("apps", "v1", "Deployment")
SERVICE = ("", "v1", "Service")
NOW = "2026-01-02T03:04:05Z"
LATER = "2026-01-02T03:05:00Z"


def config(data: dict | None = None, **metadata: object) -> dict:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", **metadata}}
    return obj if data is None else {**obj, "data": data}


def apply(live: dict | None, applied: dict, manager: str, gvk: tuple = CONFIG_MAP, **options: object) -> dict:
    kept = copy.deepcopy([live, applied])
    found = server_side_apply(live, applied, gvk, manager, time=str(options.pop("time", NOW)), **options)
    assert [live, applied] == kept
    return found


def owned(obj: dict) -> dict[str, list[str]]:
    return {entry["manager"]: list(paths(entry["fieldsV1"])) for entry in obj["metadata"].get("managedFields", [])}


def refused(live: dict | None, applied: dict, manager: str, gvk: tuple = CONFIG_MAP) -> StatusError:
    with pytest.raises(StatusError) as caught:
        server_side_apply(live, applied, gvk, manager, time=LATER)
    return caught.value


BLUE = {"color": "blue", "size": "small"}


def test_apply_creates_and_records() -> None:
    made = apply(None, config(BLUE, labels={"team": "blue"}), "alice")
    assert made["data"] == BLUE
    assert made["metadata"]["managedFields"] == [
        {
            "manager": "alice",
            "operation": "Apply",
            "apiVersion": "v1",
            "time": NOW,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:color": {}, "f:size": {}}, "f:metadata": {"f:labels": {"f:team": {}}}},
        }
    ]


def test_the_same_apply_changes_nothing() -> None:
    made = apply(None, config(BLUE), "alice")
    again = apply(made, config(BLUE), "alice", time=LATER)
    assert again == made


def test_the_same_value_makes_both_owners() -> None:
    made = apply(apply(None, config(BLUE), "alice"), config({"shape": "round", "size": "small"}), "bob")
    assert made["data"] == {**BLUE, "shape": "round"}
    assert owned(made) == {"alice": [".data.color", ".data.size"], "bob": [".data.shape", ".data.size"]}


def test_another_value_conflicts() -> None:
    error = refused(apply(None, config(BLUE), "alice"), config({"color": "red"}), "bob")
    assert (error.code, error.reason) == (409, "Conflict")
    assert error.message == 'Apply failed with 1 conflict: conflict with "alice": .data.color'
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "alice"', "field": ".data.color"}
    assert error.details == {"causes": [cause]}


def test_every_conflict_is_named() -> None:
    live = apply(apply(None, config(BLUE), "bob"), config({"shape": "round"}), "alice")
    error = refused(live, config({"shape": "flat", "color": "red", "size": "big"}), "carol")
    assert error.message == (
        'Apply failed with 3 conflicts: conflicts with "alice":\n- .data.shape\n'
        'conflicts with "bob":\n- .data.color\n- .data.size'
    )
    assert len(error.details["causes"]) == 3


def test_the_message_names_versions_of_updaters_and_subresources() -> None:
    live = managed_fields.update(None, config({"a": "1"}), CONFIG_MAP, "editor", time=NOW)
    error = refused({**live}, config({"a": "2"}), "bob")
    assert error.message == 'Apply failed with 1 conflict: conflict with "editor" using v1: .data.a'
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 1}}
    live = managed_fields.update(None, scaled, DEPLOYMENT, "autoscaler", "Update", "scale", "")
    error = refused(live, {**scaled, "spec": {"replicas": 5}}, "bob", DEPLOYMENT)
    assert error.message.endswith('conflict with "autoscaler" with subresource "scale" using apps/v1: .spec.replicas')


def test_force_takes_over() -> None:
    live = apply(None, config(BLUE), "alice")
    made = apply(live, config({"color": "red"}), "bob", force=True)
    assert made["data"]["color"] == "red"
    assert owned(made) == {"alice": [".data.size"], "bob": [".data.color"]}


def test_a_field_left_out_by_its_only_owner_goes() -> None:
    live = apply(None, config(BLUE, labels={"team": "blue"}), "alice")
    made = apply(live, config({"color": "blue"}), "alice")
    assert made["data"] == {"color": "blue"}
    assert "labels" not in made["metadata"]
    assert made["metadata"]["name"] == "settings"


def test_a_field_with_another_owner_stays() -> None:
    live = apply(apply(None, config(BLUE), "alice"), config({"color": "blue"}), "bob")
    made = apply(live, config({}), "alice")
    assert made["data"] == {"color": "blue"}
    assert owned(made) == {"alice": [".data"], "bob": [".data.color"]}


def test_what_an_updater_set_stays() -> None:
    live = apply(None, config({"color": "blue"}), "alice")
    edited = managed_fields.update(live, {**live, "data": {"color": "blue", "note": "x"}}, CONFIG_MAP, "ed", time=NOW)
    made = apply({**edited, "metadata": {**edited["metadata"], "uid": "1"}}, config({}), "alice")
    assert made["data"] == {"note": "x"}


def test_what_was_never_tracked_belongs_to_before_first_apply() -> None:
    live = config({"color": "green"}, uid="1", resourceVersion="3")
    made = apply(live, config({"color": "green"}), "alice")
    assert owned(made) == {"alice": [".data.color"], "before-first-apply": [".data", ".data.color"]}
    assert "time" not in made["metadata"]["managedFields"][0]
    error = refused(live, config({"color": "red"}), "alice")
    assert error.message.endswith('conflict with "before-first-apply" using v1: .data.color')


def deployment(*containers: dict, **spec: object) -> dict:
    template = {"spec": {"containers": list(containers)}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"template": template, **spec},
    }


WEB = {"name": "web", "image": "nginx:1", "ports": [{"containerPort": 80}]}


def test_list_elements_merge_by_key_and_keep_their_order() -> None:
    live = apply(None, deployment(WEB, {"name": "side", "image": "side:1"}), "alice", DEPLOYMENT)
    more = {"name": "web", "ports": [{"containerPort": 9090, "name": "metrics"}]}
    made = apply(live, deployment({"name": "proxy", "image": "proxy:1"}, more), "mesh", DEPLOYMENT)
    found = made["spec"]["template"]["spec"]["containers"]
    assert [one["name"] for one in found] == ["proxy", "web", "side"]
    assert [one["containerPort"] for one in found[1]["ports"]] == [80, 9090]
    assert found[1]["image"] == "nginx:1"
    error = refused(made, deployment({"name": "web", "image": "nginx:2"}), "mesh", DEPLOYMENT)
    assert error.message.endswith('conflict with "alice": .spec.template.spec.containers[name="web"].image')


def test_an_element_left_out_goes_with_what_is_in_it() -> None:
    live = apply(None, deployment(WEB, {"name": "side", "image": "side:1"}), "alice", DEPLOYMENT)
    defaulted = copy.deepcopy(live)
    defaulted["spec"]["template"]["spec"]["containers"][1]["imagePullPolicy"] = "Always"
    made = apply(defaulted, deployment(WEB), "alice", DEPLOYMENT)
    assert [one["name"] for one in made["spec"]["template"]["spec"]["containers"]] == ["web"]


def test_default_keys_are_part_of_an_element() -> None:
    ports = [{"port": 53, "protocol": "UDP", "name": "udp"}, {"port": 53, "name": "tcp"}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dns"}, "spec": {"ports": ports}}
    made = apply(None, service, "alice", SERVICE)
    elements = made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:ports"]
    assert set(elements) == {'k:{"port":53,"protocol":"TCP"}', 'k:{"port":53,"protocol":"UDP"}'}


def test_giving_up_a_field_that_an_updater_shares_keeps_it() -> None:
    live = apply(None, deployment(WEB, replicas=1), "alice", DEPLOYMENT)
    scaled = {**live, "spec": {**live["spec"], "replicas": 3}}
    live = managed_fields.update(live, scaled, DEPLOYMENT, "autoscaler", "Update", "scale", "")
    made = apply(live, deployment(WEB), "alice", DEPLOYMENT)
    assert made["spec"]["replicas"] == 3


def test_status_is_applied_through_its_endpoint_alone() -> None:
    live = apply(None, deployment(WEB), "alice", DEPLOYMENT)
    status = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "status": {"replicas": 1}}
    assert "watcher" not in owned(apply(live, status, "watcher", DEPLOYMENT))
    made = apply(live, status, "watcher", DEPLOYMENT, subresource="status")
    assert owned(made)["watcher"] == [".status.replicas"]


@pytest.mark.parametrize(
    ("applied", "code", "message"),
    [
        ({"metadata": {"name": "settings"}}, 400, "invalid object type: /, Kind="),
        ({**config(), "apiVersion": "v2"}, 400, "invalid object type: /v2, Kind=ConfigMap"),
        (config(managedFields=[{}]), 400, "metadata.managedFields must be nil"),
        (
            {**config(), "bogus": 1},
            500,
            "failed to create typed patch object (/settings; /v1, Kind=ConfigMap): "
            ".bogus: field not declared in schema",
        ),
        (
            {**config(), "metadata": {"name": "settings", "labels": {"on": True}}},
            500,
            "failed to create typed patch object (/settings; /v1, Kind=ConfigMap): "
            ".metadata.labels.on: expected string, got &value.valueUnstructured{Value:true}",
        ),
        (
            {**config({"a": {}}), "immutable": "no"},
            500,
            "failed to create typed patch object (/settings; /v1, Kind=ConfigMap): errors:\n"
            "  .data.a: expected string, got &value.valueUnstructured{Value:{}}\n"
            '  .immutable: expected boolean, got &value.valueUnstructured{Value:"no"}',
        ),
    ],
)
def test_what_cannot_be_applied(applied: dict, code: int, message: str) -> None:
    error = refused(None, applied, "alice")
    assert (error.code, error.message) == (code, message)


@pytest.mark.parametrize(
    ("applied", "problem"),
    [
        (deployment(replicas="many"), ".spec.replicas: expected numeric (int or float), got string"),
        (
            deployment({"name": "x"}, {"name": "x"}),
            '.spec.template.spec.containers: duplicate entries for key [name="x"]',
        ),
    ],
)
def test_what_does_not_fit_the_schema(applied: dict, problem: str) -> None:
    error = refused(None, applied, "alice", DEPLOYMENT)
    assert error.message == f"failed to create typed patch object (/web; apps/v1, Kind=Deployment): {problem}"


def test_a_manager_is_needed() -> None:
    error = refused(None, config(), "")
    assert (error.code, error.details["causes"][0]["field"]) == (422, "fieldManager")


def test_kubectl_takes_over_what_it_applied_on_the_client_side() -> None:
    body = config({"color": "blue"})
    annotated = config({"color": "blue"}, uid="1", annotations={LAST_APPLIED: json.dumps(body)})
    live = managed_fields.update(None, annotated, CONFIG_MAP, "kubectl-client-side-apply", time=NOW)
    made = apply(live, config({"color": "red"}), "kubectl")
    assert made["data"] == {"color": "red"}
    assert json.loads(made["metadata"]["annotations"][LAST_APPLIED])["data"] == {"color": "red"}
    error = refused(live, config({"color": "red"}), "somebody")
    assert error.message.endswith('conflict with "kubectl-client-side-apply" using v1: .data.color')


def test_kubectl_does_not_take_over_what_was_changed_since() -> None:
    body = config({"color": "blue"})
    annotated = config({"color": "blue"}, uid="1", annotations={LAST_APPLIED: json.dumps(body)})
    live = managed_fields.update(None, annotated, CONFIG_MAP, "kubectl-client-side-apply", time=NOW)
    edited = managed_fields.update(live, {**live, "data": {**live["data"], "n": "1"}}, CONFIG_MAP, "ed", time=NOW)
    error = refused(edited, config({"color": "red", "n": "2"}), "kubectl")
    assert error.message == 'Apply failed with 1 conflict: conflict with "ed" using v1: .data.n'
    repainted = managed_fields.update(live, {**live, "data": {"color": "green"}}, CONFIG_MAP, "ed", time=NOW)
    error = refused(repainted, config({"color": "red"}), "kubectl")
    assert error.message == 'Apply failed with 1 conflict: conflict with "ed" using v1: .data.color'


DATA = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["1", "2"]), max_size=4)
LISTS = st.lists(st.sampled_from("abcde"), max_size=5, unique=True)


@given(DATA, DATA, DATA.filter(bool))
def test_apply_is_idempotent_and_forced_apply_wins(one: dict, two: dict, three: dict) -> None:
    live = apply(apply(None, config(one), "alice"), config(two), "bob", force=True)
    made = apply(live, config(three), "alice", force=True)
    assert apply(made, config(three), "alice", time=LATER) == made
    assert three.items() <= (made.get("data") or {}).items()
    for key in made.get("data") or {}:
        assert key in three or key in two


@given(DATA, DATA)
def test_only_fields_that_exist_are_owned(one: dict, two: dict) -> None:
    made = apply(apply(None, config(one), "alice"), config(two), "alice")
    assert (made.get("data") or {}) == two
    found = {path for fields in owned(made).values() for path in fields}
    assert found == ({f".data.{key}" for key in two} or {".data"})


@given(LISTS, LISTS)
def test_merged_lists_keep_both_orders(live: list[str], applied: list[str]) -> None:
    before = apply(None, deployment(*({"name": name} for name in live)), "alice", DEPLOYMENT)
    wanted = deployment(*({"name": name, "image": "i"} for name in applied))
    made = apply(before, wanted, "bob", DEPLOYMENT)
    found = [one["name"] for one in made["spec"]["template"]["spec"]["containers"] or []]
    assert sorted(found) == sorted({*live, *applied})
    assert [name for name in found if name in applied] == applied
    alone = [name for name in live if name not in applied]
    assert [name for name in found if name in alone] == alone
