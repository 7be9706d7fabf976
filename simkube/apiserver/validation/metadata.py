"""Names, labels, annotations, finalizers, owners: what holds for the metadata of every object.

After ``k8s.io/apimachinery/pkg/api/validation`` and ``pkg/util/validation``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = rf"({_NAME})?"
_CONFIG_KEY = r"[-._a-zA-Z0-9]+"

BAD_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
BAD_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
BAD_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'({_NAME})?')"
)
_BAD_NAME_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME}')"
)
_BAD_QUALIFIED = (
    "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    f"alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME}') "
    "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
)
_BAD_CONFIG_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    f"'key-name', regex used for validation is '{_CONFIG_KEY}')"
)
_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_BAD_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    f"and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '{_1035}')"
)
_UNDERSCORED = r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*"
_BAD_UNDERSCORED = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    f"'{_UNDERSCORED}')"
)
_ANNOTATIONS = 256 * 1024
_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})


def _matches(pattern: str, value: str) -> bool:
    return re.fullmatch(pattern, value) is not None


def subdomain(value: str) -> list[str]:
    """What is wrong with a DNS subdomain (most names)."""
    found = [] if len(value) <= 253 else ["must be no more than 253 characters"]
    return found if _matches(_SUBDOMAIN, value) else [*found, BAD_SUBDOMAIN]


def underscored_subdomain(value: str) -> list[str]:
    """What is wrong with a domain in which underscores are let pass (searches of DNS)."""
    found = [] if len(value) <= 253 else ["must be no more than 253 characters"]
    return found if _matches(_UNDERSCORED, value) else [*found, _BAD_UNDERSCORED]


def label(value: str) -> list[str]:
    """What is wrong with a DNS label (names of namespaces and services)."""
    return dns_label(value)


def dns_label(value: str) -> list[str]:
    """What is wrong with a DNS label (names of containers, volumes, ports)."""
    found = [] if len(value) <= 63 else ["must be no more than 63 characters"]
    if _matches(_LABEL, value):
        return found
    return [*found, "must not contain dots" if _matches(_SUBDOMAIN, value) else BAD_LABEL]


def dns_1035_label(value: str) -> list[str]:
    """What is wrong with a label that begins with a letter (names of kinds and versions)."""
    found = [] if len(value) <= 63 else ["must be no more than 63 characters"]
    return found if _matches(_1035, value) else [*found, _BAD_1035]


def label_value(value: str) -> list[str]:
    """What is wrong with a label's value."""
    found = [] if len(value) <= 63 else ["must be no more than 63 bytes"]
    return found if _matches(_VALUE, value) else [*found, BAD_VALUE]


