"""Admission webhooks: programs in the cluster that are asked about a request, and may change or refuse it.

After ``apiserver/pkg/admission/plugin/webhook`` (``mutating/dispatcher.go``, ``validating/dispatcher.go``,
``request/admissionreview.go``, ``errors/statuserror.go``). How they are reached is the work of
:mod:`simkube.apiserver.webhook.calling`. Validating webhooks are called one after the other, not at once; an object is
sent in the version of the request, whichever version a rule of ``matchPolicy: Equivalent`` names.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from simkube.apimachinery.errors import StatusError, bad_request
from simkube.apiserver.admission import expressions
from simkube.apiserver.admission.attributes import operation_of
from simkube.apiserver.admission.matching import concerns
from simkube.apiserver.fields import decoding, json_patch
from simkube.apiserver.fields.strategic import PatchError
from simkube.apiserver.registry import conversion
from simkube.apiserver.registry.kinds import strategy_of
from simkube.apiserver.registry.request import Request
from simkube.apiserver.webhook.calling import CallFailed, Outgoing
from simkube.client.client import Obj, copy_of
from simkube.etcd.store import Store

MUTATING = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
VALIDATING = "validatingwebhookconfigurations.admissionregistration.k8s.io"
VERSIONS = ("v1", "v1beta1")
"""Of AdmissionReview, that the API server speaks."""
_OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}
_SERVERS = ("uid", "creationTimestamp", "resourceVersion", "generation")
_DENIED = 400

Hook = tuple[str, Obj]
"""The name of a configuration, and one of its webhooks."""


class Webhooks:
    """Those of one cluster."""

    def __init__(self, store: Store, outgoing: Outgoing) -> None:
        self._store = store
        self._outgoing = outgoing

    def mutate(self, request: Request, new: Obj | None, old: Obj | None, plugins: Callable[[Obj], None]) -> Obj | None:
        """What mutating webhooks make of a request's object; ``plugins`` are the mutating plugins before them.

        When one changes the object, plugins and webhooks that want it (``reinvocationPolicy: IfNeeded``) see it again,
        once.
        """
        called: set[tuple[str, str]] = set()
        again: set[tuple[str, str]] = set()
        changed = False
        for where, hook in self._concerned(MUTATING, request, new, old):
            patched = self._mutated(where, hook, request, new, old, "first")
            if patched is not None:
                new, changed = patched, True
                again |= called
                called.clear()
            if hook.get("reinvocationPolicy") == "IfNeeded":
                called.add((where, hook["name"]))
        if not changed or new is None:
            return new
        before = copy_of(new)
        plugins(new)
        if new != before:
            again |= called
        for where, hook in self._concerned(MUTATING, request, new, old) if again else ():
            if (where, hook["name"]) in again:
                new = self._mutated(where, hook, request, new, old, "again") or new
        return new

    def validate(self, request: Request, new: Obj | None, old: Obj | None) -> None:
        """StatusError when a validating webhook refuses the request; all are called."""
        refused: StatusError | None = None
        for where, hook in self._concerned(VALIDATING, request, new, old):
            try:
                self._ask(where, hook, request, new, old, "validating")
            except StatusError as error:
                refused = refused or error
        if refused is not None:
            raise refused

    def _concerned(self, kind: str, request: Request, new: Obj | None, old: Obj | None) -> Iterator[Hook]:
        for configuration in self._store.objects(kind):
            for hook in configuration.get("webhooks", ()):
                if not concerns(hook, hook.get("rules", ()), request, new, old, self._store):
                    continue
                strict = hook.get("failurePolicy", "Fail") == "Fail"
                if _wanted(hook, request, new, old, self._store, strict=strict):
                    yield configuration["metadata"]["name"], hook

    def _mutated(
        self, where: str, hook: Obj, request: Request, new: Obj | None, old: Obj | None, stage: str
    ) -> Obj | None:
        """The object that a webhook makes of it; None when it leaves it as it is."""
        name = hook["name"]
        response = self._ask(where, hook, request, new, old, stage)
        try:
            patch = _patch_of(response)
        except CallFailed as error:
            self._fail(where, hook, request, stage, error)
            return None
        if not patch:
            return None
        if new is None:
            text = (
                f'admission webhook "{name}" attempted to modify the object, which is not supported for this operation'
            )
            raise _internal(text)
        resource = request.resource
        try:
            patched = json_patch.apply(copy_of(conversion.shown(resource, new)), patch)
        except PatchError as error:
            raise _internal(str(error)) from None
        if not isinstance(patched, dict):
            raise _internal("the patch of the webhook leaves no object")
        stranger = request.about(checked=True, duplicates=(), options=replace(request.options, validation="Ignore"))
        try:
            decoded = decoding.decode(stranger, patched, resource.gvk)
        except StatusError as error:
            raise _internal(error.message) from None
        made = conversion.stored(resource, decoded)
        strategy_of(resource).defaults(made)
        return None if made == new else made

    def _ask(self, where: str, hook: Obj, request: Request, new: Obj | None, old: Obj | None, stage: str) -> Obj:
        """The answer of one webhook that allows the request; {} of one that failed and may. StatusError."""
        name = hook["name"]
        if request.options.dry_run and hook.get("sideEffects") not in ("None", "NoneOnDryRun"):
            raise bad_request(f'admission webhook "{name}" does not support dry run')
        try:
            response = self._answer(where, hook, request, new, old, stage)
        except CallFailed as error:
            self._fail(where, hook, request, stage, error)
            return {}
        request.warnings += [str(each) for each in response.get("warnings") or ()][:10]
        if not response.get("allowed"):
            raise _denied(name, response.get("status") or {})
        return response

    def _fail(self, where: str, hook: Obj, request: Request, stage: str, error: CallFailed) -> None:
        """A call came to nothing: StatusError, unless the webhook may be ignored."""
        if hook.get("failurePolicy", "Fail") == "Fail":
            raise _failed(hook["name"], str(error)) from None
        request.notes[f"failed-open.{stage}.webhook.admission.k8s.io/{where}"] = hook["name"]

    def _answer(self, where: str, hook: Obj, request: Request, new: Obj | None, old: Obj | None, stage: str) -> Obj:
        version = next((each for each in hook.get("admissionReviewVersions", ()) if each in VERSIONS), "v1")
        asked = _asked(request, new, old)
        key = _key(where, hook["name"], stage, asked)
        review = {"kind": "AdmissionReview", "apiVersion": f"admission.k8s.io/{version}", "request": asked}
        asked["uid"] = self._outgoing.uid(key)
        seconds = float(hook.get("timeoutSeconds", 10))
        try:
            found = self._outgoing.post(hook.get("clientConfig", {}), review, key, seconds)
        except CallFailed as error:
            raise CallFailed(f"failed to call webhook: {error}") from None
        try:
            return _verified(found, version, asked["uid"], mutating=stage != "validating")
        except CallFailed as error:
            raise CallFailed(f"received invalid webhook response: {error}") from None


def _wanted(hook: Obj, request: Request, new: Obj | None, old: Obj | None, store: Store, *, strict: bool) -> bool:
    given = hook.get("matchConditions", ())
    if not given:
        return True
    try:
        return expressions.conditions(given, expressions.names_for(request, new, old, store), request.budget)
    except expressions.Wrong as error:
        if strict:
            raise _failed(hook["name"], f"failed to evaluate match conditions: {error}") from None
        return False


def _asked(request: Request, new: Obj | None, old: Obj | None) -> Obj:
    """The request of an AdmissionReview, but for its uid."""
    resource, operation, caller = request.resource, operation_of(new, old), request.caller
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    plural = {"group": resource.group, "version": resource.version, "resource": resource.plural}
    meta = (new or {}).get("metadata", {})
    unborn = old is None and bool(meta.get("generateName")) and "uid" not in meta
    name = request.name or ("" if unborn else meta.get("name", ""))
    user: Obj = {"username": caller.user, **({"uid": caller.uid} if caller.uid else {}), "groups": list(caller.groups)}
    if caller.extra:
        user["extra"] = {key: list(values) for key, values in caller.extra}
    return {
        "kind": kind,
        "resource": plural,
        **({"subResource": request.subresource} if request.subresource else {}),
        "requestKind": kind,
        "requestResource": plural,
        **({"requestSubResource": request.subresource} if request.subresource else {}),
        **({"name": name} if name else {}),
        **({"namespace": request.namespace or name} if resource.namespaced or resource.plural == "namespaces" else {}),
        "operation": operation,
        "userInfo": user,
        "object": None if new is None else _unnamed(conversion.shown(resource, new), unborn=unborn),
        "oldObject": None if old is None else conversion.shown(resource, old),
        "dryRun": request.options.dry_run,
        "options": {"kind": _OPTIONS[operation], "apiVersion": "meta.k8s.io/v1", **_options(request)},
    }


def _unnamed(obj: Obj, *, unborn: bool) -> Obj:
    """An object whose name is generated has none yet."""
    if not unborn:
        return obj
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "name"}}


def _options(request: Request) -> Obj:
    given = request.options
    found: Obj = {"dryRun": ["All"]} if given.dry_run else {}
    if given.manager:
        found["fieldManager"] = given.manager
    return found


def _key(where: str, hook: str, stage: str, asked: Obj) -> str:
    """Tells questions apart by what does not change when the request is begun anew."""
    steady = {key: value for key, value in asked.items() if key not in ("object", "name")}
    obj = asked["object"]
    if obj is not None:
        meta = obj["metadata"]
        born = bool(meta.get("generateName")) and asked["oldObject"] is None
        kept = {key: value for key, value in meta.items() if key not in _SERVERS and not (born and key == "name")}
        steady["object"] = {**obj, "metadata": {key: each for key, each in kept.items() if key != "managedFields"}}
    text = json.dumps([where, hook, stage, steady], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _verified(found: Obj, version: str, uid: str, *, mutating: bool) -> Obj:
    """The response of an AdmissionReview; :class:`CallFailed` with what is wrong with it."""
    response = found.get("response")
    wanted = f"admission.k8s.io/{version}"
    if version == "v1" and (found.get("apiVersion"), found.get("kind")) != (wanted, "AdmissionReview"):
        group, _, short = str(found.get("apiVersion", "")).rpartition("/")
        got = f"{group}/{short}, Kind={found.get('kind', '')}"
        raise CallFailed(f"expected webhook response of {wanted}, Kind=AdmissionReview, got {got}")
    if not isinstance(response, dict):
        raise CallFailed("webhook response was absent")
    if version != "v1":
        return response
    if response.get("uid") != uid:
        raise CallFailed(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    patch, kind = response.get("patch"), response.get("patchType")
    if not mutating and (patch or kind is not None):
        raise CallFailed(f"validating webhook may not return response.{'patch' if patch else 'patchType'}")
    if patch and kind is None:
        raise CallFailed("webhook returned response.patch but not response.patchType")
    if not patch and kind is not None:
        raise CallFailed("webhook returned response.patchType but not response.patch")
    return response


def _patch_of(response: Obj) -> list[Any]:
    """The operations of a response's patch."""
    given = response.get("patch")
    if not given:
        return []
    try:
        found = json.loads(base64.b64decode(given, validate=True))
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise CallFailed(f"received undecodable patch in webhook response: {error}") from None
    kind = response.get("patchType", "JSONPatch")
    if kind != "JSONPatch":
        raise CallFailed(f'unsupported patch type "{kind}"')
    if not isinstance(found, list):
        raise CallFailed("received undecodable patch in webhook response: a list of operations is expected")
    return found


def _internal(why: str) -> StatusError:
    return StatusError(500, "InternalError", f"Internal error occurred: {why}", {"causes": [{"message": why}]})


def _failed(name: str, why: str) -> StatusError:
    return _internal(f'failed calling webhook "{name}": {why}')


def _denied(name: str, status: Obj) -> StatusError:
    """The Status that a webhook gives with its refusal, made one of a refusal."""
    by = f'admission webhook "{name}" denied the request'
    given, reason = status.get("message"), str(status.get("reason") or "")
    why = f"{by}: {given}" if given else f"{by}: {reason}" if reason else f"{by} without explanation"
    code = status.get("code")
    code = code if isinstance(code, int) and _DENIED <= code < 600 else _DENIED
    details = status.get("details")
    return StatusError(code, reason, why, details if isinstance(details, dict) else None)
