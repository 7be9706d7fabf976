"""The priority of a pod, by its class; at most one class is the default, and those of the system stay."""

from __future__ import annotations

from simkube.apimachinery.errors import StatusError, forbidden
from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.plugin import Plugin
from simkube.client.client import Obj

_CLASSES = "priorityclasses.scheduling.k8s.io"
_SYSTEM = frozenset({"system-cluster-critical", "system-node-critical"})


class Priority(Plugin):
    """After ``plugin/pkg/admission/priority``."""

    name = "Priority"
    handles = frozenset({"pods", _CLASSES})

    def admit(self, attributes: Attributes) -> None:
        """Give a new pod the priority of its class, or 403 for one that it may not choose itself."""
        if attributes.request.resource.storage == _CLASSES:
            if attributes.operation == "DELETE" and attributes.request.name in _SYSTEM:
                why = "this is a system priority class and cannot be deleted"
                raise forbidden("priorityclasses", attributes.request.name, why, "scheduling.k8s.io")
        elif attributes.operation == "CREATE":
            self._settle(attributes.new)

    def validate(self, attributes: Attributes) -> None:
        """403 for a second default class."""
        if attributes.request.resource.storage != _CLASSES or attributes.operation == "DELETE":
            return
        there = self._default() if attributes.new.get("globalDefault") else None
        if there is not None and there["metadata"]["name"] != attributes.new["metadata"].get("name", ""):
            why = (
                f"PriorityClass {there['metadata']['name']} is already marked as default. Only one PriorityClass can "
                "be marked as default"
            )
            raise forbidden("priorityclasses", attributes.name, why, "scheduling.k8s.io")

    def _settle(self, pod: Obj) -> None:
        spec = pod["spec"]
        default = None if spec.get("priorityClassName") else self._default()
        if default is not None:
            spec["priorityClassName"] = default["metadata"]["name"]
        name = spec.get("priorityClassName", "")
        found = self.store.get(_CLASSES, "", name) if name else {}
        if found is None:
            raise _refused(pod, f"no PriorityClass with name {name} was found")
        value, policy = found.get("value", 0), found.get("preemptionPolicy", "PreemptLowerPriority")
        for field, wanted, what in (
            ("priority", value, "the integer value of priority"),
            ("preemptionPolicy", policy, "the string value of PreemptionPolicy"),
        ):
            if spec.get(field) not in (None, wanted):
                why = (
                    f"{what} ({spec[field]}) must not be provided in pod spec; priority admission controller computed "
                    f"{wanted} from the given PriorityClass name"
                )
                raise _refused(pod, why)
            spec[field] = wanted

    def _default(self) -> Obj | None:
        """The class of pods that name none: the lowest of those marked so."""
        if not self.store.count(_CLASSES):
            return None
        marked = [each for each in self.store.objects(_CLASSES) if each.get("globalDefault")]
        return min(marked, key=lambda each: int(each.get("value", 0)), default=None)


def _refused(pod: Obj, why: str) -> StatusError:
    return forbidden("pods", pod["metadata"].get("name", ""), why)
