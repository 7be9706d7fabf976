"""HorizontalPodAutoscaler: as many replicas as the use of their pods calls for.

It looks every 15 s while there is an autoscaler, and never otherwise. What pods use it reads from the metrics API, as
in Kubernetes; there is no adapter for custom and external metrics, so that those fail as they do in a cluster without
one. Source: ``pkg/controller/podautoscaler/horizontal.go``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from simkube.apimachinery import quantity
from simkube.apimachinery.errors import StatusError
from simkube.apiserver.registry.kinds import RESOURCES
from simkube.client.client import Event, Key, Obj, copy_of, key_of
from simkube.component_helpers import pods as podstate
from simkube.controllers.controller import Controller
from simkube.controllers.missingmetrics import Failed, of_external, of_object, of_pods
from simkube.controllers.scaling import Memory, decide
from simkube.controllers.usage import NoMetric, Proposal, Target, propose, read

AUTOSCALERS = "horizontalpodautoscalers.autoscaling"
PERIOD = 15.0
"""Seconds between two looks at an autoscaler (``--horizontal-pod-autoscaler-sync-period``)."""
TOLERANCE = 0.1
"""So far from 1 the ratio of use to target may be without consequences."""


@dataclass(slots=True)
class _Look:
    """What one look at an autoscaler works with."""

    hpa: Obj
    status: Obj
    scale: Obj
    pods: Sequence[Obj] = field(default_factory=tuple)

    @property
    def current(self) -> int:
        return int((self.scale.get("spec") or {}).get("replicas", 0))

    @property
    def selector(self) -> str:
        return str((self.scale.get("status") or {}).get("selector", ""))


class HorizontalController(Controller):
    """Keys are ``(namespace, name)`` of autoscalers."""

    name = "horizontal-pod-autoscaler"
    resource = "horizontalpodautoscalers.autoscaling"

    def watch(self) -> None:
        """Autoscalers, each of which is looked at every 15 s."""
        self._memories: dict[Key, Memory] = {}
        self._selectors: dict[Key, str] = {}
        self.autoscalers = self.client.observe(AUTOSCALERS, self._changed)

    def _changed(self, event: Event) -> None:
        key = key_of(event.obj)
        if event.type == "DELETED":
            self.dequeue(key)
            self._memories.pop(key, None)
            self._selectors.pop(key, None)
        elif key not in self._timers:
            self.enqueue_after(key, PERIOD)

    def reconcile(self, key: Hashable) -> None:
        """Look at one autoscaler; a failure is told and looked at again in 15 s, not sooner."""
        assert isinstance(key, tuple)
        hpa = self.autoscalers.get(*key)
        if hpa is None:
            return
        if key not in self._timers:
            self.enqueue_after(key, PERIOD)
        status = copy_of(hpa.get("status") or {})
        try:
            resource, scale = self._scale_of(hpa)
        except (StatusError, NoMetric) as error:
            why = error.message if isinstance(error, StatusError) else str(error)
            self.recorder.event(hpa, "Warning", "FailedGetScale", why)
            message = f"the HPA controller was unable to get the target's current scale: {why}"
            self._set(status, "AbleToScale", "False", "FailedGetScale", message)
            self._write(hpa, status)
            return
        message = "the HPA controller was able to get the target's current scale"
        self._set(status, "AbleToScale", "True", "SucceededGetScale", message)
        self._follow(_Look(hpa, status, scale), resource)

    def _scale_of(self, hpa: Obj) -> tuple[str, Obj]:
        """The resource that is scaled and its Scale."""
        target = hpa["spec"]["scaleTargetRef"]
        group = target.get("apiVersion", "").rpartition("/")[0]
        for name, *kind in self._scalable():
            if kind == [group, target["kind"]]:
                return name, self.client.get(name, target["name"], key_of(hpa)[0], subresource="scale")
        raise NoMetric(f'no matches for kind "{target["kind"]}" in group "{group}"')

    def _scalable(self) -> Iterator[tuple[str, str, str]]:
        """Every resource that has a scale, custom ones included: its qualified plural, group and kind."""
        for resource in RESOURCES.values():
            if resource.subresource("scale") is not None:
                yield resource.qualified, resource.group, resource.kind
        for crd in self.client.list("customresourcedefinitions.apiextensions.k8s.io"):
            spec = crd["spec"]
            if any((version.get("subresources") or {}).get("scale") for version in spec["versions"]):
                yield f"{spec['names']['plural']}.{spec['group']}", spec["group"], spec["names"]["kind"]

    def _follow(self, look: _Look, resource: str) -> None:
        """Find the number of replicas there should be, and bring it about."""
        spec, current, now = look.hpa["spec"], look.current, self.clock.now()
        least, most = int(spec.get("minReplicas", 1)), int(spec["maxReplicas"])
        memory = self._memories.setdefault(key_of(look.hpa), Memory([(now, current)]))
        metrics: list[Obj] | None = None
        reason, desired = "", current
        if current == 0 and least != 0:
            message = "scaling is disabled since the replica count of the target is zero"
            self._set(look.status, "ScalingActive", "False", "ScalingDisabled", message)
            desired = 0
        elif current > most:
            reason, desired = "Current number of replicas above Spec.MaxReplicas", most
        elif current < least:
            reason, desired = "Current number of replicas below Spec.MinReplicas", least
        else:
            try:
                proposed, name, metrics = self._from_metrics(look)
            except Failed as failure:
                self._count(look, current, look.status.get("desiredReplicas", 0), failure.shown)
                self._write(look.hpa, look.status)
                self.recorder.event(look.hpa, "Warning", "FailedComputeMetricsReplicas", str(failure))
                return
            reason = f"{name} above target" if proposed > current else "All metrics below target"
            behavior = spec.get("behavior")
            decision = decide(memory, behavior, current=current, proposed=proposed, least=least, most=most, now=now)
            for kind, made in (("AbleToScale", decision.able), ("ScalingLimited", decision.limited)):
                self._set(look.status, kind, made.status, made.reason, made.message)
            desired = decision.replicas
        if desired != current and not self._rescale(look, resource, desired, reason, memory):
            return
        self._count(look, current, desired, metrics)
        self._write(look.hpa, look.status)

    def _rescale(self, look: _Look, resource: str, desired: int, reason: str, memory: Memory) -> bool:
        scale = {**look.scale, "spec": {"replicas": desired}}
        try:
            self.client.update(resource, scale, subresource="scale")
        except StatusError as error:
            why = f"New size: {desired}; reason: {reason}; error: {error.message}"
            self.recorder.event(look.hpa, "Warning", "FailedRescale", why)
            message = f"the HPA controller was unable to update the target scale: {error.message}"
            self._set(look.status, "AbleToScale", "False", "FailedUpdateScale", message)
            self._count(look, look.current, look.status.get("desiredReplicas", 0), look.status.get("currentMetrics"))
            self._write(look.hpa, look.status)
            return False
        message = f"the HPA controller was able to update the target scale to {desired}"
        self._set(look.status, "AbleToScale", "True", "SucceededRescale", message)
        self.recorder.event(look.hpa, "Normal", "SuccessfulRescale", f"New size: {desired}; reason: {reason}")
        memory.scaled(self.clock.now(), look.current, desired, look.hpa["spec"].get("behavior"))
        look.status["lastScaleTime"] = self.clock.timestamp()
        return True

    # Metrics.

    def _from_metrics(self, look: _Look) -> tuple[int, str, list[Obj]]:
        """The highest proposal of all metrics, what it comes from, and what to show of each."""
        if not look.selector:
            self.recorder.event(look.hpa, "Warning", "SelectorRequired", "selector is required")
            message = "the HPA target's scale is missing a selector"
            self._set(look.status, "ScalingActive", "False", "InvalidSelector", message)
            raise Failed("InvalidSelector", message, "selector is required")
        look.pods = self.client.list("pods", key_of(look.hpa)[0], labels=look.selector)
        self._refuse_ambiguous(look)
        replicas, name, failures = 0, "", []
        shown: list[Obj] = []
        metrics = look.hpa["spec"].get("metrics") or ()
        for metric in metrics:
            status: Obj = {"type": ""}
            try:
                proposal, what, status = self._from_metric(look, metric)
            except Failed as failure:
                self.recorder.event(look.hpa, "Warning", failure.reason, failure.inner)
                failures.append(failure)
            else:
                if not replicas or proposal.replicas > replicas:
                    replicas, name = proposal.replicas, what
            shown.append(status)
        if failures and (len(failures) == len(metrics) or replicas < look.current):
            first = failures[0]
            message = f"the HPA was unable to compute the replica count: {first.inner}"
            self._set(look.status, "ScalingActive", "False", first.reason, message)
            text = f"invalid metrics ({len(failures)} invalid out of {len(metrics)}), first error is: {first}"
            raise Failed(first.reason, first.inner, text, shown)
        message = f"the HPA was able to successfully calculate a replica count from {name}"
        self._set(look.status, "ScalingActive", "True", "ValidMetricFound", message)
        return replicas, name, shown

    def _refuse_ambiguous(self, look: _Look) -> None:
        """Two autoscalers for the same pods would undo each other's work."""
        own = key_of(look.hpa)
        self._selectors[own] = look.selector
        names = {pod["metadata"]["name"] for pod in look.pods}
        rivals = [own]
        for key, selector in self._selectors.items():
            if key != own and key[0] == own[0] and names:
                theirs = self.client.list("pods", key[0], labels=selector)
                if any(pod["metadata"]["name"] in names for pod in theirs):
                    rivals.append(key)
        if len(rivals) > 1:
            listed = " ".join(f"{namespace}/{name}" for namespace, name in sorted(rivals))
            message = f"pods by selector {look.selector} are controlled by multiple HPAs: [{listed}]"
            self.recorder.event(look.hpa, "Warning", "AmbiguousSelector", message)
            self._set(look.status, "ScalingActive", "False", "AmbiguousSelector", message)
            raise Failed("AmbiguousSelector", message, message)

    def _from_metric(self, look: _Look, metric: Obj) -> tuple[Proposal, str, Obj]:
        kind = metric["type"]
        if kind == "Resource":
            return self._from_resource(look, metric["resource"], "resource", "FailedGetResourceMetric", "resource")
        if kind == "ContainerResource":
            reason = "FailedGetContainerResourceMetric"
            return self._from_resource(look, metric["containerResource"], "containerResource", reason, "container")
        if kind == "Pods":
            raise of_pods(metric["pods"])
        if kind == "Object":
            raise of_object(metric["object"], key_of(look.hpa)[0])
        raise of_external(metric["external"], key_of(look.hpa)[0])

    def _from_resource(self, look: _Look, source: Obj, part: str, reason: str, kind: str) -> tuple[Proposal, str, Obj]:
        """A proposal from the use of a resource, by whole pods or by one of their containers."""
        resource, container = source["name"], source.get("container", "")
        aim = source["target"]
        percent = aim.get("averageUtilization") if aim.get("averageValue") is None else None
        value = 0 if aim.get("averageValue") is None else quantity.milli(aim["averageValue"])
        what = "utilization" if percent is not None else "usage"
        rules = look.hpa["spec"].get("behavior") or {}
        up, down = (
            float(quantity.parse(str((rules.get(each) or {}).get("tolerance", TOLERANCE))))
            for each in ("scaleUp", "scaleDown")
        )
        try:
            metrics = self._fetch(look, resource)
            usages = read(metrics, resource, container)
            proposal = propose(
                look.current,
                Target(resource, percent, value, container),
                look.pods,
                usages,
                now=self.clock.now(),
                tolerances=(up, down),
            )
        except NoMetric as error:
            inner = f"failed to get {resource} {what}: {error}"
            raise Failed(reason, inner, f"failed to get {resource} {kind} metric value: {inner}") from None
        now: Obj = {"averageValue": quantity.canonical(f"{proposal.average}m")}
        name = f"{resource} resource"
        if proposal.utilization is not None:
            now = {"averageUtilization": proposal.utilization, **now}
            name = f"{resource} resource utilization (percentage of request)"
        shown: Obj = {"name": resource, "current": now}
        if container:
            shown["container"] = container
        return proposal, name, {"type": "ContainerResource" if container else "Resource", part: shown}

    def _fetch(self, look: _Look, resource: str) -> list[Obj]:
        prefix = f"unable to get metrics for resource {resource}"
        try:
            found = self.client.list("pods.metrics.k8s.io", key_of(look.hpa)[0], labels=look.selector)
        except StatusError as error:
            why = error.message if error.code != 503 else f"{error.message} (get pods.metrics.k8s.io)"
            raise NoMetric(f"{prefix}: unable to fetch metrics from resource metrics API: {why}") from None
        if not found:
            raise NoMetric(f"{prefix}: no metrics returned from resource metrics API")
        return found

    # The status.

    def _set(self, status: Obj, kind: str, value: str, reason: str, message: str) -> None:
        old = podstate.condition({"status": status}, kind)
        same = old is not None and old["status"] == value
        since = old.get("lastTransitionTime") if old is not None and same else self.clock.timestamp()
        made = {"type": kind, "status": value, "lastTransitionTime": since, "reason": reason, "message": message}
        before = status.get("conditions") or []
        if old is None:
            status["conditions"] = [*before, made]
        else:
            status["conditions"] = [made if each["type"] == kind else each for each in before]

    def _count(self, look: _Look, current: int, desired: int, metrics: list[Obj] | None) -> None:
        status = look.status
        if current:
            status["currentReplicas"] = current
        else:
            status.pop("currentReplicas", None)
        status["desiredReplicas"], status["currentMetrics"] = desired, metrics or None

    def _write(self, hpa: Obj, status: Obj) -> None:
        if status != (hpa.get("status") or {}):
            self.client.update(AUTOSCALERS, {**hpa, "status": status}, subresource="status")
