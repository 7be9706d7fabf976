"""Whole objects inside custom objects (``x-kubernetes-embedded-resource``) must say what they are.

After ``apiextensions-apiserver/pkg/apiserver/schema/objectmeta``.
"""

from __future__ import annotations

from typing import Any

from simkube.apiserver.schema.custom.pruning import EMBEDDED
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj


def check_embedded(value: Any, schema: Obj, path: str, errors: Errors) -> None:
    """Note each embedded object without ``apiVersion`` or ``kind``."""
    if isinstance(value, dict):
        if schema.get(EMBEDDED):
            for name in ("apiVersion", "kind"):
                if not isinstance(value.get(name), str) or not value[name]:
                    errors.required(f"{path}.{name}", "must not be empty")
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, item in value.items():
            below = properties.get(key, additional)
            if isinstance(below, dict) and isinstance(item, (dict, list)):
                check_embedded(item, below, f"{path}.{key}" if path else key, errors)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            check_embedded(item, schema["items"], f"{path}[{index}]", errors)
