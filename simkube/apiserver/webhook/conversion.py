"""Objects of custom kinds from one version to another, by the program that a definition names.

After ``apiextensions-apiserver/pkg/apiserver/conversion/webhook_converter.go``. What such a program may not change
(names, uid, everything of the metadata but labels and annotations) is put back or refused as there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.webhook.calling import CallFailed, Outgoing
from simkube.client.client import Obj

SECONDS = 30.0
VERSIONS = ("v1", "v1beta1")
"""Of ConversionReview, that the API server speaks."""
_STAY = ("name", "namespace", "uid")


class Conversions:
    """Those of one cluster."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    def convert(self, definition: Obj, objects: Sequence[Obj], version: str) -> list[Obj]:
        """``objects`` as they are in ``version`` (``example.com/v2``); StatusError 500 with what went wrong."""
        if not objects:
            return []
        kind = f"{objects[0].get('apiVersion')}, Kind={objects[0].get('kind')}"
        given = definition["spec"]["conversion"]["webhook"]
        review = next((each for each in given.get("conversionReviewVersions", ()) if each in VERSIONS), "v1")
        key = _key(definition["metadata"]["name"], version, objects)
        uid = self._outgoing.uid(key)
        asked = {"uid": uid, "desiredAPIVersion": version, "objects": list(objects)}
        body = {"kind": "ConversionReview", "apiVersion": f"apiextensions.k8s.io/{review}", "request": asked}
        try:
            answer = self._outgoing.post(given.get("clientConfig") or {}, body, key, SECONDS)
            made = _converted(answer, review, uid)
        except CallFailed as error:
            raise _failed(f"conversion webhook for {kind} failed: {error}") from None
        if len(made) != len(objects):
            raise _failed(f"conversion webhook for {kind} returned {len(made)} objects, expected {len(objects)}")
        pairs = enumerate(zip(objects, made, strict=True))
        return [_checked(kind, before, after, version, at) for at, (before, after) in pairs]


def _key(name: str, version: str, objects: Sequence[Obj]) -> str:
    text = json.dumps([name, version, list(objects)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _converted(answer: Obj, review: str, uid: str) -> list[Obj]:
    response, wanted = answer.get("response"), f"apiextensions.k8s.io/{review}"
    if review == "v1" and (answer.get("apiVersion"), answer.get("kind")) != (wanted, "ConversionReview"):
        got = f"{answer.get('apiVersion', '')}, Kind={answer.get('kind', '')}"
        raise CallFailed(f"expected webhook response of {wanted}, Kind=ConversionReview, got {got}")
    if not isinstance(response, dict):
        raise CallFailed("no response provided")
    if review == "v1" and response.get("uid") != uid:
        raise CallFailed(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        status = result.get("status", "")
        raise CallFailed(str(result.get("message") or f"response.result.status was '{status}', not 'Success'"))
    found = response.get("convertedObjects") or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise CallFailed("the converted objects are no list of objects")
    return found


def _checked(kind: str, before: Obj, after: Obj, version: str, at: int) -> Obj:
    """A converted object with the metadata that it must have."""
    where = f"conversion webhook for {kind} returned invalid"
    if after.get("apiVersion") != version:
        got = after.get("apiVersion", "")
        raise _failed(
            f"{where} converted object at index {at}: invalid groupVersion (expected {version}, received {got})"
        )
    if after.get("kind") != before.get("kind"):
        why = f"invalid kind (expected {before.get('kind')}, received {after.get('kind', '')})"
        raise _failed(f"{where} converted object at index {at}: {why}")
    meta, given = before["metadata"], after.get("metadata")
    if not isinstance(given, dict):
        raise _failed(f"{where} metadata in object at index {at}: missing metadata in converted object")
    for field in _STAY:
        if meta.get(field, "") != given.get(field, ""):
            why = f"must have the same {field}: {meta.get(field, '')} != {given.get(field, '')}"
            raise _failed(f"{where} converted object at index {at}: {why}")
    kept = {key: value for key, value in meta.items() if key not in ("labels", "annotations")}
    kept |= {key: given[key] for key in ("labels", "annotations") if isinstance(given.get(key), dict)}
    return {**after, "metadata": kept}


def _failed(message: str) -> StatusError:
    return StatusError(500, "", message)
