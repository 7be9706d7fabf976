"""What Kubernetes knows about the shape of its objects, taken from the OpenAPI definitions of ``kubernetes-validate``.

Everything that needs a field's type, merge key or list keys (strict decoding, patches, apply, field ownership) asks
here, so that no such table is typed by hand. The definitions are read once per process, when first asked for, and
kept without their descriptions; :mod:`simkube.apiserver.openapi.documents` reads the descriptions when somebody
explains a field.

The package leaves out ``default``; the two facts needed of it (the default of a list key, and the fields that Go always
serializes) are in :data:`KEY_DEFAULTS` and :data:`ALWAYS_PRESENT`.

It refuses to validate: that a port is below 65536 is not a matter of shape.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

GVK = tuple[str, str, str]
"""``(group, version, kind)``; the group of core kinds is ""."""

Shape = Literal[
    "struct",
    "map",
    "list",
    "string",
    "integer",
    "number",
    "boolean",
    "bytes",
    "time",
    "int-or-string",
    "quantity",
    "any",
    "deduced",
]

KUBERNETES = "1.36.0"
"""The version of Kubernetes whose definitions are used."""

KEY_DEFAULTS: Mapping[tuple[str, str], str] = {
    ("ContainerPort", "protocol"): "TCP",
    ("ServicePort", "protocol"): "TCP",
    ("LocalObjectReference", "name"): "",
}
"""Default of a list key that is left out, by struct and field (``default`` in Kubernetes' own OpenAPI document)."""

Present = Literal["", "struct", "null", "zero"]

ALWAYS_PRESENT: Mapping[str, Mapping[str, Present]] = {
    "ClusterRole": {"rules": "null"},
    "ClusterRoleBinding": {"roleRef": "struct"},
    "CronJobSpec": {"jobTemplate": "struct"},
    "CSINodeSpec": {"drivers": "null"},
    "CustomResourceDefinitionSpec": {"names": "struct", "versions": "null"},
    "DaemonSetSpec": {"selector": "null", "template": "struct", "updateStrategy": "struct"},
    "DeploymentSpec": {"selector": "null", "strategy": "struct", "template": "struct"},
    "EndpointSlice": {"endpoints": "null", "ports": "null"},
    "Event": {
        "involvedObject": "struct",
        "source": "struct",
        "regarding": "struct",
        "deprecatedSource": "struct",
        "eventTime": "null",
        "firstTimestamp": "null",
        "lastTimestamp": "null",
        "deprecatedFirstTimestamp": "null",
        "deprecatedLastTimestamp": "null",
        "reportingComponent": "zero",
        "reportingInstance": "zero",
    },
    "FlowSchemaSpec": {"priorityLevelConfiguration": "struct"},
    "HorizontalPodAutoscalerSpec": {"scaleTargetRef": "struct"},
    "HorizontalPodAutoscalerStatus": {"currentMetrics": "null"},
    "JobSpec": {"template": "struct"},
    "NetworkPolicySpec": {"podSelector": "struct"},
    "NodeDaemonEndpoints": {"kubeletEndpoint": "struct"},
    "NodeStatus": {"daemonEndpoints": "struct", "nodeInfo": "struct"},
    "PersistentVolumeClaimSpec": {"resources": "struct"},
    "PodSpec": {"containers": "null"},
    "PodTemplate": {"template": "struct"},
    "ReplicaSetSpec": {"selector": "null", "template": "struct"},
    "ResourceClaimSpec": {"devices": "struct"},
    "Role": {"rules": "null"},
    "RoleBinding": {"roleRef": "struct"},
    "ServiceStatus": {"loadBalancer": "struct"},
    "StatefulSetSpec": {"selector": "null", "template": "struct", "updateStrategy": "struct"},
    "VolumeAttachmentSpec": {"source": "struct"},
}
"""Fields that Go writes even when they are empty, by definition: a zero struct (``{}``), null, or an empty string.
Ownership of a field begins when it appears, so one that was always there is never owned as such (``f:strategy`` has no
``.``)."""

_UNTYPED = frozenset({"RawExtension", "FieldsV1", "Patch", "JSON", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool"})
_GO_NUMBERS = {"int32": "int32", "int64": "int64", "double": "float64", "float": "float32"}


_NO_DEFAULTS: Mapping[str, Any] = {}


class Type:
    """The shape of one value.

    ``name`` is the Go name of a struct (``PodSpec``), ``go`` the Go type (``[]v1.Container``). ``atomic`` is true of
    lists, maps and structs that have one owner as a whole. A list that is not atomic is a set when ``keys`` is empty,
    else a map whose elements are told apart by ``keys`` (with ``key_defaults`` for those left out). ``fields`` belong
    to a struct, ``element`` to a list or map, and to a struct that keeps fields it does not declare.
    """

    __slots__ = ("atomic", "element", "fields", "go", "key_defaults", "keys", "name", "shape")

    def __init__(self, shape: Shape, go: str, name: str = "") -> None:
        self.shape: Shape = shape
        self.go = go
        self.name = name
        self.atomic = False
        self.keys: tuple[str, ...] = ()
        self.key_defaults: Mapping[str, Any] = _NO_DEFAULTS
        self.element: Type | None = None
        self.fields: dict[str, Field] = {}

    def __repr__(self) -> str:
        return f"Type({self.shape}, {self.go})"


class Field:
    """A struct's field: its type and how a strategic merge patch treats it.

    ``present`` tells what Go writes when the field is empty: "struct" (``{}``), "null", "zero" (``""``), or ""
    (nothing).
    """

    __slots__ = ("merge_key", "present", "required", "strategies", "type")

    def __init__(self, type: Type) -> None:
        self.type = type
        self.merge_key = ""
        self.strategies: frozenset[str] = frozenset()
        self.present: Present = ""
        self.required = False

    @property
    def merges(self) -> bool:
        """Whether a strategic merge patch merges this list instead of replacing it."""
        return "merge" in self.strategies


ANY = Type("any", "interface {}")

DEDUCED = Type("deduced", "interface {}")
"""What nothing describes in a custom object: a map is the sum of its fields, anything else is one thing."""

DEDUCED_MAP = Type("map", "map[string]interface {}")
DEDUCED_MAP.element = DEDUCED


class Definitions:
    """All types of one Kubernetes version, by the name of their definition and by group, version and kind."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw: Mapping[str, Any] = raw
        self._types: dict[str, Type] = {}
        self._kinds: dict[GVK, str] = {}
        self._scalars: dict[tuple[str, str], Type] = {}
        for name, definition in raw.items():
            gvks = definition.get("x-kubernetes-group-version-kind", ())
            if len(gvks) == 1:  # options and watch events name every group; their own is meta
                gvk = gvks[0]
                self._kinds[(gvk["group"], gvk["version"], gvk["kind"])] = name
            self._named(name)
        self._raw = {}

    def definition_name(self, gvk: GVK) -> str | None:
        """The definition of a kind: ``("apps", "v1", "Deployment")`` -> ``io.k8s.api.apps.v1.Deployment``."""
        return self._kinds.get(gvk)

    def of(self, gvk: GVK) -> Type | None:
        """The type of a kind's objects, or None when these definitions do not know the kind."""
        name = self._kinds.get(gvk)
        return None if name is None else self._types[name]

    def named(self, name: str) -> Type | None:
        """The type of a definition: ``io.k8s.api.core.v1.PodSpec``."""
        return self._types.get(name)

    def kinds(self) -> frozenset[GVK]:
        """Every kind of this Kubernetes version, whether or not it is served."""
        return frozenset(self._kinds)

    def field(self, type: Type, name: str) -> Field | None:
        """A struct's field by its JSON name, or None."""
        return type.fields.get(name)

    def _named(self, name: str) -> Type:
        known = self._types.get(name)
        if known is not None:
            return known
        definition = self._raw[name]
        short = name.rpartition(".")[2]
        go = ".".join(name.split(".")[-2:])
        if "oneOf" in definition:
            shape: Shape = "quantity" if short == "Quantity" else "int-or-string"
            made = self._types[name] = Type(shape, go)
            return made
        if short in _UNTYPED or "type" not in definition:
            made = self._types[name] = Type("any", go)
            return made
        if "string" in _names(definition):
            shape = "time" if definition.get("format") == "date-time" else "string"
            made = self._types[name] = Type(shape, go)
            return made
        made = self._types[name] = Type("struct", go, short)
        made.atomic = definition.get("x-kubernetes-map-type") == "atomic"
        required = set(definition.get("required", ()))
        present = ALWAYS_PRESENT.get(short, {})
        is_kind = "kind" in definition.get("properties", {})
        for key, raw in definition.get("properties", {}).items():
            made.fields[key] = self._field(key, raw, present.get(key, ""), is_kind)
            made.fields[key].required = key in required
        return made

    def _field(self, key: str, raw: Mapping[str, Any], present: Present, is_kind: bool) -> Field:
        field = Field(self._type(raw))
        field.merge_key = raw.get("x-kubernetes-patch-merge-key", "")
        strategy = raw.get("x-kubernetes-patch-strategy")
        if strategy:
            field.strategies = frozenset(strategy.split(","))
        field.present = present
        is_struct = field.type.shape == "struct"
        if is_struct and ((is_kind and key in ("spec", "status")) or key in ("metadata", "spec")):
            field.present = "struct"
        return field

    def _type(self, raw: Mapping[str, Any]) -> Type:
        if "$ref" in raw:
            target = self._named(raw["$ref"].rpartition("/")[2])
            kind = raw.get("x-kubernetes-map-type")
            if kind is not None and target.atomic != (kind == "atomic"):
                target = _with_atomic(target, kind == "atomic")
            return target
        names = _names(raw)
        if "array" in names:
            return self._list(raw)
        if "object" in names and "additionalProperties" in raw:
            element = self._type(raw["additionalProperties"])
            made = Type("map", f"map[string]{element.go}")
            made.element = element
            made.atomic = raw.get("x-kubernetes-map-type") == "atomic"
            return made
        return self._scalar(names, str(raw.get("format", "")))

    def _list(self, raw: Mapping[str, Any]) -> Type:
        element = self._type(raw.get("items", {}))
        made = Type("list", f"[]{element.go}")
        made.element = element
        kind = raw.get("x-kubernetes-list-type")
        if kind == "map":
            made.keys = tuple(raw["x-kubernetes-list-map-keys"])
        made.atomic = kind not in ("map", "set")
        return made

    def _scalar(self, names: frozenset[str], format: str) -> Type:
        name = next(iter(names), "")
        known = self._scalars.get((name, format))
        if known is None:
            known = self._scalars[(name, format)] = _scalar(name, format)
        return known


def _names(raw: Mapping[str, Any]) -> frozenset[str]:
    given = raw.get("type", ())
    return frozenset((given,) if isinstance(given, str) else given) - {"null"}


def _scalar(name: str, format: str) -> Type:
    if name == "integer":
        return Type("integer", _GO_NUMBERS.get(format, "int32"))
    if name == "number":
        return Type("number", _GO_NUMBERS.get(format, "float64"))
    if name == "boolean":
        return Type("boolean", "bool")
    if name == "string" and format == "byte":
        return Type("bytes", "[]uint8")
    if name == "string" and format == "date-time":
        return Type("time", "v1.Time")
    if name == "string":
        return Type("string", "string")
    return ANY


def _with_atomic(type: Type, atomic: bool) -> Type:
    made = Type(type.shape, type.go, type.name)
    made.fields = type.fields
    made.element = type.element
    made.atomic = atomic
    return made


def raw_definitions() -> dict[str, Any]:
    """The OpenAPI definitions with their descriptions, read anew at each call: name -> JSON schema."""
    package = importlib.util.find_spec("kubernetes_validate")  # found, not imported: only its data is needed
    if package is None or package.origin is None:
        raise RuntimeError("the package kubernetes-validate is missing; install it: pip install kubernetes-validate")
    folder = Path(package.origin).parent / "kubernetes-json-schema" / f"v{KUBERNETES}-local"
    found: dict[str, Any] = json.loads((folder / "_definitions.json").read_bytes())["$defs"]
    return found


@functools.cache
def definitions() -> Definitions:
    """The types of the Kubernetes version that is simulated; shared by all clusters of the process."""
    return Definitions(raw_definitions())
