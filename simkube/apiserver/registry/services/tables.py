"""The rows of services, endpoints and endpoint slices."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.tables.cells import NONE, age_of, host_port, labels, name_of, shortened
from simkube.apiserver.tables.columns import AGE, NAME, Cells, Column, Layout

Obj = dict[str, Any]


def _service(obj: Obj, now: float) -> Cells:
    spec = obj.get("spec") or {}
    addresses = spec.get("clusterIPs") or [NONE]
    ports = ",".join(_service_port(port) for port in spec.get("ports") or []) or NONE
    kind = spec.get("type", "")
    shown = labels(spec.get("selector"))
    return [name_of(obj), kind, addresses[0], _external(obj, spec), ports, age_of(obj, now), shown]


def _service_port(port: Obj) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node_port}/{port.get('protocol', 'TCP')}"


def _external(obj: Obj, spec: Obj) -> str:
    kind = spec.get("type", "ClusterIP")
    given = spec.get("externalIPs") or []
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    if kind != "LoadBalancer":
        return ",".join(given) or NONE
    balancer = (obj.get("status") or {}).get("loadBalancer") or {}
    found = sorted({one.get("ip") or one.get("hostname") or "" for one in balancer.get("ingress") or []} - {""})
    return ",".join([*found, *given]) or "<pending>"


def _endpoints(obj: Obj, now: float) -> Cells:
    subsets = obj.get("subsets") or []
    return [name_of(obj), _subsets(subsets) if subsets else NONE, age_of(obj, now)]


def _subsets(subsets: list[Obj]) -> str:
    found = []
    for subset in subsets:
        addresses = [one.get("ip", "") for one in subset.get("addresses") or []]
        ports = subset.get("ports") or []
        if ports:
            found += [host_port(address, port.get("port")) for port in ports for address in addresses]
        else:
            found += addresses
    return shortened(found, "")


def _endpoint_slice(obj: Obj, now: float) -> Cells:
    ports = [str(port.get("port") or port.get("name") or "*") for port in obj.get("ports") or []]
    addresses = [address for one in obj.get("endpoints") or [] for address in one.get("addresses") or []]
    shown = [shortened(ports, "<unset>"), shortened(addresses, "<unset>")]
    return [name_of(obj), obj.get("addressType", ""), *shown, age_of(obj, now)]


SERVICES = Layout(
    (
        NAME,
        Column("Type", field="core.v1.ServiceSpec.type"),
        Column("Cluster-IP", field="core.v1.ServiceSpec.clusterIP"),
        Column("External-IP", field="core.v1.ServiceSpec.externalIPs"),
        Column("Port(s)", field="core.v1.ServiceSpec.ports"),
        AGE,
        Column("Selector", field="core.v1.ServiceSpec.selector", wide=True),
    ),
    _service,
)
ENDPOINTS = Layout((NAME, Column("Endpoints", field="core.v1.Endpoints.subsets"), AGE), _endpoints)
ENDPOINT_SLICES = Layout(
    (
        NAME,
        Column("AddressType", field="discovery.v1.EndpointSlice.addressType"),
        Column("Ports", field="discovery.v1.EndpointSlice.ports"),
        Column("Endpoints", field="discovery.v1.EndpointSlice.endpoints"),
        AGE,
    ),
    _endpoint_slice,
)
