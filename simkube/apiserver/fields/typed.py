"""Walks over objects by their schema: which fields they have, how two of them differ, and what merging them gives.

After ``sigs.k8s.io/structured-merge-diff``: a map or struct is the sum of its fields, a list with keys or of a set
the sum of its elements, and everything atomic is one thing. Objects are never changed; results share what they can.

It refuses nothing: whether an object fits its schema is told by :mod:`simkube.apiserver.fields.typed_problems`.
"""

from __future__ import annotations

from typing import Any

from simkube.apiserver.fields.fieldset import FieldSet, below, contains, key_element, leaf, value_element
from simkube.apiserver.schema.schema import ANY, DEDUCED, DEDUCED_MAP, KEY_DEFAULTS, Type

Map = dict[str, Any]

ABSENT: Any = object()
"""A value that is not there, as opposed to null."""

_NOTHING: Map = {}
_MISSING: Map = {}  # stands for a map that is absent: none of its fields are there, not even those that always are
_FILLERS: dict[str, Any] = {"struct": _NOTHING, "null": None, "zero": ""}


def is_leaf(type: Type) -> bool:
    """Whether a value of this type has one owner as a whole."""
    return type.atomic or type.shape not in ("struct", "map", "list")


def resolved(type: Type, value: Any) -> Type:
    """The type as it is for this value: only of what is deduced does that make a difference."""
    if type is not DEDUCED:
        return type
    return DEDUCED_MAP if isinstance(value, dict) else ANY


def child_type(type: Type, key: str) -> Type:
    """The type of a struct's field or a map's value; untyped when the struct has no such field."""
    field = type.fields.get(key)
    if field is not None:
        return field.type
    return type.element or ANY


def element_of(item: Any, type: Type) -> str:
    """The path element of a list's element: by its keys, or by its value in a set."""
    if not type.keys:
        return value_element(item)
    keys: Map = {}
    name = type.element.name if type.element is not None else ""
    for key in sorted(type.keys):
        usual = type.key_defaults.get(key, KEY_DEFAULTS.get((name, key)))
        value = item.get(key, usual) if isinstance(item, dict) else None
        if value is not None:
            keys[key] = value
    return key_element(keys)


# which fields an object has


def field_set(value: Any, type: Type) -> FieldSet:
    """The set of fields that whoever applies ``value`` owns (``TypedValue.ToFieldSet``)."""
    return _map_fields(value, type) if isinstance(value, dict) else {}


def _fields(value: Any, type: Type) -> FieldSet | None:
    """The node of one value; None when it has no fields of its own (an empty list of elements)."""
    type = resolved(type, value)  # noqa: A001  the argument is called so everywhere here
    if is_leaf(type):
        return leaf()
    if type.shape == "list":
        if not isinstance(value, list):
            return None
        found = {element_of(item, type): _element_fields(item, type.element or ANY) for item in value}
        return found or None
    return _map_fields(value, type) or None if isinstance(value, dict) else None


def _element_fields(item: Any, type: Type) -> FieldSet:
    node = _fields(item, type)
    return {".": leaf(), **node} if node else leaf()


def _map_fields(value: Map, type: Type) -> FieldSet:
    found: FieldSet = {}
    for key, item in value.items():
        node = _fields(item, child_type(type, key))
        member = item is None or item == {} or key not in type.fields
        if node is None and member:
            node = leaf()
        elif node and member:
            node = {".": leaf(), **node}
        if node is not None:
            found[f"f:{key}"] = node
    return found


# how two objects differ


class Comparison:
    """The paths that only the old object has, those whose value changed, and those that only the new one has."""

    __slots__ = ("added", "modified", "removed")

    def __init__(self) -> None:
        self.removed: FieldSet = {}
        self.modified: FieldSet = {}
        self.added: FieldSet = {}

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.removed or self.modified or self.added)


def compare(old: Map, new: Map, type: Type) -> Comparison:
    """How ``new`` differs from ``old``, both structs or maps of ``type``; equal parts cost next to nothing."""
    result = Comparison()
    _compare_map(old, new, type, result.removed, result.modified, result.added)
    return result


def _compare_map(old: Map, new: Map, type: Type, removed: FieldSet, modified: FieldSet, added: FieldSet) -> None:
    fields = type.fields
    for key in new if not old else (old.keys() | new.keys()):
        one, other = old.get(key, ABSENT), new.get(key, ABSENT)
        if one is other:
            continue
        field = fields.get(key)
        if field is not None and field.present:
            filler = _FILLERS[field.present]
            one = filler if one is ABSENT and old is not _MISSING else one
            other = filler if other is ABSENT and new is not _MISSING else other
        _compare_child(f"f:{key}", one, other, child_type(type, key), removed, modified, added)


def _compare_child(
    element: str, one: Any, other: Any, type: Type, removed: FieldSet, modified: FieldSet, added: FieldSet
) -> None:
    """Compare two values at one path element and note the differences below the given nodes."""
    if one == other and one.__class__ is other.__class__ and (one.__class__ in (str, int, bool) or _same(one, other)):
        return
    if type is DEDUCED:
        type = _common(one, other)  # noqa: A001  the argument is called so everywhere here
    if is_leaf(type) or (_empty(one) and _empty(other)):
        _note_leaf(element, one, other, removed, modified, added)
        return
    sub: tuple[FieldSet, FieldSet, FieldSet] = ({}, {}, {})
    if type.shape == "list":
        _compare_list(_list(one), _list(other), type, *sub)
    else:
        _compare_map(_map(one), _map(other), type, *sub)
    if one is ABSENT:
        sub[2]["."] = leaf()
    elif other is ABSENT:
        sub[0]["."] = leaf()
    for node, found in zip((removed, modified, added), sub, strict=True):
        if found:
            node[element] = leaf() if len(found) == 1 and "." in found else found


