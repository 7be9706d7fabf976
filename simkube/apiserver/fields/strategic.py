"""Strategic merge patches: lists of objects merge by key, and directives say what a plain merge cannot.

The rules are those of ``k8s.io/apimachinery/pkg/util/strategicpatch``: ``$patch`` (replace, delete, merge),
``$retainKeys``, ``$deleteFromPrimitiveList/FIELD`` and ``$setElementOrder/FIELD``. Which lists merge, and by which
key, comes from :mod:`simkube.apiserver.schema.schema`; a list without the strategy "merge" is replaced.

Nothing that is passed in is changed. It refuses, with :class:`PatchError`, what Kubernetes refuses; types of values
are not its matter (:mod:`simkube.apiserver.schema.strict`).
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from simkube.apiserver.schema.golang import show
from simkube.apiserver.schema.schema import ANY, Field, Type

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
DELETE_FROM_LIST = "$deleteFromPrimitiveList/"
ELEMENT_ORDER = "$setElementOrder/"

Map = dict[str, Any]
_PLAIN = Field(ANY)


class PatchError(Exception):
    """A patch that makes no sense; the message is apimachinery's."""


def merge(original: Map, patch: Map, type: Type) -> Map:
    """``patch`` merged into ``original``, both objects of ``type``; a new object that shares what did not change."""
    directive = patch.get(DIRECTIVE)
    if directive is not None:
        if directive == "replace":
            return {key: value for key, value in patch.items() if key != DIRECTIVE}
        if directive == "delete":
            return {}
        if directive != "merge":
            raise PatchError(f"unknown patch type: {show(directive)} in map: {show(patch)}")
    merged = _retain(original, patch)
    rest = {key: value for key, value in patch.items() if key not in (DIRECTIVE, RETAIN_KEYS)}
    for key in [key for key in rest if key.startswith(ELEMENT_ORDER)]:
        _merge_in_order(merged, rest, key.removeprefix(ELEMENT_ORDER), rest.pop(key), type)
    for key, value in rest.items():
        _merge_key(merged, key, value, type)
    return merged


def _field(type: Type, key: str) -> Field:
    """A struct's field; a map's entries are all alike; what nobody declared is plain JSON."""
    found = type.fields.get(key)
    if found is not None:
        return found
    return Field(type.element) if type.element is not None else _PLAIN


def _retain(original: Map, patch: Map) -> Map:
    if RETAIN_KEYS not in patch:
        return dict(original)
    keys = patch[RETAIN_KEYS]
    if not isinstance(keys, list):
        raise PatchError("invalid patch format of retainKeys")
    for key in patch:
        if key != DIRECTIVE and not key.startswith("$") and patch[key] is not None and key not in keys:
            raise PatchError("invalid patch format of retainKeys")
    return {key: value for key, value in original.items() if key in keys}


def _merge_key(merged: Map, key: str, value: Any, type: Type) -> None:
    if key.startswith(DELETE_FROM_LIST):
        name = key.removeprefix(DELETE_FROM_LIST)
        if isinstance(merged.get(name), list) and isinstance(value, list):
            gone = {_hashable(item) for item in value}
            merged[name] = [item for item in merged[name] if _hashable(item) not in gone]
        return
    if value is None:
        merged.pop(key, None)
        return
    current = merged.get(key)
    field = _field(type, key)
    if isinstance(current, dict) and isinstance(value, dict):
        merged[key] = value if "replace" in field.strategies else merge(current, value, field.type)
    elif isinstance(current, list) and isinstance(value, list) and field.merges:
        merged[key] = _merge_list(current, value, field)
    elif isinstance(current, list) and isinstance(value, list):
        merged[key] = value  # replaced as it is: a directive in it is a field nobody declared
    else:
        merged[key] = _plain(value)


