"""Pods as controllers make and delete them: from a template, owned, with an event about what was done.

Source: ``RealPodControl`` in ``pkg/controller/controller_utils.go``.
"""

from __future__ import annotations

from dataclasses import dataclass

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Client, Obj, copy_of
from simkube.client.events import Recorder


def pod_prefix(name: str) -> str:
    """The ``generateName`` of a controller's pods: ``web-``, unless that would not be a valid name any more."""
    prefix = f"{name}-"
    return prefix if len(prefix) <= 253 else name


def from_template(template: Obj, name: str, namespace: str, reference: Obj) -> Obj:
    """A new pod of a template, controlled by the owner of this name and reference; it may be changed."""
    meta = template.get("metadata") or {}
    pod: Obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": pod_prefix(name),
            "namespace": namespace,
            "ownerReferences": [reference],
        },
        "spec": copy_of(template.get("spec") or {}),
    }
    for part in ("labels", "annotations", "finalizers"):
        if meta.get(part):
            value = meta[part]
            pod["metadata"][part] = dict(value) if isinstance(value, dict) else list(value)
    return pod


def namespace_ends(error: StatusError) -> bool:
    """Whether a create was refused because its namespace goes away: nobody need hear of that."""
    causes = (error.details or {}).get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


@dataclass(frozen=True, slots=True)
class PodControl:
    """Creates and deletes pods for ``owner`` and tells about it as events on the owner."""

    client: Client
    recorder: Recorder
    owner: Obj

    def create(self, pod: Obj) -> Obj:
        """Create the pod; a refusal is told and raised."""
        try:
            made = self.client.create("pods", pod, pod["metadata"]["namespace"])
        except StatusError as error:
            if not namespace_ends(error):
                self.recorder.event(self.owner, "Warning", "FailedCreate", f"Error creating: {error.message}")
            raise
        self.recorder.event(self.owner, "Normal", "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")
        return made

    def delete(self, pod: Obj) -> None:
        """Delete exactly this pod; a refusal is told and raised."""
        meta = pod["metadata"]
        try:
            self.client.delete("pods", meta["name"], meta["namespace"], preconditions={"uid": meta["uid"]})
        except StatusError as error:
            self.recorder.event(self.owner, "Warning", "FailedDelete", f"Error deleting: {error.message}")
            raise
        self.recorder.event(self.owner, "Normal", "SuccessfulDelete", f"Deleted pod: {meta['name']}")
