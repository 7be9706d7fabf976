"""Graded with traffic flowing: who answers, and whether a request fails while replicas come, go and are replaced.

A pod that ends without draining loses only the requests that meet it in the moment until nobody is sent there any more.
Whether there is such a moment, and a request in it, is luck. So who is taken away is asked at its own address, too, as
by clients that have not heard of it yet (``watch.leaving``).
"""

import contextlib

from grader import check, fail, poll
from grader.answers import Answers

ONE, TWO = "kindling/web:1.0", "kindling/web:2.0"
SETTLE_SECONDS = 40  # for what was applied a moment ago, or put back after the check before
ANSWER_SECONDS = 20
EVERY = 0.5
INTERVAL = 0.05
SLOW_INTERVAL = 0.2
SLOW_MS = 2000
UNDER_WAY_SECONDS = 1  # until some slow requests are


class App:
    """The learner's Deployment behind its Service, and whoever asks it."""

    def __init__(self, cluster, clock, probe, watch, serving, operate, params, thresholds):
        self.cluster, self.clock, self.probe, self.watch = cluster, clock, probe, watch
        self.serving, self.operate = serving, operate
        self.name, self.replicas, self.thresholds = params["app"], params["replicas"], thresholds
        self.url = cluster.url(self.name)
        self.container = ""
        self.answers = Answers([])  # of the last rollout
        self.never_without = True

    def settled(self, replicas, seconds=SETTLE_SECONDS):
        """The Deployment has exactly that many replicas, all ready and up to date. Its pods."""

        def look():
            pods = self.operate.scaled(self.name)
            if len(pods) != replicas or not all(pod.ready for pod in pods):
                fail(
                    expected=f"{replicas} ready replicas of {self.name}",
                    observed=lambda: self.cluster.explain_all(pods, replicas),
                    look=f"kubectl describe deployment {self.name}; kubectl get pods",
                )
            return pods

        return poll(look, seconds, every=EVERY)

    def as_asked(self):
        """Begin: the replicas that were asked for, each the application with its start-up work; all of them answer."""
        wanted = self.cluster.get("deployment", self.name)["spec"].get("replicas", 1)
        if wanted != self.replicas:
            fail(
                expected=f"{self.replicas} replicas of {self.name}",
                observed=f"the Deployment asks for {wanted}",
                look=f"kubectl get deployment {self.name}",
            )
        pods = self.settled(self.replicas)
        for pod in pods:
            found = poll(lambda pod=pod: self.serving.application(pod, ONE), ANSWER_SECONDS / 4)
            self.container = found.container
            if found.startup_seconds < 3:
                fail(
                    expected=f"the replicas of {self.name} to have STARTUP_SECONDS=3, as they came",
                    observed=f"container {found.container} of pod {pod.name} has {found.startup_seconds:g}",
                    look=f"kubectl describe pod {pod.name} (environment)",
                )
        return self.all_answer(pods, ONE)

    def all_answer(self, pods, image, seconds=ANSWER_SECONDS):
        """Wait until all of these pods answer, in that version of the image, and nobody else does. The pods."""
        return poll(lambda: self.answered_by(pods, image), seconds, every=EVERY)

    def answered_by(self, pods, image):
        """They do so now. Meant for ``poll``."""
        received = self.serving.received(self.url, pods, image, 12 * len(pods))
        if received.answers.failed or received.silent or received.elsewhere:
            fail(
                expected=f"answers from all {len(pods)} replicas of {image}, and from nobody else",
                observed=str(received),
                look=f"kubectl get pods --show-labels; kubectl describe service {self.name}",
            )
        return pods

    @contextlib.contextmanager
    def under_load(self, what, pods=()):
        """Requests flow meanwhile, quick and slow ones, and no more fail than are allowed; nor do those to ``pods``
        that are taken away."""
        slow = self.cluster.url(self.name, path=f"/wait?ms={SLOW_MS}")
        late = self.thresholds["late_seconds"]
        with (
            self.probe.traffic(self.url, interval=INTERVAL) as quick,
            self.probe.traffic(slow, interval=SLOW_INTERVAL, timeout=SLOW_MS / 1000 + 3) as waiting,
            self.watch.leaving(pods, seconds=late) as leaving,
        ):
            self.clock.sleep(UNDER_WAY_SECONDS)
            yield quick
        self.judged(
            leaving.answers,
            f"failed requests to replicas that were told to end less than {late} s ago, while {what}",
            f"kubectl get pods --watch while you do the same; kubectl describe deployment {self.name} "
            "(environment); kubectl explain pod.spec.containers.lifecycle; "
            "kubectl explain pod.spec.terminationGracePeriodSeconds",
        )
        self.judged(
            Answers(sorted([*quick.answers(), *waiting.answers()], key=lambda one: one.t)),
            f"failed requests while {what}",
            f"kubectl describe deployment {self.name} (probes, strategy); "
            f"kubectl get endpoints {self.name} --watch while you do the same",
        )

    def judged(self, answers, what, look):
        """No more of them fail than are allowed."""
        most = self.thresholds["failed_requests"]
        if len(answers.failed) > most:
            fail(expected=f"at most {most} {what}", observed=f"{answers}; for example {answers.failed[0]}", look=look)

    def surplus_gone(self, before, kept):
        """Wait until those of the pods ``before`` that were taken away have ended: their last requests count, too."""
        surplus = {pod.uid for pod in before} - {pod.uid for pod in kept}
        seconds = self.thresholds["scale_seconds"]
        poll(
            lambda: not any(pod.uid in surplus for pod in self.cluster.pods(terminating=True)),
            seconds,
            expected=f"the surplus pods of {self.name} to be gone within {seconds} seconds",
            look="kubectl get pods (terminationGracePeriodSeconds)",
            every=EVERY,
        )

    def rolled(self, act, image, what, before):
        """``act`` starts a rollout that replaces the pods ``before``; it completes while traffic flows, and then only
        ``image`` answers. Its pods."""
        with self.under_load(what, before) as traffic:
            act()
            pods = poll(self.complete, self.thresholds["rollout_seconds"], every=EVERY)
            self.all_answer(pods, image)
        self.answers = traffic.answers()
        if not self.never_without:
            fail(
                expected=f"a ready replica of {self.name} at every moment, while {what}",
                observed="for some time none was ready",
                look=f"kubectl get deployment {self.name} --watch while you do the same; "
                f"kubectl describe deployment {self.name} (strategy)",
            )
        return pods

    def complete(self):
        """The rollout has come to its end: its pods. Notes when no replica is ready. Meant for ``poll``."""
        status = self.cluster.get("deployment", self.name).get("status") or {}
        self.never_without = self.never_without and bool(status.get("readyReplicas"))
        return self.operate.rolled_out(self.name)


