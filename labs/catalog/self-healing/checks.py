"""Graded by breaking things while traffic flows: time until all is well, failed requests, who replaced whom.

Where replicas differ (in what runs in them, or in who brings them back), one of each kind is broken, one after the
other. Which one is chosen so that checking again does not run into the kubelet's back-off: the one with the fewest
restarts is killed or hangs, the one with the most is deleted. What a stopped node left on the others is brought back
when it is there again (``faults``).

Before anything is broken every replica must have been ready for longer than its own liveness probe needs to give it up:
one that is started again and again is ready in between.
"""

import itertools
import json

from grader import check, fail, poll
from grader.cluster import node_ready
from grader.objects import seconds_of

IMAGE = "kindling/web:1.0"
SETTLE_SECONDS = 20  # for what was applied a moment ago
MENDED_SECONDS = 60  # for what an earlier check broke
ANSWER_SECONDS = 5
INTERVAL = 0.1
TIMEOUT = 1.0
CALM_SECONDS = 2.0  # without a failed request
AT_ONCE_SECONDS = 5.0
STEADY_SECONDS, LONGEST_SECONDS = 5.0, 32.0  # as long a replica must have been ready at least, and need be at most
MARGIN_SECONDS = 2.0  # more than its probe needs
MOST_KINDS = 4  # of replicas that are broken one after the other
LOOK = "kubectl get pods --output wide; kubectl describe service {0}; kubectl get events --sort-by .lastTimestamp"


