"""Sets of fields, kept in the form in which Kubernetes writes them: ``FieldsV1``.

A set is a trie of path elements: ``f:NAME`` (a field or key), ``k:{...}`` (a list element by its keys), ``v:VALUE`` (an
element of a set). A node is a member of the set when it is empty or holds ``"."``; the root is never one. Operating on
this form saves decoding and encoding on every write. Sets are never changed in place; results share what they can.

The operations are those of ``sigs.k8s.io/structured-merge-diff``: a difference takes out exactly the paths it is given,
not what lies below them; :func:`without` takes out whole subtrees.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

FieldSet = dict[str, Any]

MEMBER = "."
DEEPEST = 100
"""A set with longer paths than this is not one that an API server wrote."""

_LEAF: FieldSet = {}


def leaf() -> FieldSet:
    """A node that is a member without children (shared, so never change it)."""
    return _LEAF


def union(one: FieldSet, other: FieldSet) -> FieldSet:
    """All paths of both."""
    if not one or one is other:
        return other
    if not other:
        return one
    result = dict(one)
    for key, node in other.items():
        known = result.get(key)
        result[key] = node if known is None else _union(known, node)
    return result


def _union(one: FieldSet, other: FieldSet) -> FieldSet:
    if one is other:
        return one
    if not one or not other:
        more = one or other
        return more if not more or MEMBER in more else {MEMBER: _LEAF, **more}
    result = dict(one)
    for key, node in other.items():
        known = result.get(key)
        result[key] = node if known is None or key == MEMBER else _union(known, node)
    return result


def difference(one: FieldSet, other: FieldSet) -> FieldSet:
    """The paths of ``one`` that ``other`` does not have; ``one`` itself when that changes nothing."""
    if not one or not other:
        return one
    return _children_without(one, other) or {}


def _difference(one: FieldSet, other: FieldSet) -> FieldSet | None:
    """A node without the other's members; None when nothing is left of it."""
    if not one:
        return None if not other or MEMBER in other else one
    if not other:
        other = {MEMBER: _LEAF}
    return _children_without(one, other)


def _children_without(one: FieldSet, other: FieldSet) -> FieldSet | None:
    result: FieldSet | None = None
    for key, gone in other.items():
        known = one.get(key)
        if known is None:
            continue
        left = None if key == MEMBER else _difference(known, gone)
        if left is known:
            continue
        if result is None:
            result = dict(one)
        if left is None:
            del result[key]
        else:
            result[key] = left
    if result is None:
        return one
    if not result:
        return None
    return _LEAF if len(result) == 1 and MEMBER in result else result


def intersection(one: FieldSet, other: FieldSet) -> FieldSet:
    """The paths that both have."""
    result: FieldSet = {}
    for key, node in one.items():
        match = other.get(key)
        if match is not None and (common := _intersection(node, match)) is not None:
            result[key] = common
    return result


def _intersection(one: FieldSet, other: FieldSet) -> FieldSet | None:
    both = (not one or MEMBER in one) and (not other or MEMBER in other)
    result = {}
    if one and other:
        for key, node in one.items():
            match = other.get(key)
            if key != MEMBER and match is not None and (common := _intersection(node, match)) is not None:
                result[key] = common
    if both:
        return {MEMBER: _LEAF, **result} if result else _LEAF
    return result or None


def without(one: FieldSet, other: FieldSet) -> FieldSet:
    """``one`` without the members of ``other`` and everything below them."""
    if not one or not other:
        return one
    result = dict(one)
    for key, gone in other.items():
        known = result.get(key)
        if known is None or key == MEMBER:
            continue
        left = without(known, gone) if gone and MEMBER not in gone else None
        if left is None or (known and not left):
            del result[key]
        else:
            result[key] = _LEAF if len(left) == 1 and MEMBER in left else left
    return result


def contains(fields: FieldSet, key: str) -> bool:
    """Whether the path of this one element is a member."""
    node = fields.get(key)
    return node is not None and (not node or MEMBER in node)


def below(fields: FieldSet, key: str) -> FieldSet:
    """What the set has below one element, as a set of its own."""
    node: FieldSet = fields.get(key) or {}
    return {name: child for name, child in node.items() if name != MEMBER} if MEMBER in node else node


def paths(fields: FieldSet) -> Iterator[str]:
    """The members as an apply conflict names them: ``.spec.containers[name="web"].image``; parents first, sorted."""
    yield from _paths(fields, "")


def _paths(fields: FieldSet, prefix: str) -> Iterator[str]:
    keys = sorted(key for key in fields if key != MEMBER)
    for key in keys:
        if contains(fields, key):
            yield prefix + show(key)
    for key in keys:
        if fields[key]:
            yield from _paths(fields[key], prefix + show(key))


def show(element: str) -> str:
    """One path element: ``.name``, ``[name="web"]``, ``[="x"]``, ``[0]``."""
    kind, _, text = element.partition(":")
    if kind == "f":
        return f".{text}"
    if kind == "k":
        return f"[{','.join(f'{key}={_json(value)}' for key, value in json.loads(text).items())}]"
    return f"[={text}]" if kind == "v" else f"[{text}]"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def key_element(keys: dict[str, Any]) -> str:
    """The path element of a list element: ``k:{"name":"web"}``."""
    return "k:" + _json(keys)


def value_element(value: Any) -> str:
    """The path element of an element of a set: ``v:"x"``."""
    return "v:" + _json(value)


def valid(fields: Any, depth: int = 0) -> bool:
    """Whether this is a set of fields: what clients send as ``fieldsV1`` may be anything."""
    if not isinstance(fields, dict) or depth > DEEPEST:
        return False
    return all(_valid_element(key) and valid(node, depth + 1) for key, node in fields.items())


def _valid_element(element: str) -> bool:
    if element == MEMBER:
        return True
    kind, colon, text = element.partition(":")
    if not colon or kind not in ("f", "k", "v", "i"):
        return False
    if kind == "f":
        return True
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) if kind == "k" else isinstance(value, int) or kind == "v"