# What would have been (@check(..., what_if=...)): one change to the learner's Deployment each.


def application(cluster, params):
    """The container of the application in the learner's Deployment."""
    containers = cluster.get("deployment", params["app"])["spec"]["template"]["spec"]["containers"]
    return next((one for one in containers if one.get("image") == ONE), containers[0])


def change(operate, params, container, **settings):
    """Other settings of a container."""
    pod = {"containers": [{"name": container["name"], **settings}]}
    operate.patch(params["app"], {"spec": {"template": {"spec": pod}}})


def ready_later(cluster, operate, params):
    """However readiness is found out, 4 s later than now."""
    container = application(cluster, params)
    probe = container.get("readinessProbe", {"tcpSocket": {"port": 8080}})
    later = {**probe, "initialDelaySeconds": probe.get("initialDelaySeconds", 0) + 4}
    change(operate, params, container, readinessProbe=later)


def end_later(cluster, operate, params):
    """The process is told to end 6 s later than now."""
    hook = {"preStop": {"exec": {"command": ["sleep", "6"]}}}
    change(operate, params, application(cluster, params), lifecycle=hook)


def replaced_first(operate, params):
    """An old pod is taken away when its replacement is ready."""
    gently = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    operate.patch(params["app"], {"spec": {"strategy": gently}})


