"""APIServices: who serves which group and version."""

from __future__ import annotations

from simkube.apiserver.registry.apiregistration import tables, validation
from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.resources import Resource, status
from simkube.apiserver.registry.strategy import Strategy

KINDS = (
    Kind(
        Resource(
            "apiregistration.k8s.io",
            "v1",
            "apiservices",
            "apiservice",
            "APIService",
            False,
            categories=("api-extensions",),
            subresources=(status("APIService"),),
        ),
        Strategy(
            name=validation.name,
            defaults=validation.defaults,
            validate=validation.api_service,
            validate_update=validation.changed_api_service,
            validate_status=validation.changed_status,
            keeps_status=True,
            first_status={},
        ),
        layout=tables.API_SERVICES,
    ),
)
