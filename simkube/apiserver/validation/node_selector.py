"""Selectors of nodes within objects (``ValidateNodeSelector``, ``ValidateNodeSelectorTerm``)."""

from __future__ import annotations

from simkube.apiserver.validation.field import Errors
from simkube.apiserver.validation.metadata import label_value, qualified_name, subdomain
from simkube.apiserver.validation.selector import requirement
from simkube.client.client import Obj


def node_selector(selector: Obj, path: str, errors: Errors) -> None:
    """A ``NodeSelector``: one term at least."""
    terms = selector.get("nodeSelectorTerms", ())
    if not terms:
        errors.required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for index, term in enumerate(terms):
        where = f"{path}.nodeSelectorTerms[{index}]"
        node_term(term, where, errors, values=True)


def node_term(term: Obj, path: str, errors: Errors, *, values: bool = False) -> None:
    """A ``NodeSelectorTerm``: what each operator needs, of labels and of the name.

    Whether values can be those of labels is looked at where they are required, not where they are preferred.
    """
    for index, each in enumerate(term.get("matchExpressions", ())):
        where = f"{path}.matchExpressions[{index}]"
        requirement(each, where, errors, of_nodes=True)
        for problem in qualified_name(each.get("key", "")):
            errors.invalid(f"{where}.key", each.get("key", ""), problem)
        for at, value in enumerate(each.get("values", ()) if values else ()):
            for problem in label_value(value):
                errors.invalid(f"{where}.values[{at}]", value, problem)
    for index, each in enumerate(term.get("matchFields", ())):
        _field(each, f"{path}.matchFields[{index}]", errors)


def _field(each: Obj, path: str, errors: Errors) -> None:
    operator, values, key = each.get("operator", ""), each.get("values", ()), each.get("key", "")
    if operator not in ("In", "NotIn"):
        errors.invalid(f"{path}.operator", operator, "not a valid selector operator")
    elif len(values) != 1:
        detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errors.required(f"{path}.values", detail)
    if key != "metadata.name":
        errors.invalid(f"{path}.key", key, "not a valid field selector key")
        return
    for index, value in enumerate(values):
        for problem in subdomain(value):
            errors.invalid(f"{path}.values[{index}]", value, problem)
