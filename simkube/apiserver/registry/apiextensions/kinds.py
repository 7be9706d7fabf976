"""Definitions of custom resources."""

from __future__ import annotations

from simkube.apiserver.registry.apiextensions import definition
from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.resources import Resource, status
from simkube.apiserver.registry.strategy import Strategy

KINDS = (
    Kind(
        Resource(
            "apiextensions.k8s.io",
            "v1",
            "customresourcedefinitions",
            "customresourcedefinition",
            "CustomResourceDefinition",
            False,
            short_names=(
                "crd",
                "crds",
            ),
            categories=("api-extensions",),
            subresources=(status("CustomResourceDefinition"),),
        ),
        Strategy(
            defaults=definition.defaults,
            validate=definition.validate,
            prepare_create=definition.prepare_create,
            prepare_update=definition.prepare_update,
            validate_update=definition.validate_update,
            validate_status=definition.validate_status,
            generation=True,
            keeps_status=True,
            blind_update=False,
            answers_deleted=True,
        ),
    ),
)
