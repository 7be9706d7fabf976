"""Security contexts of pods and containers (``validatePodSpecSecurityContext``, ``ValidateSecurityContext``)."""

from __future__ import annotations

import re

from simkube.apiserver.registry.pods.internal_types import printed
from simkube.apiserver.registry.pods.validate_windows import windows_options
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.paths import descending
from simkube.client.client import Obj

_HIGHEST_ID = 2**31 - 1
_ID = f"must be between 0 and {_HIGHEST_ID}, inclusive"
_SYSCTL = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")


def pod_security_context(spec: Obj, path: str, errors: Errors) -> None:
    """Of a pod: who its processes are, whose its volumes are, what of the kernel they may use."""
    context, where = spec.get("securityContext", {}), f"{path}.securityContext"
    for name in ("fsGroup", "runAsUser", "runAsGroup"):
        _id(context.get(name), f"{where}.{name}", errors)
    for index, group in enumerate(context.get("supplementalGroups", ())):
        _id(group, f"{where}.supplementalGroups[{index}]", errors)
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        detail = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.invalid(f"{path}.shareProcessNamespace", True, detail)
    _sysctls(context.get("sysctls", ()), f"{where}.sysctls", errors)
    for name, values in (
        ("fsGroupChangePolicy", ("Always", "OnRootMismatch")),
        ("supplementalGroupsPolicy", ("Merge", "Strict")),
        ("seLinuxChangePolicy", ("MountOption", "Recursive")),
    ):
        if context.get(name) is not None and context[name] not in values:
            errors.not_supported(f"{where}.{name}", context[name], values)
    profiles(context, where, errors)
    windows_options(context.get("windowsOptions") or {}, f"{where}.windowsOptions", errors)
    if spec.get("hostUsers") is False:
        for name, shown in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
            if spec.get(name):
                errors.forbidden(f"{path}.{shown}", "when `pod.Spec.HostUsers` is false")


def _id(value: int | None, path: str, errors: Errors) -> None:
    if value is not None and not 0 <= value <= _HIGHEST_ID:
        errors.invalid(path, value, _ID)


def _sysctls(sysctls: list[Obj], path: str, errors: Errors) -> None:
    names: set[str] = set()
    for index, each in enumerate(sysctls):
        name, where = each.get("name", ""), f"{path}[{index}].name"
        if not name:
            errors.required(where)
        elif len(name) > 253 or not re.match(_SYSCTL, name):
            errors.invalid(where, name, f"must have at most 253 characters and match regex {_SYSCTL}")
        elif name in names:
            errors.duplicate(where, name)
        names.add(name)


def profiles(context: Obj, path: str, errors: Errors) -> None:
    """Seccomp and AppArmor profiles."""
    for field, word in (("seccompProfile", "seccomp"), ("appArmorProfile", "AppArmor")):
        profile, where = context.get(field), f"{path}.{field}"
        if profile is None:
            continue
        kind, local = profile.get("type", ""), profile.get("localhostProfile")
        if not kind:
            detail = "type is required when seccompProfile is set" if word == "seccomp" else ""
            errors.required(f"{where}.type", detail)
        elif kind not in _PROFILES:
            errors.not_supported(f"{where}.type", kind, _PROFILES)
        if kind == "Localhost" and local is None:
            errors.required(f"{where}.localhostProfile", f"must be set when {word} type is Localhost")
        elif kind == "Localhost":
            descending(str(local), f"{where}.localhostProfile", errors)
        elif local is not None:
            shown = printed(profile, "Profile") if word == "seccomp" else local
            errors.invalid(f"{where}.localhostProfile", shown, f"can only be set when {word} type is Localhost")


def security_context(context: Obj, path: str, errors: Errors) -> None:
    """Of a container: who it is, and that it does not ask for what it denies itself."""
    for name in ("runAsUser", "runAsGroup"):
        _id(context.get(name), f"{path}.{name}", errors)
    mount = context.get("procMount")
    if mount is not None and mount not in ("Default", "Unmasked"):
        errors.not_supported(f"{path}.procMount", mount, ("Default", "Unmasked"))
    profiles(context, path, errors)
    windows_options(context.get("windowsOptions") or {}, f"{path}.windowsOptions", errors)
    if context.get("allowPrivilegeEscalation") is not False:
        return
    shown = printed(context, "SecurityContext")
    if context.get("privileged"):
        detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        errors.invalid(path, shown, detail)
    if "CAP_SYS_ADMIN" in context.get("capabilities", {}).get("add", ()):
        detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
        errors.invalid(path, shown, detail)
