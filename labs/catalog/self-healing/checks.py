"""Graded by breaking things while traffic flows: time until all is well, failed requests, who replaced whom.

Which replica is broken is chosen so that checking again does not run into the kubelet's back-off: the one with the
fewest restarts is killed or hangs, the one with the most is deleted.
"""

import itertools

from grader import check, fail, poll
from grader.cluster import node_ready

SETTLE_SECONDS = 20  # for what was applied a moment ago
MENDED_SECONDS = 60  # for what an earlier check broke
INTERVAL = 0.1
TIMEOUT = 1.0
CALM_SECONDS = 2.0  # without a failed request
LOOK = "kubectl get pods --output wide; kubectl get endpoints {0}; kubectl get events --sort-by .lastTimestamp"


def replicas_of(cluster, params):
    """The ready pods behind the Service; fails when there are too few. Meant for ``poll``."""
    app, wanted = params["app"], params["replicas"]
    behind = cluster.pods_behind(app)
    if len(behind) < wanted:
        pods = cluster.pods({"app": app})
        fail(
            expected=f"{wanted} ready replicas behind the Service {app}",
            observed=cluster.explain_all(pods, wanted) if pods else f"no pod is labelled app={app}",
            look=LOOK.format(app),
        )
    return behind


def healthy(cluster, params, seconds=SETTLE_SECONDS):
    """All is well before something is broken: the nodes are there, and so are the replicas."""
    cluster.get("service", params["app"])
    if _too_few_for_good(cluster, params):
        replicas_of(cluster, params)
    poll(lambda: all(node_ready(node) for node in cluster.nodes()), MENDED_SECONDS, expected="all nodes to be ready")
    return poll(lambda: replicas_of(cluster, params), seconds)


def _too_few_for_good(cluster, params):
    """Whether there are not even enough pods: waiting for them to get ready is no use then."""
    return len(cluster.pods({"app": params["app"]}, terminating=True)) < params["replicas"]


def well_again(cluster, clock, params, traffic, broken, seconds, replaced):
    """Wait until ``replaced()`` is satisfied, all replicas are ready, and no request has failed for a while."""
    deadline = broken.t + seconds

    def well():
        replaced()
        replicas_of(cluster, params)
        answers = traffic.answers()
        late = answers.since(answers[-1].t - CALM_SECONDS) if len(answers) else answers
        if late.failed or len(late) < 5:
            fail(
                expected=f"no more failed requests within {seconds} seconds",
                observed=f"{late} in the last {CALM_SECONDS:g} seconds",
                look=LOOK.format(params["app"]),
            )
        return answers

    return poll(well, max(deadline - clock.now(), 0.1), every=0.3)


def judged(answers, broken, thresholds, evidence, params, most=None):
    """What the outage cost is within bounds: failed requests, and time without a single good answer."""
    silence = longest_silence(answers)
    last = max((one.t for one in answers.failed), default=broken.t)
    evidence.add(
        "measured",
        fault=broken.fault,
        target=broken.target,
        failed_requests=len(answers.failed),
        last_failure_after_seconds=round(last - broken.t, 1),
        longest_silence_seconds=silence,
    )
    if silence > thresholds["silence_seconds"]:
        fail(
            expected=f"never more than {thresholds['silence_seconds']} seconds without a good answer",
            observed=f"{silence} seconds; {answers}",
            look=LOOK.format(params["app"]),
        )
    if most is not None and len(answers.failed) > most:
        fail(expected=f"at most {most} failed requests", observed=str(answers), look=LOOK.format(params["app"]))


def longest_silence(answers):
    """The longest time in seconds between two good answers."""
    good = [answers[0].t, *(one.t for one in answers.ok), answers[-1].t]
    return round(max(after - before for before, after in itertools.pairwise(good)), 1)


def survives(cluster, clock, probe, evidence, params, thresholds, name, act, replaced_by):
    """Break something while traffic flows, and wait until all is well. ``replaced_by(broken)`` gives what must be."""
    with probe.traffic(cluster.url(params["app"]), interval=INTERVAL, timeout=TIMEOUT) as traffic:
        poll(
            lambda: len(traffic.answers()) > 5 and not traffic.answers()[-5:].failed,
            SETTLE_SECONDS,
            expected="requests to be answered before anything is broken",
            look=LOOK.format(params["app"]),
        )
        broken = act()
        seconds = thresholds[f"{name}_recovery_seconds"]
        well_again(cluster, clock, params, traffic, broken, seconds, lambda: replaced_by(broken))
        evidence.add("all is well", seconds=round(clock.now() - broken.t, 1))
    answers = traffic.answers().since(broken.t - 1)
    judged(answers, broken, thresholds, evidence, params, thresholds.get(f"{name}_failed_requests"))


