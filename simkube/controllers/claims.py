"""The claims of a stateful set's pods: made before their pod, owned as its retention policy says.

A claim that is to go with its set is controlled by the set, one that is to go when the set shrinks by the pod that is
taken away; the garbage collector does the rest. Source: ``pkg/controller/statefulset/stateful_set_utils.go``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Client, Informer, Obj
from simkube.client.events import Recorder
from simkube.component_helpers.owners import controller_reference
from simkube.controllers import statefulpods

CLAIMS = "persistentvolumeclaims"


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of one stateful set."""

    client: Client
    informer: Informer
    recorder: Recorder
    sts: Obj

    def _of(self, number: int) -> Iterable[tuple[Obj, Obj | None]]:
        namespace = self.sts["metadata"]["namespace"]
        for claim in statefulpods.new_claims(self.sts, number):
            yield claim, self.informer.get(namespace, claim["metadata"]["name"])

    def create_missing(self, number: int, pod: str) -> None:
        """Make what an ordinal lacks; Conflict while a claim of that name is on its way out."""
        for claim, there in self._of(number):
            name = claim["metadata"]["name"]
            if there is not None:
                if "deletionTimestamp" in there["metadata"]:
                    raise StatusError(409, "Conflict", f"pvc {name} is being deleted")
                continue
            where = f"Claim {name} Pod {pod} in StatefulSet {self.sts['metadata']['name']}"
            try:
                self.client.create(CLAIMS, claim, claim["metadata"]["namespace"])
            except StatusError as error:
                message = f"Create {where} failed error: {error.message}"
                self.recorder.event(self.sts, "Warning", "FailedCreate", message)
                raise
            self.recorder.event(self.sts, "Normal", "SuccessfulCreate", f"Create {where} success")

    def are_stale(self, number: int, pod: Obj | None) -> bool:
        """Whether a claim still belongs to an earlier pod of that name: it goes before the next pod can have one."""
        name = f"{self.sts['metadata']['name']}-{number}"
        uid = pod["metadata"]["uid"] if pod is not None else ""
        return any(
            ref["kind"] == "Pod" and ref["name"] == name and ref["uid"] != uid
            for _, there in self._of(number)
            for ref in (there or {"metadata": {}})["metadata"].get("ownerReferences") or ()
        )

    def settle_owners(self, pod: Obj, *, condemned: bool) -> None:
        """Have the claims of a pod owned as the policy says; what somebody else controls is left alone."""
        for _, there in self._of(statefulpods.ordinal(pod)):
            if there is None or self._is_foreign(there, pod):
                continue
            refs = there["metadata"].get("ownerReferences") or []
            wanted = self._owners(refs, pod, condemned=condemned)
            if wanted != refs:
                meta = {**there["metadata"], "ownerReferences": wanted}
                self.client.update(CLAIMS, {**there, "metadata": meta})

    def _is_foreign(self, claim: Obj, pod: Obj) -> bool:
        ours = {self.sts["metadata"]["uid"], pod["metadata"]["uid"]}
        refs = claim["metadata"].get("ownerReferences") or ()
        return any(ref.get("controller") and ref["uid"] not in ours for ref in refs)

    def _owners(self, refs: list[Obj], pod: Obj, *, condemned: bool) -> list[Obj]:
        policy = self.sts["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
        with_set = policy.get("whenDeleted") == "Delete"
        with_pod = policy.get("whenScaled") == "Delete" and condemned
        wanted: Obj | None = None
        if with_pod:
            wanted = controller_reference(pod, "v1", "Pod")
        elif with_set:
            wanted = statefulpods.reference(self.sts)
        ours = {self.sts["metadata"]["uid"], pod["metadata"]["uid"]}
        if wanted is not None and wanted in refs and sum(ref["uid"] in ours for ref in refs) == 1:
            return refs
        others = [ref for ref in refs if ref["uid"] not in ours]
        return [*others, wanted] if wanted is not None else others
