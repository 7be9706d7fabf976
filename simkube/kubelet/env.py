"""A container's environment: envFrom, env with valueFrom and ``$(VAR)``, and the variables of its namespace's Services.

Order and precedence as in ``makeEnvironmentVariables``: env overrides envFrom, both override Service variables. A
reference to something that does not exist raises :class:`ConfigError` with the kubelet's words, which becomes
CreateContainerConfigError.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from simkube.client.client import Obj
from simkube.kubelet import env_files
from simkube.kubelet.downward import FieldError, field_text, resource_text

Lookup = Callable[[str, str], Obj | None]
"""``(kind, name) -> object`` of the pod's namespace; kind is ``configmaps`` or ``secrets``."""

_REFERENCE = re.compile(r"\$\$|\$\(([^()$]*)\)")


class ConfigError(Exception):
    """A container that cannot be configured."""


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``$(NAME)``; ``$$`` is a dollar; an unknown name stays as written."""

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return variables.get(match[1], match[0])

    return _REFERENCE.sub(replace, text)


def service_variables(services: Iterable[Obj]) -> dict[str, str]:
    """``WEB_SERVICE_HOST`` and its kin for Services that have a cluster IP (``pkg/kubelet/envvars``)."""
    found: dict[str, str] = {}
    for service in services:
        spec = service["spec"]
        host = spec.get("clusterIP") or "None"
        ports = spec.get("ports") or []
        if host == "None" or not ports:
            continue
        prefix = service["metadata"]["name"].upper().replace("-", "_")
        found[f"{prefix}_SERVICE_HOST"] = host
        found[f"{prefix}_SERVICE_PORT"] = str(ports[0]["port"])
        for port in ports:
            if port.get("name"):
                found[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
        found.update(_links(prefix, host, ports))
    return found


def _links(prefix: str, host: str, ports: list[dict[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for index, port in enumerate(ports):
        protocol = str(port.get("protocol", "TCP"))
        url = f"{protocol.lower()}://{host}:{port['port']}"
        if index == 0:
            found[f"{prefix}_PORT"] = url
        link = f"{prefix}_PORT_{port['port']}_{protocol.upper()}"
        found[link] = url
        found[f"{link}_PROTO"] = protocol.lower()
        found[f"{link}_PORT"] = str(port["port"])
        found[f"{link}_ADDR"] = host
    return found


def text_data(kind: str, obj: Obj) -> dict[str, bytes]:
    """The entries of a config map or secret as bytes."""
    if kind == "secrets":
        return {key: base64.b64decode(value or "") for key, value in (obj.get("data") or {}).items()}
    found = {key: str(value).encode() for key, value in (obj.get("data") or {}).items()}
    found.update({key: base64.b64decode(value or "") for key, value in (obj.get("binaryData") or {}).items()})
    return found


def _from_source(source: dict[str, Any], lookup: Lookup) -> dict[str, str]:
    for field, kind, singular in (("configMapRef", "configmaps", "configmap"), ("secretRef", "secrets", "secret")):
        reference = source.get(field)
        if reference is None:
            continue
        obj = lookup(kind, reference.get("name", ""))
        if obj is None:
            if reference.get("optional"):
                return {}
            raise ConfigError(f'{singular} "{reference.get("name", "")}" not found')
        prefix = source.get("prefix") or ""
        return {prefix + key: value.decode("utf-8", "replace") for key, value in text_data(kind, obj).items()}
    return {}


def _from_key(reference: dict[str, Any], kind: str, namespace: str, lookup: Lookup) -> str | None:
    name, key = reference.get("name", ""), reference["key"]
    singular = "configmap" if kind == "configmaps" else "secret"
    obj = lookup(kind, name)
    if obj is None:
        if reference.get("optional"):
            return None
        raise ConfigError(f'{singular} "{name}" not found')
    data = text_data(kind, obj)
    if key not in data:
        if reference.get("optional"):
            return None
        raise ConfigError(
            f"couldn't find key {key} in {'ConfigMap' if singular == 'configmap' else 'Secret'} {namespace}/{name}"
        )
    return data[key].decode("utf-8", "replace")


def _from_file(reference: dict[str, Any], read: env_files.ReadFile) -> str | None:
    try:
        return env_files.variable(reference, read)
    except env_files.EnvFileError as error:
        raise ConfigError(str(error)) from error


def environment(
    pod: Obj,
    container: Obj,
    lookup: Lookup,
    services: Mapping[str, str],
    facts: dict[str, str],
    allocatable: dict[str, str],
    read: env_files.ReadFile,
) -> dict[str, str]:
    """Every variable of a container, as :class:`~simkube.runtime.cri.ContainerConfig` wants it."""
    found: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        found.update(_from_source(source, lookup))
    for variable in container.get("env") or []:
        value: str | None
        if variable.get("valueFrom") is None:
            value = expand(str(variable.get("value") or ""), {**services, **found})
        elif variable["valueFrom"].get("fileKeyRef"):
            value = _from_file(variable["valueFrom"]["fileKeyRef"], read)
        else:
            value = _value_from(pod, container, variable["valueFrom"], lookup, facts, allocatable)
        if value is not None:
            found[variable["name"]] = value
    return {**services, **found}


def _value_from(
    pod: Obj, container: Obj, source: dict[str, Any], lookup: Lookup, facts: dict[str, str], allocatable: dict[str, str]
) -> str | None:
    namespace = pod["metadata"]["namespace"]
    try:
        if source.get("fieldRef"):
            return field_text(pod, source["fieldRef"]["fieldPath"], facts)
        if source.get("resourceFieldRef"):
            return resource_text(pod, container["name"], source["resourceFieldRef"], allocatable)
    except FieldError as error:
        raise ConfigError(str(error)) from error
    if source.get("configMapKeyRef"):
        return _from_key(source["configMapKeyRef"], "configmaps", namespace, lookup)
    if source.get("secretKeyRef"):
        return _from_key(source["secretKeyRef"], "secrets", namespace, lookup)
    raise ConfigError(f"valueFrom with {', '.join(source) or 'nothing'} is not simulated here")