def qualified_name(value: str) -> list[str]:
    """What is wrong with a label's key, an annotation's key, a resource's name: ``[prefix/]name``."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        return [_BAD_QUALIFIED]
    found = []
    if slash:
        if not prefix:
            found.append("prefix part must be non-empty")
        else:
            found += [f"prefix part {problem}" for problem in subdomain(prefix)]
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > 63:
        found.append("name part must be no more than 63 bytes")
    if not _matches(_NAME, name):
        found.append(_BAD_NAME_PART)
    return found


def domain_path(value: str, path: str, errors: Errors) -> None:
    """A path within a domain: ``example.com/controller`` (``IsDomainPrefixedPath``)."""
    domain, slash, rest = value.partition("/")
    if not value:
        errors.required(path)
    elif not slash or not domain or not rest:
        errors.invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')
    else:
        for problem in subdomain(domain):
            errors.invalid(path, domain, problem)
        if not _matches(_PATH, rest):
            errors.invalid(path, rest, f"Invalid path (regex used for validation is '{_PATH}')")


def config_key(value: str) -> list[str]:
    """What is wrong with a key of a config map or secret."""
    if len(value) > 253:
        return ["must be no more than 253 characters"]
    if value in (".", "..") or value.startswith(".."):
        return [f"must not be '{value}'" if value in (".", "..") else "must not start with '..'"]
    return [] if _matches(_CONFIG_KEY, value) else [_BAD_CONFIG_KEY]


def object_meta(meta: Obj, *, namespaced: bool, name: Callable[[str], list[str]], errors: Errors) -> None:
    """The metadata of a new object."""
    if meta.get("generateName"):
        base = meta["generateName"]
        checked = base[:-1] + "a" if base.endswith("-") else base
        for problem in name(checked):
            errors.invalid("metadata.generateName", base, problem)
    if not meta.get("name"):
        errors.required("metadata.name", "name or generateName is required")
    else:
        for problem in name(meta["name"]):
            errors.invalid("metadata.name", meta["name"], problem)
    if namespaced and not meta.get("namespace"):
        errors.required("metadata.namespace")
    labels(meta.get("labels", {}), "metadata.labels", errors)
    annotation_map(meta.get("annotations", {}), "metadata.annotations", errors)
    _owners(meta.get("ownerReferences", ()), errors)
    _finalizers(meta.get("finalizers", ()), errors)


def object_meta_update(new: Obj, old: Obj, errors: Errors) -> None:
    """What may not change in metadata; names, uids and times are kept by the server before this."""
    labels(new.get("labels", {}), "metadata.labels", errors)
    annotation_map(new.get("annotations", {}), "metadata.annotations", errors)
    _owners(new.get("ownerReferences", ()), errors)
    _finalizers(new.get("finalizers", ()), errors)
    if old.get("deletionTimestamp"):
        added = [each for each in new.get("finalizers", ()) if each not in old.get("finalizers", ())]
        if added:
            shown = ", ".join(f'"{each}"' for each in sorted(added))
            detail = "no new finalizers can be added if the object is being deleted, found new finalizers "
            for _ in range(2):  # the API server checks and says it twice
                errors.forbidden("metadata.finalizers", f"{detail}[]string{{{shown}}}")


def labels(values: Mapping[str, Any], path: str, errors: Errors) -> None:
    """A map of labels."""
    for key, value in sorted(values.items()):
        for problem in qualified_name(key):
            errors.invalid(path, key, problem)
        for problem in label_value(value):
            errors.invalid(path, value, problem)


def annotation_map(values: Mapping[str, Any], path: str, errors: Errors) -> None:
    """A map of annotations: at most 256 KiB in all."""
    size = 0
    for key, value in sorted(values.items()):
        for problem in qualified_name(key.lower()):
            errors.invalid(path, key, problem)
        size += len(key.encode()) + len(value.encode())
    if size > _ANNOTATIONS:
        errors.too_long(path, f"may not be more than {_ANNOTATIONS} bytes")


def _owners(references: Any, errors: Errors) -> None:
    path = "metadata.ownerReferences"
    controllers = []
    for reference in references:
        if not reference.get("apiVersion"):
            errors.invalid(f"{path}.apiVersion", "", "version must not be empty")
        for name in ("kind", "name", "uid"):
            if not reference.get(name):
                errors.invalid(f"{path}.{name}", "", "must not be empty")
        if reference.get("apiVersion") == "v1" and reference.get("kind") == "Event":
            errors.invalid(path, reference, "/v1, Kind=Event is disallowed from being an owner")
        if reference.get("controller"):
            controllers.append(reference)
    for other in controllers[1:]:
        one = controllers[0]
        errors.invalid(
            path,
            [_shown_owner(each) for each in references],
            'Only one reference can have Controller set to true. Found "true" in references for '
            f"{one['kind']}/{one['name']} and {other['kind']}/{other['name']}",
        )


def _shown_owner(reference: Obj) -> Obj:
    order = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
    return {name: reference[name] for name in order if name in reference}


def _finalizers(finalizers: Any, errors: Errors) -> None:
    both = {"orphan", "foregroundDeletion"}
    for index, finalizer in enumerate(finalizers):
        path = f"metadata.finalizers[{index}]"
        problems = qualified_name(finalizer)
        for problem in problems:
            errors.invalid(path, finalizer, problem)
        if not problems and "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            errors.invalid(path, finalizer, "name is neither a standard finalizer name nor is it fully qualified")
    if both <= set(finalizers):
        errors.invalid(
            "metadata.finalizers", list(finalizers), "finalizer orphan and foregroundDeletion cannot be both set"
        )
