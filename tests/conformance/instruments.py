"""Checks of the instruments themselves, graded in a cluster with the Deployment and Service ``web`` (2 replicas of
``kindling/web:1.0``), and a service account ``robot`` that may read pods and nothing else."""

from grader import Phase, Source, Target, check, fail, hold, poll

HALF = 0.5


@check(points=1, title="Load goes through its phases and reaches every replica")
def test_load(cluster, probe):
    with probe.load(cluster.url("web"), [Phase(1, 20), Phase(1, 20, to=60)]) as load:
        load.wait()
    seen = load.answers()
    assert (len(load.phase(0)), len(load.phase(1))) == (20, 40), str(seen)
    assert not seen.failed, str(seen)
    assert len(seen.by_host) == 2
    assert set(seen.by_version) == {"1.0"}
    assert seen.percentile(50) <= seen.percentile(99) < 2000
    assert sum(len(one.answers) for one in seen.over_time(HALF)) == 60


@check(points=1, title="A kept-alive connection stays with its replica")
def test_kept_alive(cluster, probe):
    with probe.load(cluster.url("web"), [Phase(1, 30)], connections=1) as load:
        seen = load.wait()
    assert not seen.failed, str(seen)
    assert len(seen.by_host) == 1, str(seen)


@check(points=1, title="Kept-alive connections survive that their replicas go")
def test_replaced(cluster, probe, faults, operate):
    pods = poll(lambda: operate.rolled_out("web"), 30)
    with probe.load(cluster.url("web"), [Phase(8, 20)], connections=4) as load:
        faults.delete_pod(pods[0])
        load.wait()
    seen = load.answers()
    assert set(seen.failed.counted()) <= {"refused"}, str(seen)  # by a replica that has just gone
    late = seen.since(load.began + 5)
    assert not late.failed, str(late)
    assert late.by_host
    assert pods[0].name not in late.by_host


@check(points=1, title="Who is reached, who refuses and who is not there")
def test_matrix(cluster, probe):
    pod = cluster.ready_pods("app=web", 2, 30)[0]
    targets = [
        Target.pod("web", pod, 8080),
        Target.pod("nothing", pod, 81),
        Target("nobody", "10.244.0.250", 80),
        Target("by name", "web.default.svc.cluster.local", 80),
        Target("no name", "nothing.default.svc.cluster.local", 80),
        Target("dns", "kube-dns.kube-system.svc.cluster.local", 53, "UDP"),
        Target("dns over TCP", "kube-dns.kube-system.svc.cluster.local", 53),
    ]
    sources = [
        Source("a replica's double", labels={"app": "web"}),
        Source("a stranger", namespace_labels={"team": "other"}),
        Source("the robot", account="robot"),
    ]
    with probe.sources(sources) as pods:
        seen = pods.matrix(targets)
        metadata = [one["metadata"] for one in cluster.objects("pod", "app=web")]
        names = {one["name"] for one in metadata if "deletionTimestamp" not in one}  # others may still be on their way
        assert len(names) == 3, names
        assert len(cluster.endpoints("web").ready) == 2
    words = [seen["the robot", to.name].error for to in targets]
    assert words[:2] == ["", "refused"], words
    assert words[2] in ("timeout", "unreachable"), words
    assert words[3:] == ["", "name not found", "", ""], words
    for source in sources:
        assert [seen[source.name, to.name].reached for to in targets] == [not word for word in words], source.name
    poll(lambda: len(cluster.objects("pod", "app=web")) == 2, 30, expected="the grader's pods to be gone")


@check(points=1, title="What others may do is answered by the API server itself")
def test_identities(cluster, identities, namespace):
    pods, secrets = f"/api/v1/namespaces/{namespace}/pods", f"/api/v1/namespaces/{namespace}/secrets"
    robot = identities.service_account("robot")
    robot.expect(200, "GET", pods)
    robot.expect(403, "GET", secrets)
    robot.expect(403, "POST", pods, {"metadata": {"name": "x"}})
    robot.must("list", "pods")
    robot.must_not("delete", "pods")
    robot.must_not("list", "pods", namespace="")
    robot.must_not("create", "pods/exec")
    anna = identities.as_("anna", groups=["readers"])
    anna.expect(200, "GET", pods)
    anna.must("list", "pods")
    identities.as_("anna").expect(403, "GET", pods)
    root = identities.as_("root", groups=["system:masters"])
    made = {"metadata": {"name": "never"}, "spec": {"containers": [{"name": "a", "image": "kindling/web:1.0"}]}}
    root.expect(201, "POST", pods, made)
    root.expect(422, "POST", pods, {**made, "spec": {"containers": []}})
    root.expect(404, "DELETE", f"{pods}/never")
    root.must("get", "/metrics")
    identities.anonymous().expect((401, 403), "GET", pods)
    identities.holder_of("rubbish").expect(401, "GET", pods)


@check(points=1, title="A service account that is not there is the learner's mistake")
def test_missing_account(identities):
    identities.service_account("nobody")


@check(points=1, title="Replicas are followed while they come and go")
def test_series(cluster, watch, operate):
    poll(lambda: len(operate.rolled_out("web")) == 2, 30)
    with watch.series("app=web", every=HALF, url=cluster.url("web")) as series:
        for replicas in (4, 2):
            operate.scale("web", replicas)
            poll(lambda: operate.rolled_out("web"), 60)
            hold(lambda: True, 1)
    assert (series.lowest("replicas"), series.highest("ready"), series.lowest("ready")) == (2, 4, 2), str(series)
    assert series.turns("replicas") == 1, series.values("replicas")
    assert series.total("replicas") > 2 * (series.end - series.samples[0].t) > 0
    assert series.values("restarts")[-1] == 0
    assert min(series.values("nodes")) == max(series.values("nodes")) >= 1
    if series.highest("ms") == float("inf"):
        fail(expected="an answer at each look", observed=str(series.values("ms")))
