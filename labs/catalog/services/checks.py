"""Graded by requests through the Services' DNS names from inside the cluster."""

from grader import check, fail, poll

SETTLE_SECONDS = 8  # for a Service that was made or changed a moment ago
LOOK = "kubectl describe service {0}; kubectl get endpoints {0}; kubectl get pods --show-labels"
LOOK_AT_PORTS = (
    "compare Port and TargetPort of kubectl describe service {0}, PORTS of kubectl get endpointslices "
    "--selector kubernetes.io/service-name={0}, and the port that the pods listen on: kubectl describe pods"
)


def answered_by_all(cluster, probe, service, deployment, before=""):
    """Every ready replica of the Deployment answers through the Service's name, nobody else does, no request fails.

    ``before``: for what a later check needs that; where to look is then left to the first check, which says it.
    """
    cluster.get("service", service)
    url = cluster.url(service)

    def wrong(expected, observed, look):
        if before:
            fail(expected=f"the Service {service} to lead to {deployment}, before {before}", observed=observed)
        fail(expected=expected, observed=observed, look=look)

    def look():
        wanted = {pod.name for pod in cluster.pods_of("deployment", deployment) if pod.ready}
        if not wanted:
            pods = cluster.pods_of("deployment", deployment)
            there = cluster.explain_all(pods, max(len(pods), 1))
            wrong(
                f"ready replicas of {deployment}", there, f"kubectl describe deployment {deployment}; kubectl get pods"
            )
        first = probe.get(url)
        if not first.ok:
            # Ready addresses, and nothing listens there: labels are not the matter.
            reached = LOOK_AT_PORTS if first.error == "refused" and cluster.endpoints(service).ready else LOOK
            wrong(f"an answer from {url}", str(first), reached.format(service))
        answers = probe.requests(url, 25 * len(wanted))
        if answers.failed:
            observed = f"{answers}; for example {answers.failed[0]}"
            wrong(f"an answer to every request to {url}", observed, LOOK.format(service))
        if answers.hosts != wanted:
            expected = f"answers from every ready replica of {deployment}, and from nobody else"
            wrong(expected, who_answered(answers, wanted), LOOK.format(service))
        return wanted

    return poll(look, SETTLE_SECONDS, every=0.5)


def who_answered(answers, wanted):
    """Which of the wanted replicas answered, who was silent, and who else answered."""
    if not answers.hosts:
        return f"answers of something else, for example {answers[0]}"
    silent, strange = sorted(wanted - answers.hosts), sorted(answers.hosts - wanted)
    observed = f"{len(wanted) - len(silent)} of {len(wanted)} replicas answered"
    observed += f"; silent: {', '.join(silent)}" if silent else ""
    return observed + (f"; who should not have answered: {', '.join(strange)}" if strange else "")


def replace_one(cluster, clock, faults, evidence, deployment, answers, seconds, look):
    """Delete a pod of the Deployment; its replacement is among ``answers()`` in time. Its name."""
    before = cluster.pods_of("deployment", deployment)
    deleted = faults.delete_pod(before[0])
    known = {pod.name for pod in before}

    def replaced():
        new = [pod for pod in cluster.pods_of("deployment", deployment) if pod.name not in known]
        ready = next((pod for pod in new if pod.ready), None)
        if ready is None:
            fail(
                expected=f"a new pod in the place of {before[0].name} within {seconds} seconds",
                observed=cluster.explain_all(new, 1),
                look=f"kubectl describe deployment {deployment}",
            )
        if ready.name not in answers().hosts:
            fail(
                expected=f"the new pod {ready.name} to answer through the Service within {seconds} seconds",
                observed="it is ready, and gets no requests",
                look=look,
            )
        return ready.name

    new = poll(replaced, seconds)
    evidence.add("replaced", pod=before[0].name, by=new, seconds=round(clock.now() - deleted.t, 1))
    return new


@check(points=3, title="Every ready replica answers through the new Service's name")
def test_stable_name(cluster, probe, params):
    answered_by_all(cluster, probe, params["name"], params["app"])


@check(points=2, title="A pod that is not ready is not asked")
def test_only_ready(cluster, probe, params):
    cluster.get("service", params["name"])
    warming = cluster.pod(params["app"] + "-warming")
    if warming.ready or warming.labels.get("app") != params["app"]:
        fail(
            expected=f"pod {warming.name} as it was: labelled app={params['app']} and not ready",
            observed=cluster.explain(warming),
            look=f"kubectl get pod {warming.name} --show-labels",
        )
    answered_by_all(cluster, probe, params["name"], params["app"], "it is seen whom it asks")
    asked = [one for one in cluster.endpoints(params["name"]).ready if one.pod == warming.name or one.ip == warming.ip]
    if asked:
        fail(
            expected=f"the Service {params['name']} to leave out {warming.name}, which is not ready",
            observed=f"{asked[0].ip} is among the addresses that get requests",
            look=LOOK.format(params["name"]),
        )


@check(points=3, title="The name keeps answering while a pod is replaced")
def test_while_replaced(cluster, clock, probe, faults, evidence, params, thresholds):
    service, app = params["name"], params["app"]
    answered_by_all(cluster, probe, service, app, "a pod is replaced")
    with probe.traffic(cluster.url(service), interval=0.04) as traffic:
        new = replace_one(
            cluster, clock, faults, evidence, app, traffic.answers, thresholds["recovery_seconds"], LOOK.format(service)
        )
    answers = traffic.answers()
    if len(answers.failed) > thresholds["failed_requests"]:
        fail(
            expected=f"at most {thresholds['failed_requests']} failed requests while a pod is replaced by {new}",
            observed=str(answers),
            look=LOOK.format(service),
        )


@check(points=2, title="The Service that led nowhere leads to its pods, and to those that replace them")
def test_repaired(cluster, clock, probe, faults, evidence, params, thresholds):
    backend = params["backend"]
    answered_by_all(cluster, probe, backend, backend)
    with probe.traffic(cluster.url(backend), interval=0.05) as traffic:
        replace_one(
            cluster,
            clock,
            faults,
            evidence,
            backend,
            traffic.answers,
            thresholds["recovery_seconds"],
            LOOK.format(backend),
        )
