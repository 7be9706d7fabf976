"""Sets of fields as tries."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simkube.apiserver.fields import fieldset

ELEMENTS = st.sampled_from(["f:a", "f:b", 'k:{"name":"web"}', 'v:"x"'])
PATHS = st.frozensets(st.lists(ELEMENTS, min_size=1, max_size=3).map(tuple), max_size=8)


def trie(paths: frozenset[tuple[str, ...]]) -> dict:
    """The set with these members, built the slow way."""
    root: dict = {}
    for path in paths:
        node = root
        for element in path:
            node = node.setdefault(element, {})
        node["."] = {}
    return {key: _leaves(node) for key, node in root.items()}


def _leaves(node: dict) -> dict:
    if set(node) == {"."}:
        return {}
    return {key: {} if key == "." else _leaves(child) for key, child in node.items()}


def members(node: dict, path: tuple[str, ...] = ()) -> frozenset[tuple[str, ...]]:
    found = {path} if path and (not node or "." in node) else set()
    return frozenset(found.union(*(members(child, (*path, key)) for key, child in node.items() if key != ".")))


@given(PATHS)
def test_the_form_says_what_is_in_it(paths: frozenset) -> None:
    assert members(trie(paths)) == paths
    assert fieldset.valid(trie(paths))


@given(PATHS, PATHS)
def test_operations_are_those_of_sets(one: frozenset, other: frozenset) -> None:
    left, right = trie(one), trie(other)
    before = json.dumps([left, right])
    assert fieldset.union(left, right) == trie(one | other)
    assert fieldset.difference(left, right) == trie(one - other)
    assert fieldset.intersection(left, right) == trie(one & other)
    assert json.dumps([left, right]) == before


@given(PATHS, PATHS)
def test_without_takes_whole_subtrees(one: frozenset, other: frozenset) -> None:
    left = {path for path in one if not any(path[: len(gone)] == gone for gone in other)}
    assert fieldset.without(trie(one), trie(other)) == trie(frozenset(left))


def test_what_does_not_change_is_shared() -> None:
    fields = trie(frozenset({("f:a", "f:b")}))
    assert fieldset.difference(fields, trie(frozenset({("f:x",)}))) is fields
    assert fieldset.union(fields, {}) is fields


def test_paths_as_conflicts_name_them() -> None:
    fields = {
        "f:spec": {
            "f:replicas": {},
            "f:containers": {
                'k:{"name":"web"}': {".": {}, "f:image": {}},
                'k:{"containerPort":80,"protocol":"TCP"}': {},
            },
            "f:finalizers": {'v:"a"': {}},
            "f:old": {"i:0": {}},
        }
    }
    assert list(fieldset.paths(fields)) == [
        ".spec.replicas",
        '.spec.containers[containerPort=80,protocol="TCP"]',
        '.spec.containers[name="web"]',
        '.spec.containers[name="web"].image',
        '.spec.finalizers[="a"]',
        ".spec.old[0]",
    ]


def test_elements() -> None:
    assert fieldset.key_element({"name": "web", "port": 80}) == 'k:{"name":"web","port":80}'
    assert fieldset.value_element("x") == 'v:"x"'


@pytest.mark.parametrize(
    "fields",
    [3, "f:a", [], {"f:a": 1}, {"a": {}}, {"k:web": {}}, {"k:[]": {}}, {"i:x": {}}, {"f:a": {"x:b": {}}}, {1: {}}],
)
def test_what_is_no_set_of_fields(fields: object) -> None:
    if isinstance(fields, dict) and any(not isinstance(key, str) for key in fields):
        fields = None
    assert not fieldset.valid(fields)


def test_a_set_of_unreasonable_depth_is_none() -> None:
    fields: dict = {}
    for _ in range(fieldset.DEEPEST + 2):
        fields = {"f:a": fields}
    assert not fieldset.valid(fields)
