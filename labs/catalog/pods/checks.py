"""Graded by what pods serve, and by what their containers do after one is killed."""

from grader import Ungradable, check, fail, poll, quoted

UP_SECONDS = 20  # for what was applied a moment ago
ANSWER_SECONDS = 3  # for what is ready to answer


def greeting(cluster, probe, name, message):
    """The pod of that name answers on port 8080 with that message, itself, in version 1.0."""

    cluster.ready_pod(name, UP_SECONDS)

    def look():
        pod = cluster.pod(name)
        answer = probe.get(f"http://{pod.ip}:8080/")
        if (answer.message, answer.version, answer.host) != (message, "1.0", name):
            fail(
                expected=f'"{message} from {name}, version 1.0" on port 8080 of pod {name}',
                observed=str(answer),
                look=f"kubectl logs {name}; kubectl describe pod {name} (image, environment)",
            )
        return True

    poll(look, ANSWER_SECONDS)


def page(probe, pod, word):
    """What the page says now: the answer, which must contain the word."""
    answer = probe.get(f"http://{pod.ip}:8080/")
    if not answer.ok or word not in answer.body:
        fail(
            expected=f'a page on port 8080 of pod {pod.name} that contains "{word}"',
            observed=str(answer),
            look=f"kubectl logs {pod.name} --container server; kubectl exec {pod.name} --container writer -- ls -lR /",
        )
    return answer


def page_changes(probe, pod, word, seconds):
    """The page changes within ``seconds``, twice: once may be the last line of a writer that has just stopped."""
    for _ in range(2):
        before = poll(lambda: page(probe, pod, word), seconds)

        def another(before=before):
            return page(probe, pod, word).body != before.body

        poll(
            another,
            seconds,
            expected=f"the page of pod {pod.name} to change within {seconds} seconds",
            look=f"what the writer writes: kubectl logs {pod.name} --container writer",
        )


def two_containers(cluster, name):
    """The ready pod, with its writer and its server."""
    pod = cluster.ready_pod(name, UP_SECONDS)
    names = [one.name for one in pod.containers]
    if not {"writer", "server"} <= set(names):
        fail(
            expected=f"the containers writer and server in pod {name}",
            observed="the containers " + ", ".join(quoted(one) for one in names),
            look=f"kubectl describe pod {name}",
        )
    return pod


def back_off(container):
    """Seconds that the kubelet itself will wait before it starts the container again: 10, doubled every time."""
    return min(10 * 2 ** (container.restarts - 1), 300) if container.restarts else 0


@check(points=2, title="A first pod answers with its message")
def test_first_pod(cluster, probe, params):
    greeting(cluster, probe, params["pod"], params["message"])


@check(points=3, title="The pod that could not pull its image runs and answers")
def test_repaired_image(cluster, probe, params):
    greeting(cluster, probe, params["courier"], params["parcel"])


@check(points=3, title="One container serves what the other writes")
def test_shared_volume(cluster, probe, params, thresholds):
    pod = two_containers(cluster, params["pair"])
    page_changes(probe, pod, params["word"], thresholds["fresh_seconds"])


@check(points=2, title="The pod survives the death of its writer's process")
def test_after_a_kill(cluster, clock, probe, faults, evidence, params, thresholds):
    pod = two_containers(cluster, params["pair"])
    poll(lambda: page(probe, pod, params["word"]), thresholds["fresh_seconds"])
    writer = pod.container("writer")
    waits = back_off(writer)
    if waits > 90:
        raise Ungradable(
            f"writer has {writer.restarts} restarts: the kubelet would wait {waits} s",
            "the container was restarted so often that Kubernetes now waits minutes; replace the pod to go on",
        )

    def back():
        now = cluster.pod(pod.name)
        container = now.container("writer")
        if now.uid != pod.uid or container is None or not container.running or container.id == writer.id:
            fail(
                expected=f"container writer to be started again in pod {pod.name} within "
                f"{thresholds['restart_seconds']} seconds of the death of its process",
                observed=cluster.explain(now) if now.uid == pod.uid else "it is another pod now",
                look=f"kubectl describe pod {pod.name}; kubectl explain pod.spec.restartPolicy",
            )
        return now

    with probe.traffic(f"http://{pod.ip}:8080/", interval=0.1) as traffic:
        killed = faults.kill_container(pod, "writer")
        poll(back, thresholds["restart_seconds"] + waits)
        evidence.add("the container runs again", seconds=round(clock.now() - killed.t, 1))
        page_changes(probe, pod, params["word"], thresholds["fresh_seconds"])
    if traffic.answers().failed:
        fail(
            expected="the page to stay available while the writer is away",
            observed=str(traffic.answers()),
            look=f"kubectl get pod {pod.name} --output yaml (restartCount of both containers)",
        )