def restarted_or_replaced(cluster, pod, what):
    """The broken replica's process is a new one, or another pod has taken its place. Meant for ``poll``."""
    now = cluster.find("pod", pod.name)
    if now is None or now["metadata"]["uid"] != pod.uid or now["metadata"].get("deletionTimestamp"):
        return
    after = {one.name: one for one in cluster.pod(pod.name).containers}
    if all(after[one.name].id == one.id for one in pod.containers if one.name in after):
        fail(
            expected=f"{what} to be started again or replaced",
            observed=f"{cluster.explain(cluster.pod(pod.name))}, still with the same process",
            look=f"kubectl describe pod {pod.name}",
        )


@check(points=1, title="Enough replicas, on two nodes, answer")
def test_replicas(cluster, probe, params):
    app = params["app"]
    healthy(cluster, params)

    def look():
        pods = replicas_of(cluster, params)
        answers = probe.requests(cluster.url(app), 25 * len(pods))
        wrong = next((one for one in answers if one.message != params["message"]), None)
        if wrong or answers.hosts != {pod.name for pod in pods}:
            fail(
                expected=f'"{params["message"]}" from every replica behind the Service {app}',
                observed=str(wrong) if wrong else f"only {len(answers.hosts)} of {len(pods)} replicas answered",
                look=LOOK.format(app),
            )
        nodes = {pod.node for pod in pods}
        if len(nodes) < 2:
            fail(
                expected="replicas on at least two nodes",
                observed=f"all {len(pods)} are on {nodes.pop()}",
                look="kubectl get pods --output wide",
            )
        return True

    poll(look, SETTLE_SECONDS / 4, every=0.5)


@check(points=2, title="A killed process comes back")
def test_killed_process(cluster, clock, probe, faults, evidence, params, thresholds):
    victim = min(healthy(cluster, params), key=lambda pod: pod.restarts)

    def replaced(_):
        restarted_or_replaced(cluster, victim, f"the killed process of pod {victim.name}")

    survives(
        cluster, clock, probe, evidence, params, thresholds, "kill", lambda: faults.kill_container(victim), replaced
    )


@check(points=2, title="A deleted pod is replaced")
def test_deleted_pod(cluster, clock, probe, faults, evidence, params, thresholds):
    before = healthy(cluster, params, MENDED_SECONDS)
    victim = max(before, key=lambda pod: pod.restarts)
    known = {pod.uid for pod in before}

    def replaced(_):
        new = [pod for pod in cluster.pods_behind(params["app"]) if pod.uid not in known]
        if not new:
            fail(
                expected=f"a new pod behind the Service in the place of {victim.name}",
                observed=cluster.explain_all(cluster.pods({"app": params["app"]}), len(before)),
                look=LOOK.format(params["app"]),
            )

    survives(cluster, clock, probe, evidence, params, thresholds, "delete", lambda: faults.delete_pod(victim), replaced)


@check(points=3, title="A replica that hangs gets no requests and is started again")
def test_hanging_replica(cluster, clock, probe, faults, evidence, params, thresholds):
    victim = min(healthy(cluster, params, MENDED_SECONDS), key=lambda pod: pod.restarts)

    def replaced(_):
        restarted_or_replaced(cluster, victim, f"the hanging replica {victim.name}")

    survives(cluster, clock, probe, evidence, params, thresholds, "hang", lambda: faults.hang(victim), replaced)


@check(points=2, title="The loss of a node is survived")
def test_lost_node(cluster, clock, probe, faults, evidence, params, thresholds):
    pods = healthy(cluster, params, MENDED_SECONDS)
    workers = set(cluster.workers())
    counts = {node: sum(pod.node == node for pod in pods) for node in {pod.node for pod in pods} & workers}
    if not counts:
        fail(
            expected="replicas on the worker nodes",
            observed="there is none on them",
            look="kubectl get pods --output wide",
        )
    node = max(counts, key=lambda name: (counts[name], name))

    def replaced(_):
        elsewhere = [pod for pod in cluster.pods_behind(params["app"]) if pod.node != node]
        if len(elsewhere) < params["replicas"]:
            fail(
                expected=f"{params['replicas']} ready replicas on other nodes than {node}",
                observed=f"{len(elsewhere)} are ready there",
                look=LOOK.format(params["app"]),
            )

    survives(cluster, clock, probe, evidence, params, thresholds, "node", lambda: faults.stop_node(node), replaced)
