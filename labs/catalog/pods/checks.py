"""Graded by what pods serve, and by what their containers do while one is frozen and after one is killed."""

from grader import check, fail, hold, poll, quoted

IMAGE, WRITER_IMAGE = "kindling/web:1.0", "busybox:1.35"
UP_SECONDS = 20  # for what was applied a moment ago
ANSWER_SECONDS = 3  # for what is ready to answer
STEADY_SECONDS = 10  # a greeting that is right must stay so
PAGE_CHARACTERS = 65536


def greeting(cluster, probe, serving, name, message):
    """The image itself, in the pod of that name, answers on port 8080 with that message, and goes on doing so."""
    cluster.ready_pod(name, UP_SECONDS)
    application = poll(lambda: serving.application(cluster.pod(name), IMAGE), ANSWER_SECONDS)
    expected = f"{message} from {application.hostname}, version 1.0"

    def greets():
        pod = cluster.pod(name)
        answer = probe.get(f"http://{pod.ip}:8080/")
        greeted = answer.ok and answer.body.rstrip("\n") == expected
        if not greeted or application.message != message or not pod.ready:
            where = f", from elsewhere: MESSAGE is {quoted(application.message)}" if greeted else ""
            fail(
                expected=f'"{expected}" on port 8080 of pod {name}, from its environment variable MESSAGE',
                observed=f"{answer}{where}" if pod.ready else cluster.explain(pod),
                look=f"kubectl logs {name}; kubectl describe pod {name} (image, environment)",
            )
        return True

    poll(greets, ANSWER_SECONDS)
    hold(greets, STEADY_SECONDS, every=0.5)


def page(cluster, probe, pod, word):
    """What the page says now: the answer, which must contain the word."""
    answer = probe.get(f"http://{pod.ip}:8080/", characters=PAGE_CHARACTERS)
    if not answer.ok or word not in answer.body:
        now = cluster.pod(pod.name)
        fail(
            expected=f'a page on port 8080 of pod {pod.name} that contains "{word}"',
            observed=str(answer) if now.ready else cluster.explain(now),
            look=f"kubectl logs {pod.name} --container server; kubectl exec {pod.name} --container writer -- ls -lR /",
        )
    return answer


def page_changes(cluster, probe, pod, word, seconds):
    """The page changes within ``seconds``, twice: once may be the last line of a writer that has just stopped."""
    for _ in range(2):
        before = poll(lambda: page(cluster, probe, pod, word), seconds)

        def another(before=before):
            return page(cluster, probe, pod, word).digest != before.digest

        poll(
            another,
            seconds,
            expected=f"the page of pod {pod.name} to change within {seconds} seconds",
            look=f"what the writer writes: kubectl logs {pod.name} --container writer",
        )


def two_containers(cluster, serving, name):
    """The ready pod, with its writer, of the asked image, and its server."""
    pod = cluster.ready_pod(name, UP_SECONDS)
    names = [one.name for one in pod.containers]
    if not {"writer", "server"} <= set(names):
        fail(
            expected=f"the containers writer and server in pod {name}",
            observed="the containers " + ", ".join(quoted(one) for one in names),
            look=f"kubectl describe pod {name}",
        )
    writer = pod.container("writer")
    if not serving.runs(writer, WRITER_IMAGE):
        fail(
            expected=f"the container writer of pod {name} to run the image {WRITER_IMAGE}",
            observed=f"it runs {quoted(writer.reported or writer.image)}",
            look=f"kubectl describe pod {name}",
        )
    return pod


def only_the_writer_writes(cluster, probe, faults, pod, word, seconds):
    """While the writer stands still, so does the page; a server that writes its page itself goes on."""
    faults.freeze_container(pod, "writer")
    seen = []

    def looked():
        """The page is there: once and again, between two writes it may be empty."""
        seen.append(page(cluster, probe, pod, word).digest)
        return True

    poll(looked, ANSWER_SECONDS)
    began = seen[-1]

    def stands():
        poll(looked, ANSWER_SECONDS)
        now = cluster.pod(pod.name).container("writer")
        return seen[-1] == began or now is None or now.id != pod.container("writer").id  # its probe had it restarted

    hold(
        stands,
        seconds + 1,
        every=0.5,
        expected=f"the page of pod {pod.name} to stay as it is while the processes of writer are stopped",
        look=f"kubectl get pod {pod.name} --output yaml (what does each container write?)",
    )
    faults.thaw_container(pod, "writer")


def only_the_server_serves(probe, faults, pod):
    """While the server stands still, nobody answers."""
    faults.freeze_container(pod, "server")
    answer = probe.get(f"http://{pod.ip}:8080/", timeout=1.0)
    faults.thaw_container(pod, "server")
    if not answer.error:
        fail(
            expected=f"the page of pod {pod.name} to come from its container server",
            observed=f"{answer}, while the processes of server are stopped",
            look=f"kubectl get pod {pod.name} --output yaml (which container listens on port 8080?)",
        )


def pair(cluster, probe, serving, faults, params, thresholds):
    """The pod in which one container serves what the other writes, found to be so."""
    pod, word, fresh = two_containers(cluster, serving, params["pair"]), params["word"], thresholds["fresh_seconds"]
    page_changes(cluster, probe, pod, word, fresh)
    only_the_writer_writes(cluster, probe, faults, pod, word, fresh)
    only_the_server_serves(probe, faults, pod)
    page_changes(cluster, probe, pod, word, fresh)
    return pod


def back_off(container):
    """Seconds that the kubelet itself will wait before it starts the container again: 10, doubled every time."""
    return min(10 * 2 ** (container.restarts - 1), 300) if container.restarts else 0


@check(points=2, title="A first pod answers with its message")
def test_first_pod(cluster, probe, serving, params):
    greeting(cluster, probe, serving, params["pod"], params["message"])


@check(points=3, title="The pod that could not pull its image runs and answers")
def test_repaired_image(cluster, probe, serving, params):
    greeting(cluster, probe, serving, params["courier"], params["parcel"])


@check(points=3, title="One container serves what the other writes")
def test_shared_volume(cluster, probe, serving, faults, params, thresholds):
    pair(cluster, probe, serving, faults, params, thresholds)


@check(points=2, title="The pod survives the death of its writer's process")
def test_after_a_kill(cluster, clock, probe, serving, faults, evidence, params, thresholds):
    pod = pair(cluster, probe, serving, faults, params, thresholds)
    writer = pod.container("writer")

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

    faults.fresh(pod)
    with probe.traffic(f"http://{pod.ip}:8080/", interval=0.1) as traffic:
        killed = faults.kill_container(pod, "writer")
        poll(back, thresholds["restart_seconds"] + back_off(writer))
        evidence.add("the container runs again", seconds=round(clock.now() - killed.t, 1))
        page_changes(cluster, probe, pod, params["word"], thresholds["fresh_seconds"])
    if traffic.answers().failed:
        fail(
            expected="the page to stay available while the writer is away",
            observed=str(traffic.answers()),
            look=f"kubectl get pod {pod.name} --output yaml (restartCount of both containers)",
        )
