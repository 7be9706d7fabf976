"""Brings one pod in line with its spec, step by step, as ``SyncPod`` and the pod workers of the real kubelet do.

One :class:`PodWorker` per pod. :meth:`PodWorker.reconcile` may be called at any time: it takes over what happened
(containers that ended), and either goes on bringing the pod up or, when the pod is deleted, down. What takes time is a
task; while one runs, the pod is looked at again when it is done. The kubelet being stopped cancels the tasks and
forgets nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Obj
from simkube.clock.clock import Cancelled, Future, Task, spawn
from simkube.component_helpers.unsimulated import pod_refusals
from simkube.kubelet.containers import Run
from simkube.kubelet.health import Health
from simkube.kubelet.mounting import PodVolumes
from simkube.kubelet.pod import NodeServices, Pod
from simkube.kubelet.resizing import adopt_resources
from simkube.kubelet.starting import start
from simkube.kubelet.status import phase, pod_status
from simkube.kubelet.stopping import kill, kill_all
from simkube.runtime.cri import NetworkError

RESTART_DELAY = 1.0
"""Seconds until the kubelet has noticed that a container ended and starts it again (one PLEG relist)."""
TEARDOWN_DELAY = 0.5
"""Seconds until the kubelet has noticed that the containers of a deleted pod ended and gives it up (half a relist).

Clients rely on it: kubectl looks whether the pod is still there and only then begins to watch, and would wait for ever
for a pod of a StatefulSet whose successor has come in between.
"""
PROPAGATION = 30.0
"""Seconds until a changed config map or secret is in the volumes: half of the real kubelet's sync period."""
FORCED_GRACE = 1.0
"""Seconds the containers of a pod have that was deleted from the API by force."""
EVICTION_GRACE = 1.0
"""Seconds the containers of a pod have that is evicted (``immediateEvictionGracePeriodSeconds``)."""
SANDBOX_RETRY = 12.0
"""Seconds until a sandbox that could not be made is tried again."""
TROUBLE = 5.0
"""Seconds until a pod is looked at again whose status could not be written or whose sync failed."""


