"""What a kubelet does with a container at moments: hooks and probes (``validateLifecycle``, ``validateProbe``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from simkube.apiserver.registry.services.validation import is_port, port_name
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.numbers import NOT_NEGATIVE
from simkube.client.client import Obj

_PORT = "must be between 1 and 65535, inclusive"
_BAD_HEADER = (
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for "
    "validation is '[-A-Za-z0-9]+')"
)
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")


def lifecycle(container: Obj, path: str, grace: int, errors: Errors) -> None:
    """Hooks and probes of a container that has a life; ``grace`` is how long its pod may take to end."""
    for hook in ("postStart", "preStop"):
        handler = (container.get("lifecycle") or {}).get(hook)
        if handler is not None:
            where = f"{path}.lifecycle.{hook}"
            _handler(handler, where, errors, ("exec", "httpGet", "tcpSocket", "sleep"))
            seconds = (handler.get("sleep") or {}).get("seconds", 0)
            if handler.get("sleep") is not None and not 0 <= seconds <= grace:
                detail = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
                errors.invalid(f"{where}.sleep", seconds, detail)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name) is not None:
            _probe(container[name], f"{path}.{name}", errors, readiness=name == "readinessProbe")


def no_lifecycle(container: Obj, path: str, errors: Errors) -> None:
    """An init container that ends has neither."""
    for name in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name) is not None:
            errors.forbidden(f"{path}.{name}", "may not be set for init containers without restartPolicy=Always")


def _probe(probe: Obj, path: str, errors: Errors, *, readiness: bool) -> None:
    _handler(probe, path, errors, _HANDLERS)
    for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        if probe.get(name, 0) < 0:
            errors.invalid(f"{path}.{name}", probe[name], NOT_NEGATIVE)
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        errors.invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0")
    if readiness and grace is not None:
        errors.invalid(f"{path}.terminationGracePeriodSeconds", grace, "must not be set for readinessProbes")
    if not readiness and probe.get("successThreshold", 1) != 1:
        errors.invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1")


def _handler(handler: Obj, path: str, errors: Errors, kinds: Sequence[str]) -> None:
    found = [kind for kind in kinds if handler.get(kind) is not None]
    if not found:
        errors.required(path, "must specify a handler type")
        return
    for kind in found[1:]:
        errors.forbidden(f"{path}.{kind}", "may not specify more than 1 handler type")
    action, where = handler[found[0]], f"{path}.{found[0]}"
    if found[0] == "exec" and not action.get("command"):
        errors.required(f"{where}.command")
    elif found[0] in ("httpGet", "tcpSocket"):
        _handler_port(action.get("port", 0), f"{where}.port", errors)
    elif found[0] == "grpc" and not is_port(action.get("port", 0)):
        errors.invalid(f"{where}.port", action.get("port", 0), _PORT)
    if found[0] == "httpGet":
        if not action.get("path"):
            errors.required(f"{where}.path")
        if action.get("scheme", "HTTP") not in ("HTTP", "HTTPS"):
            errors.not_supported(f"{where}.scheme", action["scheme"], ("HTTP", "HTTPS"))
        for header in action.get("httpHeaders", ()):
            if not re.fullmatch(r"[-A-Za-z0-9]+", header.get("name", "")):
                errors.invalid(f"{where}.httpHeaders", header.get("name", ""), _BAD_HEADER)


def _handler_port(port: Any, path: str, errors: Errors) -> None:
    if isinstance(port, str):
        for problem in port_name(port):
            errors.invalid(path, port, problem)
    elif not is_port(port):
        errors.invalid(path, port, _PORT)
