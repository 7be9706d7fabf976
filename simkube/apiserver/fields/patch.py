"""From an object and a patch to the patched object: JSON patch, merge patch, strategic merge patch.

:func:`apply_patch` does what the patch says; :func:`patched` also checks that the result still has the shape of its
kind, drops what its kind does not know, and words a refusal as the API server does. Server-side apply, the fourth
kind of patch, is :mod:`simkube.apiserver.fields.apply`.

It refuses to validate values; that comes after defaulting.
"""

from __future__ import annotations

import copy
import json
from typing import Any, Literal

from simkube.apimachinery.errors import StatusError, bad_request
from simkube.apiserver.fields import json_patch, strategic
from simkube.apiserver.schema import strict
from simkube.apiserver.schema.golang import kind_of, quote, show
from simkube.apiserver.schema.schema import ANY, GVK, definitions

Obj = dict[str, Any]
Kind = Literal["json", "merge", "strategic"]
Validation = Literal["Ignore", "Warn", "Strict"]

CONTENT_TYPES: dict[str, Literal["json", "merge", "strategic", "apply"]] = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
}
"""The patch types there are, by content type (CBOR left out)."""


def kind_of_content(content_type: str) -> Literal["json", "merge", "strategic", "apply"]:
    """The kind of patch a Content-Type stands for; 415 for any other. Parameters (``; charset=utf-8``) do not count."""
    found = CONTENT_TYPES.get(content_type.partition(";")[0].strip().lower())
    if found is None:
        raise StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    return found


def apply_patch(kind: Kind, original: Obj, patch: Any, gvk: GVK) -> Obj:
    """The object that results from the patch; ``original`` is not changed.

    StatusError: 400 when the patch has the wrong JSON type, 413 for too many operations, 422 when a JSON patch cannot
    be applied, 500 for a strategic merge patch that makes no sense (so does the real server).
    """
    if kind == "json":
        return _json(original, patch)
    if not isinstance(patch, dict):
        message = f"json: cannot unmarshal {kind_of(patch)} into Go value of type map[string]interface {{}}"
        raise bad_request(f"error decoding patch: {message}")
    if kind == "merge":
        merged: Obj = merge(original, patch)
        return merged
    try:
        return strategic.merge(original, patch, definitions().of(gvk) or ANY)
    except strategic.PatchError as error:
        raise StatusError(500, "", str(error)) from None


def merge(original: Any, patch: Any) -> Any:
    """RFC 7386: objects merge, null removes, anything else replaces. Shares what did not change."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(original) if isinstance(original, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def patched(kind: Kind, original: Obj, patch: Any, gvk: GVK, validation: Validation = "Warn") -> tuple[Obj, list[str]]:
    """The patched object without unknown fields, and the warnings about those that were dropped.

    StatusError as of :func:`apply_patch`, and 422 when the result has not the shape of its kind or, with Strict, when
    it has unknown fields.
    """
    result = apply_patch(kind, original, patch, gvk)
    checked = strict.check(result, gvk)
    problem = checked.error
    if problem and kind == "strategic":
        problem = strict.converter_error(result, gvk)
    if not problem and validation == "Strict" and checked.unknown:
        problem = f"strict decoding error: {', '.join(checked.unknown)}"
    if problem:
        shown = show(patch) if kind == "strategic" else json.dumps(result, separators=(",", ":"))
        raise invalid_patch(shown, problem)
    return checked.obj, checked.unknown if validation == "Warn" else []


def invalid_patch(shown: str, problem: str) -> StatusError:
    """422 of a patch whose result cannot be read; the object is not named (as in the real server)."""
    message = f"Invalid value: {quote(shown)}: {problem}"
    cause = {"reason": "FieldValueInvalid", "message": message, "field": "patch"}
    return StatusError(422, "Invalid", f' "" is invalid: patch: {message}', {"causes": [cause]})


def _json(original: Obj, patch: Any) -> Obj:
    if not isinstance(patch, list):
        message = f"json: cannot unmarshal {kind_of(patch)} into Go value of type []handlers.jsonPatchOp"
        raise bad_request(f"error decoding patch: {message}")
    if len(patch) > json_patch.MOST_OPERATIONS:
        limit = f"The allowed maximum operations in a JSON patch is {json_patch.MOST_OPERATIONS}, got {len(patch)}"
        raise StatusError(413, "RequestEntityTooLarge", f"Request entity too large: {limit}")
    try:
        result = json_patch.apply(copy.deepcopy(original), patch)
    except strategic.PatchError:
        why = "the server rejected our request due to an error in our request"
        raise StatusError(422, "Invalid", why, {}) from None
    found: Obj = result
    return found
