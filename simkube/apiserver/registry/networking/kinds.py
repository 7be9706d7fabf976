"""Ingresses, network policies and the ranges of service addresses."""

from __future__ import annotations

from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.networking import defaults, tables, validate_policies, validation, warnings
from simkube.apiserver.registry.resources import Resource, status
from simkube.apiserver.registry.strategy import Strategy

KINDS = (
    Kind(
        Resource("networking.k8s.io", "v1", "ingressclasses", "ingressclass", "IngressClass", False),
        Strategy(
            defaults=defaults.ingress_class,
            validate=validation.ingress_class,
            validate_update=validation.ingress_class_update,
            generation=True,
        ),
        layout=tables.INGRESS_CLASSES,
    ),
    Kind(
        Resource(
            "networking.k8s.io",
            "v1",
            "ingresses",
            "ingress",
            "Ingress",
            True,
            short_names=("ing",),
            subresources=(status("Ingress"),),
        ),
        Strategy(
            defaults=defaults.ingress,
            validate=validation.ingress,
            warnings=warnings.of_ingress,
            validate_status=validation.ingress_status,
            generation=True,
            keeps_status=True,
            first_status={"loadBalancer": {}},
        ),
        layout=tables.INGRESSES,
    ),
    Kind(
        Resource("networking.k8s.io", "v1", "ipaddresses", "ipaddress", "IPAddress", False, short_names=("ip",)),
        Strategy(
            name=validation.address_name,
            defaults=defaults.with_spec,
            validate=validation.ip_address,
            validate_update=validation.ip_address_update,
        ),
        layout=tables.IP_ADDRESSES,
    ),
    Kind(
        Resource(
            "networking.k8s.io",
            "v1",
            "networkpolicies",
            "networkpolicy",
            "NetworkPolicy",
            True,
            short_names=("netpol",),
        ),
        Strategy(defaults=defaults.network_policy, validate=validate_policies.network_policy, generation=True),
        layout=tables.NETWORK_POLICIES,
    ),
    Kind(
        Resource(
            "networking.k8s.io",
            "v1",
            "servicecidrs",
            "servicecidr",
            "ServiceCIDR",
            False,
            subresources=(status("ServiceCIDR"),),
        ),
        Strategy(
            defaults=defaults.with_spec,
            validate=validation.service_cidr,
            validate_update=validation.service_cidr_update,
            keeps_status=True,
            first_status={},
        ),
        layout=tables.SERVICE_CIDRS,
    ),
)
