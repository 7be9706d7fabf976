"""From a container in a pod's spec to a running one: image, configuration, creation, start, postStart hook.

The steps, their events and the reasons a container waits with are those of ``startContainer`` and the image manager of
the real kubelet. What fails leaves ``run.waiting`` and ``run.retry_at``; the caller tries again at that time.
"""

from __future__ import annotations

from typing import Any

from simkube.clock.clock import Clock
from simkube.kubelet import expectations
from simkube.kubelet.actions import act
from simkube.kubelet.containers import Run
from simkube.kubelet.env import ConfigError, environment, expand
from simkube.kubelet.eviction import watches_storage
from simkube.kubelet.pod import Pod
from simkube.kubelet.pulling import credentials_of
from simkube.kubelet.resources import cores_of, memory_of, oom_score_adj
from simkube.kubelet.stopping import kill
from simkube.kubelet.volumes import MountError, Part, mounts
from simkube.runtime.cri import Container, ContainerConfig, Image, ImageError, Mount, StartError, Volume
from simkube.runtime.nodes import FileError

HOOK_SECONDS = 600.0
"""A postStart hook without an end is given up after this; the real kubelet waits for ever."""
CONFIG_RETRY = 10.0
"""Seconds until a container that could not be configured is tried again (the kubelet's pod sync back-off)."""
SETTLE = 1.0
"""Seconds a failed pull or start shows as such before the back-off shows as ImagePullBackOff or CrashLoopBackOff."""


def pull_policy(container: dict[str, object]) -> str:
    """``imagePullPolicy``, by default Always for ``:latest`` or no tag."""
    policy = container.get("imagePullPolicy")
    if policy:
        return str(policy)
    image = str(container["image"])
    tag = "" if "@" in image else image.rpartition("/")[2].partition(":")[2]
    return "Always" if tag in ("", "latest") and "@" not in image else "IfNotPresent"


def go_duration(seconds: float) -> str:
    """A duration as Go prints it, to the millisecond: ``350ms``, ``1.2s``."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    return f"{round(seconds, 3):g}s"


async def have_image(pod: Pod, run: Run) -> Image | None:
    """The container's image on this node, pulled when the policy says so; None when it has to wait."""
    clock, name = pod.node.clock, str(run.spec["image"])
    policy = pull_policy(run.spec)
    try:
        present = pod.node.runtime.image(name)
    except ImageError as error:
        _pull_failed(pod, run, name, error, clock)
        return None
    if present is not None and policy != "Always":
        pod.event(
            "Normal",
            "Pulled",
            f'Container image "{name}" already present on machine and can be accessed by the pod',
            run,
        )
        return present
    if policy == "Never":
        message = f'Container image "{name}" is not present with pull policy of Never'
        pod.event("Warning", "ErrImageNeverPull", message, run)
        pod.event("Warning", "Failed", "Error: ErrImageNeverPull", run)
        _wait(pod, run, "ErrImageNeverPull", message, CONFIG_RETRY)
        return None
    if run.pulls.wait(run.pulls.updated, clock.now()) > 0:
        _back_off(pod, run, name)
        return None
    pod.event("Normal", "Pulling", f'Pulling image "{name}"', run)
    try:
        secrets = credentials_of(pod) if pod.spec.get("imagePullSecrets") else []
        image = pod.node.runtime.pull(name, secrets) if secrets else pod.node.runtime.pull(name)
    except ImageError as error:
        _pull_failed(pod, run, name, error, clock)
        return None
    if image.pull_seconds > 0:
        pod.publish()
        await clock.sleep(image.pull_seconds)
    run.pulls.reset()
    took = go_duration(image.pull_seconds)
    pod.event("Normal", "Pulled", f'Successfully pulled image "{name}" in {took} ({took} including waiting).', run)
    return image