READY_LATER = {"with new pods counted as ready 4 s later": ready_later}
END_LATER = {"with old pods told to end 6 s later": end_later}
REPLACED_FIRST = {"with no old pod taken away before a new one is ready": replaced_first}
ROLLOUT = {**READY_LATER, **END_LATER, **REPLACED_FIRST}


@check(points=2, title="All replicas are ready and answer")
def test_replicas(cluster, clock, probe, watch, serving, operate, params, thresholds):
    app = App(cluster, clock, probe, watch, serving, operate, params, thresholds)
    app.as_asked()


@check(points=2, title="Scaling up under load: every new replica answers, no request fails", what_if=READY_LATER)
def test_scale_up(cluster, clock, probe, watch, serving, operate, params, thresholds):
    app = App(cluster, clock, probe, watch, serving, operate, params, thresholds)
    app.as_asked()
    more = app.replicas + thresholds["extra"]
    with app.under_load(f"{app.name} is scaled from {app.replicas} to {more} replicas"):
        deadline = clock.now() + thresholds["scale_seconds"]
        operate.scale(app.name, more)
        pods = app.settled(more, thresholds["scale_seconds"])
        app.all_answer(pods, ONE, max(deadline - clock.now(), EVERY))
    operate.scale(app.name, app.replicas)


@check(points=2, title="Scaling down under load: no request fails", what_if=END_LATER)
def test_scale_down(cluster, clock, probe, watch, serving, operate, params, thresholds):
    app = App(cluster, clock, probe, watch, serving, operate, params, thresholds)
    before = app.as_asked()
    fewer = app.replicas - thresholds["removed"]
    with app.under_load(f"{app.name} is scaled from {app.replicas} to {fewer} replicas", before):
        operate.scale(app.name, fewer)
        pods = app.settled(fewer, thresholds["scale_seconds"])
        app.surplus_gone(before, pods)
    operate.scale(app.name, app.replicas)
    app.settled(app.replicas, thresholds["scale_seconds"])  # which may take longer than a check waits to begin


@check(points=3, title="Rolling out version 2.0: no request fails", what_if=ROLLOUT)
def test_rolling_update(cluster, clock, probe, watch, serving, operate, evidence, predict, params, thresholds):
    app = App(cluster, clock, probe, watch, serving, operate, params, thresholds)
    before = app.as_asked()
    what = f"{app.name} is rolled out in version 2.0"
    pods = app.rolled(lambda: operate.set_image(app.name, TWO, app.container), TWO, what, before)
    evidence.add("rolled out", image=TWO, pods=[pod.name for pod in pods])
    seen = [one.version for one in app.answers.ok]
    mixed = "2.0" in seen and "1.0" in seen[seen.index("2.0") :]
    predict.happened("who-answers", "both" if mixed else "switch")


@check(points=1, title="Going back to version 1.0: no request fails", what_if=ROLLOUT)
def test_undo(cluster, clock, probe, watch, serving, operate, evidence, params, thresholds):
    app = App(cluster, clock, probe, watch, serving, operate, params, thresholds)
    containers = cluster.get("deployment", app.name)["spec"]["template"]["spec"]["containers"]
    if any(one.get("image") == TWO for one in containers):  # by the check before this one
        before = app.settled(app.replicas, thresholds["rollout_seconds"])
    else:
        app.as_asked()
        operate.set_image(app.name, TWO, app.container)
        before = poll(lambda: operate.rolled_out(app.name), thresholds["rollout_seconds"], every=EVERY)
        app.all_answer(before, TWO)
    pods = app.rolled(lambda: operate.undo(app.name), ONE, f"the rollout of {app.name} is undone", before)
    evidence.add("rolled out", image=ONE, pods=[pod.name for pod in pods])
