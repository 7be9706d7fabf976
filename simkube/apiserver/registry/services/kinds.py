"""Services, and the objects that say which pods are behind them."""

from __future__ import annotations

from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.resources import PROXY, Resource, Subresource, status
from simkube.apiserver.registry.services import (
    defaults,
    preparation,
    tables,
    validate_endpoints,
    validate_status,
    validation,
    warnings,
)
from simkube.apiserver.registry.strategy import Strategy
from simkube.apiserver.validation import metadata

KINDS = (
    Kind(
        Resource("", "v1", "endpoints", "endpoints", "Endpoints", True, short_names=("ep",)),
        Strategy(defaults=defaults.endpoints, validate=validate_endpoints.endpoints, created_by_put=True),
        layout=tables.ENDPOINTS,
    ),
    Kind(
        Resource(
            "",
            "v1",
            "services",
            "service",
            "Service",
            True,
            short_names=("svc",),
            categories=("all",),
            subresources=(
                Subresource("proxy", "ServiceProxyOptions", PROXY),
                status("Service"),
            ),
        ),
        Strategy(
            name=metadata.label,
            defaults=defaults.service,
            validate=validation.service,
            warnings=warnings.of_service,
            prepare_update=preparation.changed_service,
            validate_update=validation.service_update,
            ratchets=True,
            validate_status=validate_status.service_status,
            keeps_status=True,
            answers_deleted=True,
            first_status={"loadBalancer": {}},
        ),
        layout=tables.SERVICES,
    ),
    Kind(
        Resource("discovery.k8s.io", "v1", "endpointslices", "endpointslice", "EndpointSlice", True),
        Strategy(
            defaults=defaults.endpoint_slice,
            validate=validate_endpoints.endpoint_slice,
            validate_update=validate_endpoints.endpoint_slice_update,
            generation=True,
        ),
        layout=tables.ENDPOINT_SLICES,
    ),
)