def _pull_failed(pod: Pod, run: Run, name: str, error: ImageError, clock: Clock) -> None:
    if error.reason == "InvalidImageName":
        message = f'Failed to apply default image tag "{name}": {error}'
        pod.event("Warning", "InspectFailed", message, run)
        pod.event("Warning", "Failed", "Error: InvalidImageName", run)
        _wait(pod, run, "InvalidImageName", message, CONFIG_RETRY)
        return
    pod.event("Warning", "Failed", f'Failed to pull image "{name}": {error}', run)
    pod.event("Warning", "Failed", f"Error: {error.reason}", run)
    run.pulls.fail(clock.now())
    _wait(pod, run, error.reason, str(error), SETTLE)


def _back_off(pod: Pod, run: Run, name: str) -> None:
    pod.event("Normal", "BackOff", f'Back-off pulling image "{name}"', run)
    pod.event("Warning", "Failed", "Error: ImagePullBackOff", run)
    why = run.waiting[1] if run.waiting[0] == "ErrImagePull" else ""
    message = f'Back-off pulling image "{name}"' + (f": ErrImagePull: {why}" if why else "")
    _wait(pod, run, "ImagePullBackOff", message, run.pulls.wait(run.pulls.updated, pod.node.clock.now()))


def _wait(pod: Pod, run: Run, reason: str, message: str, seconds: float) -> None:
    run.hold(reason, message, pod.node.clock.now() + seconds)


async def start(pod: Pod, run: Run) -> None:
    """Start a container (again). Afterwards it runs, or ``run.waiting``/``run.ended`` say why not."""
    image = await have_image(pod, run)
    if image is None or pod.sandbox is None:
        return
    try:
        container = pod.sandbox.create(_config(pod, run))
        _refuse_root(pod, run, container)
    except FileError as error:
        text = f'failed to prepare subPath for volumeMount of container "{run.name}": {error.path or "/"}: {error}'
        pod.event("Warning", "Failed", f"Error: {text}", run)
        _wait(pod, run, "CreateContainerConfigError", text, CONFIG_RETRY)
        return
    except (ConfigError, MountError, ImageError) as error:
        pod.event("Warning", "Failed", f"Error: {error}", run)
        reason = "CreateContainerError" if isinstance(error, ImageError) else "CreateContainerConfigError"
        _wait(pod, run, reason, str(error), CONFIG_RETRY)
        return
    if image.stand_in:
        pod.event(
            "Normal", "StandIn", f'Image "{run.spec["image"]}" is not simulated: a stand-in runs in its place', run
        )
    _begin(pod, run)
    run.container, run.image_id = container, image.id
    if watches_storage(pod):
        container.on_write(lambda: pod.node.wrote(pod))
    run.held_resources = run.spec.get("resources") or {}
    pod.event("Normal", "Created", "Container created", run)
    container.exited.when_done(lambda _: pod.changed())
    try:
        container.start()
    except StartError as error:
        _start_failed(pod, run, error)
        return
    pod.event("Normal", "Started", "Container started", run)
    await _post_start(pod, run)


def _begin(pod: Pod, run: Run) -> None:
    """The current container, if any, becomes the previous one."""
    if run.ended is not None:
        run.restarts += 1
        run.last = run.ended
        if run.previous is not None and pod.sandbox is not None:
            pod.sandbox.forget(run.previous)
        run.previous = run.container
    run.ended = None
    run.held = run.again = False
    run.waiting = ("ContainerCreating", "")
    run.retry_at = 0.0
    run.started = run.ready = False


def _start_failed(pod: Pod, run: Run, error: StartError) -> None:
    message = str(error)
    pod.event("Warning", "Failed", f"Error: {message}", run)
    container_id = run.container.id if run.container is not None else ""
    run.ended_without_container(error.exit_code, error.reason, message, pod.node.clock.now(), container_id)
    _wait(pod, run, "RunContainerError", message, SETTLE)


def _content(volume: Volume | Part, path: str) -> bytes:
    """A file of one of the pod's volumes; FileError."""
    return volume.volume.read(volume.below(path)) if isinstance(volume, Part) else volume.read(path)


