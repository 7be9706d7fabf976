"""From a body to an object of the right kind and shape, or a refusal in the API server's words.

What components send in-process is taken as it is (it is ours); what comes over HTTP is checked. It refuses bodies of
another kind or version, values of the wrong type, and, with ``fieldValidation=Strict``, fields nobody declares.
"""

from __future__ import annotations

import json
from typing import Any

from simkube.apimachinery.errors import bad_request
from simkube.apiserver.fields.patch import Kind as PatchKind
from simkube.apiserver.fields.patch import Validation, apply_patch, invalid_patch, patched
from simkube.apiserver.registry.customresources.kind import CustomKind
from simkube.apiserver.registry.request import Request
from simkube.apiserver.registry.resources import Resource
from simkube.apiserver.schema import strict
from simkube.apiserver.schema.canonical import canonical
from simkube.apiserver.schema.schema import GVK, definitions
from simkube.client.client import Obj, Patch

_VALIDATION: dict[str, Validation] = {"": "Warn", "Warn": "Warn", "Ignore": "Ignore", "Strict": "Strict"}
_SCHEME = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"


def decode(request: Request, body: Obj, gvk: GVK) -> Obj:
    """The object of kind ``gvk`` that ``body`` is, as a copy in canonical form."""
    custom = _custom(request, gvk)
    if custom is not None:
        return _decode_custom(request, body, custom)
    if not request.checked:
        return canonical(body, gvk)
    _check_kind(body, gvk)
    checked = strict.check(body, gvk)
    if checked.error:
        raise bad_request(strict.refusal(gvk[2], gvk[1], checked.error))
    problems = [*request.duplicates, *checked.unknown][: strict.MOST_PROBLEMS]
    if problems:
        _complain(request, problems, gvk)
    return canonical(checked.obj, gvk)


def _custom(request: Request, gvk: GVK) -> CustomKind | None:
    """The custom kind that is decoded, unless it is a built-in one (a Scale of a custom object)."""
    return request.resource.custom if request.resource.gvk == gvk else None


def _decode_custom(request: Request, body: Obj, custom: CustomKind) -> Obj:
    gvk = custom.gvk
    if not request.checked:
        return custom.canonical(custom.decode(body)[0])
    for name, shown in (("kind", "Kind"), ("apiVersion", "apiVersion")):
        if not body.get(name):
            text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
            raise bad_request(f"Object '{shown}' is missing in '{text[:1000]}'")
    _check_kind(body, gvk)
    decoded, unknown, mistake = custom.decode(body)
    if mistake:
        raise bad_request(strict.refusal(gvk[2], gvk[1], mistake))
    problems = [*request.duplicates, *unknown][: strict.MOST_PROBLEMS]
    if problems:
        _complain(request, problems, gvk)
    return custom.canonical(decoded)


def _patched_custom(request: Request, original: Obj, change: Patch, type: PatchKind, custom: CustomKind) -> Obj:
    obj = apply_patch(type, original, change, custom.gvk)
    decoded, unknown, mistake = custom.decode(obj)
    if not mistake and unknown and request.options.validation == "Strict":
        mistake = f"strict decoding error: {', '.join(unknown)}"
    if mistake:
        raise invalid_patch(json.dumps(obj, separators=(",", ":")), mistake)
    if request.options.validation in ("", "Warn"):
        request.warnings.extend(unknown[: strict.MOST_PROBLEMS])
    return custom.canonical(decoded)


def canonical_of(resource: Resource, obj: Obj) -> Obj:
    """A copy in the canonical form of the resource's kind."""
    return canonical(obj, resource.gvk) if resource.custom is None else resource.custom.canonical(obj)


def _complain(request: Request, problems: list[str], gvk: GVK) -> None:
    if request.options.validation == "Strict":
        raise bad_request(strict.refusal(gvk[2], gvk[1], f"strict decoding error: {', '.join(problems)}"))
    if request.options.validation in ("", "Warn"):
        request.warnings.extend(problems)


def _check_kind(body: Obj, gvk: GVK) -> None:
    group, version, kind = gvk
    wanted = f"{group}/{version}" if group else version
    given_version, given_kind = body.get("apiVersion", ""), body.get("kind", "")
    if not isinstance(given_version, str) or not isinstance(given_kind, str):
        name = "kind" if isinstance(given_version, str) else "apiVersion"
        raise bad_request(f"couldn't get version/kind; json: cannot unmarshal into field {name} of type string")
    if (not given_version or given_version == wanted) and (not given_kind or given_kind == kind):
        return
    given_group, _, short = given_version.rpartition("/")
    if not given_version:
        given_group, short = group, version
    if (given_group, short) == (group, version) or (given_kind and given_kind != kind):
        raise bad_request(_other_kind(given_group, short, given_kind or kind, kind))
    raise bad_request(
        f"the API version in the data ({given_version}) does not match the expected API version ({wanted})"
    )


def _other_kind(group: str, version: str, given: str, kind: str) -> str:
    known = definitions().definition_name((group, version, given)) is not None or given == "List"
    shown = f"{group}/{version}" if group else version
    if known:
        problem = f"converting (v1.{given}) to (core.{kind}): unknown conversion"
    else:
        problem = f'no kind "{given}" is registered for version "{shown}" in scheme "{_SCHEME}"'
    return f'{given} in version "{version}" cannot be handled as a {kind}: {problem}'


def decode_patched(request: Request, original: Obj, change: Patch, type: PatchKind, gvk: GVK) -> Obj:
    """The object of kind ``gvk`` that a patch makes of ``original``, as a copy in canonical form."""
    custom = _custom(request, gvk)
    if custom is not None:
        return _patched_custom(request, original, change, type, custom)
    obj, warnings = patched(type, original, change, gvk, _VALIDATION[request.options.validation])
    request.warnings.extend(warnings)
    return canonical(obj, gvk)


def decode_applied(applied: Any) -> Obj:
    """The configuration of an apply: of the right kind, with nothing that only the server sets."""
    if not isinstance(applied, dict):
        raise bad_request("error decoding YAML: the body of an apply is an object")
    if not isinstance(applied.get("metadata", {}), dict):
        raise bad_request("error decoding YAML: the metadata of an object is an object")
    return dict(applied)


__all__ = ["canonical", "canonical_of", "decode", "decode_applied", "decode_patched"]