class App:
    """What the learner has behind the Service, and whoever asks it."""

    def __init__(self, cluster, clock, probe, serving, evidence, params, thresholds):
        self.cluster, self.clock, self.probe, self.serving = cluster, clock, probe, serving
        self.evidence, self.thresholds = evidence, thresholds
        self.name, self.wanted, self.message = params["app"], params["replicas"], params["message"]
        self.url = cluster.url(self.name)
        self.look = LOOK.format(self.name)

    def replicas(self, wanted=0):
        """The ready pods behind the Service; fails when there are too few. Meant for ``poll``."""
        wanted = wanted or self.wanted
        behind = self.cluster.pods_behind(self.name)
        if len(behind) < wanted:
            pods = self.cluster.pods({"app": self.name})
            fail(
                expected=f"{wanted} ready replicas behind the Service {self.name}",
                observed=self.cluster.explain_all(pods, wanted) if pods else f"no pod is labelled app={self.name}",
                look=self.look,
            )
        return behind

    def healthy(self, seconds=SETTLE_SECONDS):
        """All is well before something is broken: the pods, and by uid their applications."""
        self.cluster.get("service", self.name)
        if len(self.cluster.pods({"app": self.name}, terminating=True)) < self.wanted:
            self.replicas()  # there are not even enough pods: waiting for them to get ready is no use
        nodes_ready = lambda: all(node_ready(node) for node in self.cluster.nodes())  # noqa: E731
        poll(nodes_ready, MENDED_SECONDS, expected="all nodes to be ready")
        pods = self.steady(seconds)
        return pods, {pod.uid: poll(lambda pod=pod: self.greets(pod), ANSWER_SECONDS) for pod in pods}

    def steady(self, seconds):
        """The replicas, once each has been ready for longer than its own liveness probe needs to give it up."""
        deadline = self.clock.now() + seconds
        while True:
            pods = poll(self.replicas, max(deadline - self.clock.now(), ANSWER_SECONDS))
            now = self.clock.now()
            left = {pod.name: patience(pod) - (now - ready_since(pod)) for pod in pods}
            last = max(pods, key=lambda pod: left[pod.name])
            if left[last.name] <= 0:
                return pods
            if now + left[last.name] > deadline + patience(last):
                warning = self.cluster.last_warning(last)
                fail(
                    expected=f"every replica to stay ready, for {patience(last):g} seconds at least",
                    observed=f"pod {last.name} has been started again {last.restarts} times, and ready for "
                    f"{max(now - ready_since(last), 0):.0f} s" + (f"; {warning}" if warning else ""),
                    look=f"kubectl describe pod {last.name}",
                )
            self.clock.sleep(left[last.name])

    def each_kind(self, seconds):
        """For each kind of replica, when all is well: all replicas, their applications by uid, those of the kind."""
        pods, applications = self.healthy(seconds)
        kinds = sorted({kind_of(pod) for pod in pods})[:MOST_KINDS]
        for kind in kinds:
            if kind != kinds[0]:
                pods, applications = self.healthy(MENDED_SECONDS)
            alike = [pod for pod in pods if kind_of(pod) == kind]
            if alike:
                yield pods, applications, alike

    def greets(self, pod):
        """The application of a pod, which must have the message. Meant for ``poll``."""
        found = self.serving.application(pod, IMAGE)
        if found.message != self.message:
            fail(
                expected=f'"{self.message}" from every replica behind the Service {self.name}',
                observed=f"pod {pod.name} answers {found.greeting!r}",
                look=self.look,
            )
        return found

    def all_answer(self, pods):
        """Each of these pods is seen to receive requests through the Service, nobody else answers, none fails."""
        received = self.serving.received(self.url, pods, IMAGE, 25 * len(pods))
        wrong = next((one for one in received.answers if one.message != self.message), None)
        if received.silent or received.elsewhere or received.answers.failed or wrong:
            fail(
                expected=f'"{self.message}" from every replica behind the Service {self.name}, and from nobody else',
                observed=str(received) if wrong is None or received.elsewhere else str(wrong),
                look=self.look,
            )
        return True

    def survives(self, name, act, replaced_by, left):
        """Break something while traffic flows, and wait until all is well.

        ``replaced_by(broken)`` fails until the broken thing is whole; ``left`` replicas must be ready then.
        """
        with self.probe.traffic(self.url, interval=INTERVAL, timeout=TIMEOUT) as traffic:
            poll(
                lambda: len(traffic.answers()) > 5 and not traffic.answers()[-5:].failed,
                SETTLE_SECONDS,
                expected="requests to be answered before anything is broken",
                look=self.look,
            )
            broken = act()
            self.well_again(traffic, broken, self.thresholds[f"{name}_recovery_seconds"], replaced_by, left)
            self.evidence.add("all is well", seconds=round(self.clock.now() - broken.t, 1))
        answers = traffic.answers().since(broken.t - 1)
        self.judged(answers, broken, self.thresholds.get(f"{name}_failed_requests"))
        poll(
            lambda: self.all_answer([pod for pod in self.replicas(left) if self.greets(pod)]), ANSWER_SECONDS, every=0.5
        )

    def well_again(self, traffic, broken, seconds, replaced_by, left):
        """Wait until what was broken is whole, all replicas are ready, and no request has failed for a while."""
        deadline = broken.t + seconds

        def well():
            replaced_by(broken)
            self.replicas(left)
            answers = traffic.answers()
            late = answers.since(answers[-1].t - CALM_SECONDS) if len(answers) else answers
            if late.failed or len(late) < 5 or late[0].t < broken.t:
                fail(
                    expected=f"no more failed requests within {seconds} seconds",
                    observed=f"{late} in the last {CALM_SECONDS:g} seconds",
                    look=self.look,
                )
            return answers

        return poll(well, max(deadline - self.clock.now(), 0.1), every=0.3)

    def judged(self, answers, broken, most):
        """What the outage cost is within bounds: failed requests, and time without a single good answer."""
        silence = longest_silence(answers)
        last = max((one.t for one in answers.failed), default=broken.t)
        self.evidence.add(
            "measured",
            fault=broken.fault,
            target=broken.target,
            failed_requests=len(answers.failed),
            last_failure_after_seconds=round(last - broken.t, 1),
            longest_silence_seconds=silence,
        )
        self.evidence.measure("seconds without a good answer", silence)
        if silence > self.thresholds["silence_seconds"]:
            fail(
                expected=f"never more than {self.thresholds['silence_seconds']} seconds without a good answer",
                observed=f"{silence} seconds; {answers}",
                look=self.look,
            )
        if most is not None and len(answers.failed) > most:
            fail(expected=f"at most {most} failed requests", observed=str(answers), look=self.look)

    def started_again(self, name, faults, act, what, seconds):
        """Of each kind of replica break one, by ``act`` on its pod and container: it is started again or replaced."""
        for pods, applications, alike in self.each_kind(seconds):
            self.one_started_again(name, faults, act, what, len(pods), min(alike, key=restarts), applications)

    def one_started_again(self, name, faults, act, what, left, victim, applications):
        application = applications[victim.uid]
        faults.fresh(victim)
        self.survives(
            name,
            lambda: act(victim, container=application.container),
            lambda _: self.restarted_or_replaced(victim, application, what.format(victim.name)),
            left,
        )

    def restarted_or_replaced(self, pod, application, what):
        """The broken replica's process is a new one, or another pod has taken its place. Meant for ``poll``."""
        found = self.cluster.find("pod", pod.name)
        now = pod if found is None else self.cluster.pod(pod.name)
        if found is None or now.uid != pod.uid or now.terminating or now.over:
            return
        after = now.container(application.container)
        if after is not None and after.id == pod.container(application.container).id:
            fail(
                expected=f"{what} to be started again or replaced",
                observed=f"{self.cluster.explain(now)}, still with the same process",
                look=f"kubectl describe pod {pod.name}",
            )