def _common(one: Any, other: Any) -> Type:
    """The type of two values that are to be compared: a map when neither is anything else."""
    return DEDUCED_MAP if all(each is ABSENT or isinstance(each, dict) for each in (one, other)) else ANY


def _same(one: Any, other: Any) -> bool:
    """Python holds true and 1 for equal; JSON does not. (Only called when the two are equal for Python.)"""
    if one.__class__ is not other.__class__:
        return (
            isinstance(one, (int, float))
            and isinstance(other, (int, float))
            and not (isinstance(one, bool) or isinstance(other, bool))
        )
    if isinstance(one, dict):
        return all(_same(item, other[key]) for key, item in one.items() if item is not other[key])
    if isinstance(one, list):
        return all(_same(left, right) for left, right in zip(one, other, strict=True) if left is not right)
    return True


def _note_leaf(element: str, one: Any, other: Any, removed: FieldSet, modified: FieldSet, added: FieldSet) -> None:
    if one is ABSENT:
        added[element] = leaf()
    elif other is ABSENT:
        removed[element] = leaf()
    else:
        modified[element] = leaf()


def _empty(value: Any) -> bool:
    return value is ABSENT or value is None or value == {} or value == []


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _map(value: Any) -> Map:
    if isinstance(value, dict):
        return value
    return _MISSING if value is ABSENT else _NOTHING


def _compare_list(
    old: list[Any], new: list[Any], type: Type, removed: FieldSet, modified: FieldSet, added: FieldSet
) -> None:
    before, after = _indexed(old, type), _indexed(new, type)
    element_type = type.element or ANY
    for element in dict.fromkeys((*before, *after)):
        one, other = before.get(element, ()), after.get(element, ())
        if len(one) <= 1 and len(other) <= 1:
            left, right = one[0] if one else ABSENT, other[0] if other else ABSENT
            _compare_child(element, left, right, element_type, removed, modified, added)
        elif one != other:  # elements that cannot be told apart are one thing
            _note_leaf(element, one or ABSENT, other or ABSENT, removed, modified, added)


def _indexed(items: list[Any], type: Type) -> dict[str, list[Any]]:
    """The elements of a list by path element; more than one where they have the same keys."""
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(element_of(item, type), []).append(item)
    return found


# what merging two objects gives


def merge(live: Any, config: Any, type: Type) -> Any:
    """``config`` laid over ``live``: maps by key, lists by element, everything else from ``config``."""
    type = resolved(type, config)  # noqa: A001  the argument is called so everywhere here
    if is_leaf(type) or live is None or config is None:
        return config
    if type.shape == "list":
        if isinstance(live, list) and isinstance(config, list):
            return _merge_lists(live, config, type)
        return config
    if not (isinstance(live, dict) and isinstance(config, dict)):
        return config
    merged = dict(live)
    for key, value in config.items():
        merged[key] = merge(merged[key], value, child_type(type, key)) if key in merged else value
    return merged


def _merge_lists(live: list[Any], config: list[Any], type: Type) -> list[Any]:
    """Elements of both, in the order of ``config``; what only ``live`` has stays before what it stood before."""
    element_type = type.element or ANY
    standing = [element_of(item, type) for item in live]
    by_element = dict(zip(standing, live, strict=True))
    wanted = {element_of(item, type): item for item in config}
    order = list(wanted)
    shared = [element for element in order if element in by_element]
    merged: list[Any] = []
    left = right = done = 0  # positions in standing, order and shared
    while left < len(standing) or right < len(order):
        if left < len(standing):
            here = standing[left]
            if here not in wanted:
                merged.append(live[left])
                left += 1
                continue
            expected = done < len(shared) and shared[done] == here
            if not expected or order[right] == here:
                left += 1
            if not expected:  # merged already, or to be merged where the config has it
                continue
        element = order[right]
        item = wanted[element]
        if element in by_element:
            item = merge(by_element[element], item, element_type)
            done += 1
        merged.append(item)
        right += 1
    return merged


# taking fields out of an object


def remove(value: Any, fields: FieldSet, type: Type) -> Any:
    """``value`` without the members of ``fields``; None when that leaves nothing of a map or list."""
    type = resolved(type, value)  # noqa: A001  the argument is called so everywhere here
    if not fields or is_leaf(type):
        return value
    if type.shape == "list":
        return _remove_elements(value, fields, type) if isinstance(value, list) else value
    if not isinstance(value, dict):
        return value
    left: Map = {}
    for key, item in value.items():
        element = f"f:{key}"
        if contains(fields, element):
            continue
        rest = below(fields, element)
        left[key] = remove(item, rest, child_type(type, key)) if rest else item
    return left or None


def _remove_elements(value: list[Any], fields: FieldSet, type: Type) -> list[Any] | None:
    left = []
    for item in value:
        element = element_of(item, type)
        if not contains(fields, element):
            rest = below(fields, element)
            left.append(remove(item, rest, type.element or ANY) if rest else item)
    return left or None


def named_fields(fields: FieldSet, type: Type) -> FieldSet:
    """The set with every declared field on the way to a member made a member (``EnsureNamedFieldsAreMembers``)."""
    result: FieldSet = {}
    for element, node in fields.items():
        if element == ".":
            result[element] = node
            continue
        if element.startswith("f:"):
            below_type = child_type(type, element[2:])
            named = element[2:] in type.fields
        else:
            below_type, named = type.element or ANY, False
        inner = named_fields(node, below_type)
        result[element] = {".": leaf(), **inner} if named and inner and "." not in inner else inner
    return result
