"""The contract between a lab's session and whatever gives it a cluster.

A provider is one file beside this one. Rules that every provider keeps:

- The cluster is named by :attr:`ClusterSpec.name`, chosen and recorded by the caller *before* anything is created. A
  handle is JSON, opaque but for its ``name``; ``{"name": spec.name}`` is always a valid handle, so that a creation that
  was killed half-way can be finished (:meth:`Provider.create` again) or removed (:meth:`Provider.delete`).
- Every call may be made twice. What is already so is a success, not an error.
- Trouble is a :class:`ClusterError` whose message says what to do next; nothing else escapes.
- Everything a provider makes carries the cluster's name, so that a crash leaves nothing unaccounted for.

::

    ClusterError
    ├── ProviderUnavailable   Docker, kind or an image is missing; .fix is the command that mends it
    ├── CapabilityMissing     the lab needs what this provider does not have
    ├── CannotFork            a copy of the cluster would not be exact, or there are enough of them
    ├── ClusterGone           the handle's cluster no longer exists
    ├── CannotChange          what was asked of :class:`Controls` makes no sense, or not now
    └── CreateCancelled       progress() said that nobody wants the cluster any more
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

Handle = dict[str, Any]
Who = Literal["learner", "grader"]
UnknownImages = Literal["strict", "stand-ins"]


class ClusterError(Exception):
    """The root of what a provider raises. ``fix`` is a command that mends it, or ""."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


class ProviderUnavailable(ClusterError):
    """Something this provider is built on is missing."""


class CapabilityMissing(ClusterError):
    """The lab needs what this provider does not have."""


class ClusterGone(ClusterError):
    """The cluster no longer exists."""


class CannotChange(ClusterError):
    """A clock, component or node cannot be changed as asked."""


class CannotFork(ClusterError):
    """An exact copy of the cluster cannot be made now; the message says why."""


class CreateCancelled(ClusterError):
    """The cluster is no longer wanted; what was made so far has been or can be deleted."""


class Fault(StrEnum):
    """What can be broken on purpose. ``target`` of :meth:`Faults.inject` is given beside each.

    Of a path, the answers of the server to the client are impaired; it is named ``NAMESPACE/POD NAMESPACE/POD``, the
    client first.
    """

    STOP_NODE = "stop-node"  # node name
    PAUSE_NODE = "pause-node"  # node name
    CUT_NODE = "cut-node"  # node name: it runs on, without a network to the others
    FILL_NODE = "fill-node"  # node name: something outside all pods takes nearly all its memory
    SLOW_NODE = "slow-node"  # node name: its pods run for a tenth of the time, 50 ms in each half second
    START_NODE = "start-node"  # node name; undoes all of the above
    STOP_COMPONENT = "stop-component"  # kube-apiserver, etcd, kube-scheduler, coredns, kubelet/NODE, ...
    START_COMPONENT = "start-component"  # the same
    STOP_CONTROLLER = "stop-controller"  # as kube-controller-manager --controllers has it: deployment-controller
    START_CONTROLLER = "start-controller"  # the same
    SLOW_PATH = "slow-path"  # path and milliseconds: default/a default/b 200ms
    LOSSY_PATH = "lossy-path"  # path and percent: default/a default/b 20%
    MEND_PATH = "mend-path"  # path; undoes both
    BACKUP_ETCD = "backup-etcd"  # a name of the backup: lower-case letters, digits and dashes; at most 3 are kept
    RESTORE_ETCD = "restore-etcd"  # the name; whoever watches the API server is cut off
    KILL_CONTAINER = "kill-container"  # namespace/pod/container: SIGKILL to its first process, from outside
    FREEZE_CONTAINER = "freeze-container"  # namespace/pod/container: SIGSTOP to all of its processes, from outside
    THAW_CONTAINER = "thaw-container"  # the same; undoes it


class Feature(StrEnum):
    """What clusters do or do not, whatever their version says: tried out (:mod:`labs.clusters.canaries`)."""

    INGRESS_POLICIES = "ingress-policies"  # a NetworkPolicy for incoming traffic stops that, and nothing else
    EGRESS_POLICIES = "egress-policies"  # a NetworkPolicy for outgoing traffic stops that, and nothing else
    ADMISSION_POLICIES = "admission-policies"  # a ValidatingAdmissionPolicy is carried out
    AUDIT = "audit"  # a log tells who asked the API server for what