def longest_silence(answers):
    """The longest time in seconds between two good answers."""
    good = [answers[0].t, *(one.t for one in answers.ok), answers[-1].t]
    return round(max(after - before for before, after in itertools.pairwise(good)), 1)


def restarts(pod):
    """How often its containers were started again."""
    return pod.restarts


def patience(pod):
    """Seconds after which a pod's liveness probes would have given it up, had they failed from the start; at most as
    long as one takes that says nothing of its times."""
    probes = [probe for one in pod.containers if (probe := one.spec.get("livenessProbe"))]
    needed = max([STEADY_SECONDS, *(gives_up_after(probe) + MARGIN_SECONDS for probe in probes)])
    return min(needed, LONGEST_SECONDS)


def gives_up_after(probe):
    """Seconds that a probe needs at most to fail as often as it must."""
    each = max(probe.get("periodSeconds", 10), probe.get("timeoutSeconds", 1))
    return probe.get("initialDelaySeconds", 0) + each * probe.get("failureThreshold", 3)


def ready_since(pod):
    """When a pod became ready, or the last of its containers was started after that; in seconds since 1970."""
    became = seconds_of(str(pod.condition("Ready").get("lastTransitionTime") or ""))
    return max([became, *(one.started for one in pod.containers)])


def kind_of(pod):
    """What replicas of one kind have in common: who brings them back, and what runs in them, but for its volumes."""
    containers = [*pod.spec.get("containers", []), *pod.spec.get("initContainers", [])]
    running = [{name: value for name, value in one.items() if name != "volumeMounts"} for one in containers]
    others = [pod.spec.get("restartPolicy"), pod.spec.get("terminationGracePeriodSeconds")]
    return json.dumps([pod.controller[0], *others, running], sort_keys=True)


def created(pod):
    """When a pod was made, in seconds since 1970."""
    return seconds_of(pod.raw["metadata"]["creationTimestamp"])


# What would have been (@check(..., what_if=...)): one change to the learner's Deployment each.


def deployment_of(cluster, params):
    """The learner's Deployment whose pods the Service finds; the check fails when there is none."""
    for one in cluster.objects("deployment"):
        labels = one["spec"]["template"]["metadata"].get("labels") or {}
        if labels.get("app") == params["app"]:
            return one
    return fail(expected=f"a Deployment of pods labelled app={params['app']}", observed="there is none")


def change_container(cluster, operate, params, change):
    """``change`` gives other settings for the container of the application; False when there are none to make."""
    deployment = deployment_of(cluster, params)
    containers = deployment["spec"]["template"]["spec"]["containers"]
    container = next((one for one in containers if one.get("image") == IMAGE), containers[0])
    settings = change(container)
    if not settings:
        return False
    pod = {"containers": [{"name": container["name"], **settings}]}
    operate.patch(deployment["metadata"]["name"], {"spec": {"template": {"spec": pod}}})
    return True


def one_more(cluster, operate, params):
    """One replica more."""
    deployment = deployment_of(cluster, params)
    operate.patch(deployment["metadata"]["name"], {"spec": {"replicas": deployment["spec"].get("replicas", 1) + 1}})


def asked_every_second(cluster, operate, params):
    """The probes that there are ask every second, and believe the second answer that does not come."""

    def change(container):
        probes = {name: container.get(name) for name in ("readinessProbe", "livenessProbe")}
        often = {"periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 2}
        return {name: {**probe, **often} for name, probe in probes.items() if probe}

    return change_container(cluster, operate, params, change)


def asked_for_an_answer(cluster, operate, params):
    """The kubelet starts again what does not answer three times in a row."""
    asking = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 2, "timeoutSeconds": 1}
    other = {"tcpSocket": None, "exec": None, "grpc": None, "failureThreshold": 3}
    return change_container(cluster, operate, params, lambda _: {"livenessProbe": {**asking, **other}})


