"""The expressions of policies and of webhooks' conditions: what they may name, and what they say of a request.

After ``apiserver/pkg/admission/plugin/cel``. It refuses (501) the authorizer, which expressions may ask elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from simkube.apimachinery.errors import not_simulated
from simkube.apiserver.admission.attributes import operation_of
from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.checking import check
from simkube.apiserver.cel.evaluation import Budget, BudgetError, EvaluationError, evaluate
from simkube.apiserver.cel.syntax import CelError, Node, NotSimulated, parse
from simkube.apiserver.cel.types import Kind, Types
from simkube.apiserver.request import Request
from simkube.apiserver.validation.field import Errors
from simkube.client.client import Obj
from simkube.etcd.store import Store

_NAMES = ("object", "oldObject", "request", "namespaceObject", "params", "variables")
Wrong = (EvaluationError, BudgetError)
"""What an evaluation ends with when it has no value."""


def compiled(text: str, path: str, errors: Errors, kind: Kind | None = t.BOOL) -> None:
    """Note what is wrong with an expression that must be of this type (None: any)."""
    if not text.strip():
        errors.required(path, "expression is not specified")
        return
    try:
        tree = parse(text)
        if "authorizer" in set(_mentioned(tree)):
            raise NotSimulated("the authorizer in expressions", 0)
        found = check(tree, dict.fromkeys(_NAMES, t.DYN), Types())
    except NotSimulated as error:
        raise not_simulated(error.message) from None
    except CelError as error:
        errors.invalid(path, text, f"compilation failed: {error.shown(text)}")
        return
    if kind is not None and found not in (kind, t.DYN):
        errors.invalid(path, text, f"must evaluate to {kind.name}")


def _mentioned(tree: Node) -> Iterator[str]:
    if tree.kind == "name":
        yield tree.text
    for one in tree.of:
        yield from _mentioned(one)


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
    return {"object": new, "oldObject": old, "request": asked, "namespaceObject": where, "params": None}


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
