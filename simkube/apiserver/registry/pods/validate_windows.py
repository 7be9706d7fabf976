"""What pods say for Windows: whom containers run as there, and which of them are processes of the host.

After ``validateWindowsSecurityContextOptions`` and ``validateWindowsHostProcessPod``. Nodes here are all Linux: which
fields a pod of the other system may not have at all is not looked at.
"""

from __future__ import annotations

import re

from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import subdomain
from simkube.client.client import Obj

_MOST_SPEC = 64
_MOST_DOMAIN = 256
_MOST_USER = 104
_NETBIOS = r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}'
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"{_NETBIOS}|{_LABEL}(?:\.{_LABEL})*")
_NOT_IN_USERS = re.compile(r'["/\\:;|=,+*?<>@\[\]]')


def windows_options(options: Obj, path: str, errors: Errors) -> None:
    """Credentials and the user, of a pod's or a container's security context."""
    name, spec, user = (options.get(key) for key in ("gmsaCredentialSpecName", "gmsaCredentialSpec", "runAsUserName"))
    for problem in subdomain(name) if name is not None else ():
        errors.invalid(f"{path}.gmsaCredentialSpecName", name, problem)
    if spec == "":
        errors.invalid(f"{path}.gmsaCredentialSpec", spec, "gmsaCredentialSpec cannot be an empty string")
    elif spec is not None and len(spec.encode()) > _MOST_SPEC * 1024:
        detail = f"gmsaCredentialSpec size must be under {_MOST_SPEC} KiB"
        errors.invalid(f"{path}.gmsaCredentialSpec", spec, detail)
    for problem in _user(user) if user is not None else ():
        errors.invalid(f"{path}.runAsUserName", user, f"runAsUserName{problem}")


def _user(name: str) -> list[str]:
    """What is wrong with the name of a user: ``user`` or ``domain\\user``."""
    if not name:
        return [" cannot be an empty string"]
    if re.search(r"[\x00-\x1f\x7f]", name):
        return [" cannot contain control characters"]
    domain, slash, user = name.rpartition("\\")
    if "\\" in domain:
        return [" cannot contain more than one backslash"]
    found = []
    if len(domain) >= _MOST_DOMAIN:
        found.append(f"'s Domain length must be under {_MOST_DOMAIN} characters")
    if slash and not _DOMAIN.fullmatch(domain):
        found.append("'s Domain doesn't match the NetBios nor the DNS format")
    if not user:
        found.append("'s User cannot be empty")
    elif len(user) > _MOST_USER:
        found.append(f"'s User length must not be longer than {_MOST_USER} characters")
    if re.fullmatch(r"[. ]+", user):
        found.append("'s User cannot contain only periods or spaces")
    if _NOT_IN_USERS.search(user):
        found.append("'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]")
    return found


def host_processes(spec: Obj, path: str, errors: Errors) -> None:
    """All containers of a pod are processes of the host, or none."""
    of_pod, hosted = _hosted(spec), []
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field, ())):
            own = _hosted(container)
            if own is not None and of_pod is not None and own != of_pod:
                said = str(of_pod).lower()
                detail = f"pod hostProcess value must be identical if both are specified, was {said}"
                errors.invalid(f"{path}.{field}[{index}].securityContext.windowsOptions.hostProcess", own, detail)
            hosted.append(bool(of_pod if own is None else own))
    if not any(hosted):
        return
    if not all(hosted):
        detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        errors.invalid(path, "", detail)
    if not spec.get("hostNetwork"):
        detail = "hostNetwork must be true if pod contains any hostProcess containers"
        errors.invalid(f"{path}.hostNetwork", False, detail)


def _hosted(holder: Obj) -> bool | None:
    given: bool | None = (holder.get("securityContext", {}).get("windowsOptions") or {}).get("hostProcess")
    return given
