"""Graded by requests through the Services' DNS names from inside the cluster, and by who is seen to receive them.

Whether a request meets a pod that has just been told to end is luck: it depends on how soon the proxies hear of it. So
that pod is asked at its own address, too, as by a client that has not heard of it yet (``watch.leaving``).
"""

from grader import check, fail, poll

IMAGE = "kindling/web:1.0"
BACKEND_REPLICAS, BACKEND_PORT = 2, 8080
SETTLE_SECONDS = 8  # for a Service that was made or changed a moment ago
EVERY = 0.25  # seconds between looks at pods that may be told to end
LOOK = "kubectl describe service {0}; kubectl get endpoints {0}; kubectl get pods --show-labels"
LOOK_AT_PORTS = (
    "compare Port and TargetPort of kubectl describe service {0}, PORTS of kubectl get endpointslices "
    "--selector kubernetes.io/service-name={0}, and the port that the pods listen on: kubectl describe pods"
)


class Way:
    """From a Service's name to the replicas of a Deployment."""

    def __init__(self, cluster, probe, serving, service, deployment, replicas, port):
        self.cluster, self.probe, self.serving = cluster, probe, serving
        self.service, self.deployment, self.replicas, self.port = service, deployment, replicas, port
        self.url = cluster.url(service)
        self.known = set()

    def pods(self):
        """The ready replicas: as many as asked for, each of them the application itself. Meant for ``poll``."""
        pods = self.cluster.pods_of("deployment", self.deployment)
        ready = [pod for pod in pods if pod.ready]
        if len(ready) != self.replicas or len(pods) != self.replicas:
            fail(
                expected=f"{self.replicas} ready replicas of {self.deployment}",
                observed=f"{len(ready)} of {len(pods)} are ready"
                if len(pods) > self.replicas
                else self.cluster.explain_all(pods, self.replicas),
                look=f"kubectl describe deployment {self.deployment}; kubectl get pods",
            )
        for pod in ready:
            if pod.uid not in self.known:
                self.serving.application(pod, IMAGE, self.port)
                self.known.add(pod.uid)
        return ready

    def works(self):
        """Every ready replica answers through the Service's name, nobody else does, no request fails. Its pods."""
        pods = self.pods()
        first = self.probe.get(self.url)
        if not first.ok:
            # Ready addresses, and nothing listens there: labels are not the matter.
            at_ports = first.error == "refused" and self.cluster.endpoints(self.service).ready
            look = LOOK_AT_PORTS if at_ports else LOOK
            fail(expected=f"an answer from {self.url}", observed=str(first), look=look.format(self.service))
        few = self.probe.requests(self.url, 8, timeout=1.0)  # who never answers is found out soon
        if few.failed:
            self._all_answer(few)
        received = self.serving.received(self.url, pods, IMAGE, 25 * len(pods))
        self._all_answer(received.answers)
        if received.silent or received.elsewhere:
            fail(
                expected=f"answers from every ready replica of {self.deployment}, and from nobody else",
                observed=str(received),
                look=LOOK.format(self.service),
            )
        return pods

    def _all_answer(self, answers):
        if answers.failed:
            fail(
                expected=f"an answer to every request to {self.url}",
                observed=f"{answers}; for example {answers.failed[0]}",
                look=LOOK.format(self.service),
            )


def answered_by_all(way, before=""):
    """The way works. ``before``: for what a later check needs that; where to look is then left to the first check."""
    way.cluster.get("service", way.service)

    def look():
        try:
            return way.works()
        except AssertionError as error:
            if not before:
                raise
            observed = str(error).partition("Observed: ")[2].partition("\n")[0]
            fail(expected=f"the Service {way.service} to lead to {way.deployment}, before {before}", observed=observed)

    return poll(look, SETTLE_SECONDS, every=0.5)


