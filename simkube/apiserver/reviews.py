"""Questions about oneself and others: ``kubectl auth whoami``, ``kubectl auth can-i``.

Roles are not simulated: members of ``system:masters`` may do everything, everyone else nothing, which is what a real
cluster without role bindings says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simkube.apiserver import tokens
from simkube.apiserver.request import Request
from simkube.client import Caller, Obj
from simkube.errors import bad_request

if TYPE_CHECKING:
    from simkube.apiserver.server import APIServer

MASTERS = "system:masters"


def may(groups: Sequence[str]) -> bool:
    """Whether members of these groups may do what they like."""
    return MASTERS in groups


def answer(request: Request, review: Obj, server: APIServer) -> Obj:
    """The review with its ``status``."""
    meta = {"creationTimestamp": server.clock.timestamp()} if request.resource.kind == "SelfSubjectReview" else {}
    made: Obj = {
        "kind": review["kind"],
        "apiVersion": review["apiVersion"],
        "metadata": {**meta, **review.get("metadata", {})},
    }
    if "spec" in review:
        made["spec"] = review["spec"]
    caller, spec = request.caller, review.get("spec", {})
    kind = request.resource.kind
    if kind == "SelfSubjectReview":
        made["status"] = {"userInfo": _user(caller, server)}
    elif kind == "TokenReview":
        made["status"] = _token(str(spec.get("token", "")), server)
    elif kind == "SelfSubjectRulesReview":
        made["status"] = _rules(caller)
    else:
        groups = caller.groups if kind == "SelfSubjectAccessReview" else spec.get("groups", ())
        if not spec.get("resourceAttributes") and not spec.get("nonResourceAttributes"):
            raise bad_request("exactly one of nonResourceAttributes or resourceAttributes must be specified")
        made["status"] = {"allowed": may(groups)}
    return made


def _user(caller: Caller, server: APIServer) -> Obj:
    uid = tokens.uid_of(caller.user, server)
    return {"username": caller.user, **({"uid": uid} if uid else {}), "groups": list(caller.groups)}


def _token(token: str, server: APIServer) -> Obj:
    caller = tokens.caller_of(token, server)
    if caller is None:
        return {"user": {}, "error": "[invalid bearer token]"}
    return {
        "authenticated": True,
        "user": _user(caller, server),
        "audiences": ["https://kubernetes.default.svc.cluster.local"],
    }


def _rules(caller: Caller) -> Obj:
    everything = may(caller.groups)
    resources = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}] if everything else []
    paths = [{"verbs": ["*"], "nonResourceURLs": ["*"]}] if everything else []
    return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}
