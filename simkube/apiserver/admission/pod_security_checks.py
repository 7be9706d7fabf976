"""The checks of the Pod Security Standards: what a pod must not ask for at the levels baseline and restricted.

After ``pod-security-admission/policy``. A check takes the annotations and the spec of a pod and answers what is
forbidden, ``(reason, detail)``, or None. Which version of Kubernetes a check begins with is in :data:`CHECKS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from simkube.client.client import Obj

Found = tuple[str, str] | None
Check = Callable[[Mapping[str, str], Obj], Found]


def _containers(spec: Obj) -> Iterator[Obj]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def _context(one: Obj) -> Obj:
    return one.get("securityContext") or {}


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(json.dumps(name, ensure_ascii=False) for name in names)


def _plural(one: str, many: str, count: int) -> str:
    return one if count == 1 else many


def _named(what: str, names: list[str]) -> str:
    return f"{_plural(what, what + 's', len(names))} {_quoted(names)}"


def _setters(pod: bool, containers: list[str]) -> str:
    """``pod and containers "a", "b"``."""
    found = ["pod"] if pod else []
    return " and ".join([*found, _named("container", containers)] if containers else found)


def _those(spec: Obj, bad: Callable[[Obj], Any]) -> list[str]:
    return [each["name"] for each in _containers(spec) if bad(_context(each))]


# baseline

_CAPABILITIES = frozenset(
    (
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    )
)
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_SELINUX = frozenset({"", "container_t", "container_init_t", "container_kvm_t"})
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
    }
)
_SYSCTLS_27 = _SYSCTLS | {"net.ipv4.ip_local_reserved_ports"}
_SYSCTLS_29 = _SYSCTLS_27 | {
    f"net.ipv4.tcp_{name}" for name in ("keepalive_time", "fin_timeout", "keepalive_intvl", "keepalive_probes")
}
_SYSCTLS_32 = _SYSCTLS_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}


def _app_armor(annotations: Mapping[str, str], spec: Obj) -> Found:
    values: set[str] = set()

    def bad(context: Obj) -> bool:
        kind = (context.get("appArmorProfile") or {}).get("type")
        if kind in (None, "RuntimeDefault", "Localhost"):
            return False
        values.add(kind)
        return True

    setters = []
    pod, containers = bad(_context(spec)), _those(spec, bad)
    if pod or containers:
        setters.append(_setters(pod, containers))
    wrong = sorted(
        (key, value)
        for key, value in annotations.items()
        if key.startswith(_APPARMOR) and value not in ("", "runtime/default") and not value.startswith("localhost/")
    )
    if wrong:
        setters.append(_named("annotation", [key for key, _ in wrong]))
        values |= {value for _, value in wrong}
    if not setters:
        return None
    reason = _plural("forbidden AppArmor profile", "forbidden AppArmor profiles", len(values))
    return reason, f"{' and '.join(setters)} must not set AppArmor profile type to {_quoted(sorted(values))}"


def _added(spec: Obj, allowed: frozenset[str]) -> tuple[list[str], list[str]]:
    """The containers that add other capabilities than those allowed, and which."""
    capabilities: set[str] = set()

    def bad(context: Obj) -> set[str]:
        found = set((context.get("capabilities") or {}).get("add") or ()) - allowed
        capabilities.update(found)
        return found

    return _those(spec, bad), sorted(capabilities)


def _capabilities(_: Mapping[str, str], spec: Obj) -> Found:
    names, added = _added(spec, _CAPABILITIES)
    if not names:
        return None
    detail = f"{_named('container', names)} must not include {_quoted(added)} in securityContext.capabilities.add"
    return "non-default capabilities", detail


def _host_namespaces(_: Mapping[str, str], spec: Obj) -> Found:
    found = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    return ("host namespaces", ", ".join(found)) if found else None


def _host_paths(_: Mapping[str, str], spec: Obj) -> Found:
    names = [each["name"] for each in spec.get("volumes") or () if "hostPath" in each]
    return ("hostPath volumes", _named("volume", names)) if names else None


def _host_ports(_: Mapping[str, str], spec: Obj) -> Found:
    names, ports = [], set()
    for each in _containers(spec):
        own = {port["hostPort"] for port in each.get("ports") or () if port.get("hostPort")}
        if own:
            names.append(each["name"])
            ports |= own
    if not names:
        return None
    used = ", ".join(sorted(str(port) for port in ports))
    verb, what = _plural("uses", "use", len(names)), _plural("hostPort", "hostPorts", len(ports))
    return "hostPort", f"{_named('container', names)} {verb} {what} {used}"


def _hosts(container: Obj) -> Iterator[str]:
    lifecycle = container.get("lifecycle") or {}
    handlers = [container.get(name) for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    for handler in (*handlers, lifecycle.get("postStart"), lifecycle.get("preStop")):
        for action in ("httpGet", "tcpSocket"):
            host = ((handler or {}).get(action) or {}).get("host")
            if host:
                yield host


def _probe_hosts(_: Mapping[str, str], spec: Obj) -> Found:
    found = {each["name"]: set(_hosts(each)) for each in _containers(spec)}
    names = sorted(name for name, hosts in found.items() if hosts)
    if not names:
        return None
    hosts = sorted(set().union(*found.values()))
    what = "probe or lifecycle host"
    verb = _plural("uses", "use", len(names))
    return what, f"{_named('container', names)} {verb} {_named(what, hosts)}"


def _privileged(_: Mapping[str, str], spec: Obj) -> Found:
    names = _those(spec, lambda context: context.get("privileged"))
    if not names:
        return None
    return "privileged", f"{_named('container', names)} must not set securityContext.privileged=true"


def _proc_mount(_: Mapping[str, str], spec: Obj) -> Found:
    names = [e["name"] for e in _containers(spec) if _context(e).get("procMount") not in (None, "Default")]
    if not names:
        return None
    values = sorted({_context(each)["procMount"] for each in _containers(spec) if each["name"] in names})
    return "procMount", f"{_named('container', names)} must not set securityContext.procMount to {_quoted(values)}"


def _selinux(_: Mapping[str, str], spec: Obj) -> Found:
    types: set[str] = set()
    words: dict[str, None] = {}

    def bad(context: Obj) -> bool:
        options = context.get("seLinuxOptions") or {}
        wrong = options.get("type", "") not in _SELINUX
        if wrong:
            types.add(options["type"])
        for name in ("user", "role"):
            if options.get(name):
                words[f"{name} may not be set"] = None
                wrong = True
        return wrong

    pod, containers = bad(_context(spec)), _those(spec, bad)
    if not pod and not containers:
        return None
    data = [_named("type", sorted(types))] if types else []
    data += [word for word in ("user may not be set", "role may not be set") if word in words and types]
    detail = f"{_setters(pod, containers)} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}"
    return "seLinuxOptions", detail


def _seccomp_annotations(annotations: Mapping[str, str], spec: Obj) -> Found:
    keys = {_SECCOMP_POD, *(f"{_SECCOMP_CONTAINER}{each['name']}" for each in _containers(spec))}
    wrong = sorted(
        f"{key}={json.dumps(annotations[key])}"
        for key in keys & set(annotations)
        if annotations[key] not in ("runtime/default", "docker/default")
        and not annotations[key].startswith("localhost/")
    )
    if not wrong:
        return None
    return "seccompProfile", f"forbidden {_plural('annotation', 'annotations', len(wrong))} {', '.join(wrong)}"


def _wrong_seccomp(spec: Obj) -> Found:
    values: set[str] = set()

    def bad(context: Obj) -> bool:
        kind = (context.get("seccompProfile") or {}).get("type")
        if kind in (None, "RuntimeDefault", "Localhost"):
            return False
        values.add(kind)
        return True

    pod, containers = bad(_context(spec)), _those(spec, bad)
    if not pod and not containers:
        return None
    words = f"must not set securityContext.seccompProfile.type to {_quoted(sorted(values))}"
    return "seccompProfile", f"{_setters(pod, containers)} {words}"


def _seccomp(_: Mapping[str, str], spec: Obj) -> Found:
    return _wrong_seccomp(spec)


def _sysctls(allowed: frozenset[str]) -> Check:
    def check(_: Mapping[str, str], spec: Obj) -> Found:
        wrong = [each["name"] for each in _context(spec).get("sysctls") or () if each.get("name") not in allowed]
        return ("forbidden sysctls", ", ".join(wrong)) if wrong else None

    return check


def _windows(_: Mapping[str, str], spec: Obj) -> Found:
    def bad(context: Obj) -> Any:
        return (context.get("windowsOptions") or {}).get("hostProcess")

    pod, containers = bool(bad(_context(spec))), _those(spec, bad)
    if not pod and not containers:
        return None
    detail = f"{_setters(pod, containers)} must not set securityContext.windowsOptions.hostProcess=true"
    return "hostProcess", detail


# restricted

_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_NET_BIND = frozenset({"NET_BIND_SERVICE"})


def _escalation(_: Mapping[str, str], spec: Obj) -> Found:
    names = _those(spec, lambda context: context.get("allowPrivilegeEscalation") is not False)
    if not names:
        return None
    detail = f"{_named('container', names)} must set securityContext.allowPrivilegeEscalation=false"
    return "allowPrivilegeEscalation != false", detail


def _dropped(_: Mapping[str, str], spec: Obj) -> Found:
    keeping = _those(spec, lambda context: "ALL" not in ((context.get("capabilities") or {}).get("drop") or ()))
    names, added = _added(spec, _NET_BIND)
    details = []
    if keeping:
        details.append(f'{_named("container", keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if names:
        where = "in securityContext.capabilities.add"
        details.append(f"{_named('container', names)} must not include {_quoted(added)} {where}")
    return ("unrestricted capabilities", "; ".join(details)) if details else None


def _volumes(_: Mapping[str, str], spec: Obj) -> Found:
    names, types = [], set()
    for each in spec.get("volumes") or ():
        kind = next((name for name in each if name != "name"), "unknown")
        if kind not in _VOLUMES:
            names.append(each["name"])
            types.add(kind)
    if not names:
        return None
    verb = _plural("uses", "use", len(names))
    return (
        "restricted volume types",
        f"{_named('volume', names)} {verb} {_named('restricted volume type', sorted(types))}",
    )


def _non_root(_: Mapping[str, str], spec: Obj) -> Found:
    pod = _context(spec).get("runAsNonRoot")
    explicit = _those(spec, lambda context: context.get("runAsNonRoot") is False)
    if pod is False or explicit:
        detail = f"{_setters(pod is False, explicit)} must not set securityContext.runAsNonRoot=false"
        return "runAsNonRoot != true", detail
    silent = [] if pod else _those(spec, lambda context: context.get("runAsNonRoot") is None)
    if not silent:
        return None
    return "runAsNonRoot != true", f"pod or {_named('container', silent)} must set securityContext.runAsNonRoot=true"


def _root_user(_: Mapping[str, str], spec: Obj) -> Found:
    pod = _context(spec).get("runAsUser") == 0
    containers = _those(spec, lambda context: context.get("runAsUser") == 0)
    if not pod and not containers:
        return None
    return "runAsUser=0", f"{_setters(pod, containers)} must not set runAsUser=0"


def _seccomp_set(_: Mapping[str, str], spec: Obj) -> Found:
    wrong = _wrong_seccomp(spec)
    if wrong is not None:
        return wrong
    pod = _context(spec).get("seccompProfile")
    silent = [] if pod else _those(spec, lambda context: not context.get("seccompProfile"))
    if not silent:
        return None
    words = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return "seccompProfile", f"pod or {_named('container', silent)} {words}"


def _except(skips: Callable[[Obj], bool], check: Check) -> Check:
    return lambda annotations, spec: None if skips(spec) else check(annotations, spec)


def _on_windows(spec: Obj) -> bool:
    return (spec.get("os") or {}).get("name") == "windows"


def _own_users(spec: Obj) -> bool:
    """With a user namespace of its own, a pod's root is nobody outside."""
    return spec.get("hostUsers") is False


