"""One version of a kind that a definition defines: all that the request path asks of it.

It refuses to know requests and stores; :mod:`simkube.apiserver.registry.served` says which kinds a cluster has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from simkube.apiserver.registry.customresources import columns
from simkube.apiserver.registry.customresources.embedded import BadMetadata, check_embedded, decode_embedded
from simkube.apiserver.registry.customresources.rules import Rules
from simkube.apiserver.registry.customresources.scale import ScalePaths, check_scale
from simkube.apiserver.registry.strategy import Strategy
from simkube.apiserver.schema import strict
from simkube.apiserver.schema.canonical import of_type
from simkube.apiserver.schema.custom import pruning, values
from simkube.apiserver.schema.custom.types import object_meta, type_of
from simkube.apiserver.schema.golang import quote
from simkube.apiserver.schema.schema import Type
from simkube.apiserver.tables.columns import Layout
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj, copy_of

Converter = Callable[[Obj, Sequence[Obj], str], list[Obj]]
"""A definition, objects of its kind and the ``apiVersion`` wanted, to these objects in that version."""
_NOT_OBJECT = "the metadata of an object is an object"


class CustomKind:
    """See the module. ``definition`` is the CustomResourceDefinition, ``version`` one of its ``spec.versions``."""

    def __init__(self, definition: Obj, version: Obj) -> None:
        spec = definition["spec"]
        self.definition = definition
        self.version = version
        accepted = (definition.get("status") or {}).get("acceptedNames") or {}
        self.names: Obj = {**spec["names"], **accepted, "plural": spec["names"]["plural"]}
        self.names["kind"] = accepted.get("kind") or spec["names"]["kind"]
        self.stored_version = next(each["name"] for each in spec["versions"] if each.get("storage"))
        self.group: str = spec["group"]
        self.version_name: str = version["name"]
        self.plural: str = self.names["plural"]
        self.kind: str = self.names["kind"]
        self.converter: Converter | None = None
        """Who converts between versions; None: they differ in nothing but their name."""
        self.since = 0
        """What was written up to this revision may have been written by another schema."""
        self.ends: set[Callable[[], None]] = set()
        """Called when what this kind is changes or goes: its watches end."""

    @property
    def api_version(self) -> str:
        """``example.com/v1``."""
        return f"{self.group}/{self.version_name}"

    @property
    def gvk(self) -> tuple[str, str, str]:
        """``(group, version, kind)``."""
        return (self.group, self.version_name, self.kind)

    @property
    def schema(self) -> Obj:
        """The structural schema."""
        found: Obj = self.version["schema"]["openAPIV3Schema"]
        return found

    @property
    def has_status(self) -> bool:
        """Whether ``/status`` is served."""
        return "status" in (self.version.get("subresources") or {})

    @property
    def terminating(self) -> bool:
        """Whether the definition goes, so that nothing new may come."""
        return "deletionTimestamp" in self.definition["metadata"]

    @property
    def list_kind(self) -> str:
        """The kind of lists of it."""
        return str(self.names.get("listKind") or f"{self.kind}List")

    @property
    def stored_api_version(self) -> str:
        """The ``apiVersion`` in which objects are stored."""
        return f"{self.group}/{self.stored_version}"

    @property
    def warning(self) -> str:
        """What users of this version are warned of; "" when there is nothing to warn of."""
        if not self.version.get("deprecated"):
            return ""
        usual = f"{self.api_version} {self.kind} is deprecated"
        return str(self.version.get("deprecationWarning") or usual)

    @cached_property
    def scale(self) -> ScalePaths | None:
        """Where a Scale is in it, or None."""
        given = (self.version.get("subresources") or {}).get("scale")
        return None if given is None else ScalePaths.of(given)

    @cached_property
    def type(self) -> Type:
        """The shape of its objects."""
        return type_of(self.schema, self.kind, resource=True)

    @cached_property
    def layout(self) -> Layout:
        """How it is shown in a table."""
        return columns.layout(self.version.get("additionalPrinterColumns") or [])

    @cached_property
    def selectable(self) -> frozenset[str]:
        """The paths that field selectors may name beside name and namespace."""
        return frozenset(each["jsonPath"].removeprefix(".") for each in self.version.get("selectableFields") or ())

    @cached_property
    def rules(self) -> Rules:
        """The rules of its schema, compiled."""
        return Rules(self.schema)

    @cached_property
    def strategy(self) -> Strategy:
        """What the request path does with it."""
        return Strategy(
            defaults=self._default,
            validate=self._validate,
            validate_update=self._validate_update,
            validate_status=self._validate_status,
            generation=True,
            keeps_status=self.has_status,
            blind_update=False,
            drops_status=self.has_status,
            counts_status=not self.has_status,
            status_keeps_metadata=True,
            ratchets=True,
        )

    # decoding

    def canonical(self, obj: Obj) -> Obj:
        """A copy with the metadata every object has, and this version's kind; nothing pruned."""
        made = copy_of(obj)
        meta = made.get("metadata")
        if isinstance(meta, dict):
            made["metadata"] = of_type(meta, object_meta())
        head = {"apiVersion": self.api_version, "kind": self.kind}
        return {**head, **made, **head}

    def decode(self, obj: Obj) -> tuple[Obj, list[str], str]:
        """``obj`` without what the schema does not know, ``unknown field`` texts, and the mistake in its metadata."""
        meta = obj.get("metadata", {})
        if meta is None or not isinstance(meta, dict):
            return obj, [], _NOT_OBJECT
        checked = strict.check_type(meta, object_meta())
        if checked.error:
            return obj, [], checked.error
        unknown: list[str] = []
        pruned = pruning.prune({**obj, "metadata": checked.obj}, self.schema, unknown)
        try:
            pruned = decode_embedded(pruned, self.schema, "", unknown)
        except BadMetadata as error:
            return obj, [], str(error)
        fields = [text.replace('"', '"metadata.', 1) for text in checked.unknown]
        return pruned, [*fields, *(f"unknown field {quote(each)}" for each in unknown)], ""

    def shown(self, obj: Obj) -> Obj:
        """A stored object in this version, with the defaults that came since it was written."""
        version = obj["metadata"].get("resourceVersion", "")
        current = version and int(version) > self.since and len(self.definition["spec"]["versions"]) == 1
        if current and obj["apiVersion"] == self.api_version:
            return obj
        if self.converter is not None and obj["apiVersion"] != self.api_version:
            (obj,) = self.converter(self.definition, [obj], self.api_version)
        made: Obj = pruning.default(pruning.prune(obj, self.schema, []), self.schema)
        if made["apiVersion"] == self.api_version:
            return obj if made is obj else made
        return {**made, "apiVersion": self.api_version}

    def shown_all(self, found: Sequence[Obj]) -> list[Obj]:
        """Stored objects in this version; those that have to be converted are at once."""
        if self.converter is None:
            return [self.shown(obj) for obj in found]
        others = [obj for obj in found if obj["apiVersion"] != self.api_version]
        made = iter(self.converter(self.definition, others, self.api_version))
        return [self.shown(obj if obj["apiVersion"] == self.api_version else next(made)) for obj in found]

    def kept(self, obj: Obj) -> Obj:
        """An object of any version in the one that is stored."""
        if self.converter is None or obj["apiVersion"] == self.stored_api_version:
            return obj
        (made,) = self.converter(self.definition, [obj], self.stored_api_version)
        return made

    def stored(self, obj: Obj) -> Obj:
        """An object of this version as the request path works on it: where versions differ in their name only, as it is
        stored, else as it is; then :meth:`kept` is what is stored.
        """
        if self.converter is not None:
            return obj
        version = self.stored_api_version
        return obj if obj.get("apiVersion") == version else {**obj, "apiVersion": version}

    # the strategy

    def _default(self, obj: Obj) -> None:
        made = pruning.default(obj, self.schema)
        if made is not obj:
            meta = obj["metadata"]
            obj.clear()
            obj.update(made)
            obj["metadata"] = meta

    def _validate(self, obj: Obj, errors: Errors) -> None:
        self._check(obj, errors, values.ABSENT, whole=True)

    def _validate_update(self, new: Obj, old: Obj, errors: Errors) -> None:
        self._check(new, errors, old, whole=True)

    def _validate_status(self, new: Obj, old: Obj, errors: Errors) -> None:
        self._check(new, errors, old, whole=False)

    def _check(self, obj: Obj, errors: Errors, old: Any, *, whole: bool) -> None:
        before = values.ABSENT if old is values.ABSENT else {**old, "metadata": obj["metadata"]}
        given = {**obj, "metadata": {key: obj["metadata"].get(key) for key in ("name", "generateName")}}
        given["metadata"] = {key: each for key, each in given["metadata"].items() if each is not None}
        if before is not values.ABSENT:
            before["metadata"] = given["metadata"]
        values.validate(given, self.schema, errors, "", before)
        if self.scale is not None:
            check_scale(self.scale, obj, errors)
        if whole:
            check_embedded(obj, self.schema, "", errors)
        if old is values.ABSENT or obj != old:
            values.lists(obj, self.schema, "", errors)
        self.rules.check(obj, old, errors)


def versions_of(definition: Obj) -> list[CustomKind]:
    """The kinds of all versions of a definition, the preferred one first; not every one of them is served."""
    versions = sorted(definition["spec"]["versions"], key=lambda version: priority(version["name"]))
    return [CustomKind(definition, version) for version in versions]


def priority(version: str) -> tuple[Any, ...]:
    """Sorts versions as Kubernetes does: v2, v1, v1beta1, v1alpha1, then others by name."""
    match = re.fullmatch(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?", version, re.ASCII)
    if match is None:
        return (1, 0, 0, 0, version)
    stage = {None: 0, "beta": 1, "alpha": 2}[match[2]]
    return (0, stage, -int(match[1]), -int(match[3] or 0), version)
