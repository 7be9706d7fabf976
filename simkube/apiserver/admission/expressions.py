"""The expressions of policies and of webhooks' conditions: what they may name, and what they say of a request.

After ``apiserver/pkg/admission/plugin/cel``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from simkube.apiserver.admission.attributes import operation_of
from simkube.apiserver.authorization import rbac
from simkube.apiserver.authorization.attributes import Attributes
from simkube.apiserver.cel.evaluation import Budget, BudgetError, EvaluationError, evaluate
from simkube.apiserver.cel.library.authorizer import Authorizer, Decision, Question, ResourceCheck
from simkube.apiserver.cel.syntax import parse
from simkube.apiserver.registry.request import Request
from simkube.client.client import Caller, Obj
from simkube.etcd.store import Store

Wrong = (EvaluationError, BudgetError)
"""What an evaluation ends with when it has no value."""


def value(text: str, names: Obj, budget: Budget) -> Any:
    """What an expression says; one of :data:`Wrong` when it says nothing."""
    return evaluate(parse(text), names, budget)


def names_for(request: Request, new: Obj | None, old: Obj | None, store: Store) -> Obj:
    """What expressions about a request may name, but for parameters and variables."""
    resource, operation = request.resource, operation_of(new, old)
    where = store.get("namespaces", "", request.namespace) if resource.namespaced else None
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    plural = {"group": resource.group, "version": resource.version, "resource": resource.plural}
    asked = {
        "kind": kind,
        "resource": plural,
        "subResource": request.subresource,
        "requestKind": kind,
        "requestResource": plural,
        "name": request.name or ((new or {}).get("metadata") or {}).get("name", ""),
        "namespace": request.namespace,
        "operation": operation,
        "userInfo": {"username": request.caller.user, "groups": list(request.caller.groups)},
        "dryRun": request.options.dry_run,
    }
    return {
        "object": new,
        "oldObject": old,
        "request": asked,
        "namespaceObject": where,
        "params": None,
        **_authorizers(request, str(asked["name"]), store),
    }


def _authorizers(request: Request, name: str, store: Store) -> Obj:
    """What expressions ask whether the caller, or a service account, may do something."""
    authorizer, resource = rbac.Authorizer(store), request.resource

    def ask(about: Question) -> Decision:
        caller = request.caller if about.account is None else _service_account(*about.account)
        asked = Attributes(
            about.verb,
            about.group,
            "" if about.path else "*",
            about.resource,
            about.subresource,
            about.namespace,
            about.name,
            about.path,
        )
        found = authorizer.decide(caller, asked)
        return Decision(found.allowed, found.why)

    own = Question("", None, "", resource.group, resource.plural, request.subresource, request.namespace, name)
    return {"authorizer": Authorizer(ask), "authorizer.requestResource": ResourceCheck(ask, own)}


def _service_account(namespace: str, name: str) -> Caller:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return Caller(f"system:serviceaccount:{namespace}:{name}", groups)


def conditions(given: Iterable[Obj], names: Obj, budget: Budget) -> bool:
    """Whether all match conditions hold; one of :data:`Wrong` when none fails and one cannot be decided."""
    problem: Exception | None = None
    for each in given:
        try:
            if value(each["expression"], names, budget) is False:
                return False
        except Wrong as error:
            problem = problem or error
    if problem is not None:
        raise problem
    return True