@dataclass(frozen=True, slots=True)
class Entry:
    """A check with the minor versions of Kubernetes 1 that each form of it begins with; ``replaces`` at restricted."""

    id: str
    versions: tuple[tuple[int, Check], ...]
    replaces: str = ""

    def at(self, minor: int) -> Check | None:
        """The form of the check in that version, None before the first."""
        found = [check for first, check in self.versions if first <= minor]
        return found[-1] if found else None


BASELINE = (
    Entry("appArmorProfile", ((0, _app_armor),)),
    Entry("capabilities_baseline", ((0, _capabilities),)),
    Entry("hostNamespaces", ((0, _host_namespaces),)),
    Entry("hostPathVolumes", ((0, _host_paths),)),
    Entry("hostPorts", ((0, _host_ports),)),
    Entry("hostProbesAndHostLifecycle", ((34, _probe_hosts),)),
    Entry("privileged", ((0, _privileged),)),
    Entry("procMount", ((0, _proc_mount), (35, _except(_own_users, _proc_mount)))),
    Entry("seLinuxOptions", ((0, _selinux),)),
    Entry("seccompProfile_baseline", ((0, _seccomp_annotations), (19, _seccomp))),
    Entry(
        "sysctls",
        (
            (0, _sysctls(_SYSCTLS)),
            (27, _sysctls(_SYSCTLS_27)),
            (29, _sysctls(_SYSCTLS_29)),
            (32, _sysctls(_SYSCTLS_32)),
        ),
    ),
    Entry("windowsHostProcess", ((0, _windows),)),
)
RESTRICTED = (
    Entry("allowPrivilegeEscalation", ((8, _escalation), (25, _except(_on_windows, _escalation)))),
    Entry("capabilities_restricted", ((22, _dropped), (25, _except(_on_windows, _dropped))), "capabilities_baseline"),
    Entry("restrictedVolumes", ((0, _volumes),), "hostPathVolumes"),
    Entry("runAsNonRoot", ((0, _non_root), (35, _except(_own_users, _non_root)))),
    Entry("runAsUser", ((23, _root_user), (35, _except(_own_users, _root_user)))),
    Entry(
        "seccompProfile_restricted",
        ((19, _seccomp_set), (25, _except(_on_windows, _seccomp_set))),
        "seccompProfile_baseline",
    ),
)
