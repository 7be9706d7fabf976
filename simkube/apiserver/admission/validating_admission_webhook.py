"""Programs in the cluster that may refuse what is asked for."""

from __future__ import annotations

from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.plugin import Plugin


class ValidatingAdmissionWebhook(Plugin):
    """After ``apiserver/pkg/admission/plugin/webhook/validating``; the calls are
    :mod:`~simkube.apiserver.admission.webhooks`.
    """

    name = "ValidatingAdmissionWebhook"

    def validate(self, attributes: Attributes) -> None:
        """Ask all of them."""
        self.webhooks.validate(attributes.request, attributes.given, attributes.old)
