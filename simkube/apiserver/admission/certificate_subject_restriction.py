"""Nobody becomes a member of ``system:masters`` by a certificate."""

from __future__ import annotations

from simkube.apimachinery.errors import forbidden
from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.plugin import Plugin
from simkube.apiserver.authorization.rbac import MASTERS
from simkube.apiserver.registry.certificates.validation import read
from simkube.component_helpers.signers import CLIENT, REQUESTS


class CertificateSubjectRestriction(Plugin):
    """After ``plugin/pkg/admission/certificates/subjectrestriction``."""

    name = "CertificateSubjectRestriction"
    operations = frozenset({"CREATE"})
    handles = frozenset({REQUESTS})

    def validate(self, attributes: Attributes) -> None:
        """403 for a request for such a certificate."""
        from cryptography.x509.oid import NameOID

        spec = attributes.new["spec"]
        if spec.get("signerName") != CLIENT:
            return
        organizations = read(spec["request"]).subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        if any(each.value == MASTERS for each in organizations):
            why = f"use of {CLIENT} signer with {MASTERS} group is not allowed"
            raise forbidden(attributes.request.resource.plural, attributes.name, why, "certificates.k8s.io")
