"""Graded with traffic flowing: who answers, and whether a request fails while replicas come, go and are replaced.

A pod that ends without draining loses only the requests that meet it in the moment until nobody is sent there any more.
So there are many, some of which are always under way, and replicas are taken away twice.
"""

import contextlib

from grader import check, fail, hold, poll
from grader.answers import Answers

ONE, TWO = "kindling/web:1.0", "kindling/web:2.0"
SETTLE_SECONDS = 40  # for what was applied a moment ago, or put back after the check before
ANSWER_SECONDS = 20
CALM_SECONDS = 2.5
INTERVAL = 0.02
SLOW_INTERVAL = 0.2
SLOW_MS = 3000
ROUNDS = 2


class App:
    """The learner's Deployment behind its Service, and whoever asks it."""

    def __init__(self, cluster, probe, serving, operate, params, thresholds):
        self.cluster, self.probe, self.serving, self.operate = cluster, probe, serving, operate
        self.name, self.replicas, self.thresholds = params["app"], params["replicas"], thresholds
        self.url = cluster.url(self.name)
        self.container = ""
        self.answers = Answers([])  # of the last rollout

    def settled(self, replicas, seconds=SETTLE_SECONDS):
        """The Deployment has exactly that many replicas, all ready and up to date. Its pods."""

        def look():
            pods = self.operate.rolled_out(self.name)
            if len(pods) != replicas or not all(pod.ready for pod in pods):
                fail(
                    expected=f"{replicas} ready replicas of {self.name}",
                    observed=self.cluster.explain_all(pods, replicas),
                    look=f"kubectl describe deployment {self.name}; kubectl get pods",
                )
            return pods

        return poll(look, seconds)

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
        return poll(lambda: self.answered_by(pods, ONE), ANSWER_SECONDS, every=0.5)

    def answered_by(self, pods, image):
        """All of these pods answer, in that version of the image, and nobody else does. Meant for ``poll``."""
        for pod in pods:
            self.serving.application(pod, image)
        received = self.serving.received(self.url, pods, image, 20 * len(pods))
        if received.answers.failed or received.silent or received.elsewhere:
            fail(
                expected=f"answers from all {len(pods)} replicas of {image}, and from nobody else",
                observed=str(received),
                look="kubectl get pods --show-labels; kubectl get endpoints",
            )
        return pods

    @contextlib.contextmanager
    def under_load(self, what):
        """Requests flow meanwhile, quick and slow ones, and no more fail than are allowed."""
        slow = self.cluster.url(self.name, path=f"/wait?ms={SLOW_MS}")
        with (
            self.probe.traffic(self.url, interval=INTERVAL) as quick,
            self.probe.traffic(slow, interval=SLOW_INTERVAL, timeout=SLOW_MS / 1000 + 3) as waiting,
        ):
            yield quick
        answers = Answers(sorted([*quick.answers(), *waiting.answers()], key=lambda one: one.t))
        if len(answers.failed) > self.thresholds["failed_requests"]:
            fail(
                expected=f"at most {self.thresholds['failed_requests']} failed requests while {what}",
                observed=f"{answers}; for example {answers.failed[0]}",
                look="kubectl describe deployment (probes, strategy); "
                "kubectl get endpoints --watch while you do the same",
            )

    def surplus_gone(self, pods):
        """Wait until the pods that were taken away have ended: their last requests count, too."""
        kept = {pod.name for pod in pods}
        seconds = self.thresholds["scale_seconds"]
        poll(
            lambda: (
                not [one for one in self.cluster.pods_of("deployment", self.name, ending=True) if one.name not in kept]
            ),
            seconds,
            expected=f"the surplus pods of {self.name} to be gone within {seconds} seconds",
            look="kubectl get pods (terminationGracePeriodSeconds)",
        )

    def rolled(self, act, image, what):
        """``act`` starts a rollout; it completes while traffic flows, and then only ``image`` answers. Its pods."""
        with self.under_load(what) as traffic:
            act()
            pods = poll(lambda: self.operate.rolled_out(self.name), self.thresholds["rollout_seconds"])
            poll(lambda: self.answered_by(pods, image), ANSWER_SECONDS, every=0.5)
            # The last old pods have just been told to end: see how their last requests fare.
            hold(traffic.answers, CALM_SECONDS, every=0.5)
        self.answers = traffic.answers()
        return pods


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
def test_replicas(cluster, probe, serving, operate, params, thresholds):
    app = App(cluster, probe, serving, operate, params, thresholds)
    app.as_asked()


@check(points=2, title="Scaling up under load: every new replica answers, no request fails", what_if=READY_LATER)
def test_scale_up(cluster, probe, serving, operate, params, thresholds):
    app = App(cluster, probe, serving, operate, params, thresholds)
    app.as_asked()
    more = app.replicas + thresholds["extra"]
    with app.under_load(f"{app.name} is scaled from {app.replicas} to {more} replicas"):
        operate.scale(app.name, more)
        pods = app.settled(more, thresholds["scale_seconds"])
        poll(lambda: app.answered_by(pods, ONE), thresholds["scale_seconds"], every=0.5)
    operate.scale(app.name, app.replicas)


@check(points=2, title="Scaling down under load: no request fails", what_if=END_LATER)
def test_scale_down(cluster, probe, serving, operate, params, thresholds):
    app = App(cluster, probe, serving, operate, params, thresholds)
    fewer = app.replicas - thresholds["removed"]
    for _ in range(ROUNDS):
        app.as_asked()
        with app.under_load(f"{app.name} is scaled from {app.replicas} to {fewer} replicas"):
            operate.scale(app.name, fewer)
            pods = app.settled(fewer, thresholds["scale_seconds"])
            app.surplus_gone(pods)
        operate.scale(app.name, app.replicas)


@check(points=3, title="Rolling out version 2.0: no request fails", what_if=ROLLOUT)
def test_rolling_update(cluster, probe, serving, operate, evidence, predict, params, thresholds):
    app = App(cluster, probe, serving, operate, params, thresholds)
    app.as_asked()
    what = f"{app.name} is rolled out in version 2.0"
    pods = app.rolled(lambda: operate.set_image(app.name, TWO, app.container), TWO, what)
    evidence.add("rolled out", image=TWO, pods=[pod.name for pod in pods])
    seen = [one.version for one in app.answers.ok]
    mixed = "2.0" in seen and "1.0" in seen[seen.index("2.0") :]
    predict.happened("who-answers", "both" if mixed else "switch")


@check(points=1, title="Going back to version 1.0: no request fails", what_if=ROLLOUT)
def test_undo(cluster, probe, serving, operate, evidence, params, thresholds):
    app = App(cluster, probe, serving, operate, params, thresholds)
    containers = cluster.get("deployment", app.name)["spec"]["template"]["spec"]["containers"]
    if any(one.get("image") == TWO for one in containers):  # by the check before this one
        app.settled(app.replicas, thresholds["rollout_seconds"])
    else:
        app.as_asked()
        operate.set_image(app.name, TWO, app.container)
        pods = poll(lambda: operate.rolled_out(app.name), thresholds["rollout_seconds"])
        poll(lambda: app.answered_by(pods, TWO), ANSWER_SECONDS, every=0.5)
    pods = app.rolled(lambda: operate.undo(app.name), ONE, f"the rollout of {app.name} is undone")
    evidence.add("rolled out", image=ONE, pods=[pod.name for pod in pods])
