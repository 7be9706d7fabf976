"""Devices (dynamic resource allocation), and runtime classes."""

from __future__ import annotations

from simkube.apiserver.registry.devices import (
    defaults,
    tables,
    validate_allocations,
    validate_claims,
    validate_slices,
    validation,
)
from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.resources import Resource, status
from simkube.apiserver.registry.strategy import Strategy

KINDS = (
    Kind(
        Resource("node.k8s.io", "v1", "runtimeclasses", "runtimeclass", "RuntimeClass", False),
        Strategy(validate=validation.runtime_class, validate_update=validation.runtime_class_update),
        layout=tables.RUNTIME_CLASSES,
    ),
    Kind(
        Resource("resource.k8s.io", "v1", "deviceclasses", "deviceclass", "DeviceClass", False),
        Strategy(
            defaults=defaults.device_class,
            validate=validate_claims.device_class,
            validate_update=validate_claims.device_class_update,
            generation=True,
            answers_deleted=True,
        ),
        layout=tables.NAMES,
    ),
    Kind(
        Resource(
            "resource.k8s.io",
            "v1",
            "resourceclaims",
            "resourceclaim",
            "ResourceClaim",
            True,
            subresources=(status("ResourceClaim"),),
        ),
        Strategy(
            defaults=defaults.resource_claim,
            validate=validate_claims.resource_claim,
            validate_update=validate_claims.resource_claim_update,
            validate_status=validate_allocations.resource_claim_status,
            keeps_status=True,
            answers_deleted=True,
            first_status={},
        ),
        layout=tables.RESOURCE_CLAIMS,
    ),
    Kind(
        Resource(
            "resource.k8s.io", "v1", "resourceclaimtemplates", "resourceclaimtemplate", "ResourceClaimTemplate", True
        ),
        Strategy(
            defaults=defaults.resource_claim_template,
            validate=validate_claims.resource_claim_template,
            validate_update=validate_claims.resource_claim_update,
            answers_deleted=True,
        ),
        layout=tables.NAMES,
    ),
    Kind(
        Resource("resource.k8s.io", "v1", "resourceslices", "resourceslice", "ResourceSlice", False),
        Strategy(
            validate=validate_slices.resource_slice,
            validate_update=validate_slices.resource_slice_update,
            prepare_create=defaults.new_slice,
            prepare_update=defaults.changed_slice,
            generation=True,
        ),
        layout=tables.RESOURCE_SLICES,
    ),
)