def _config(pod: Pod, run: Run) -> ContainerConfig:
    node = pod.node
    services = node.service_variables(pod.namespace) if pod.spec.get("enableServiceLinks", True) else {}
    variables = environment(
        *(pod.obj, run.spec, node.lookup(pod.namespace), services, pod.facts(), dict(node.allocatable)),
        read=lambda volume, path: _content(pod.volumes[volume], path),
    )
    found = mounts(run.spec, pod.obj, pod.volumes, variables)
    path = str(run.spec.get("terminationMessagePath") or "/dev/termination-log")
    run.message_volume = node.runtime.volume()
    run.message_volume.write("termination-log", b"", mode=0o666)
    found.append(Mount(run.message_volume, path, sub_path="termination-log"))
    command, args = run.spec.get("command"), run.spec.get("args")
    return ContainerConfig(
        name=run.name,
        image=str(run.spec["image"]),
        command=None if not command else [expand(str(word), variables) for word in command],
        args=None if not args else [expand(str(word), variables) for word in args],
        env=variables,
        working_dir=str(run.spec.get("workingDir") or ""),
        mounts=found,
        stdin=bool(run.spec.get("stdin")),
        tty=bool(run.spec.get("tty")),
        run_as_user=_security(pod, run, "runAsUser"),
        run_as_group=_security(pod, run, "runAsGroup"),
        groups=_groups(pod),
        read_only_root=bool(_security(pod, run, "readOnlyRootFilesystem")),
        pid_of=str(run.spec.get("targetContainerName") or ""),
        stop_signal=str((run.spec.get("lifecycle") or {}).get("stopSignal") or ""),
        cores=cores_of(run.spec) or cores_of(pod.spec),
        memory=memory_of(run.spec) or memory_of(pod.spec),
        attempt=run.restarts + (1 if run.ended is not None else 0),
        oom_score_adj=oom_score_adj(pod.obj, run.spec, pod.node.allocatable),
        expected_ports=expectations.ports(run.spec),
        expected_to_end=expectations.ends(pod.spec, run.spec, run.role),
    )


def _security(pod: Pod, run: Run, field: str) -> Any:
    """A field of the container's security context, or of the pod's."""
    for context in (run.spec.get("securityContext") or {}, pod.spec.get("securityContext") or {}):
        if context.get(field) is not None:
            return context[field]
    return None


def _groups(pod: Pod) -> list[int]:
    """The groups that the pod's processes have beside their own."""
    context = pod.spec.get("securityContext") or {}
    shared = [] if context.get("fsGroup") is None else [context["fsGroup"]]
    return [*shared, *(context.get("supplementalGroups") or [])]


def _refuse_root(pod: Pod, run: Run, container: Container) -> None:
    """``runAsNonRoot`` is checked when the user is known (``verifyRunAsNonRoot``)."""
    if container.uid != 0 or not _security(pod, run, "runAsNonRoot"):
        return
    where = f'(pod: "{pod.name}_{pod.namespace}({pod.uid})", container: {run.name})'
    if pod.sandbox is not None:
        container.stop(0)
        pod.sandbox.forget(container)
    if _security(pod, run, "runAsUser") is None:
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
    raise ConfigError(f"container's runAsUser breaks non-root policy {where}")


async def _post_start(pod: Pod, run: Run) -> None:
    hook = (run.spec.get("lifecycle") or {}).get("postStart")
    container = run.container
    if not hook or container is None:
        return
    run.hooking = True
    pod.publish()
    outcome = await act(hook, pod.target(run), HOOK_SECONDS)
    run.hooking = False
    if outcome.ok or (hook.get("httpGet") and "statuscode" in outcome.text):
        return
    pod.event("Warning", "FailedPostStartHook", "PostStartHook failed", run)
    if container.state == "running":
        await kill(pod, run, "FailedPostStartHook", pod.grace())
    run.observe_exit()
    _wait(pod, run, "PostStartHookError", outcome.text, SETTLE)
