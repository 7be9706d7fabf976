"""kubectl's less common commands print and do the same on a simulated and on a real cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.conftest import Kubectl

WEB = "kindling/web:1.0"


@pytest.fixture
def web(kubectl: Kubectl) -> Kubectl:
    """A namespace with a deployment that has no pods yet."""
    kubectl(f"create deployment web --image={WEB} --replicas=0")
    return kubectl


def template(kubectl: Kubectl) -> Any:
    return kubectl.json("get deployment web")["spec"]["template"]["spec"]


def test_what_was_applied_last_can_be_seen_and_set(
    kubectl: Kubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = tmp_path / "c.yaml"
    manifest.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '1'}\n")
    kubectl(f"create -f {manifest}")
    assert kubectl(f"apply set-last-applied -f {manifest} --create-annotation=true") == "configmap/c configured\n"
    assert json.loads(kubectl("apply view-last-applied configmap c -o json"))["data"] == {"a": "1"}
    monkeypatch.setenv("KUBE_EDITOR", "sed -i /a:/s/1/2/")
    assert kubectl("apply edit-last-applied configmap c") == "configmap/c edited\n"
    assert json.loads(kubectl("apply view-last-applied configmap c -o json"))["data"] == {"a": "2"}
    manifest.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {b: '2'}\n")
    kubectl(f"apply -f {manifest}")
    assert kubectl.json("get configmap c")["data"] == {"b": "2"}


def test_objects_are_made_from_flags(kubectl: Kubectl, tmp_path: Path) -> None:
    name = f"kindling-{kubectl.namespace}"
    try:
        kubectl(f"create clusterrole {name} --verb=get --resource=nodes")
        kubectl(f"create clusterrolebinding {name} --clusterrole={name} --user=jane")
        assert kubectl("auth can-i get nodes --as=jane").endswith("yes\n")
        assert kubectl(f"set subject clusterrolebinding {name} --user=joe").startswith("clusterrolebinding")
        assert kubectl("auth can-i get nodes --as=joe").endswith("yes\n")
    finally:
        kubectl.run(f"delete clusterrole,clusterrolebinding {name}")
    kubectl("create secret docker-registry pull --docker-server=r.example --docker-username=u --docker-password=p")
    assert kubectl("get secret pull -o jsonpath={.type}") == "kubernetes.io/dockerconfigjson"
    refused = kubectl.refused(f"create secret tls t --cert={tmp_path}/none.crt --key={tmp_path}/none.key")
    assert "no such file or directory" in refused
    kubectl("create service clusterip ci --tcp=80:8080")
    port = (
        30000 + int(kubectl.namespace.split("-")[1]) % 80
    )  # the service of a namespace that is going may have another
    kubectl(f"create service nodeport np --tcp=80:8080 --node-port={port}")
    kubectl("create service loadbalancer lb --tcp=80:8080")
    kubectl("create service externalname en --external-name=example.com")
    found = {line.split()[0]: line.split()[1:5] for line in kubectl("get services --no-headers").splitlines()}
    assert {name: columns[0] for name, columns in found.items()} == {
        "ci": "ClusterIP",
        "np": "NodePort",
        "lb": "LoadBalancer",
        "en": "ExternalName",
    }
    assert found["np"][2:] == ["<none>", f"80:{port}/TCP"]
    assert found["lb"][2] == "<pending>"
    assert found["en"][1:4] == ["<none>", "example.com", "<none>"]


def test_fields_are_set_by_command(web: Kubectl) -> None:
    assert web("set env deployment/web COLOUR=red") == "deployment.apps/web env updated\n"
    assert web("set env deployment/web --list") == "# Deployment web, container web\nCOLOUR=red\n"
    limited = web("set resources deployment/web --limits=cpu=200m")
    assert limited == "deployment.apps/web resource requirements updated\n"
    web("create serviceaccount robot")
    assert web("set serviceaccount deployment/web robot") == "deployment.apps/web serviceaccount updated\n"
    spec = template(web)
    (container,) = spec["containers"]
    assert (container["env"], container["resources"]) == (
        [{"name": "COLOUR", "value": "red"}],
        {"limits": {"cpu": "200m"}},
    )
    assert spec["serviceAccountName"] == "robot"
    web("expose deployment web --port=80")
    assert web("set selector service web app=other") == "service/web selector updated\n"
    assert web("get service web -o jsonpath={.spec.selector.app}") == "other"


def test_a_kustomization_is_built_and_applied(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text(
        "namePrefix: dev-\n"
        "configMapGenerator: [{name: c, literals: [a=1]}]\n"
        "generatorOptions: {disableNameSuffixHash: true}\n"
    )
    assert "name: dev-c\n" in kubectl(f"kustomize {tmp_path}")
    assert kubectl(f"apply -k {tmp_path}") == "configmap/dev-c created\n"
    assert kubectl(f"diff -k {tmp_path}") == ""


def test_the_cluster_tells_about_itself(web: Kubectl) -> None:
    assert "is running at" in web("cluster-info")
    dump = web(f"cluster-info dump --namespaces={web.namespace} --output=json")
    assert '"name": "web"' in dump
