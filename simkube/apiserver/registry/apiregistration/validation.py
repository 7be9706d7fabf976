"""APIServices: defaults and what is refused (``kube-aggregator/pkg/apis/apiregistration/{v1,validation}``)."""

from __future__ import annotations

from simkube.apiserver.registry.rbac.validation import path_segment
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import dns_1035_label, subdomain
from simkube.client.client import Obj

PORT = 443


def defaults(obj: Obj) -> None:
    """Whoever names no port means 443."""
    service = obj.setdefault("spec", {}).get("service")
    if service is not None:
        service.setdefault("port", PORT)


def name(given: str) -> list[str]:
    """What a name must be at least; that it says version and group is checked with the object."""
    return path_segment(given)


def api_service(obj: Obj, errors: Errors) -> None:
    """A group and version, in which order they are shown, and who serves them."""
    spec, given = obj.get("spec") or {}, obj["metadata"].get("name", "")
    group, version = spec.get("group", ""), spec.get("version", "")
    wanted = f"{version}.{group}"
    if given != wanted and not path_segment(given):
        errors.invalid("metadata.name", given, f'must be `spec.version+"."+spec.group`: "{wanted}"')
    if not group and version != "v1":
        errors.required("spec.group", "only v1 may have an empty group and it better be legacy kube")
    for problem in subdomain(group) if group else ():
        errors.invalid("spec.group", group, problem)
    for problem in dns_1035_label(version):
        errors.invalid("spec.version", version, problem)
    for field, most in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        number = spec.get(field, 0)
        if not 0 < number <= most:
            errors.invalid(f"spec.{field}", number, f"must be positive and less than {most}")
    _server(spec, errors)


def _server(spec: Obj, errors: Errors) -> None:
    service, bundle, insecure = spec.get("service"), spec.get("caBundle"), bool(spec.get("insecureSkipTLSVerify"))
    if service is None:
        if bundle:
            errors.invalid(
                "spec.caBundle", f"{len(bundle) * 3 // 4} bytes", "local APIServices may not have a caBundle"
            )
        if insecure:
            detail = "local APIServices may not have insecureSkipTLSVerify"
            errors.invalid("spec.insecureSkipTLSVerify", True, detail)
        return
    for field in ("namespace", "name"):
        if not service.get(field):
            errors.required(f"spec.service.{field}", "")
    if insecure and bundle:
        errors.invalid("spec.insecureSkipTLSVerify", True, "may not be true if caBundle is present")


def changed_api_service(new: Obj, old: Obj, errors: Errors) -> None:
    """A changed one is looked at as a new one."""
    del old
    api_service(new, errors)


def changed_status(new: Obj, old: Obj, errors: Errors) -> None:
    """Conditions are true, false or unknown."""
    del old
    for index, each in enumerate((new.get("status") or {}).get("conditions") or ()):
        if each.get("status") not in ("True", "False", "Unknown"):
            known = ("True", "False", "Unknown")
            errors.not_supported(f"status.conditions[{index}].status", each.get("status", ""), known)