def _plain(value: Any) -> Any:
    """A value that is new as a whole: without directives, nulls, and elements that are only there to be deleted."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if not key.startswith("$") and item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value if not (isinstance(item, dict) and DIRECTIVE in item)]
    return value


def _merge_list(original: list[Any], patch: list[Any], field: Field) -> list[Any]:
    if not original and not patch:
        return original
    first = (original or patch)[0]
    if any(isinstance(item, list) for item in (*original, *patch)):
        raise PatchError("not supporting list of list")
    if any(isinstance(item, dict) != isinstance(first, dict) for item in (*original, *patch)):
        raise PatchError("list element types are not identical")
    if not isinstance(first, dict):
        both: dict[Any, Any] = {}
        for item in (*original, *patch):
            both.setdefault(_hashable(item), item)
        return _ordered(list(both.values()), patch, original, "")
    if not field.merge_key:
        raise PatchError(f"cannot merge lists without merge key for {field.type.go}")
    return _merge_maps(original, patch, field)


def _merge_maps(original: list[Map], patch: list[Map], field: Field) -> list[Map]:
    key = field.merge_key
    original, patch = _apply_directives(original, patch, key)
    element = field.type.element or ANY
    merged = list(original)
    places: dict[Any, int] = {}
    for index, item in enumerate(merged):
        if key in item:
            places.setdefault(_hashable(item[key]), index)
    for item in patch:
        if key not in item:
            raise PatchError(f"map: {show(item)} does not contain declared merge key: {key}")
        at = places.setdefault(_hashable(item[key]), len(merged))
        if at == len(merged):
            merged.append(_plain(item))
        else:
            merged[at] = merge(merged[at], item, element)
    return _ordered(merged, patch, original, key)


def _apply_directives(original: list[Map], patch: list[Map], key: str) -> tuple[list[Map], list[Map]]:
    """Carry out the ``$patch`` elements of a list; return what is left of the original and of the patch."""
    replace = False
    gone = set()
    rest: list[Map] = []
    for item in patch:
        directive = item.get(DIRECTIVE)
        if directive is None:
            rest.append(item)
        elif directive == "delete":
            if key not in item:
                raise PatchError(f"map: {show(item)} does not contain declared merge key: {key}")
            gone.add(_hashable(item[key]))
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise PatchError("merging lists cannot yet be specified in the patch")
        else:
            raise PatchError(f"unknown patch type: {show(directive)} in map: {show(item)}")
    if replace:
        return rest, []
    return [
        item for item in original if key not in item or _hashable(item[key]) not in gone
    ] if gone else original, rest


def _hashable(value: Any) -> Any:
    """A value to look others up by that is equal for equal JSON, and only then."""
    if isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True)
    return (value.__class__, value)


def _identity(item: Any, key: str) -> Any:
    return _hashable(item.get(key) if key and isinstance(item, dict) else item)


def _positions(items: list[Any], key: str) -> dict[Any, int]:
    found: dict[Any, int] = {}
    for index, item in enumerate(items):
        found.setdefault(_identity(item, key), index)
    return found


def _ordered(merged: list[Any], patch_order: list[Any], live_order: list[Any], key: str) -> list[Any]:
    """The merged list: what the patch names in the patch's order, the rest where it stood as far as possible."""
    wanted, live = _positions(patch_order, key), _positions(live_order, key)
    named = [(wanted[identity], item) for item in merged if (identity := _identity(item, key)) in wanted]
    named.sort(key=lambda pair: pair[0])
    first = deque(item for _, item in named)
    others = deque(item for item in merged if _identity(item, key) not in wanted)
    result: list[Any] = []
    while first and others:
        one, other = live.get(_identity(others[0], key)), live.get(_identity(first[0], key))
        before = one is not None and other is not None and one < other
        result.append(others.popleft() if before else first.popleft())
    return [*result, *first, *others]


def _merge_in_order(merged: Map, patch: Map, name: str, order: Any, type: Type) -> None:
    """Merge the list ``name`` of ``patch`` (which loses it) into ``merged`` in the order that the directive gives."""
    if not isinstance(order, list):
        raise PatchError(f"expected a list of elements in {ELEMENT_ORDER}{name}, but received: {show(order)}")
    field = _field(type, name)
    key = field.merge_key
    current, given = merged.get(name), patch.get(name)
    if given is not None and not isinstance(given, list):
        raise PatchError(f"expected a list in {name}, but received: {show(given)}")
    _check_order(given or [], order, key)
    if isinstance(current, list) and given is not None:
        items = _merge_list(current, given, field) if field.merges else given
    elif given is not None:
        items = _plain(given)
    elif isinstance(current, list):
        items = current
    else:
        return
    merged[name] = _ordered(items, order, current if isinstance(current, list) else [], key)
    patch.pop(name, None)


def _check_order(given: list[Any], order: list[Any], key: str) -> None:
    kept = [item for item in given if not (isinstance(item, dict) and DIRECTIVE in item)]
    if not kept or not order:
        return
    remaining = iter(order)
    for item in kept:
        if not any(_identity(item, key) == _identity(named, key) for named in remaining):
            raise PatchError(
                f"The order in patch list:\n{show(given)}\n doesn't match $setElementOrder list:\n{show(order)}\n"
            )
