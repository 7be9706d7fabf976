"""Namespace: one that is deleted is emptied, kind by kind, and goes when nothing is left in it.

Source: ``pkg/controller/namespace/deletion/namespaced_resources_deleter.go``. What is in the way is said in conditions;
the end of each thing in a namespace that is on its way out brings it back here, so that nothing is polled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Event, Informers, Obj, Server, copy_of
from simkube.client.workqueue import WorkLoop
from simkube.controllers.controller import Controller
from simkube.controllers.definitions import DEFINITIONS, defined

FINALIZER = "kubernetes"


class NamespaceController(Controller):
    """Keys are names of namespaces. ``resources`` are the qualified plurals of everything that is namespaced."""

    name = "namespace-controller"
    resource = "namespaces"

    def __init__(
        self, server: Server, loop: WorkLoop, informers: Informers | None = None, resources: Sequence[str] = ()
    ) -> None:
        super().__init__(server, loop, informers)
        self._resources = tuple(resources)

    def watch(self) -> None:
        """Namespaces, and whatever is in them."""
        self.namespaces = self.client.observe("namespaces", self._namespace_changed)
        self.contents = {resource: self.client.observe(resource, self._content_changed) for resource in self._resources}
        self.client.observe(DEFINITIONS, self._definition_changed)

    def _definition_changed(self, event: Event) -> None:
        """Kinds that a cluster's users define come and go."""
        name = event.obj["metadata"]["name"]
        served = event.type != "DELETED" and bool(defined(event.obj))
        if served and event.obj["spec"]["scope"] == "Namespaced" and name not in self.contents:
            self.contents[name] = self.client.observe(name, self._content_changed)
        elif not served and self.contents.pop(name, None) is not None:
            self.client.forget(name)

    def _namespace_changed(self, event: Event) -> None:
        if "deletionTimestamp" in event.obj["metadata"]:
            self.enqueue(event.obj["metadata"]["name"])

    def _content_changed(self, event: Event) -> None:
        name = event.obj["metadata"]["namespace"]
        namespace = self.namespaces.get("", name)
        if namespace is not None and "deletionTimestamp" in namespace["metadata"]:
            self.enqueue(name)

    def reconcile(self, key: Hashable) -> None:
        """Delete what is left; finish the namespace when that was nothing."""
        namespace = self.namespaces.get("", str(key))
        if namespace is None or "deletionTimestamp" not in namespace["metadata"]:
            return
        if FINALIZER not in (namespace["spec"].get("finalizers") or ()):
            return
        failures = self._empty(str(key))
        left = [(resource, obj) for resource, view in self.contents.items() for obj in view.list(str(key))]
        namespace = self._note(namespace, left, failures)
        if not left and not failures:
            done = copy_of(namespace)
            done["spec"]["finalizers"] = [each for each in done["spec"]["finalizers"] if each != FINALIZER]
            self.client.update("namespaces", done, subresource="finalize")

    def _empty(self, name: str) -> list[str]:
        """Delete everything that is not on its way out yet; what went wrong."""
        failures: list[str] = []
        for resource, view in list(self.contents.items()):
            for obj in view.list(name):
                if "deletionTimestamp" in obj["metadata"]:
                    continue
                try:
                    self.client.delete(resource, obj["metadata"]["name"], name, propagationPolicy="Background")
                except StatusError as error:
                    failures.append(error.message)
        return failures

    def _note(self, namespace: Obj, left: Sequence[tuple[str, Obj]], failures: Sequence[str]) -> Obj:
        """Write the conditions; the namespace as it is then."""
        status = namespace.get("status") or {}
        old = {each["type"]: each for each in status.get("conditions") or ()}
        conditions = []
        for made in _conditions(left, failures):
            before = old.get(made["type"])
            if before is not None and all(before.get(part) == made[part] for part in ("status", "reason", "message")):
                conditions.append(before)
                continue
            same = before is not None and before["status"] == made["status"]
            since = before["lastTransitionTime"] if before is not None and same else self.clock.timestamp()
            conditions.append({**made, "lastTransitionTime": since})
        if conditions == (status.get("conditions") or []):
            return namespace
        update = {**namespace, "status": {**status, "phase": "Terminating", "conditions": conditions}}
        return self.client.update("namespaces", update, subresource="status")


def _conditions(left: Sequence[tuple[str, Obj]], failures: Sequence[str]) -> list[Obj]:
    """The five conditions of a namespace that is deleted."""
    kinds = Counter(resource if "." in resource else f"{resource}." for resource, _ in left)
    finalizers = Counter(each for _, obj in left for each in obj["metadata"].get("finalizers") or ())
    remaining = ", ".join(f"{kind} has {count} resource instances" for kind, count in sorted(kinds.items()))
    holding = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(finalizers.items()))
    failed = f"Failed to delete all resource types, {len(failures)} remaining: {', '.join(failures)}"
    deleted = "All content successfully deleted, may be waiting on finalization"
    return [
        _condition(
            "NamespaceDeletionDiscoveryFailure", "", "ResourcesDiscovered", "All resources successfully discovered"
        ),
        _condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            "",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        _condition("NamespaceDeletionContentFailure", failed, "ContentDeletionFailed", "")
        if failures
        else _condition("NamespaceDeletionContentFailure", "", "ContentDeleted", deleted),
        _condition("NamespaceContentRemaining", f"Some resources are remaining: {remaining}", "SomeResourcesRemain", "")
        if kinds
        else _condition("NamespaceContentRemaining", "", "ContentRemoved", "All content successfully removed"),
        _condition(
            "NamespaceFinalizersRemaining",
            f"Some content in the namespace has finalizers remaining: {holding}",
            "SomeFinalizersRemain",
            "",
        )
        if finalizers
        else _condition(
            "NamespaceFinalizersRemaining", "", "ContentHasNoFinalizers", "All content-preserving finalizers finished"
        ),
    ]


def _condition(kind: str, trouble: str, reason: str, fine: str) -> Obj:
    return {"type": kind, "status": "True" if trouble else "False", "reason": reason, "message": trouble or fine}
