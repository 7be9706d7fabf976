"""The rows of ingresses, their classes, network policies, addresses and ranges of services."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.tables.cells import NONE, age_of, name_of, selector
from simkube.apiserver.tables.columns import AGE, NAME, Cells, Column, Layout

Obj = dict[str, Any]


def _ingress(obj: Obj, now: float) -> Cells:
    spec = obj.get("spec") or {}
    kind = spec.get("ingressClassName") or NONE
    ports = "80, 443" if spec.get("tls") else "80"
    return [name_of(obj), kind, _hosts(spec.get("rules") or []), _addresses(obj), ports, age_of(obj, now)]


def _hosts(rules: list[Obj]) -> str:
    hosts = [rule["host"] for rule in rules if rule.get("host")]
    if not hosts:
        return "*"
    return ",".join(hosts[:3]) + (f" + {len(hosts) - 3} more..." if len(hosts) > 3 else "")


def _addresses(obj: Obj) -> str:
    balancer = (obj.get("status") or {}).get("loadBalancer") or {}
    return ",".join(one.get("ip") or one.get("hostname") or "" for one in balancer.get("ingress") or [])


def _ingress_class(obj: Obj, now: float) -> Cells:
    spec = obj.get("spec") or {}
    parameters, shown = spec.get("parameters"), NONE
    if parameters:
        group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
        shown = f"{parameters.get('kind', '')}{group}/{parameters.get('name', '')}"
    return [name_of(obj), spec.get("controller", ""), shown, age_of(obj, now)]


def _policy(obj: Obj, now: float) -> Cells:
    return [name_of(obj), selector((obj.get("spec") or {}).get("podSelector")), age_of(obj, now)]


def _address(obj: Obj, now: float) -> Cells:
    parent = (obj.get("spec") or {}).get("parentRef") or {}
    names = [parent.get("namespace"), parent.get("name")]
    resource = ".".join(each for each in (parent.get("resource"), parent.get("group")) if each)
    shown = "/".join(each for each in (resource, *names) if each) or NONE
    return [name_of(obj), shown, age_of(obj, now)]


def _range(obj: Obj, now: float) -> Cells:
    return [name_of(obj), ",".join((obj.get("spec") or {}).get("cidrs") or []), age_of(obj, now)]


INGRESSES = Layout(
    (
        NAME,
        Column("Class", "The name of the IngressClass resource that should be used for additional configuration"),
        Column("Hosts", "Hosts that incoming requests are matched against before the ingress rule"),
        Column("Address", "Address is a list containing ingress points for the load-balancer"),
        Column("Ports", "Ports of TLS configurations that open"),
        AGE,
    ),
    _ingress,
)
INGRESS_CLASSES = Layout(
    (
        NAME,
        Column("Controller", "Controller that is responsible for handling this class"),
        Column("Parameters", "A reference to a resource with additional parameters"),
        AGE,
    ),
    _ingress_class,
)
NETWORK_POLICIES = Layout(
    (NAME, Column("Pod-Selector", field="networking.v1.NetworkPolicySpec.podSelector"), AGE), _policy
)
IP_ADDRESSES = Layout((NAME, Column("ParentRef", field="networking.v1.IPAddressSpec.parentRef"), AGE), _address)
SERVICE_CIDRS = Layout((NAME, Column("CIDRs", field="networking.v1.ServiceCIDRSpec.cidrs"), AGE), _range)