@dataclass(frozen=True)
class Capabilities:
    """What a provider can give. ``max_nodes`` counts the control plane; ``kubernetes`` is (major, minor).

    ``features``: those that work, and those of which nothing is known yet: whoever creates a cluster that needs one of
    these has it tried out then. ``why_not``: why a fault or feature is not among what it can give, where that is no
    matter of course.
    """

    provider: str
    kubernetes: tuple[int, int]
    max_nodes: int
    faults: frozenset[Fault]
    metrics: bool = False
    features: frozenset[Feature] = frozenset(Feature)
    why_not: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Needs:
    """What a lab needs of its cluster."""

    nodes: int = 1
    faults: frozenset[Fault] = frozenset()
    metrics: bool = False
    kubernetes: tuple[int, int] = (1, 20)
    features: frozenset[Feature] = frozenset()

    def missing(self, has: Capabilities) -> list[str]:
        """What ``has`` does not offer, as phrases for a sentence (``3 nodes (it has at most 1)``); [] when it fits."""
        phrases: list[str] = []
        if self.nodes > has.max_nodes:
            phrases.append(f"{self.nodes} nodes (it has at most {has.max_nodes})")
        lacking = sorted(self.faults - has.faults)
        if lacking:
            phrases.append("the faults " + ", ".join(_with_reason(fault, has) for fault in lacking))
        if self.metrics and not has.metrics:
            phrases.append("metrics")
        phrases += [_with_reason(feature, has) for feature in sorted(self.features - has.features)]
        if self.kubernetes > has.kubernetes:
            phrases.append("Kubernetes {}.{} (it has {}.{})".format(*self.kubernetes, *has.kubernetes))
        return phrases


def _with_reason(what: str, has: Capabilities) -> str:
    return f"{what} ({has.why_not[what]})" if what in has.why_not else what


@dataclass(frozen=True)
class ClusterSpec:
    """The cluster a session wants.

    ``name``: unique on this machine, a DNS label of at most 40 characters. ``topology``: stem of a file in
    ``kind-configs/`` (``single``, ``three-node``). ``images``: every image that must be on each node before the learner
    starts. ``setup``: manifests (parsed YAML documents) of the lab's starting state, applied before it is ready.
    ``labels``: what to record on everything that is made (session, learner, lab). ``unknown_images``: what becomes of a
    pod whose image only a real registry has, where a cluster has images of its own: ``strict`` refuses it as a
    registry does, ``stand-ins`` runs something that does nothing in its place. Where images are real ones it is of no
    account. ``metrics``: whether ``metrics.k8s.io`` must answer. ``features``: what must work; where it is found that
    one does not, :class:`CapabilityMissing`.
    """

    name: str
    topology: str = "single"
    images: Sequence[str] = ()
    setup: Sequence[Mapping[str, Any]] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    unknown_images: UnknownImages = "strict"
    metrics: bool = False
    features: frozenset[Feature] = frozenset()


class Progress(Protocol):
    """Told of each named step as it begins (``done=False``) and ends (``done=True``).

    ``steps`` of the whole work is announced by :meth:`plan` first. Raises :class:`CreateCancelled` when the cluster is
    no longer wanted; a provider lets that through after leaving a state that ``delete`` can remove.
    """

    def plan(self, steps: Sequence[str]) -> None: ...

    def step(self, name: str, *, done: bool) -> None: ...


class ClusterState(StrEnum):
    """What a provider observes of a cluster."""

    ABSENT = "absent"
    PARTIAL = "partial"  # something exists, but it cannot be worked with: create again or delete
    READY = "ready"


@dataclass(frozen=True)
class ClusterStatus:
    """An observation. ``detail`` is a sentence for a person."""

    state: ClusterState
    detail: str = ""


class Faults(Protocol):
    """Breaks things on purpose in one cluster. Injecting what is already so is a success."""

    def inject(self, fault: Fault, target: str) -> None:
        """Raises :class:`ClusterError`; ``ValueError`` for a target that does not exist."""

    def heal(self) -> None:
        """Undo every fault that is in force, whoever injected it, and wait until the API server answers."""


