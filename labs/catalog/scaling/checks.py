"""Graded with traffic flowing: who answers, and whether a request fails while replicas come, go and are replaced."""

from grader import check, fail, hold, poll

SETTLE_SECONDS = 20  # for what was applied a moment ago
CALM_SECONDS = 2.5
INTERVAL = 0.04


def settled(cluster, operate, app, replicas, seconds=SETTLE_SECONDS):
    """The Deployment has exactly that many replicas, all ready and up to date. Its pods."""

    def look():
        pods = operate.rolled_out(app)
        if len(pods) != replicas or not all(pod.ready for pod in pods):
            fail(
                expected=f"{replicas} ready replicas of {app}",
                observed=cluster.explain_all(pods, replicas),
                look=f"kubectl describe deployment {app}; kubectl get pods",
            )
        return pods

    wanted = cluster.get("deployment", app)["spec"].get("replicas", 1)
    if wanted != replicas:
        fail(
            expected=f"{replicas} replicas of {app}",
            observed=f"the Deployment asks for {wanted}",
            look=f"kubectl get deployment {app}",
        )
    return poll(look, seconds)


def unharmed(answers, thresholds, what):
    """No more requests failed than are allowed."""
    if len(answers.failed) > thresholds["failed_requests"]:
        fail(
            expected=f"at most {thresholds['failed_requests']} failed requests while {what}",
            observed=f"{answers}; for example {answers.failed[0]}",
            look="kubectl describe deployment (probes, strategy); kubectl get endpoints --watch while you do the same",
        )


def answered_by(probe, url, pods, version):
    """All of these pods answer, in that version, and nobody else does. Meant for ``poll``."""
    answers = probe.requests(url, 20 * len(pods))
    wanted = {pod.name for pod in pods}
    if answers.failed or answers.hosts != wanted or answers.versions != {version}:
        observed = f"{len(answers.hosts & wanted)} of {len(wanted)} replicas answered"
        observed += f", in version {' and '.join(sorted(answers.versions)) or 'none'}"
        observed += f"; {answers}" if answers.failed else ""
        others = sorted(answers.hosts - wanted)
        observed += f"; others answered as well: {', '.join(others)}" if others else ""
        fail(
            expected=f"answers from all {len(wanted)} replicas, in version {version}",
            observed=observed,
            look="kubectl get pods --show-labels; kubectl get endpoints",
        )
    return answers


def slow_starters(pods, app):
    """Every replica does its start-up work. (How long it takes cannot be seen from outside once it is over.)"""
    for pod in pods:
        if not any(_seconds(one.environment.get("STARTUP_SECONDS")) >= 3 for one in pod.containers):
            fail(
                expected=f"the replicas of {app} to have STARTUP_SECONDS=3, as they came",
                observed=f"pod {pod.name} has another value, or none",
                look=f"kubectl describe pod {pod.name} (environment)",
            )


def _seconds(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return 0.0


def roll(cluster, probe, operate, evidence, app, act, version, thresholds, what):
    """``act`` starts a rollout; it completes while traffic flows, and then only ``version`` answers."""
    url = cluster.url(app)
    with probe.traffic(url, interval=INTERVAL) as traffic:
        act()
        pods = poll(lambda: operate.rolled_out(app), thresholds["rollout_seconds"])
        poll(lambda: answered_by(probe, url, pods, version), SETTLE_SECONDS, every=0.5)
        calm(traffic)
    evidence.add("rolled out", version=version, pods=[pod.name for pod in pods])
    unharmed(traffic.answers(), thresholds, what)


def calm(traffic):
    """The last old pods have just been told to end: see how their last requests fare."""
    hold(traffic.answers, CALM_SECONDS, every=0.5)


def gone(cluster, app, pods, seconds):
    """Wait until the pods that were taken away have ended: their last requests count, too."""
    selector = cluster.get("deployment", app)["spec"]["selector"].get("matchLabels", {})
    kept = {pod.name for pod in pods}
    poll(
        lambda: not [one for one in cluster.pods(selector, terminating=True) if one.name not in kept and not one.over],
        seconds,
        expected=f"the surplus pods of {app} to be gone within {seconds} seconds",
        look="kubectl get pods (terminationGracePeriodSeconds)",
    )


@check(points=2, title="All replicas are ready and answer")
def test_replicas(cluster, probe, operate, params):
    app = params["app"]
    pods = settled(cluster, operate, app, params["replicas"])
    slow_starters(pods, app)
    poll(lambda: answered_by(probe, cluster.url(app), pods, "1.0"), SETTLE_SECONDS, every=0.5)


@check(points=2, title="Scaling up under load: every new replica answers, no request fails")
def test_scale_up(cluster, probe, operate, params, thresholds):
    app, url = params["app"], cluster.url(params["app"])
    slow_starters(settled(cluster, operate, app, params["replicas"]), app)
    more = params["replicas"] + thresholds["extra"]
    with probe.traffic(url, interval=INTERVAL) as traffic:
        operate.scale(app, more)
        pods = settled(cluster, operate, app, more, thresholds["scale_seconds"])
        poll(lambda: answered_by(probe, url, pods, "1.0"), thresholds["scale_seconds"], every=0.5)
    operate.scale(app, params["replicas"])
    unharmed(traffic.answers(), thresholds, f"{app} is scaled from {params['replicas']} to {more} replicas")


@check(points=2, title="Scaling down under load: no request fails")
def test_scale_down(cluster, probe, operate, params, thresholds):
    app, url = params["app"], cluster.url(params["app"])
    slow_starters(settled(cluster, operate, app, params["replicas"]), app)
    fewer = params["replicas"] - thresholds["removed"]
    with probe.traffic(url, interval=INTERVAL) as traffic:
        operate.scale(app, fewer)
        pods = settled(cluster, operate, app, fewer, thresholds["scale_seconds"])
        gone(cluster, app, pods, thresholds["scale_seconds"])
    operate.scale(app, params["replicas"])
    unharmed(traffic.answers(), thresholds, f"{app} is scaled from {params['replicas']} to {fewer} replicas")


@check(points=3, title="Rolling out version 2.0: no request fails")
def test_rolling_update(cluster, probe, operate, evidence, params, thresholds):
    app = params["app"]
    slow_starters(settled(cluster, operate, app, params["replicas"]), app)

    def act():
        operate.set_image(app, "kindling/web:2.0")

    what = f"{app} is rolled out in version 2.0"
    roll(cluster, probe, operate, evidence, app, act, "2.0", thresholds, what)


@check(points=1, title="Going back to version 1.0: no request fails")
def test_undo(cluster, probe, operate, evidence, params, thresholds):
    app = params["app"]
    containers = cluster.get("deployment", app)["spec"]["template"]["spec"]["containers"]
    rolled = any(one.get("image") == "kindling/web:2.0" for one in containers)  # by the check before this one
    settled(cluster, operate, app, params["replicas"], thresholds["rollout_seconds"] if rolled else SETTLE_SECONDS)
    if not rolled:
        operate.set_image(app, "kindling/web:2.0")
        poll(lambda: operate.rolled_out(app), thresholds["rollout_seconds"])
    what = f"the rollout of {app} is undone"
    roll(cluster, probe, operate, evidence, app, lambda: operate.undo(app), "1.0", thresholds, what)
