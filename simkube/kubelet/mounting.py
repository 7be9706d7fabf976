"""The volumes of one pod in the runtime: set up before its containers start, kept current while they run.

A volume that cannot be set up is told in a FailedMount event and tried again, later each time, as on a real node.
"""

from __future__ import annotations

from simkube.apimachinery.quantity import milli
from simkube.client.client import Obj
from simkube.component_helpers.unsimulated import volume_refusals
from simkube.kubelet.disks import part_of
from simkube.kubelet.eviction import watches_storage
from simkube.kubelet.pod import Pod
from simkube.kubelet.volumes import MountError, Part, Sources, contents
from simkube.runtime.cri import Volume

DELAYS = (0.5, 122.0)
"""First and longest wait after a volume could not be set up, in seconds (``exponentialbackoff``)."""


class PodVolumes:
    """Fills ``pod.volumes``; what it wrote last is in ``pod.files``."""

    def __init__(self, pod: Pod) -> None:
        self._pod = pod
        self._delay = DELAYS[0]
        self._next = 0.0
        self._tokens: dict[tuple[str, int], str] = {}

    def mount(self) -> float | None:
        """Set up every volume: None when all are there, else the seconds until it is worth another try."""
        pod, now = self._pod, self._pod.node.clock.now()
        if pod.mounted:
            return None
        if self._next > now:
            return self._next - now
        trouble = [
            (name, f"{feature} is not simulated here; use a real cluster (kind) for it")
            for name, feature in volume_refusals(pod.spec)
        ]
        if not trouble:
            trouble = self._fill_all()
        self._tell(trouble)
        pod.mounted = not trouble
        if pod.mounted:
            return None
        wait, self._delay = self._delay, min(DELAYS[1], self._delay * 2)
        self._next = now + wait
        return wait

    def refresh(self) -> None:
        """Bring changed config maps, secrets and labels into the files; what is missing now stays as it was."""
        pod = self._pod
        if not pod.mounted or pod.over:
            return
        self._tell(self._fill_all())

    def _tell(self, trouble: list[tuple[str, str]]) -> None:
        for name, text in trouble:
            words = f'MountVolume.SetUp failed for volume "{name}" : {text}' if name else text
            self._pod.event("Warning", "FailedMount", words)

    def refresh_downward(self) -> None:
        """The pod has its address now: files that show it are written again."""
        for volume in self._pod.spec.get("volumes") or []:
            if _shows_address(volume):
                self._fill(volume)

    def _fill_all(self) -> list[tuple[str, str]]:
        trouble = []
        for volume in self._pod.spec.get("volumes") or []:
            try:
                self._fill(volume)
            except MountError as error:
                trouble.append(("" if error.whole else volume["name"], str(error)))
        return trouble

    def _fill(self, volume: Obj) -> None:
        pod, name = self._pod, volume["name"]
        if pod.mounted and isinstance(pod.volumes.get(name), Part):
            return
        part = part_of(pod.obj, volume, pod.node.client(), pod.node.name, pod.node.runtime.disk)
        if part is not None:
            pod.volumes[name] = part
            return
        files = contents(pod.obj, volume, self._sources())
        own = pod.volumes.get(name)
        if own is None or isinstance(own, Part):
            own = pod.volumes[name] = self._new(volume)
        if files is not None and files != pod.files.get(name):
            own.project(files)
            pod.files[name] = files
            self._give(own, read_only=True)

    def _give(self, volume: Volume, *, read_only: bool) -> None:
        """Its files belong to the pod's ``fsGroup``, when it has one (``SetVolumeOwnership``)."""
        group = (self._pod.spec.get("securityContext") or {}).get("fsGroup")
        if group is not None:
            volume.give(int(group), read_only=read_only)

    def _new(self, volume: Obj) -> Volume:
        """A volume of the pod's own; what an emptyDir may hold at most is asked after whenever it grows."""
        pod, empty = self._pod, volume.get("emptyDir") or {}
        in_memory = empty.get("medium") == "Memory"
        limit = milli(empty["sizeLimit"]) // 1000 if empty.get("sizeLimit") else None
        made = pod.node.runtime.volume(limit=limit, in_memory=in_memory) if in_memory else pod.node.runtime.volume()
        if volume.get("emptyDir") is not None and not in_memory and watches_storage(pod):
            made.on_write(lambda: pod.node.wrote(pod))
        if volume.get("emptyDir") is not None:
            self._give(made, read_only=False)
        return made

    def _sources(self) -> Sources:
        pod, node = self._pod, self._pod.node
        return Sources(
            node.lookup(pod.namespace),
            pod.facts(),
            dict(node.allocatable),
            self._token,
        )

    def _token(self, audience: str, seconds: int) -> str:
        """One token for the pod's life; unlike a real kubelet's, it is not rotated."""
        if (audience, seconds) not in self._tokens:
            self._tokens[audience, seconds] = self._pod.node.token(self._pod.obj, audience, seconds)
        return self._tokens[audience, seconds]


def _shows_address(volume: Obj) -> bool:
    sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
    items = [item for source in sources for item in (source.get("downwardAPI") or {}).get("items") or []]
    return any(str((item.get("fieldRef") or {}).get("fieldPath", "")).startswith("status.") for item in items)
