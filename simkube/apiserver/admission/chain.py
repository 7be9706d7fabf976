"""The admission chain: every plug-in under its upstream name, in the order of the real server.

After ``pkg/kubeapiserver/options/plugins.go`` (AllOrderedPlugins). The two that are not Kubernetes' own come last. A
plug-in can be switched off by name, to see what it is for.
"""

from __future__ import annotations

from simkube.apiserver.admission.attributes import Attributes, Operation
from simkube.apiserver.admission.certificate_approval import CertificateApproval, CertificateSigning
from simkube.apiserver.admission.certificate_subject_restriction import CertificateSubjectRestriction
from simkube.apiserver.admission.custom_resource_limits import CustomResourceLimits
from simkube.apiserver.admission.default_ingress_class import DefaultIngressClass
from simkube.apiserver.admission.default_storage_class import DefaultStorageClass
from simkube.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from simkube.apiserver.admission.limit_ranger import LimitRanger
from simkube.apiserver.admission.mutating_admission_webhook import MutatingAdmissionWebhook
from simkube.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from simkube.apiserver.admission.persistent_volume_claim_resize import PersistentVolumeClaimResize
from simkube.apiserver.admission.plugin import Dependencies, Plugin
from simkube.apiserver.admission.pod_security import PodSecurity
from simkube.apiserver.admission.priority import Priority
from simkube.apiserver.admission.resource_quota import ResourceQuota
from simkube.apiserver.admission.service_account import ServiceAccount
from simkube.apiserver.admission.storage_object_in_use_protection import StorageObjectInUseProtection
from simkube.apiserver.admission.taint_nodes_by_condition import TaintNodesByCondition
from simkube.apiserver.admission.unsimulated import Unsimulated
from simkube.apiserver.admission.validating_admission_policy import ValidatingAdmissionPolicy
from simkube.apiserver.admission.validating_admission_webhook import ValidatingAdmissionWebhook
from simkube.client.client import Obj

PLUGINS: tuple[type[Plugin], ...] = (
    NamespaceLifecycle,
    LimitRanger,
    ServiceAccount,
    TaintNodesByCondition,
    PodSecurity,
    Priority,
    DefaultTolerationSeconds,
    DefaultStorageClass,
    StorageObjectInUseProtection,
    PersistentVolumeClaimResize,
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
    DefaultIngressClass,
    MutatingAdmissionWebhook,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionWebhook,
    ResourceQuota,
    CustomResourceLimits,
    Unsimulated,
)
OWN: frozenset[str] = frozenset({CustomResourceLimits.name, Unsimulated.name})
"""Those that protect the simulation and its users, and are never switched off."""
_NAMED = frozenset(storage for plugin in PLUGINS for storage in plugin.handles or ())


class Chain:
    """The plug-ins of one cluster."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._plugins = [plugin(dependencies) for plugin in PLUGINS]
        self._disabled: frozenset[str] = frozenset()
        self._handling: dict[tuple[str, Operation], tuple[list[Plugin], list[Plugin]]] = {}

    @property
    def disabled(self) -> frozenset[str]:
        """The names of those that are switched off."""
        return self._disabled

    @disabled.setter
    def disabled(self, names: frozenset[str]) -> None:
        self._disabled = names - OWN
        self._handling.clear()

    def admit(self, attributes: Attributes) -> None:
        """Let the mutating plug-ins change the object, one after the other."""
        plugins = self._of(attributes)[0]
        if attributes.given is not None:
            attributes.reinvoke = lambda obj: _admit_again(plugins, attributes, obj)
        for plugin in plugins:
            plugin.admit(attributes)

    def validate(self, attributes: Attributes) -> None:
        """Let the validating plug-ins look at the object that would be stored, one after the other."""
        for plugin in self._of(attributes)[1]:
            plugin.validate(attributes)

    def _of(self, attributes: Attributes) -> tuple[list[Plugin], list[Plugin]]:
        """The plug-ins that change, and those that judge, what a request is about."""
        storage, operation = attributes.request.resource.storage, attributes.operation
        if storage not in _NAMED:
            storage = ""  # users' kinds come and go; all of them are handled alike
        found = self._handling.get((storage, operation))
        if found is None:
            handling = [
                each
                for each in self._plugins
                if each.name not in self._disabled
                and operation in each.operations
                and (each.handles is None or storage in each.handles)
            ]
            found = (
                [each for each in handling if type(each).admit is not Plugin.admit],
                [each for each in handling if type(each).validate is not Plugin.validate],
            )
            self._handling[storage, operation] = found
        return found


def _admit_again(plugins: list[Plugin], attributes: Attributes, obj: Obj) -> None:
    again = Attributes(attributes.request, obj, attributes.old)
    for plugin in plugins:
        if not isinstance(plugin, MutatingAdmissionWebhook):
            plugin.admit(again)
