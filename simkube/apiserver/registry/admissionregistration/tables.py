"""The rows of policies, their bindings and webhooks."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.tables.cells import age_of, name_of
from simkube.apiserver.tables.columns import AGE, NAME, Cells, Column, Layout

Obj = dict[str, Any]

_UNSET = "<unset>"


def _webhooks(obj: Obj, now: float) -> Cells:
    return [name_of(obj), len(obj.get("webhooks") or ()), age_of(obj, now)]


def _kind(spec: Obj) -> str:
    kind = spec.get("paramKind")
    return f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else _UNSET


def _policy(rules: str) -> Any:
    def cells(obj: Obj, now: float) -> Cells:
        spec = obj.get("spec") or {}
        return [name_of(obj), len(spec.get(rules) or ()), _kind(spec), age_of(obj, now)]

    return cells


def _binding(obj: Obj, now: float) -> Cells:
    spec = obj.get("spec") or {}
    wanted = spec.get("paramRef")
    shown = _UNSET
    if wanted:
        name = wanted.get("name") or "*"
        shown = f"{wanted['namespace']}/{name}" if wanted.get("namespace") else name
    return [name_of(obj), spec.get("policyName", ""), shown, age_of(obj, now)]


_WEBHOOKS = "Webhooks indicates the number of webhooks registered in this configuration"
_PARAM_KIND = "ParamKind specifies the kind of resources used to parameterize this policy"
WEBHOOKS = Layout((NAME, Column("Webhooks", _WEBHOOKS, type="integer"), AGE), _webhooks)
VALIDATING_POLICIES = Layout(
    (
        NAME,
        Column(
            "Validations",
            "Validations indicates the number of validation rules defined in this configuration",
            type="integer",
        ),
        Column("ParamKind", _PARAM_KIND),
        AGE,
    ),
    _policy("validations"),
)
MUTATING_POLICIES = Layout(
    (
        NAME,
        Column(
            "Mutations",
            "Mutation indicates the number of mutations rules defined in this configuration",
            type="integer",
        ),
        Column("ParamKind", _PARAM_KIND),
        AGE,
    ),
    _policy("mutations"),
)
BINDINGS = Layout(
    (
        NAME,
        Column("PolicyName", "PolicyName indicates the policy definition which the policy binding binded to"),
        Column("ParamRef", "ParamRef indicates the param resource which sets the configuration param"),
        AGE,
    ),
    _binding,
)
