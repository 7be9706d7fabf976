"""Requests for certificates."""

from __future__ import annotations

from simkube.apiserver.registry.certificates import defaults, preparation, tables, validation
from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.resources import CHANGE, Resource, Subresource, status
from simkube.apiserver.registry.strategy import Strategy

KINDS = (
    Kind(
        Resource(
            "certificates.k8s.io",
            "v1",
            "certificatesigningrequests",
            "certificatesigningrequest",
            "CertificateSigningRequest",
            False,
            short_names=("csr",),
            subresources=(
                Subresource("approval", "CertificateSigningRequest", CHANGE),
                status("CertificateSigningRequest"),
            ),
        ),
        Strategy(
            defaults=defaults.signing_request,
            validate=validation.signing_request,
            prepare_create=preparation.new_request,
            prepare_update=preparation.changed_request,
            validate_status=validation.conditions,
            parts={"approval": validation.conditions},
            ratchets=True,
            first_status={},
        ),
        layout=tables.SIGNING_REQUESTS,
    ),
)
