"""Decoding: the right types in the right words, unknown fields dropped and told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkube.apiserver.schema import strict

POD = ("", "v1", "Pod")
DEPLOYMENT = ("apps", "v1", "Deployment")
CONFIG_MAP = ("", "v1", "ConfigMap")
SECRET = ("", "v1", "Secret")


def pod(**container: object) -> dict:
    return {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "web", "image": "nginx", **container}]}}


@pytest.mark.parametrize(
    ("gvk", "obj", "error"),
    [
        (
            DEPLOYMENT,
            {"spec": {"replicas": "3"}},
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            CONFIG_MAP,
            {"metadata": {"labels": {"version": 1}}},
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            CONFIG_MAP,
            {"data": {"port": 80}},
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ),
        (
            POD,
            pod(ports=[{"containerPort": "http"}]),
            "json: cannot unmarshal string into Go struct field"
            " ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            POD,
            pod(ports=[{"containerPort": 80.5}]),
            "json: cannot unmarshal number 80.5 into Go struct field"
            " ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            POD,
            {"spec": {"containers": {}}},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            POD,
            {"spec": {"containers": ["web"]}},
            "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type v1.Container",
        ),
        (POD, {"spec": []}, "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"),
        (
            POD,
            {"spec": {"restartPolicy": 1}},
            "json: cannot unmarshal number into Go struct field PodSpec.spec.restartPolicy of type v1.RestartPolicy",
        ),
        (
            POD,
            {"spec": {"hostNetwork": "yes"}},
            "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
        ),
        (SECRET, {"data": {"a": "not base64!"}}, "illegal base64 data at input byte 3"),
        (
            POD,
            pod(resources={"requests": {"memory": "64 megs"}}),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            CONFIG_MAP,
            {"metadata": {"creationTimestamp": "soon"}},
            'parsing time "soon" as "2006-01-02T15:04:05Z07:00": cannot parse "soon" as "2006"',
        ),
        (
            ("", "v1", "Service"),
            {"spec": {"ports": [{"targetPort": True}]}},
            "json: cannot unmarshal bool into Go struct field ServicePort.spec.ports.targetPort of type int32",
        ),
    ],
)
def test_type_mistakes_in_the_words_of_go(gvk: tuple, obj: dict, error: str) -> None:
    assert strict.check(obj, gvk).error == error


def test_the_first_mistake_is_told() -> None:
    found = strict.check({"spec": {"replicas": "3", "paused": "no"}}, DEPLOYMENT)
    assert "replicas" in found.error
    assert found.errors == [found.error]


def test_unknown_fields_are_dropped_and_told_with_their_place() -> None:
    given_obj = pod(imagePullPolice="Always")
    given_obj["spec"] = {"contaners": [], **given_obj["spec"]}
    found = strict.check(given_obj, POD)
    assert found.unknown == [
        'unknown field "spec.contaners"',
        'unknown field "spec.containers[0].imagePullPolice"',
    ]
    assert found.obj == pod()
    assert found.error == ""


def test_what_is_given_is_not_changed() -> None:
    given_obj = {"spec": {"replicaz": 1}}
    assert strict.check(given_obj, DEPLOYMENT).obj == {"spec": {}}
    assert given_obj == {"spec": {"replicaz": 1}}


def test_an_object_without_fault_is_itself() -> None:
    given_obj = pod()
    assert strict.check(given_obj, POD).obj is given_obj


def test_null_is_leaving_out() -> None:
    assert strict.check({"metadata": {"labels": None}, "data": {"a": None}}, CONFIG_MAP).obj == {
        "metadata": {},
        "data": {"a": ""},
    }


def test_values_are_stored_in_one_form() -> None:
    found = strict.check(pod(resources={"limits": {"cpu": 0.5, "memory": "1024Mi"}}), POD).obj
    assert found["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "500m", "memory": "1Gi"}
    moved = strict.check({"metadata": {"creationTimestamp": "2026-01-02T03:04:05+02:00"}}, POD).obj
    assert moved["metadata"]["creationTimestamp"] == "2026-01-02T01:04:05Z"


def test_a_kind_without_shape_passes() -> None:
    given_obj = {"anything": 1}
    assert strict.check(given_obj, ("example.org", "v1", "Boat")).obj is given_obj


def test_no_more_than_a_hundred_unknown_fields_are_told() -> None:
    found = strict.check({f"field{number}": 1 for number in range(500)}, POD)
    assert len(found.unknown) == strict.MOST_PROBLEMS
    assert found.obj == {}


def test_the_refusal() -> None:
    wanted = 'Deployment in version "v1" cannot be handled as a Deployment: because'
    assert strict.refusal("Deployment", "v1", "because") == wanted


def test_duplicate_fields_are_told_and_the_last_counts() -> None:
    raw = '{"data": {"k": "1", "j": "0"}, "data": {"k": "2", "k": "3"}}'
    assert strict.parse_json(raw) == ({"data": {"k": "3"}}, ['duplicate field "data"', 'duplicate field "data.k"'])


@pytest.mark.parametrize("raw", ["", "{", "NaN", '{"a": Infinity}', "[" * 100_000, b"\xff"])
def test_what_is_no_json_is_a_value_error(raw: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the message is the JSON parser's
        strict.parse_json(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
NAMES = st.sampled_from(["metadata", "spec", "containers", "name", "labels", "ports", "limits", "replicas", "bogus"])
LIKE_OBJECTS = st.recursive(
    JSON,
    lambda inner: st.dictionaries(NAMES, inner, max_size=4) | st.lists(inner, max_size=2),
    max_leaves=20,
)


@given(st.dictionaries(NAMES, LIKE_OBJECTS, max_size=4))
def test_whatever_is_sent_is_answered_and_decoding_twice_is_decoding_once(sent: dict) -> None:
    found = strict.check(sent, POD)
    if not found.error:
        again = strict.check(found.obj, POD)
        assert (again.obj, again.error, again.unknown) == (found.obj, "", [])


@pytest.mark.parametrize(
    ("obj", "error"),
    [
        ({"spec": {"replicas": "two"}}, "unrecognized type: int32"),
        ({"spec": [1]}, "cannot restore struct from: slice"),
        ({"metadata": {"labels": "x"}}, "cannot restore map from string"),
        ({"spec": {"template": {"spec": {"containers": {}}}}}, "cannot restore slice from map"),
        ({"metadata": {"labels": {"a": True}}}, "unrecognized type: string"),
        ({"metadata": {"name": 1}}, "cannot convert int64 to string"),
        ({"spec": {"replicas": 2}}, ""),
    ],
)
def test_type_mistakes_in_the_words_of_the_converter(obj: dict, error: str) -> None:
    assert strict.converter_error(obj, DEPLOYMENT) == error