class Controls(Protocol):
    """What only a simulated cluster has: a clock that can be moved, single components, a trace of who did what.

    Answers are JSON as the cluster gives it; a change that makes no sense is a :class:`CannotChange`.
    """

    def clock(self, change: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """How its clock stands, after a change: ``{"speed": 10}``, ``{"pause": True}``, ``{"resume": True}``,
        ``{"step": "reconcile" | "until-quiet" | seconds}``."""

    def components(self, change: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What runs, after a change: ``{"stop" | "start": name}``, ``{"pause" | "cut" | "fill": node}``."""

    def trace(self, since: int = 0, *, wait: int = 0, of: int | None = None) -> dict[str, Any]:
        """Changes after ``since``, waiting up to ``wait`` seconds for one; or all that followed from one (``of``)."""

    def graded(self, seconds: float) -> None:
        """For at most so long the clock runs as everybody's does and nobody changes that; 0 ends it."""


@runtime_checkable
class Controllable(Protocol):
    """A provider whose clusters have :class:`Controls`; others are graded at the only speed they have."""

    def controls(self, handle: Handle) -> Controls:
        """Those of one cluster. :class:`ClusterGone` at the first use when there is none."""


@runtime_checkable
class Hosted(Protocol):
    """A provider whose clusters live in a program of this machine, which may end and be started again under them."""

    def run_id(self, handle: Handle) -> str:
        """Another word after that program was started again, the same whatever is done in or with the cluster.

        Nothing that a learner can do may change it: what was seen of a cluster across two runs is not held against
        them. Brings the program back when it ended. :class:`ClusterError` while it does not answer,
        :class:`ClusterGone` when it is there and the cluster is not.
        """


@runtime_checkable
class Watched(Protocol):
    """A provider of which one quick look says whether all its clusters are away, and that brings them back itself."""

    def runs(self) -> bool:
        """Whether the program in which they live takes connections. Starts nothing, waits for nothing."""


@runtime_checkable
class Forkable(Protocol):
    """A provider that makes exact copies of a cluster as it is at this moment, with all that runs in it.

    A copy is in virtual time: its clock stands still, except while a request waits for something to happen in the
    cluster (an answer of a program, the end of a command, a sleep): then it jumps from event to event until that has
    happened. What is done in a copy never touches the original, which goes on meanwhile.
    """

    def fork(self, handle: Handle, seconds: float) -> Handle:
        """The handle of a copy that is there for at most so many wall seconds, or until nobody has used it for 30.

        It works with :meth:`Provider.status`, ``credentials``, ``faults``, ``delete`` (a no-op once it has ended),
        :meth:`Controllable.controls` and with this method again; copies of a copy end with it. :class:`CannotFork`,
        :class:`ClusterGone`.
        """


class Provider(Protocol):
    """Gives clusters. Construction connects to nothing.

    ``privileged``: whoever works in one of its clusters has power over this machine.
    """

    name: str
    privileged: bool

    def capabilities(self) -> Capabilities:
        """What it can give here and now; :class:`ProviderUnavailable` with its fix when it can give nothing."""

    def create(self, spec: ClusterSpec, progress: Progress) -> Handle:
        """Bring the cluster to the lab's starting state and return its handle.

        Finishes a half-done creation of the same name; returns at once when it is already there and ready.
        """

    def status(self, handle: Handle) -> ClusterStatus:
        """Observe, in at most a few seconds; trouble reaching it is PARTIAL with the reason, not an error."""

    def credentials(self, handle: Handle, who: Who) -> str:
        """A kubeconfig (YAML) for the learner or for the grader; different identities. :class:`ClusterGone`."""

    def reset(self, handle: Handle, spec: ClusterSpec, progress: Progress) -> Handle:
        """Back to the lab's starting state, proven; creates the cluster anew when that cannot be proven."""

    def faults(self, handle: Handle) -> Faults:
        """Break things in it."""

    def delete(self, handle: Handle) -> None:
        """Remove everything made under this name, half-done or not."""


def topology_file(root: Path, topology: str) -> Path:
    """The path of a topology below ``root`` (the folder ``kind-configs``); :class:`ClusterError` when there is none."""
    path = root / f"{topology}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in root.glob("*.yaml"))) or "none"
        raise ClusterError(f"there is no topology {topology!r}; there are: {known}")
    return path