def short_duration(seconds: float) -> str:
    """Whole seconds as Go prints a duration: ``10s``, ``1m20s``, ``5m0s``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


class PodWorker:
    """One pod on this node.

    ``wake(seconds)`` has it reconciled after that time (the latest call counts), ``forget()`` drops it for good.
    """

    def __init__(
        self,
        node: NodeServices,
        obj: Obj,
        wake: Callable[[float], None],
        save: Callable[[], None],
        forget: Callable[[], None],
    ) -> None:
        self.pod = Pod(node, obj)
        self.pod.publish = self.publish
        self.pod.changed = lambda: wake(0.0)
        self.pod.replace = self._replace
        self.health = Health(self.pod)
        self.volumes = PodVolumes(self.pod)
        self.gone = False
        self.writing = False
        self._node = node
        self._wake = wake
        self._save = save
        self._forget = forget
        self._task: Task[None] | None = None
        self._ending: Task[None] | None = None
        self._grace = 0.0
        self._removal_at = 0.0
        self._wakes: list[float] = []
        self._again = False
        self._complained: set[str] = set()
        self._broken = False

    # -- the two directions ------------------------------------------------------------------------------------------

    def reconcile(self) -> None:
        """Look at the pod: take over what happened, then go on with bringing it up or down."""
        self._observe()
        if self.gone or self.pod.obj["metadata"].get("deletionTimestamp"):
            self._end()
        elif self.pod.over:
            self.publish()
        elif self._task is None:
            self._again = False
            self._wakes = []
            task = self._task = spawn(self._sync())
            task.when_done(self._synced)
        else:
            self._again = True
            self.publish()

    def suspend(self) -> None:
        """The kubelet stops: nothing of it runs any more; containers go on without it."""
        for task in (self._task, self._ending):
            if task is not None:
                task.cancel()
        self._task = self._ending = None
        self.health.stop()
        for run in self.pod.runs.values():
            run.hooking = False

    def _adopt_images(self) -> None:
        """Take over an image that was changed in the pod's spec, the one field of a container that counts.

        After ``computePodActions`` and ``HashContainer`` of the real kubelet: a running container ends and starts anew
        with its new image, whatever its restart policy says; one that waits (for its old image, or in a back-off) tries
        the new one at once, whose back-offs are its own. An init container that runs goes on as it is.
        """
        spec = self.pod.obj["spec"]
        for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
            run = self.pod.runs.get(container["name"])
            if run is None or (run.spec["image"] == container["image"] and not run.again):
                continue
            run.spec = {**run.spec, "image": container["image"]}
            run.pulls.reset()
            run.backoff.reset()
            if not run.running:
                run.retry_at = 0.0
            elif run.role != "init":
                self._replace(run, f"Container {run.name} definition changed, will be restarted")

    def _replace(self, run: Run, message: str) -> None:
        """End a running container to start it anew, whatever its restart policy."""
        run.again = True
        self.health.end(run, message, self.pod.grace())

    def _adopt_ephemeral(self) -> None:
        """Take over containers that were added to the pod while it runs."""
        for container in self.pod.spec.get("ephemeralContainers") or []:
            if container["name"] not in self.pod.runs:
                self.pod.runs[container["name"]] = Run(container, "ephemeral")

    async def _start_ephemeral(self) -> None:
        for run in self.pod.role("ephemeral"):
            if run.container is None:
                await self._ensure(run)

    def _observe(self) -> None:
        self._adopt_images()
        self._adopt_ephemeral()
        adopt_resources(self.pod)
        for run in self.pod.runs.values():
            if run.container is not None and run.container.state == "exited" and run.ended is None:
                run.observe_exit()
                self._keep_newest(run)
                run.held = False
                run.waiting = ("", "")
                run.retry_at = self._node.clock.now() + (0.0 if run.again else RESTART_DELAY)

    def _keep_newest(self, run: Run) -> None:
        """Of a container's ended ones only the newest is kept (``cleanUpContainersInPod``)."""
        if run.previous is not None and self.pod.sandbox is not None:
            self.pod.sandbox.forget(run.previous)
            run.previous = None

    def _synced(self, task: Future[None]) -> None:
        self._task = None
        try:
            task.result()
        except Cancelled:
            return
        except Exception as error:  # noqa: BLE001 - whatever one pod does must not stop the node; it is tried again
            self._crashed("bringing it up", error)
            self._wakes.append(TROUBLE)
        else:
            self._went_well()
        self.publish()
        if self._again:
            self._wake(0.0)
        elif self._wakes:
            self._wake(min(self._wakes))

    def _crashed(self, doing: str, error: Exception) -> None:
        self._broken = True
        what = f"{doing}: pod {self.pod.namespace}/{self.pod.name} on {self._node.name}"
        self._node.clock.crashes.handle("kubelet", what, error, self.pod.obj)

    def _went_well(self) -> None:
        if self._broken:
            self._broken = False
            self._node.clock.crashes.mended("kubelet", self.pod.obj)

    # -- up ----------------------------------------------------------------------------------------------------------

    async def _sync(self) -> None:
        pod = self.pod
        if self._rejected() or self._refused() or await self._deadline_passed() or not self._mounted():
            return
        if pod.lost and self._ends_with_sandbox():
            await self._finish()
            return
        if pod.sandbox is None and not self._make_sandbox():
            return
        await self._start_ephemeral()
        if not await self._initialize():
            return
        if not pod.initialized:
            pod.initialized = True
            for run in pod.role("app"):
                if run.waiting[0] == "PodInitializing":
                    run.waiting = ("ContainerCreating", "")
        for run in pod.role("app"):
            await self._ensure(run)
        if phase(pod) in ("Succeeded", "Failed"):
            await self._finish()

    def _ends_with_sandbox(self) -> bool:
        """Whether a pod that lost its sandbox has nothing to start anew: it never restarts what was there once."""
        never = self.pod.spec.get("restartPolicy") == "Never"
        return never and any(run.done for run in self.pod.role("init", "app"))

    def _make_sandbox(self) -> bool:
        pod = self.pod
        if pod.lost:
            pod.lost = False
            pod.event("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
        try:
            pod.sandbox = self._node.runtime.sandbox(pod.sandbox_config())
        except NetworkError as error:
            pod.event("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
            self._wakes.append(SANDBOX_RETRY)
            return False
        pod.address = self._node.ip if pod.spec.get("hostNetwork") else pod.sandbox.ip
        self.volumes.refresh_downward()
        return True

    def _mounted(self) -> bool:
        wait = self.volumes.mount()
        if wait is not None:
            self._wakes.append(wait)
        return wait is None

    def refresh_volumes(self) -> None:
        """Bring changed config maps, secrets and labels into the pod's files."""
        self.volumes.refresh()
        self._save()

    def _refused(self) -> bool:
        features = pod_refusals(self.pod.spec)
        for feature in features:
            if feature not in self._complained:
                self._complained.add(feature)
                text = (
                    f"Failed to create pod sandbox: {feature} is not simulated here; use a real cluster (kind) for it"
                )
                self.pod.event("Warning", "FailedCreatePodSandBox", text)
        return bool(features)

    async def _deadline_passed(self) -> bool:
        """Fail a pod that ran for longer than ``activeDeadlineSeconds``."""
        deadline = self.pod.spec.get("activeDeadlineSeconds")
        began = (self.pod.obj.get("status") or {}).get("startTime")
        if deadline is None:
            return False
        left = float(deadline) - (self._node.clock.now() - _seconds(began, self._node.clock.now()))
        if left > 0:
            self._wakes.append(left)
            return False
        message = "Pod was active on the node longer than the specified deadline"
        self.pod.event("Normal", "DeadlineExceeded", message)
        self.pod.failure = ("DeadlineExceeded", message)
        await kill_all(self.pod, self.pod.grace())
        await self._finish()
        return True

    async def _initialize(self) -> bool:
        """Run init containers one after another; True when all are done and the others may start."""
        for run in self.pod.role("init", "sidecar"):
            if run.role == "init" and (self.pod.initialized or run.exit_code == 0):
                continue
            if run.role == "init" and run.done and not self.pod.restarts(run):
                await self._finish()
                return False
            await self._ensure(run)
            done = run.exit_code == 0 if run.role == "init" else run.running and run.started
            if not done and not self.pod.initialized:
                return False
        return True

    async def _ensure(self, run: Run) -> None:
        """Have a container run if it should."""
        now = self._node.clock.now()
        if run.running:
            if self.health.needs_begin(run):
                self.health.begin(run)
            return
        if run.done and not self.pod.restarts(run):
            return
        if run.retry_at > now:
            self._wakes.append(run.retry_at - now)
            return
        if run.done and not run.again and run.waiting[0] not in _PULLING and self._crash_looping(run, now):
            return
        await start(self.pod, run)
        self._observe()
        if run.running:
            self.health.begin(run)
        elif run.retry_at > (now := self._node.clock.now()):
            self._wakes.append(run.retry_at - now)
        self._save()

    def _crash_looping(self, run: Run, now: float) -> bool:
        """Whether a container that ended must wait; notes the failure when it need not."""
        wait = run.backoff.wait(_seconds((run.ended or {}).get("finishedAt"), now), now)
        if wait <= 0:
            run.backoff.fail(now)
            return False
        self._wakes.append(wait)
        pod = self.pod
        where = f"{pod.name}_{pod.namespace}({pod.uid})"
        if run.waiting[0] != "CrashLoopBackOff" or not run.held:
            run.waiting = (
                "CrashLoopBackOff",
                f"back-off {short_duration(run.backoff.seconds)} restarting failed container={run.name} pod={where}",
            )
            run.held = True
            pod.event("Warning", "BackOff", f"Back-off restarting failed container {run.name} in pod {where}", run)
        return True

    async def _finish(self) -> None:
        """The pod's phase is final: end its sidecars and give its address back."""
        for run in reversed(self.pod.role("sidecar")):
            await kill(self.pod, run, f"Stopping container {run.name}", self.pod.grace())
        self._observe()
        self.pod.over = True
        self.health.stop()
        self._release()

    def _release(self) -> None:
        if self.pod.sandbox is not None:
            self._save()
            self.pod.sandbox.remove()

    def evict(self, message: str, reason: str = "Evicted") -> None:
        """End the pod at once and report it as evicted; a no-op when it ends anyway."""
        pod = self.pod
        if pod.over or pod.terminating or pod.failure is not None:
            return
        pod.event("Warning", reason, message)
        pod.failure = (reason, message)
        pod.disruption = ("TerminationByKubelet", message)
        if self._task is not None:
            self._task.cancel()
        self.health.stop()
        task = self._task = spawn(self._fail())
        task.when_done(self._synced)

    async def _fail(self) -> None:
        await kill_all(self.pod, EVICTION_GRACE)
        await self._finish()

    def _rejected(self) -> bool:
        """Whether the node does not take the pod; decided once, before anything of it is there."""
        pod = self.pod
        if (pod.obj.get("status") or {}).get("startTime"):
            return False
        found = self._node.rejection(pod)
        if found is None:
            return False
        reason, message = found
        pod.event("Warning", reason, message)
        pod.failure = (reason, message if reason == "Evicted" else f"Pod was rejected: {message}")
        pod.over = pod.rejected = True
        return True

    # -- down --------------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        pod = self.pod
        grace = FORCED_GRACE if self.gone else pod.grace()
        if self._ending is not None:
            self._hasten(grace)
            return
        if self._task is not None:
            self._task.cancel()
            self._task = None
        pod.terminating = True
        self.health.keep_readiness_only()
        self._grace = grace
        if any(run.running for run in pod.runs.values()):
            task = self._ending = spawn(kill_all(pod, grace))
            task.when_done(self._ended)
            self.publish()
        elif (left := self._removal_at - self._node.clock.now()) > 0 and not self.gone:
            self.publish()
            self._wake(left)
        else:
            self._remove()

    def _hasten(self, grace: float) -> None:
        """A second deletion may only shorten the grace period."""
        if grace >= self._grace:
            return
        self._grace = grace
        for run in self.pod.runs.values():
            if run.running and run.container is not None:
                container = run.container
                self._node.clock.call_later(grace, lambda container=container: container.signal(9))  # type: ignore[misc]  # a default binds it

    def _ended(self, task: Future[None]) -> None:
        self._ending = None
        try:
            task.result()
        except Cancelled:
            return
        except Exception as error:  # noqa: BLE001 - as in _synced: the pod is looked at again
            self._crashed("ending it", error)
            self._wake(TROUBLE)
            return
        self._removal_at = self._node.clock.now() + TEARDOWN_DELAY
        self._wake(0.0)

    def _remove(self) -> None:
        """Every container has ended: report it, give the address back, and take the pod out of the API."""
        pod = self.pod
        self._observe()
        self.health.stop()
        pod.over = True
        if not self.gone:
            self.publish()
        if pod.sandbox is not None:
            pod.sandbox.remove()
            pod.sandbox = None
        if not self.gone:
            options = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod.uid}}
            try:
                self._node.client().delete("pods", pod.name, pod.namespace, **options)
            except StatusError as error:
                if error.reason != "Conflict":  # another pod of that name: this one is gone
                    raise
        self._forget()

    # -- status ------------------------------------------------------------------------------------------------------

    def publish(self) -> None:
        """Write the pod's status if it differs from what the API has; try again later when that fails."""
        pod = self.pod
        ending = pod.over or pod.terminating or pod.failure is not None
        if self.gone or (not ending and any(run.unreported for run in pod.runs.values())):
            return
        status = pod_status(pod, self._node.clock.timestamp())
        if _bare(status) == _bare(pod.obj.get("status")):
            return
        self.writing = True
        try:
            self._node.client().update("pods", {**pod.obj, "status": status}, subresource="status")
        except StatusError as error:
            if error.reason == "NotFound":
                return
            self._wakes.append(0.0 if error.reason == "Conflict" else TROUBLE)
            if self._task is None:
                self._wake(self._wakes[-1])
            return
        finally:
            self.writing = False
        self._save()


_PULLING = (
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
)


def _bare(value: object) -> object:
    """A value without nulls, as a server may keep it."""
    if isinstance(value, dict):
        return {key: _bare(one) for key, one in value.items() if one is not None}
    return [_bare(one) for one in value] if isinstance(value, list) else value


def _seconds(stamp: str | None, default: float) -> float:
    """An API time as cluster seconds."""
    return datetime.fromisoformat(stamp).timestamp() if stamp else default
