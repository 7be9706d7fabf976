"""The applications of usual courses, of several pods that find each other by name."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.client.client import Caller
from simkube.clock.clock import Clock, spawn
from simkube.cluster.cluster import Cluster
from simkube.etcd.journal import Journal
from simkube.etcd.store import Store
from simkube.runtime.cri import HTTPRequest

ME = Caller("learner", ("system:masters",), "kubectl")


class Application:
    """A cluster with one pod and one Service for each part."""

    def __init__(self) -> None:
        topology = {"kind": "Cluster", "nodes": [{"role": "control-plane"}]}
        self.cluster = Cluster("lab", Store(Journal(None), "lab"), Clock(1_767_225_600.0), topology)
        self.cluster.start()
        self.cluster.run_until_quiet()

    def part(self, name: str, image: str, port: int = 0, env: dict[str, str] | None = None, **labels: str) -> None:
        variables = [{"name": key, "value": value} for key, value in (env or {}).items()]
        container = {"name": name, "image": image, "env": variables}
        meta = {"name": f"{name}-{labels.get('version', '0')}", "labels": {"app": name, **labels}}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container]}}
        self.cluster.apiserver.create(ME, "pods", pod, "default")
        if port:
            spec = {"selector": {"app": name}, "ports": [{"port": port, "targetPort": port}]}
            service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
            self.cluster.apiserver.create(ME, "services", service, "default")

    def ask(self, name: str, port: int, path: str = "/", method: str = "GET", body: bytes = b"") -> Any:
        address = self.cluster.apiserver.get(ME, "services", name, "default")["spec"]["clusterIP"]
        asking = spawn(self.cluster.network.request("10.244.0.250", address, port, HTTPRequest(method, path, {}, body)))
        self.cluster.advance(8)
        return asking.result()


@pytest.fixture
def app() -> Application:
    return Application()


def test_the_guestbook_keeps_messages(app: Application) -> None:
    app.part("frontend", "gcr.io/google-samples/gb-frontend:v5", 80, {"GET_HOSTS_FROM": "dns"})
    app.cluster.advance(5)
    assert app.ask("frontend", 80, "/guestbook.php?cmd=get&key=messages").status == 500
    app.part("redis-leader", "docker.io/redis:6.0.5", 6379)
    app.cluster.advance(5)
    assert app.ask("frontend", 80, "/guestbook.php?cmd=set&key=messages&value=,hello").body == b'{"message": "Updated"}'
    assert app.ask("frontend", 80, "/guestbook.php?cmd=get&key=messages").body == b'{"data": ",hello"}'
    assert b"<title>Guestbook</title>" in app.ask("frontend", 80).body


def test_a_vote_arrives_in_the_result(app: Application) -> None:
    for name in ("vote", "result"):
        app.part(name, f"dockersamples/examplevotingapp_{name}", 80)
    app.part("worker", "dockersamples/examplevotingapp_worker")
    app.part("redis", "redis:alpine", 6379)
    app.part("db", "postgres:15-alpine", 5432, {"POSTGRES_USER": "postgres", "POSTGRES_PASSWORD": "postgres"})
    app.cluster.advance(10)
    assert b"Cats vs Dogs!" in app.ask("vote", 80).body
    assert b"No votes" in app.ask("result", 80).body
    assert app.ask("vote", 80, method="POST", body=b"vote=a").status == 200
    app.ask("vote", 80, method="POST", body=b"vote=b")
    page = app.ask("result", 80).body
    assert b"<p>Cats 1</p>\n<p>Dogs 1</p>\n<p>2 votes</p>" in page


def test_the_product_page_asks_details_and_reviews(app: Application) -> None:
    app.part("productpage", "docker.io/istio/examples-bookinfo-productpage-v1:1.20.1", 9080)
    app.part("details", "docker.io/istio/examples-bookinfo-details-v1:1.20.1", 9080)
    app.part("reviews", "docker.io/istio/examples-bookinfo-reviews-v3:1.20.1", 9080, version="v3")
    app.cluster.advance(5)
    page = app.ask("productpage", 9080, "/productpage").body.decode()
    assert "William Shakespeare" in page
    assert "Ratings service is currently unavailable" in page
    app.part("ratings", "docker.io/istio/examples-bookinfo-ratings-v1:1.20.1", 9080)
    app.cluster.advance(5)
    page = app.ask("productpage", 9080, "/productpage").body.decode()
    assert '"ratings":{"Reviewer1":5,"Reviewer2":4}' in page
    app.cluster.apiserver.delete(ME, "services", "details", "default")
    app.cluster.advance(5)
    page = app.ask("productpage", 9080, "/productpage").body.decode()
    assert "Sorry, product details are currently unavailable" in page
