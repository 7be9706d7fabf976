"""Controller revisions: the templates a stateful set or daemon set has had, for updates and for ``kubectl rollout``.

A revision holds a strategic merge patch that puts its template back. The newest number is the wanted template; going
back to an earlier one gives the revision that has it a new number. Sources: ``pkg/controller/history``,
``pkg/controller/statefulset/stateful_set_utils.go``, ``pkg/controller/daemon/update.go``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Client, Informer, Obj, copy_of
from simkube.component_helpers.owners import Claim, controller_of
from simkube.controllers.revisions import without_vowels

REVISIONS = "controllerrevisions.apps"
POD_LABEL = "controller-revision-hash"


def patch_of(template: Obj) -> Obj:
    """What a revision holds of a template."""
    return {"spec": {"template": {**template, "$patch": "replace"}}}


def hash_of(data: Obj, collisions: int) -> str:
    """What a revision is named by: FNV-1 of its data as Go writes JSON, and of the number of collisions.

    That of a stateful set is the very one that Kubernetes finds. A daemon set's hashes the memory layout of a Go struct
    there; here it is made as a stateful set's.
    """
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    value = 0x811C9DC5
    for byte in f"{text}{collisions}".encode():
        value = (value * 0x01000193 & 0xFFFFFFFF) ^ byte
    return without_vowels(value)


def template_of(revision: Obj) -> Obj:
    """The template that a revision holds; an empty one when somebody wrote something else."""
    template = ((revision.get("data") or {}).get("spec") or {}).get("template") or {}
    return {key: value for key, value in copy_of(template).items() if key != "$patch"}


def by_number(revisions: Iterable[Obj]) -> list[Obj]:
    """Oldest first: by number, then by age, then by name."""

    def rank(revision: Obj) -> tuple[int, str, str]:
        meta = revision["metadata"]
        return (int(revision.get("revision", 0)), meta.get("creationTimestamp", ""), meta["name"])

    return sorted(revisions, key=rank)


@dataclass(frozen=True, slots=True)
class History:
    """The revisions of one owner. ``label`` is where a revision notes its hash, ``annotations`` what it takes over."""

    client: Client
    informer: Informer
    owner: Obj
    reference: Obj
    label: str
    annotations: Obj

    def revisions(self) -> list[Obj]:
        """Those of the owner, and orphans that match its selector and are now adopted; oldest first."""
        selector = self.owner["spec"].get("selector")
        return by_number(Claim(self.client, self.informer, self.owner, self.reference, selector).objects())

    def settle(self, revisions: Sequence[Obj], collisions: int) -> tuple[Obj, int]:
        """The revision of the owner's template, found, brought forward or made; and the collisions there were."""
        template = self.owner["spec"]["template"]
        same = [each for each in revisions if template_of(each) == template]
        number = int(revisions[-1].get("revision", 0)) + 1 if revisions else 1
        if not same:
            return self._make(template, number, collisions)
        if same[-1] is revisions[-1]:
            return same[-1], collisions
        return self.client.update(REVISIONS, {**same[-1], "revision": number}), collisions

    def _make(self, template: Obj, number: int, collisions: int) -> tuple[Obj, int]:
        meta = self.owner["metadata"]
        data = patch_of(template)
        while True:
            hashed = hash_of(data, collisions)
            labels = {**((template.get("metadata") or {}).get("labels") or {}), self.label: hashed}
            made_meta: Obj = {
                "name": f"{meta['name'][:223]}-{hashed}",
                "namespace": meta["namespace"],
                "labels": labels,
                "ownerReferences": [self.reference],
            }
            if self.annotations:
                made_meta["annotations"] = dict(self.annotations)
            revision = {
                "apiVersion": "apps/v1",
                "kind": "ControllerRevision",
                "metadata": made_meta,
                "data": data,
                "revision": number,
            }
            try:
                return self.client.create(REVISIONS, revision, meta["namespace"]), collisions
            except StatusError as error:
                if error.reason != "AlreadyExists":
                    raise
            taken = self.client.get(REVISIONS, made_meta["name"], meta["namespace"])
            if template_of(taken) == template and (controller_of(taken) or {}).get("uid") == meta["uid"]:
                return taken, collisions
            collisions += 1

    def truncate(self, revisions: Sequence[Obj], is_live: Callable[[Obj], bool]) -> None:
        """Delete the oldest revisions beyond ``revisionHistoryLimit`` that nothing uses any more."""
        limit = self.owner["spec"].get("revisionHistoryLimit", 10)
        spare = [each for each in revisions if not is_live(each)]
        for revision in spare[: max(0, len(spare) - limit)]:
            self.client.delete(REVISIONS, revision["metadata"]["name"], revision["metadata"]["namespace"])