def replace_one(way, faults, evidence, clock, seconds):
    """Delete a pod of the Deployment; its replacement, and all others, answer in time. Its name."""
    before = way.pods()
    deleted = faults.delete_pod(before[0])
    known = {pod.name for pod in before}

    def replaced():
        pods = way.cluster.pods_of("deployment", way.deployment)
        new = next((pod for pod in pods if pod.ready and pod.name not in known), None)
        if new is None:
            fail(
                expected=f"a new pod in the place of {before[0].name} within {seconds} seconds",
                observed=way.cluster.explain_all([pod for pod in pods if pod.name not in known], 1),
                look=f"kubectl describe deployment {way.deployment}",
            )
        behind = {pod.name for pod in way.cluster.pods_behind(way.service)}
        if behind and new.name not in behind:  # without endpoints of its own, only requests tell
            fail(
                expected=f"the new pod {new.name} to answer through the Service within {seconds} seconds",
                observed="it is ready, and gets no requests",
                look=LOOK.format(way.service),
            )
        way.works()
        return new.name

    new = poll(replaced, seconds, every=0.5)
    evidence.add("replaced", pod=before[0].name, by=new, seconds=round(clock.now() - deleted.t, 1))
    return new


def to_app(cluster, probe, serving, params):
    return Way(cluster, probe, serving, params["name"], params["app"], params["replicas"], params["port"])


@check(points=3, title="Every ready replica answers through the new Service's name")
def test_stable_name(cluster, probe, serving, params):
    answered_by_all(to_app(cluster, probe, serving, params))


@check(points=2, title="A pod that is not ready is not asked")
def test_only_ready(cluster, probe, serving, params):
    cluster.get("service", params["name"])
    warming = cluster.pod(params["app"] + "-warming")
    if warming.ready or warming.labels.get("app") != params["app"]:
        fail(
            expected=f"pod {warming.name} as it was: labelled app={params['app']} and not ready",
            observed=cluster.explain(warming),
            look=f"kubectl get pod {warming.name} --show-labels",
        )
    answered_by_all(to_app(cluster, probe, serving, params), "it is seen whom it asks")
    asked = [one for one in cluster.endpoints(params["name"]).ready if one.pod == warming.name or one.ip == warming.ip]
    if asked:
        fail(
            expected=f"the Service {params['name']} to leave out {warming.name}, which is not ready",
            observed=f"{asked[0].ip} is among the addresses that get requests",
            look=LOOK.format(params["name"]),
        )


@check(points=3, title="The name keeps answering while a pod is replaced")
def test_while_replaced(cluster, clock, probe, watch, serving, faults, evidence, params, thresholds):
    way, late = to_app(cluster, probe, serving, params), thresholds["late_seconds"]
    pods = answered_by_all(way, "a pod is replaced")
    with (
        probe.traffic(way.url, interval=0.04) as traffic,
        watch.leaving(pods, seconds=late, port=way.port, every=EVERY) as leaving,
    ):
        new = replace_one(way, faults, evidence, clock, thresholds["recovery_seconds"])
    if leaving.answers.failed:
        fail(
            expected=f"{leaving.gone[0]} to go on answering for {late} seconds after it was told to end: "
            "not everybody has heard of it by then",
            observed=f"asked at its own address, {leaving.answers}",
            look=f"kubectl describe deployment {way.deployment} (DRAIN_SECONDS); "
            "kubectl explain pod.spec.terminationGracePeriodSeconds",
        )
    answers = traffic.answers()
    if len(answers.failed) > thresholds["failed_requests"]:
        fail(
            expected=f"at most {thresholds['failed_requests']} failed requests while a pod is replaced by {new}",
            observed=str(answers),
            look=LOOK.format(way.service),
        )


@check(points=2, title="The Service that led nowhere leads to its pods, and to those that replace them")
def test_repaired(cluster, clock, probe, serving, faults, evidence, params, thresholds):
    backend = params["backend"]
    way = Way(cluster, probe, serving, backend, backend, BACKEND_REPLICAS, BACKEND_PORT)
    answered_by_all(way)
    replace_one(way, faults, evidence, clock, thresholds["recovery_seconds"])
