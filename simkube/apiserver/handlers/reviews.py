"""Questions about oneself and others: ``kubectl auth whoami``, ``kubectl auth can-i``, and what webhooks ask.

Answered and never stored. After ``pkg/registry/authorization`` and ``pkg/registry/authentication``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from simkube.apimachinery.errors import bad_request
from simkube.apiserver.authentication.tokens import ISSUER
from simkube.apiserver.authorization.attributes import Attributes
from simkube.apiserver.fields import ownership
from simkube.apiserver.handlers.backend import Backend
from simkube.apiserver.registry.request import Request
from simkube.apiserver.registry.reviews.validation import resource_attributes
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Caller, Obj

_GROUP = "authorization.k8s.io"
_EXACTLY_ONE = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


def answer(request: Request, review: Obj, server: Backend) -> Obj:
    """The review with its ``status``."""
    kind = request.resource.kind
    meta: Obj = review.setdefault("metadata", {})
    if kind == "SelfSubjectReview":
        review["metadata"] = {"creationTimestamp": server.clock.timestamp(), **meta}
    elif kind != "SelfSubjectRulesReview":
        ownership.record(request, None, review, server.clock.timestamp(), None)
    order = ("kind", "apiVersion", "metadata", "spec")
    spec, status = _ANSWERS[kind](request, review, server)
    return {**{key: review[key] for key in order if key in review}, **spec, "status": status}


def user_info(caller: Caller, server: Backend) -> Obj:
    """A caller as a ``UserInfo``."""
    uid = caller.uid or server.credentials.uid_of(caller.user)
    info: Obj = {"username": caller.user, **({"uid": uid} if uid else {}), "groups": list(caller.groups)}
    if caller.extra:
        info["extra"] = {key: list(values) for key, values in caller.extra}
    return info


def _self(request: Request, _: Obj, server: Backend) -> tuple[Obj, Obj]:
    return {}, {"userInfo": user_info(request.caller, server)}


def _token(_: Request, review: Obj, server: Backend) -> tuple[Obj, Obj]:
    spec = review.get("spec", {})
    if not spec.get("token"):
        raise bad_request("token is required for TokenReview in authentication")
    wanted = tuple(spec.get("audiences") or ())
    verdict = server.credentials.review(str(spec["token"]), wanted or (ISSUER,))
    if verdict.caller is None:
        return {"spec": spec}, {"user": {}, "error": verdict.error}
    user = user_info(verdict.caller, server)
    return {"spec": spec}, {"authenticated": True, "user": user, "audiences": list(verdict.audiences)}


def _rules(request: Request, review: Obj, server: Backend) -> tuple[Obj, Obj]:
    namespace = review.get("spec", {}).get("namespace", "")
    if not namespace:
        raise bad_request("no namespace on request")
    errors: list[str] = []
    held = server.authorizer.rules_of(request.caller, namespace, errors.append)
    resources = [rule for rule in held if "nonResourceURLs" not in rule]
    paths = [rule for rule in held if "nonResourceURLs" in rule]
    order = ("verbs", "apiGroups", "resources", "resourceNames")
    status: Obj = {
        "resourceRules": [{key: rule[key] for key in order if key in rule} for rule in resources],
        "nonResourceRules": [{key: rule[key] for key in ("verbs", "nonResourceURLs")} for rule in paths],
        "incomplete": bool(errors),
    }
    if errors:
        status["evaluationError"] = f"[{', '.join(errors)}]" if len(errors) > 1 else errors[0]
    return {"spec": {}}, status


def _access(request: Request, review: Obj, server: Backend) -> tuple[Obj, Obj]:
    """SelfSubjectAccessReview, SubjectAccessReview, LocalSubjectAccessReview."""
    spec = review.get("spec", {})
    _validate(request, review, spec)
    kind = request.resource.kind
    caller = request.caller
    if kind != "SelfSubjectAccessReview":
        groups, extra = tuple(spec.get("groups") or ()), spec.get("extra") or {}
        pairs = tuple((key, tuple(values or ())) for key, values in extra.items())
        caller = Caller(spec.get("user", ""), groups, uid=spec.get("uid", ""), extra=pairs)
    decision = server.authorizer.decide(caller, _attributes(spec))
    status: Obj = {"allowed": decision.allowed}
    if decision.why:
        status["reason"] = decision.why
        if not decision.allowed:
            status["evaluationError"] = decision.why
    return {"spec": spec}, status


def _attributes(spec: Mapping[str, Any]) -> Attributes:
    path = spec.get("nonResourceAttributes")
    if path is not None:
        return Attributes(path.get("verb", ""), path=path.get("path", ""))
    given = spec["resourceAttributes"]
    names = ("verb", "group", "version", "resource", "subresource", "namespace", "name")
    return Attributes(*(given.get(name, "") for name in names))


def _validate(request: Request, review: Obj, spec: Mapping[str, Any]) -> None:
    errors = Errors()
    kind = request.resource.kind
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        errors.invalid(
            "spec.nonResourceAttributes", _go(path), "cannot be specified in combination with resourceAttributes"
        )
    if resource is None and path is None:
        errors.invalid("spec.resourceAttributes", None, _EXACTLY_ONE)
    if kind != "SelfSubjectAccessReview" and not spec.get("user") and not spec.get("groups"):
        errors.invalid("spec.user", "", "at least one of user or group must be specified")
    resource_attributes(resource or {}, errors)
    beside = {"managedFields", "namespace"} if kind == "LocalSubjectAccessReview" else {"managedFields"}
    if any(value for name, value in review["metadata"].items() if name not in beside):
        errors.invalid("metadata", review["metadata"], "must be empty")
    if kind == "LocalSubjectAccessReview":
        where = review["metadata"].get("namespace", "")
        if where and where != request.namespace:
            raise bad_request("namespace on the object does not match the namespace of the request")
        if resource is not None and resource.get("namespace", "") != request.namespace:
            detail = "must match metadata.namespace"
            errors.invalid("spec.resourceAttributes.namespace", resource.get("namespace", ""), detail)
        if path is not None:
            errors.invalid("spec.nonResourceAttributes", _go(path), "disallowed on this kind of request")
    errors.raise_for("", _GROUP, "")


def _go(path: Mapping[str, Any]) -> Obj:
    return {"Path": path.get("path", ""), "Verb": path.get("verb", "")}


_ANSWERS: dict[str, Callable[[Request, Obj, Backend], tuple[Obj, Obj]]] = {
    "SelfSubjectReview": _self,
    "TokenReview": _token,
    "SelfSubjectRulesReview": _rules,
    "SelfSubjectAccessReview": _access,
    "SubjectAccessReview": _access,
    "LocalSubjectAccessReview": _access,
}
