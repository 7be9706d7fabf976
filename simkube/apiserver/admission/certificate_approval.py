"""Who may approve and who may sign a certificate signing request: by the name of its signer."""

from __future__ import annotations

from simkube.apimachinery.errors import forbidden
from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.plugin import Plugin
from simkube.apiserver.authorization.attributes import Attributes as Right
from simkube.client.client import Obj
from simkube.component_helpers.signers import REQUESTS

_GROUP = "certificates.k8s.io"


class _Signers(Plugin):
    operations = frozenset({"UPDATE"})
    handles = frozenset({REQUESTS})

    def permit(self, attributes: Attributes, verb: str) -> None:
        """403 for whoever lacks ``verb`` on the signer of a request, or on all of its domain."""
        signer = (attributes.old or {})["spec"]["signerName"]
        for name in (signer, f"{signer.partition('/')[0]}/*"):
            right = Right(verb, _GROUP, "*", "signers", name=name)
            if self.authorizer.decide(attributes.request.caller, right).allowed:
                return
        why = f'user not permitted to {verb} requests with signerName "{signer}"'
        raise forbidden(attributes.request.resource.plural, attributes.name, why, _GROUP)


class CertificateApproval(_Signers):
    """After ``plugin/pkg/admission/certificates/approval``."""

    name = "CertificateApproval"

    def validate(self, attributes: Attributes) -> None:
        """Through the approval subresource."""
        if attributes.request.subresource == "approval":
            self.permit(attributes, "approve")


class CertificateSigning(_Signers):
    """After ``plugin/pkg/admission/certificates/signing``."""

    name = "CertificateSigning"

    def validate(self, attributes: Attributes) -> None:
        """Through a status with another certificate, or another failure."""
        if attributes.request.subresource == "status" and _issued(attributes.new) != _issued(attributes.old or {}):
            self.permit(attributes, "sign")


def _issued(obj: Obj) -> tuple[object, list[str]]:
    status = obj.get("status") or {}
    failed = [each["type"] for each in status.get("conditions") or () if each.get("type") == "Failed"]
    return status.get("certificate"), failed
