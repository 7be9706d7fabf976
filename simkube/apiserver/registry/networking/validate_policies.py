"""Network policies (``ValidateNetworkPolicy``)."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.registry.networking.validation import BAD_PORT
from simkube.apiserver.registry.services.validation import is_port, port_name
from simkube.apiserver.validation.addresses import BAD_CIDR, network_of
from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.selector import label_selector
from simkube.client.client import Obj

_TYPES = ("Egress", "Ingress")
_PROTOCOLS = ("SCTP", "TCP", "UDP")


def network_policy(obj: Obj, errors: Errors) -> None:
    """Selectors, ports, peers, types."""
    spec = obj["spec"]
    label_selector(spec.get("podSelector", {}), "spec.podSelector", errors)
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction, ())):
            path = f"spec.{direction}[{index}]"
            for at, port in enumerate(rule.get("ports", ())):
                _port(port, f"{path}.ports[{at}]", errors)
            for at, peer in enumerate(rule.get(peers, ())):
                _peer(peer, f"{path}.{peers}[{at}]", errors)
    types = spec.get("policyTypes", ())
    if len(types) > len(_TYPES):
        errors.invalid("spec.policyTypes", list(types), "may not specify more than two policyTypes")
        return
    for index, each in enumerate(types):
        if each not in _TYPES:
            errors.not_supported(f"spec.policyTypes[{index}]", each, _TYPES)


def _port(port: Obj, path: str, errors: Errors) -> None:
    if port.get("protocol") not in (None, *_PROTOCOLS):
        errors.not_supported(f"{path}.protocol", port["protocol"], _PROTOCOLS)
    number, end = port.get("port"), port.get("endPort")
    if number is None:
        if end is not None:
            errors.invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified")
    elif isinstance(number, str):
        if end is not None:
            errors.invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric")
        for problem in port_name(number):
            errors.invalid(f"{path}.port", number, problem)
    else:
        _numbers(number, end, path, errors)


def _numbers(number: int, end: Any, path: str, errors: Errors) -> None:
    if not is_port(number):
        errors.invalid(f"{path}.port", number, BAD_PORT)
    if end is None:
        return
    if end < number:
        errors.invalid(f"{path}.endPort", end, "must be greater than or equal to `port`")
    if not is_port(end):
        errors.invalid(f"{path}.endPort", end, BAD_PORT)


def _peer(peer: Obj, path: str, errors: Errors) -> None:
    for name in ("podSelector", "namespaceSelector"):
        if peer.get(name) is not None:
            label_selector(peer[name], f"{path}.{name}", errors)
    block = peer.get("ipBlock")
    if block is not None:
        _block(block, f"{path}.ipBlock", errors)
    given = sum(peer.get(name) is not None for name in ("podSelector", "namespaceSelector", "ipBlock"))
    if not given:
        errors.required(path, "must specify a peer")
    elif given > 1 and block is not None:
        errors.forbidden(path, "may not specify both ipBlock and another peer")


def _block(block: Obj, path: str, errors: Errors) -> None:
    cidr = block.get("cidr", "")
    if not cidr:
        errors.required(f"{path}.cidr")
        return
    network = network_of(cidr)
    if network is None:
        errors.invalid(f"{path}.cidr", cidr, BAD_CIDR)
        return
    for index, each in enumerate(block.get("except", ())):
        inner = network_of(each)
        if inner is None:
            errors.invalid(f"{path}.except[{index}]", each, BAD_CIDR)
        elif (
            inner.version != network.version
            or inner.network_address not in network
            or network.prefixlen >= inner.prefixlen
        ):
            errors.invalid(f"{path}.except[{index}]", each, "must be a strict subset of `cidr`")
