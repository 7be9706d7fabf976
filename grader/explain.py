"""Why a pod is not ready, in one sentence a learner can act on.

The order is that of a person with ``kubectl describe`` before them: is it placed, is its image there, did its process
start, did it end, does its probe say yes. It names what there is, never what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grader.objects import Container, Pod
from grader.shapes import fields
from grader.text import one_line, quoted

WORD_CHARACTERS = 80

LastLine = Callable[[Pod, str, bool], str]
"""The last line of a container's log (pod, container, of the process before); "" when there is none."""
LastWarning = Callable[[Pod], str]
"""The message of a pod's last warning event; "" when there is none."""


def explain(pod: Pod, last_line: LastLine, last_warning: LastWarning) -> str:
    """One sentence without a full stop, beginning with ``pod NAME``."""
    name = f"pod {_word(pod.name)}"
    if pod.terminating:
        return f"{name} is being deleted"
    if pod.over:
        ended = "; ".join(_ended(one) for one in pod.containers if one.ended)
        return f"{name} has ended ({_word(pod.phase)}{': ' + ended if ended else ''})"
    if not pod.node:
        reason = pod.condition("PodScheduled").get("message") or "no scheduler has placed it"
        return f"{name} is Pending: {quoted(reason)}"
    in_order = sorted(pod.containers, key=lambda one: not one.sidecar)  # others wait until these run
    for container in in_order:
        if not container.running:
            return f"{name} {_not_running(pod, container, last_line, last_warning)}"
    for container in in_order:
        if not container.ready:
            warning = last_warning(pod)
            because = f": {quoted(warning)}" if warning else ""
            return f"{name} is running but its container {_word(container.name)} is not ready{because}"
    if pod.ready:
        return f"{name} is ready"
    reason = pod.condition("Ready").get("reason") or pod.phase
    return f"{name} is not ready ({_word(reason)}); its node is {_word(pod.node)}"


def _not_running(pod: Pod, container: Container, last_line: LastLine, last_warning: LastWarning) -> str:
    ended = container.ended
    if container.waiting in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"):
        return f"is in {container.waiting}: container {_word(container.name)} wants the image {quoted(container.image)}"
    if ended:
        state = f"is in {_word(container.waiting)}" if container.waiting else "is not running"
        line = last_line(pod, container.name, not container.state.get("terminated"))
        said = f", last log line {quoted(line)}" if line else ", its log is empty"
        return f"{state}: container {_ended(container)}{said}"
    message = str(fields(container.state.get("waiting")).get("message") or "") or last_warning(pod)
    because = f": {quoted(message)}" if message else ""
    why = _word(container.waiting or pod.phase)
    return f"is waiting ({why}): container {_word(container.name)} has not started{because}"


def _ended(container: Container) -> str:
    how: Mapping[str, Any] = container.ended
    reason = str(how.get("reason") or "")
    note = f" ({_word(reason)})" if reason not in ("", "Error", "Completed") else ""
    return f"{_word(container.name)} exited with code {_word(how.get('exitCode', '?'))}{note}"


def _word(text: object) -> str:
    """A name or reason: one word where Kubernetes is asked, anything where somebody else answers."""
    return one_line(text, WORD_CHARACTERS)


def stuck(pod: Pod) -> bool:
    """Whether waiting is no use: it has ended, a container ends by itself time after time, or the image that it still
    asks for cannot be pulled. A container that was killed (exit code 137) is only waiting for its back-off."""
    return pod.over or any(_hopeless(one) for one in pod.containers)


def _hopeless(container: Container) -> bool:
    if container.waiting == "CrashLoopBackOff":
        return container.restarts >= 2 and container.ended.get("exitCode") != 137
    message = str(fields(container.state.get("waiting")).get("message"))
    return container.waiting in ("ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName") and (
        container.image in message  # a kubelet that has not yet seen a new image still complains about the old one
    )


def explain_all(pods: Sequence[Pod], wanted: int, say: Callable[[Pod], str]) -> str:
    """``1 of 3 ready: pod a is ...``: the count, and the first pod that is not ready (by name)."""
    ready = sum(one.ready for one in pods)
    if not pods:
        return f"0 of {wanted} ready: there is no such pod"
    troubled = sorted((one for one in pods if not one.ready), key=lambda one: (one.terminating, one.name))
    return f"{ready} of {wanted} ready" + (f": {say(troubled[0])}" if troubled else "")
