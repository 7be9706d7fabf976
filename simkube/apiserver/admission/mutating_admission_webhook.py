"""Programs in the cluster that may change or refuse what is asked for."""

from __future__ import annotations

from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.plugin import Plugin


class MutatingAdmissionWebhook(Plugin):
    """After ``apiserver/pkg/admission/plugin/webhook/mutating``; the calls are
    :mod:`~simkube.apiserver.admission.webhooks`.
    """

    name = "MutatingAdmissionWebhook"

    def admit(self, attributes: Attributes) -> None:
        """Put what they make of the object in its place."""
        made = self.webhooks.mutate(attributes.request, attributes.given, attributes.old, attributes.reinvoke)
        attributes.given = made or attributes.given
