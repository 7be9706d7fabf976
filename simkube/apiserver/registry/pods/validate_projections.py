"""Files that volumes are made of: keys of maps, fields of the pod, tokens (``validateProjectionSources``).

It says nothing of trust bundles and pod certificates, which are refused before anything is validated.
"""

from __future__ import annotations

from simkube.apiserver.registry.pods.validate_field_references import IN_FILES, field_reference, resource_reference
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.paths import local
from simkube.client.client import Obj

_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_SHORTEST, _LONGEST = 10 * 60, 2**32


def mode(given: Obj, name: str, path: str, errors: Errors) -> None:
    """The permissions of a file, where they are given."""
    value = given.get(name)
    if value is not None and not 0 <= value <= 0o777:
        errors.invalid(f"{path}.{name}", value, _MODE)


def keys(given: Obj, path: str, errors: Errors) -> list[str]:
    """The files that the items of a config map or secret are put into; their paths."""
    for index, item in enumerate(given.get("items", ())):
        where = f"{path}.items[{index}]"
        for name in ("key", "path"):
            if not item.get(name):
                errors.required(f"{where}.{name}")
        local(item.get("path", ""), f"{where}.path", errors)
        mode(item, "mode", where, errors)
    return [item.get("path", "") for item in given.get("items", ())]


def downward(given: Obj, path: str, errors: Errors) -> list[str]:
    """Files of what a pod says of itself; their paths. The server does not say which of the items it means."""
    for item in given.get("items", ()):
        if not item.get("path"):
            errors.required(f"{path}.path")
        local(item.get("path", ""), f"{path}.path", errors)
        field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
        if field is not None:
            field_reference(field, f"{path}.fieldRef", errors, IN_FILES)
            if resource is not None:
                detail = "fieldRef and resourceFieldRef can not be specified simultaneously"
                errors.invalid(path, "resource", detail)
        elif resource is not None:
            resource_reference(resource, f"{path}.resourceFieldRef", errors, container=True)
        else:
            errors.required(path, "one of fieldRef and resourceFieldRef is required")
        mode(item, "mode", path, errors)
    return [item.get("path", "") for item in given.get("items", ())]


def projected(given: Obj, path: str, errors: Errors) -> None:
    """Several sources in one volume: one kind each, and no two files at one place."""
    mode(given, "defaultMode", path, errors)
    taken: set[str] = set()
    for index, each in enumerate(given.get("sources", ())):
        where = f"{path}.sources[{index}]"
        for kind in ("secret", "configMap"):
            if each.get(kind) is not None:
                name = each[kind].get("name", "")
                if not name:
                    errors.required(f"{where}.{kind}.name")
                _taken(keys(each[kind], f"{where}.{kind}", errors), taken, name, path, errors)
        if each.get("downwardAPI") is not None:
            _taken(downward(each["downwardAPI"], f"{where}.downwardAPI", errors), taken, None, path, errors)
        if each.get("serviceAccountToken") is not None:
            _token(each["serviceAccountToken"], f"{where}.serviceAccountToken", path, errors)
        if len(each) > 1:
            errors.forbidden(where, "may not specify more than 1 volume type per source")


def _taken(paths: list[str], taken: set[str], name: str | None, path: str, errors: Errors) -> None:
    for one in filter(None, paths):
        if one in taken:
            errors.invalid(path, one if name is None else name, "conflicting duplicate paths")
        taken.add(one)


def _token(given: Obj, path: str, volume: str, errors: Errors) -> None:
    seconds = given.get("expirationSeconds", 0)
    if seconds < _SHORTEST:
        errors.invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
    if seconds > _LONGEST:
        errors.invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
    if not given.get("path"):
        errors.required(f"{volume}.path")  # the server tells of the volume, not of the source
    else:
        local(given["path"], f"{volume}.path", errors)


def tokens_without_account(spec: Obj, path: str, errors: Errors) -> None:
    """A pod without a service account has no token."""
    for index, volume in enumerate(spec.get("volumes", ())):
        for at, each in enumerate((volume.get("projected") or {}).get("sources", ())):
            if each.get("serviceAccountToken") is not None and not spec.get("serviceAccountName"):
                where = f"{path}.volumes[{index}].projected.sources[{at}].serviceAccountToken"
                errors.forbidden(where, "must not be specified when serviceAccountName is not set")
