"""An operator of ours, run by kopf: a Page becomes a ConfigMap and a Deployment that serves it."""

from __future__ import annotations

from typing import Any

import kopf
import pykube


@kopf.on.startup()
def prepare(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Keep what kopf remembers in annotations: the definition of a Page has no room for it in its status."""
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix="pages.example.com")
    settings.posting.enabled = True


def objects(name: str, text: str, replicas: int) -> list[dict[str, Any]]:
    """What a Page is made of."""
    labels = {"page": name}
    mount = {"name": "text", "mountPath": "/text"}
    container = {"name": "web", "image": "kindling/web:1.0", "volumeMounts": [mount]}
    pod = {"containers": [container], "volumes": [{"name": "text", "configMap": {"name": name}}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    kept = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"text": text}}
    return [kept, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}]


@kopf.on.create("example.com", "v1", "pages")
def create(name: str, spec: kopf.Spec, body: kopf.Body, **_: Any) -> dict[str, Any]:
    """Make them, owned by the Page."""
    made = objects(name, spec["text"], spec.get("replicas", 1))
    kopf.adopt(made, owner=body)
    api = pykube.HTTPClient(pykube.KubeConfig.from_env())
    for kind, one in zip((pykube.ConfigMap, pykube.Deployment), made, strict=True):
        kind(api, one).create()
    kopf.info(body, reason="Published", message=f"{name} is there")
    return {"published": spec["text"]}


@kopf.on.update("example.com", "v1", "pages", field="spec.text")
def update(name: str, namespace: str, new: str, **_: Any) -> dict[str, Any]:
    """A new text goes into the ConfigMap."""
    api = pykube.HTTPClient(pykube.KubeConfig.from_env())
    kept = pykube.ConfigMap.objects(api, namespace=namespace).get_by_name(name)
    kept.patch({"data": {"text": new}})
    return {"published": new}


@kopf.on.delete("example.com", "v1", "pages")
def delete(name: str, namespace: str, **_: Any) -> None:
    """Leave a note behind, for which the finalizer held the Page back."""
    api = pykube.HTTPClient(pykube.KubeConfig.from_env())
    note = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-was-here", "namespace": namespace}}
    pykube.ConfigMap(api, note).create()
