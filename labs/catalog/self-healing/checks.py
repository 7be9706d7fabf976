"""Graded by breaking things while traffic flows: time until all is well, failed requests, who replaced whom.

Which replica is broken is chosen so that checking again does not run into the kubelet's back-off: the one with the
fewest restarts is killed or hangs, the one with the most is deleted. What a stopped node left on the others is brought
back when it is there again (``faults``).
"""

import datetime
import itertools

from grader import check, fail, poll
from grader.cluster import node_ready

IMAGE = "kindling/web:1.0"
SETTLE_SECONDS = 20  # for what was applied a moment ago
MENDED_SECONDS = 60  # for what an earlier check broke
ANSWER_SECONDS = 5
INTERVAL = 0.1
TIMEOUT = 1.0
CALM_SECONDS = 2.0  # without a failed request
AT_ONCE_SECONDS = 5.0
LOOK = "kubectl get pods --output wide; kubectl get endpoints {0}; kubectl get events --sort-by .lastTimestamp"


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
        pods = poll(self.replicas, seconds)
        return pods, {pod.uid: poll(lambda pod=pod: self.greets(pod), ANSWER_SECONDS) for pod in pods}

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


def created(pod):
    """When a pod was made, in seconds since 1970."""
    return datetime.datetime.fromisoformat(pod.raw["metadata"]["creationTimestamp"]).timestamp()


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
    pods, applications = app.healthy()
    victim = min(pods, key=lambda pod: pod.restarts)
    broken = applications[victim.uid]

    def replaced(_):
        app.restarted_or_replaced(victim, broken, f"the killed process of pod {victim.name}")

    faults.fresh(victim)
    app.survives("kill", lambda: faults.kill_container(victim, broken.container), replaced, len(pods))


@check(points=2, title="A deleted pod is replaced", what_if=ONE_MORE)
def test_deleted_pod(cluster, clock, probe, serving, faults, evidence, params, thresholds):
    app = App(cluster, clock, probe, serving, evidence, params, thresholds)
    before, _ = app.healthy(MENDED_SECONDS)
    victim = max(before, key=lambda pod: pod.restarts)
    known = {pod.uid for pod in before}

    def replaced(_):
        if all(pod.uid in known for pod in cluster.pods_behind(app.name)):
            fail(
                expected=f"a new pod behind the Service in the place of {victim.name}",
                observed=cluster.explain_all(cluster.pods({"app": app.name}), len(before)),
                look=app.look,
            )

    app.survives("delete", lambda: faults.delete_pod(victim), replaced, len(before))


@check(points=3, title="A replica that hangs gets no requests and is started again", what_if=ASKED)
def test_hanging_replica(cluster, clock, probe, serving, faults, evidence, params, thresholds):
    app = App(cluster, clock, probe, serving, evidence, params, thresholds)
    pods, applications = app.healthy(MENDED_SECONDS)
    victim = min(pods, key=lambda pod: pod.restarts)
    broken = applications[victim.uid]

    def replaced(_):
        app.restarted_or_replaced(victim, broken, f"the hanging replica {victim.name}")

    faults.fresh(victim)
    app.survives("hang", lambda: faults.hang(victim, container=broken.container), replaced, len(pods))


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
