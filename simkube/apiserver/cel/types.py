"""The types of expressions, and which of them a schema stands for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from simkube.apiserver.schema.custom.pruning import EMBEDDED
from simkube.client.client import Obj

_RESERVED = frozenset(
    (
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    )
)
_NAME = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*", re.ASCII)
_PARTS = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A type: its name, what it holds, and for objects the fields by the names that expressions use."""

    name: str
    of: tuple[Kind, ...] = ()
    schema: int = 0

    def __str__(self) -> str:
        if not self.of:
            return self.name
        return f"{self.name}({', '.join(str(one) for one in self.of)})"


INT, UINT, DOUBLE, STRING = Kind("int"), Kind("uint"), Kind("double"), Kind("string")
BOOL, BYTES, NULL, DYN = Kind("bool"), Kind("bytes"), Kind("null_type"), Kind("dyn")
TIMESTAMP, DURATION, TYPE = Kind("google.protobuf.Timestamp"), Kind("google.protobuf.Duration"), Kind("type")
QUANTITY, URL, SEMVER = Kind("kubernetes.Quantity"), Kind("kubernetes.URL"), Kind("kubernetes.Semver")
IP, CIDR, FORMAT = Kind("net.IP"), Kind("net.CIDR"), Kind("kubernetes.NamedFormat")
AUTHORIZER, DECISION = Kind("kubernetes.authorization.Authorizer"), Kind("kubernetes.authorization.Decision")
GROUP_CHECK, PATH_CHECK = Kind("kubernetes.authorization.GroupCheck"), Kind("kubernetes.authorization.PathCheck")
RESOURCE_CHECK = Kind("kubernetes.authorization.ResourceCheck")
_STRINGS = {"byte": BYTES, "date": TIMESTAMP, "date-time": TIMESTAMP, "datetime": TIMESTAMP, "duration": DURATION}


def list_of(element: Kind) -> Kind:
    """``list(element)``."""
    return Kind("list", (element,))


def map_of(key: Kind, value: Kind) -> Kind:
    """``map(key, value)``."""
    return Kind("map", (key, value))


OPTIONAL = "optional_type"


def optional_of(kind: Kind) -> Kind:
    """``optional_type(kind)``: a value that may be missing."""
    return Kind(OPTIONAL, (kind,))


def escaped(name: str) -> str | None:
    """A property's name in expressions; None when it cannot be named there."""
    if name in _RESERVED:
        return f"__{name}__"
    made = re.sub(r"__|[./-]", lambda match: _PARTS[match[0]], name)
    return made if _NAME.fullmatch(made) else None


class Types:
    """The types of one schema; objects are known by a number, so that types can be compared."""

    def __init__(self) -> None:
        self.fields: list[dict[str, Kind]] = [{}]

    def of(self, schema: Any, *, resource: bool = False) -> Kind:
        """The type of what a schema describes."""
        if not isinstance(schema, dict) or schema.get("x-kubernetes-int-or-string"):
            return DYN
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema, resource or bool(schema.get(EMBEDDED)))
        if kind == "array":
            return list_of(self.of(schema.get("items")))
        if kind == "string":
            return _STRINGS.get(schema.get("format", ""), STRING)
        return {"integer": INT, "number": DOUBLE, "boolean": BOOL}.get(str(kind), DYN)

    def _object(self, schema: Obj, resource: bool) -> Kind:
        additional = schema.get("additionalProperties")
        if additional is not None and additional is not False and not schema.get("properties"):
            return map_of(STRING, self.of(additional))
        fields: dict[str, Kind] = {}
        for name, below in (schema.get("properties") or {}).items():
            known = escaped(name)
            if known is not None:
                fields[known] = self.of(below)
        if resource:
            fields |= {
                "apiVersion": STRING,
                "kind": STRING,
                "metadata": self.of_fields({"name": STRING, "generateName": STRING}),
            }
        return self.of_fields(fields)

    def of_fields(self, fields: dict[str, Kind], name: str = "object") -> Kind:
        """The type of objects with these fields."""
        self.fields.append(fields)
        return Kind(name, (), len(self.fields) - 1)
