"""Changes: ids that stay, places by name, samples of every kind."""

from __future__ import annotations

from typing import Any

import pytest

from labs.certify.changes import Change, DoesNotApply, at, both, pairs, places, put, spread, take, text
from labs.certify.near_misses import near_misses
from labs.certify.neutral_changes import neutral_changes
from labs.certify.objects import made, manifest

IMAGES = ["kindling/web:1.0", "kindling/web:2.0", "busybox:1.35"]


def deployment() -> dict[str, Any]:
    container = {
        "name": "web",
        "image": "kindling/web:1.0",
        "env": [{"name": "MESSAGE", "value": "Still here"}, {"name": "DRAIN_SECONDS", "value": "5"}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1},
    }
    pod = {"metadata": {"labels": {"app": "hydra"}}, "spec": {"containers": [container]}}
    spec = {"replicas": 3, "selector": {"matchLabels": {"app": "hydra"}}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "hydra"}, "spec": spec}


def service() -> dict[str, Any]:
    spec = {"selector": {"app": "hydra"}, "ports": [{"port": 80, "targetPort": "http"}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hydra"}, "spec": spec}


@pytest.fixture
def changes() -> dict[str, Change]:
    objects = [deployment(), service()]
    found = [*near_misses(objects, IMAGES, ["hydra"]), *neutral_changes(objects, IMAGES)]
    return {one.id: one for one in found}


def test_places_are_named_as_people_read_them() -> None:
    found = {text(path): value for path, value in places(deployment()["spec"])}
    assert found["template.spec.containers[web].env[MESSAGE].value"] == "Still here"
    assert found["template.spec.containers[web].ports[http].containerPort"] == 8080


def test_a_place_is_read_set_and_removed() -> None:
    obj = deployment()
    path = ("spec", "template", "spec", "containers", "[web]", "env", "[MESSAGE]", "value")
    put(obj, path, "Hello")
    assert at(obj, path) == "Hello"
    take(obj, path[:-1])
    with pytest.raises(DoesNotApply):
        at(obj, path)
    with pytest.raises(DoesNotApply):
        take(obj, path)


@pytest.mark.parametrize(
    "wanted",
    [
        "remove Deployment/hydra spec.template.spec.containers[web].readinessProbe",
        "count Deployment/hydra spec.replicas = 2",
        "port Deployment/hydra spec.template.spec.containers[web].ports[http].containerPort = 8081",
        "image Deployment/hydra spec.template.spec.containers[web].image = 'kindling/web:2.0'",
        "image Deployment/hydra spec.template.spec.containers[web].image = 'kindling/wbe:1.0'",
        "label Service/hydra spec.selector.app = 'hydra-x'",
        "path Deployment/hydra spec.template.spec.containers[web].readinessProbe.httpGet.path = '/nothing'",
        "value Deployment/hydra spec.template.spec.containers[web].env[DRAIN_SECONDS].value = '0'",
        "slower Deployment/hydra spec.template.spec.containers[web].readinessProbe.periodSeconds = 20",
        "without Service/hydra",
        "rename Service/hydra",
        "add Deployment/hydra spec.paused = True",
        "misplace Deployment/hydra [web] env",
        "misplace Deployment/hydra [web] readinessProbe",
        "impostor Deployment/hydra [web]",
        "connect Deployment/hydra [web] readinessProbe",
        "rename-container Deployment/hydra [web]",
        "reorder-env Deployment/hydra [web]",
        "by-configmap Deployment/hydra",
        "by-secret-whole Deployment/hydra",
        "expressions Deployment/hydra",
        "hostname Deployment/hydra",
        "side-first Deployment/hydra",
        "as Deployment/hydra StatefulSet",
        "beside Service/unrelated",
        "twin Service/hydra",
    ],
)
def test_there_are_changes_of_every_kind(changes: dict[str, Change], wanted: str) -> None:
    assert wanted in changes
    before = [deployment(), service()]
    assert changes[wanted].applied(before) != before
    assert before == [deployment(), service()]


def test_variables_by_configmap_say_the_same(changes: dict[str, Change]) -> None:
    settings, changed, _ = changes["by-configmap-whole Deployment/hydra"].applied([deployment(), service()])
    assert settings["data"] == {"MESSAGE": "Still here", "DRAIN_SECONDS": "5"}
    container = changed["spec"]["template"]["spec"]["containers"][0]
    assert (container["env"], container["envFrom"]) == ([], [{"configMapRef": {"name": "settings"}}])


def test_two_at_once(changes: dict[str, Change]) -> None:
    two = both(changes["without Service/hydra"], changes["label Deployment/hydra"])
    (changed,) = two.applied([deployment(), service()])
    assert changed["metadata"]["labels"] == {"made-by": "me"}
    assert (two.id, two.meant) == ("without Service/hydra + label Deployment/hydra", "near-miss")
    with pytest.raises(DoesNotApply):
        both(changes["without Service/hydra"], changes["rename Service/hydra"]).applied([deployment(), service()])


def test_a_sample_has_every_kind_and_is_the_same_again(changes: dict[str, Change]) -> None:
    some = spread(changes.values(), 60, "seed")
    assert len({one.how for one in some}) == min(60, len({one.how for one in changes.values()}))
    assert [one.id for one in spread(reversed(changes.values()), 60, "seed")] == [one.id for one in some]
    assert [one.id for one in spread(changes.values(), 60, "other")] != [one.id for one in some]
    assert len(pairs(list(changes.values()), 10, "seed")) == 10


def test_what_the_cluster_added_is_taken_out() -> None:
    written = {**service(), "metadata": {"name": "hydra", "namespace": "default"}}
    kept = {
        **written,
        "metadata": {
            **written["metadata"],
            "uid": "1",
            "resourceVersion": "7",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {**written["spec"], "clusterIP": "10.0.0.1", "internalTrafficPolicy": "Cluster"},
        "status": {"loadBalancer": {}},
    }
    assert manifest(kept) == written


def test_only_what_somebody_made_is_carried_over() -> None:
    def at_name(kind: str, name: str, **more: Any) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **more}, "spec": {"selector": {"a": "b"}}}

    owned = at_name("Pod", "web-1", ownerReferences=[{"controller": True, "kind": "ReplicaSet", "name": "web"}])
    going = at_name("Pod", "old", deletionTimestamp="2026-01-01T00:00:00Z")
    there = at_name("ConfigMap", "kube-root-ca.crt")
    objects = [
        at_name("Service", "web"),
        at_name("Endpoints", "web"),
        owned,
        going,
        there,
        at_name("ConfigMap", "mine"),
    ]
    found = made(objects, [("v1/ConfigMap", "", "kube-root-ca.crt")])
    assert [(one["kind"], one["metadata"]["name"]) for one in found] == [("ConfigMap", "mine"), ("Service", "web")]
