"""What the API server itself does about definitions: settle their names, serve them, and empty those that are deleted.

After ``apiextensions-apiserver/pkg/controller/{status,establish,finalizer}``: three controllers there, one pass here.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from simkube.apiserver.registry.apiextensions.definition import FINALIZER, with_condition
from simkube.apiserver.registry.served import DEFINITIONS, established
from simkube.client.client import Event, Obj, copy_of
from simkube.client.workqueue import Component

_NAMES = (
    ("plural", "PluralConflict"),
    ("singular", "SingularConflict"),
    ("shortNames", "ShortNamesConflict"),
    ("kind", "KindConflict"),
    ("listKind", "ListKindConflict"),
)
_KINDS = ("kind", "listKind")


class DefinitionController(Component):
    """Keys are names of definitions."""

    name = "crd-controller"
    agent = "kube-apiserver"

    def watch(self) -> None:
        """Definitions, and the instances of those that are on their way out."""
        self._emptied: set[str] = set()
        self.definitions = self.client.observe(DEFINITIONS, self._changed)

    def _changed(self, event: Event) -> None:
        obj = event.obj
        if event.type == "DELETED":
            self._emptied.discard(obj["metadata"]["name"])
            self.client.forget(obj["metadata"]["name"])
            for other in self.definitions.list():  # its names are free for others of the group
                if other["spec"]["group"] == obj["spec"]["group"]:
                    self.enqueue(other["metadata"]["name"])
        else:
            self.enqueue(obj["metadata"]["name"])

    def reconcile(self, key: Hashable) -> None:
        """One step of a definition's life."""
        obj = self.definitions.get("", str(key))
        if obj is None:
            return
        if "deletionTimestamp" in obj["metadata"]:
            if FINALIZER in obj["metadata"].get("finalizers", ()):
                self._empty(obj)
        elif not established(obj) or (obj.get("status") or {}).get("acceptedNames") != obj["spec"]["names"]:
            self._accept(obj)

    # names

    def _accept(self, obj: Obj) -> None:
        names, problem = self._settled(obj)
        now = self.clock.timestamp()
        made = {**obj, "status": {**(obj.get("status") or {}), "acceptedNames": names}}
        accepted = {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found"}
        if problem:
            accepted |= {"status": "False", "reason": problem[0], "message": problem[1]}
        made = with_condition(made, accepted, now)
        if not established(made):
            message = "the initial names have been accepted"
            condition = {"type": "Established", "status": "True", "reason": "InitialNamesAccepted", "message": message}
            if problem:
                condition |= {"status": "False", "reason": "NotAccepted", "message": "not all names are accepted"}
            made = with_condition(made, condition, now)
        if made["status"] != obj.get("status"):
            self.client.update(DEFINITIONS, copy_of(made), subresource="status")

    def _settled(self, obj: Obj) -> tuple[Obj, tuple[str, str] | None]:
        """The names it may have, and why it may not have all it asks for: reason and message of the last conflict."""
        wanted, had = obj["spec"]["names"], (obj.get("status") or {}).get("acceptedNames") or {}
        names: Obj = {"plural": had.get("plural", ""), "kind": had.get("kind", ""), **had}
        resources, kinds = self._taken(obj)
        problem = None
        for name, reason in _NAMES:
            asked = wanted.get(name)
            used = kinds if name in _KINDS else resources
            each = asked if isinstance(asked, list) else [asked] if asked else []
            conflicts = [f'"{one}" is already in use' for one in each if one in used]
            if conflicts:
                several = len(conflicts) > 1
                problem = (reason, f"[{', '.join(conflicts)}]" if several else conflicts[0])
            elif asked:
                names[name] = asked
            else:
                names.pop(name, None)
        if wanted.get("categories"):
            names["categories"] = wanted["categories"]
        else:
            names.pop("categories", None)
        return names, problem

    def _taken(self, obj: Obj) -> tuple[set[Any], set[Any]]:
        resources: set[Any] = set()
        kinds: set[Any] = set()
        for other in self.definitions.list():
            if other["spec"]["group"] != obj["spec"]["group"] or other["metadata"]["name"] == obj["metadata"]["name"]:
                continue
            names = (other.get("status") or {}).get("acceptedNames") or {}
            resources |= {names.get("plural"), names.get("singular"), *(names.get("shortNames") or ())}
            kinds |= {names.get("kind"), names.get("listKind")}
        return resources - {None, ""}, kinds - {None, ""}

    # the end

    def _empty(self, obj: Obj) -> None:
        name = obj["metadata"]["name"]
        if established(obj):
            left = self.client.informer(name)
            if name not in self._emptied:
                self._emptied.add(name)
                self.client.observe(name, lambda event: self._instance_changed(name, event))
            for instance in left.list():
                meta = instance["metadata"]
                if "deletionTimestamp" not in meta:
                    self.client.delete(name, meta["name"], meta.get("namespace", ""))
            if left.list():
                self._note_progress(obj)
                return
        meta = obj["metadata"]
        rest = [each for each in meta["finalizers"] if each != FINALIZER]
        patch = {"metadata": {"resourceVersion": meta["resourceVersion"], "finalizers": rest or None}}
        self.client.patch(DEFINITIONS, name, patch)

    def _note_progress(self, obj: Obj) -> None:
        message = "CustomResource deletion is in progress"
        condition = {
            "type": "Terminating",
            "status": "True",
            "reason": "InstanceDeletionInProgress",
            "message": message,
        }
        made = with_condition(obj, condition, self.clock.timestamp())
        if made["status"] != obj.get("status"):
            self.client.update(DEFINITIONS, copy_of(made), subresource="status")

    def _instance_changed(self, name: str, event: Event) -> None:
        if event.type == "DELETED":
            self.enqueue(name)
