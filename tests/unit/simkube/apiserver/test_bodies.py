"""Bodies: JSON, YAML and protobuf, and what is thrown at a server that reads them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.http import body, protobuf


def field(number: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value & (1 << 64) - 1)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def varint(value: int) -> bytes:
    made = b""
    while True:
        value, low = value >> 7, value & 0x7F
        made += bytes([low | 0x80 if value else low])
        if not value:
            return made


def envelope(api_version: str, kind: str, message: bytes) -> bytes:
    return b"k8s\0" + field(1, field(1, api_version) + field(2, kind)) + field(2, message)


def test_yaml_times_stay_text_and_numbers_numbers() -> None:
    value, _ = body.parse(b"a: 2020-01-01\nb: 3\nc: [yes, 'x']\n", "yaml")
    assert value == {"a": "2020-01-01", "b": 3, "c": [True, "x"]}


def test_an_alias_is_expanded_within_reason() -> None:
    value, _ = body.parse(b"a: &x {k: v}\nb: *x\n", "yaml")
    assert value == {"a": {"k": "v"}, "b": {"k": "v"}}


def bomb(levels: int) -> bytes:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    "raw",
    [bomb(9), b"a: " + b"[" * 5000, b"a: &a [*a]", b"- x\n" * 200_000],
    ids=["aliases", "depth", "itself", "many"],
)
def test_yaml_bombs_are_refused_quickly(raw: bytes) -> None:
    began = time.process_time()
    with pytest.raises((ValueError, StatusError)):
        body.parse(raw, "yaml")
    assert time.process_time() - began < 5


@pytest.mark.parametrize("levels", [300, 3_000])
@pytest.mark.parametrize("opening", ["[", "- "])
def test_deep_yaml_is_refused_in_one_way_whoever_meets_it_first(levels: int, opening: str) -> None:
    with pytest.raises(ValueError, match="yaml: exceeded max depth"):
        body.parse((opening * levels).encode(), "yaml")


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"a":' * 100_000, b"[" + b"1," * 100_000 + b"1]"])
def test_json_bombs_are_refused(raw: bytes) -> None:
    with pytest.raises((ValueError, StatusError)):
        body.parse(raw, "json")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "unexpected end of JSON input (<empty>)"),
        (b'{"a": ', 'unexpected end of JSON input ({"a": )'),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a": 1 "b"}', "invalid character '\"' after object key:value pair"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"\xff", "(ff)"),
        (b"[]", "cannot unmarshal array"),
    ],
)
def test_mistakes_are_worded_as_go_words_them(raw: bytes, words: str) -> None:
    with pytest.raises(StatusError) as caught:
        body.parse_object(raw, "json", "ConfigMap")
    assert caught.value.code == 400
    assert words in caught.value.message


def test_a_field_given_twice_is_noted() -> None:
    value, duplicates = body.parse_object(b'{"data":{"a":"1"},"data":{"a":"2"}}', "json", "ConfigMap")
    assert value["data"] == {"a": "2"}
    assert duplicates == ['duplicate field "data"']


def test_other_media_types_are_refused() -> None:
    with pytest.raises(StatusError) as caught:
        body.media_type("application/x-www-form-urlencoded")
    assert caught.value.code == 415


def test_a_deployment_in_protobuf() -> None:
    port = field(1, "http") + field(3, 8080)
    handler = field(2, field(1, "/readyz") + field(2, field(1, 1) + field(3, "http")))
    container = field(1, "web") + field(2, "nginx") + field(6, port) + field(11, field(1, handler) + field(4, 5))
    container += field(8, field(1, field(1, "cpu") + field(2, field(1, "500m"))))
    meta = field(1, "web") + field(8, b"") + field(11, field(1, "app") + field(2, "web"))
    template = field(1, field(11, field(1, "app") + field(2, "web"))) + field(2, field(2, container) + field(11, 1))
    spec = field(1, 3) + field(2, field(1, field(1, "app") + field(2, "web"))) + field(3, template)
    found = protobuf.decode(envelope("apps/v1", "Deployment", field(1, meta) + field(2, spec)))
    assert found == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "creationTimestamp": None, "labels": {"app": "web"}},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [
                        {
                            "name": "web",
                            "image": "nginx",
                            "ports": [{"name": "http", "containerPort": 8080}],
                            "resources": {"limits": {"cpu": "500m"}},
                            "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 5},
                        }
                    ],
                    "hostNetwork": True,
                },
            },
        },
    }


def test_secret_data_stays_base64_and_numbers_keep_their_sign() -> None:
    data = field(1, "k") + field(2, b"\x00\xff")
    found = protobuf.decode(envelope("v1", "Secret", field(2, data) + field(3, "Opaque")))
    assert found["data"] == {"k": "AP8="}
    options = protobuf.decode(envelope("v1", "DeleteOptions", field(1, -5)))
    assert options["gracePeriodSeconds"] == -5


def test_a_field_nobody_knows_is_refused_by_number() -> None:
    with pytest.raises(StatusError) as caught:
        protobuf.decode(envelope("v1", "ConfigMap", field(900, "x")))
    assert caught.value.code == 501
    assert "field 900" in caught.value.message


@given(st.binary(max_size=200))
def test_arbitrary_protobuf_is_an_object_or_a_refusal(noise: bytes) -> None:
    for raw in (noise, b"k8s\0" + noise, envelope("v1", "Pod", noise)):
        found: Any = {}
        code = 0
        try:
            found = protobuf.decode(raw)
        except StatusError as error:
            code = error.code
        assert code in (400, 501) or found["kind"]