def spread(cluster, operate, params):
    """The replicas keep away from each other's nodes."""
    mark = {"kindling.dev/spread": "yes"}
    over_nodes = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": mark},
    }
    pod = {"affinity": None, "nodeSelector": None, "nodeName": None, "topologySpreadConstraints": [over_nodes]}
    template = {"metadata": {"labels": mark}, "spec": pod}
    operate.patch(deployment_of(cluster, params)["metadata"]["name"], {"spec": {"template": template}})


ONE_MORE = {"with one replica more": one_more}
ASKED = {
    "with your probes asking every second": asked_every_second,
    "with every replica started again that does not answer for some seconds": asked_for_an_answer,
}
SPREAD = {"with the replicas spread over the nodes": spread}


@check(points=1, title="Enough replicas, on two nodes, answer")
def test_replicas(cluster, clock, probe, serving, evidence, params, thresholds):
    app = App(cluster, clock, probe, serving, evidence, params, thresholds)
    app.healthy()

    def look():
        pods = app.replicas()
        app.all_answer(pods)
        nodes = {pod.node for pod in pods}
        if len(nodes) < 2:
            fail(
                expected="replicas on at least two nodes",
                observed=f"all {len(pods)} are on {nodes.pop()}",
                look="kubectl get pods --output wide",
            )
        return True

    poll(look, ANSWER_SECONDS, every=0.5)


@check(points=2, title="A killed process comes back", what_if=ONE_MORE)
def test_killed_process(cluster, clock, probe, serving, faults, evidence, params, thresholds):
    app = App(cluster, clock, probe, serving, evidence, params, thresholds)
    app.started_again("kill", faults, faults.kill_container, "the killed process of pod {}", SETTLE_SECONDS)


@check(points=2, title="A deleted pod is replaced", what_if=ONE_MORE)
def test_deleted_pod(cluster, clock, probe, serving, faults, evidence, params, thresholds):
    app = App(cluster, clock, probe, serving, evidence, params, thresholds)

    def replaced(victim, known):
        if all(pod.uid in known for pod in cluster.pods_behind(app.name)):
            fail(
                expected=f"a new pod behind the Service in the place of {victim.name}",
                observed=cluster.explain_all(cluster.pods({"app": app.name}), len(known)),
                look=app.look,
            )

    def delete(victim, known):
        app.survives("delete", lambda: faults.delete_pod(victim), lambda _: replaced(victim, known), len(known))

    for pods, _, alike in app.each_kind(MENDED_SECONDS):
        delete(max(alike, key=restarts), {pod.uid for pod in pods})


@check(points=3, title="A replica that hangs gets no requests and is started again", what_if=ASKED)
def test_hanging_replica(cluster, clock, probe, serving, faults, evidence, params, thresholds):
    app = App(cluster, clock, probe, serving, evidence, params, thresholds)
    app.started_again("hang", faults, faults.hang, "the hanging replica {}", MENDED_SECONDS)


@check(points=2, title="The loss of a node is survived", what_if={**SPREAD, **ONE_MORE})
def test_lost_node(cluster, clock, probe, serving, faults, evidence, predict, params, thresholds):
    app = App(cluster, clock, probe, serving, evidence, params, thresholds)
    pods, _ = app.healthy(MENDED_SECONDS)
    workers = set(cluster.workers())
    counts = {node: sum(pod.node == node for pod in pods) for node in {pod.node for pod in pods} & workers}
    if not counts:
        fail(
            expected="replicas on the worker nodes",
            observed="there is none on them",
            look="kubectl get pods --output wide",
        )
    node = max(counts, key=lambda name: (counts[name], name))
    known = {pod.uid for pod in cluster.pods({"app": app.name}, terminating=True)}
    made = {}

    def replaced(broken):
        new = (pod for pod in cluster.pods({"app": app.name}) if pod.uid not in known)
        made.update((pod.uid, created(pod) - broken.t) for pod in new)
        elsewhere = [pod for pod in cluster.pods_behind(app.name) if pod.node != node]
        if len(elsewhere) < app.wanted:
            fail(
                expected=f"{app.wanted} ready replicas on other nodes than {node}",
                observed=f"{len(elsewhere)} are ready there",
                look=app.look,
            )

    app.survives("node", lambda: faults.stop_node(node), replaced, app.wanted)
    if made:  # where there are more replicas than are asked for, none need be made in time
        predict.happened("lost-node", "at-once" if min(made.values()) < AT_ONCE_SECONDS else "later")
