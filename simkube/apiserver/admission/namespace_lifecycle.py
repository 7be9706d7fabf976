"""A new object needs a namespace that is there and does not end; the namespaces of the system stay."""

from __future__ import annotations

from simkube.apimachinery.errors import forbidden, not_found
from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.plugin import Plugin

_PROTECTED = ("default", "kube-system", "kube-public")


class NamespaceLifecycle(Plugin):
    """After ``apiserver/pkg/admission/plugin/namespace/lifecycle``."""

    name = "NamespaceLifecycle"
    operations = frozenset({"CREATE", "DELETE"})

    def admit(self, attributes: Attributes) -> None:
        """404 or 403 for what has no namespace to be in, 403 for the end of a built-in one."""
        request = attributes.request
        if attributes.operation == "DELETE":
            if request.resource.storage == "namespaces" and request.name in _PROTECTED:
                raise forbidden("namespaces", request.name, "this namespace may not be deleted")
        elif request.resource.namespaced and not request.resource.review:
            self._exists(attributes)

    def _exists(self, attributes: Attributes) -> None:
        resource, where = attributes.request.resource, attributes.request.namespace
        namespace = self.store.get("namespaces", "", where)
        if namespace is None:
            raise not_found("namespaces", where)
        if not namespace["metadata"].get("deletionTimestamp"):
            return
        why = f"unable to create new content in namespace {where} because it is being terminated"
        error = forbidden(resource.plural, attributes.name, why, resource.group)
        cause = {"reason": "NamespaceTerminating", "message": f"namespace {where} is being terminated"}
        error.details = {**(error.details or {}), "causes": [{**cause, "field": "metadata.namespace"}]}
        raise error
