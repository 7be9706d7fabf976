"""``agnhost webhook`` and ``agnhost crd-conversion-webhook``: the programs with which Kubernetes tests its webhooks.

Each path answers an AdmissionReview (or ConversionReview) as the real one does: who is refused, what is patched, who
waits for ever. After ``test/images/agnhost/webhook`` and ``test/images/agnhost/crd-conversion-webhook``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

from simkube.clock.clock import Future
from simkube.runtime import httptext
from simkube.runtime.cri import HTTPRequest, HTTPResponse
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs import tls
from simkube.runtime.programs.serving import stop_request

Obj = dict[str, Any]
Answer = Callable[[HTTPRequest, str], Awaitable[HTTPResponse]]

MOST_OBJECTS = 10_000
_PODS = {"group": "", "version": "v1", "resource": "pods"}
_CONFIG_MAPS = {"group": "", "version": "v1", "resource": "configmaps"}
_DEFINITIONS = "customresourcedefinitions"
_MARK = "webhook-e2e-test"


async def webhook(process: Process, options: dict[str, str]) -> int:
    """``agnhost webhook --tls-cert-file F --tls-private-key-file F [--port N] [--sidecar-image I]``"""
    return await _serve(process, options, _Reviews(process, options.get("sidecar-image", "")).serve)


async def conversion_webhook(process: Process, options: dict[str, str]) -> int:
    """``agnhost crd-conversion-webhook --tls-cert-file F --tls-private-key-file F [--port N]``"""
    return await _serve(process, options, _convert)


async def _serve(process: Process, options: dict[str, str], answer: Any) -> int:
    text = options.get("port", "443")
    port = int(text) if text.isdecimal() and len(text) < 6 else 0
    try:
        shown = tls.load(process, options.get("tls-cert-file", ""), options.get("tls-private-key-file", ""))
        process.container.sandbox.ports.listen(process, port, answer, tls=lambda _host: shown)
    except tls.NoKeyPair as error:
        await process.err(f"F0000 config.go:48] config={{}} Error: {error}\n")
        return 255
    except FileError as error:
        await process.err(f"panic: listen tcp :{port}: bind: {error.strerror.lower()}\n")
        return 2
    await stop_request(process)
    return 2


def _json(value: Obj) -> HTTPResponse:
    return HTTPResponse(200, {"content-type": "application/json"}, json.dumps(value).encode())


def _parsed(request: HTTPRequest) -> Obj | None:
    try:
        found = json.loads(request.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("request"), dict) else None


class _Reviews:
    """What is said to an AdmissionReview, by path."""

    def __init__(self, process: Process, sidecar: str) -> None:
        self._process = process
        self._sidecar = sidecar

    async def serve(self, request: HTTPRequest, peer: str) -> HTTPResponse:
        """One request."""
        path = httptext.split_path(request.path)[0]
        if path == "/readyz":
            return httptext.text(200, "ok")
        if path not in _ANSWERS and path not in ("/always-allow-delay-5s", "/mutating-pods-sidecar"):
            return httptext.text(404, "404 page not found\n")
        if request.headers.get("content-type", "") != "application/json":
            return HTTPResponse(200)
        review = _parsed(request)
        if review is None:
            return httptext.text(400, "Request could not be decoded: couldn't get version/kind\n")
        response = await self._respond(path, review["request"])
        if response is None:  # the real one falls over such a request
            return HTTPResponse(500)
        head = {key: review.get(key, "") for key in ("kind", "apiVersion")}
        return _json({**head, "response": {**response, "uid": review["request"].get("uid", "")}})

    async def _respond(self, path: str, asked: Obj) -> Obj | None:
        if path == "/always-allow-delay-5s":
            await self._process.container.clock.sleep(5)
            return {"allowed": True}
        if path == "/mutating-pods-sidecar":
            return _sidecar(asked, self._sidecar)
        if path == "/pods" and _labels(asked).get(_MARK) == "wait-forever":
            await Future[None]()
        return _ANSWERS[path](asked)


def _labels(asked: Obj) -> dict[str, Any]:
    return dict((asked.get("object") or {}).get("metadata", {}).get("labels") or {})


def _allow(asked: Obj | None = None) -> Obj:
    return {"allowed": True}


def _refuse(message: str = "", **status: Any) -> Obj:
    return {"allowed": False, "status": {**({"message": message} if message else {}), **status}}


def _patch(operations: list[Obj]) -> Obj:
    text = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": text}


def _unexpected(wanted: Obj) -> Obj:
    return _refuse(f"expect resource to be {{{wanted['group']} {wanted['version']} {wanted['resource']}}}")


def _pods(asked: Obj) -> Obj:
    if asked.get("resource") != _PODS:
        return _unexpected(_PODS)
    told = []
    if _labels(asked).get(_MARK) == "webhook-disallow":
        told.append("the pod contains unwanted label;")
    containers = (asked.get("object") or {}).get("spec", {}).get("containers") or []
    told += ["the pod contains unwanted container name;" for one in containers if "webhook-disallow" in one["name"]]
    return _refuse(" ".join(told)) if told else _allow()


def _attaching(asked: Obj) -> Obj:
    given = asked.get("object") or {}
    if asked.get("name") == "to-be-attached-pod" and given.get("stdin") and given.get("container") == "container1":
        return _refuse("attaching to pod 'to-be-attached-pod' is not allowed")
    return _allow()


def _mutated_pods(asked: Obj) -> Obj | None:
    if asked.get("resource") != _PODS:
        return None
    pod, name = asked.get("object") or {}, "webhook-added-init-container"
    there = pod.get("spec", {}).get("initContainers") or []
    if pod.get("metadata", {}).get("name") != "webhook-to-be-mutated" or any(one["name"] == name for one in there):
        return _allow()
    added = [{"image": "webhook-added-image", "name": name, "resources": {}}]
    return _patch([{"op": "add", "path": "/spec/initContainers", "value": added}])


def _sidecar(asked: Obj, image: str) -> Obj | None:
    if not image:
        return _refuse("No image specified by the sidecar-image parameter", status="Failure", code=500)
    if asked.get("resource") != _PODS:
        return None
    name, there = "webhook-added-sidecar", (asked.get("object") or {}).get("spec", {}).get("containers") or []
    if any(one["name"] == name for one in there):
        return _allow()
    return _patch(
        [{"op": "add", "path": "/spec/containers/-", "value": {"image": image, "name": name, "resources": {}}}]
    )


def _data_of(asked: Obj) -> dict[str, Any]:
    obj = asked.get("oldObject") if asked.get("operation") == "DELETE" else asked.get("object")
    return dict((obj or {}).get("data") or {})


def _data(what: str) -> Callable[[Obj], Obj]:
    def answer(asked: Obj) -> Obj:
        mark, operation = _data_of(asked).get(_MARK), asked.get("operation")
        if mark == "webhook-disallow" and operation in ("CREATE", "UPDATE"):
            words = "key and value" if what == "configmap" else "data"
            return _refuse(reason=f"the {what} contains unwanted {words}")
        if mark == "webhook-nondeletable" and operation == "DELETE":
            return _refuse(reason=f"the {what} cannot be deleted because it contains unwanted key and value")
        return _allow()

    return answer


def _config_maps(asked: Obj) -> Obj | None:
    return _data("configmap")(asked) if asked.get("resource") == _CONFIG_MAPS else None


def _mutated_data(asked: Obj) -> Obj:
    data = _data_of(asked)
    stage = 2 if data.get("mutation-stage-1") == "yes" else 1 if data.get("mutation-start") == "yes" else 0
    if not stage:
        return _allow()
    return _patch([{"op": "add", "path": f"/data/mutation-stage-{stage}", "value": "yes"}])


def _mutated_config_maps(asked: Obj) -> Obj | None:
    return _mutated_data(asked) if asked.get("resource") == _CONFIG_MAPS else None


def _add_label(asked: Obj) -> Obj:
    labels = _labels(asked)
    if labels.get("added-label") == "yes":
        return _allow()
    if not labels:
        return _patch([{"op": "add", "path": "/metadata/labels", "value": {"added-label": "yes"}}])
    operation = "replace" if "added-label" in labels else "add"
    return _patch([{"op": operation, "path": "/metadata/labels/added-label", "value": "yes"}])


def _definitions(asked: Obj) -> Obj:
    if (asked.get("resource") or {}).get("resource") != _DEFINITIONS:
        return _refuse(f"expect resource to be {_DEFINITIONS}")
    unwanted = _labels(asked).get(_MARK) == "webhook-disallow"
    return _refuse("the crd contains unwanted label") if unwanted else _allow()


_ANSWERS: dict[str, Callable[[Obj], Obj | None]] = {
    "/add-label": _add_label,
    "/always-deny": lambda _: _refuse("this webhook denies all requests"),
    "/configmaps": _config_maps,
    "/crd": _definitions,
    "/custom-resource": _data("custom resource"),
    "/mutating-configmaps": _mutated_config_maps,
    "/mutating-custom-resource": _mutated_data,
    "/mutating-pods": _mutated_pods,
    "/pods": _pods,
    "/pods/attach": _attaching,
}


# conversion


async def _convert(request: HTTPRequest, peer: str) -> HTTPResponse:
    path = httptext.split_path(request.path)[0]
    if path == "/readyz":
        return httptext.text(200, "ok")
    if path != "/crdconvert":
        return httptext.text(404, "404 page not found\n")
    review = _parsed(request)
    if review is None:
        return httptext.text(400, "failed to deserialize body\n")
    asked, made = review["request"], []
    status: Obj = {"metadata": {}, "status": "Success"}
    for obj in (asked.get("objects") or [])[:MOST_OBJECTS]:
        try:
            made.append(_converted(obj, asked.get("desiredAPIVersion", "")))
        except ValueError as error:
            made, status = [], {"metadata": {}, "status": "Failure", "message": str(error)}
            break
    response = {"uid": asked.get("uid", ""), "convertedObjects": made, "result": status}
    return _json({"kind": review.get("kind", ""), "apiVersion": review.get("apiVersion", ""), "response": response})


def _converted(obj: Obj, wanted: str) -> Obj:
    """Between ``hostPort`` of ``stable.example.com/v1`` and ``host`` and ``port`` of v2; ValueError."""
    first, second = "stable.example.com/v1", "stable.example.com/v2"
    given = obj.get("apiVersion", "")
    if given == wanted:
        raise ValueError(f"conversion from a version to itself should not call the webhook: {wanted}")
    if given not in (first, second) or wanted not in (first, second):
        raise ValueError(f'unexpected conversion version "{wanted if given in (first, second) else given}"')
    made = {**obj, "apiVersion": wanted}
    if given == first and "hostPort" in made:
        parts = str(made.pop("hostPort")).split(":")
        if len(parts) != 2:
            raise ValueError(f"invalid hostPort value `{obj['hostPort']}`")
        made["host"], made["port"] = parts
    elif given == second and ("host" in made or "port" in made):
        made["hostPort"] = f"{made.pop('host', '')}:{made.pop('port', '')}"
    return made
