"""Whether the expressions of policies and of webhooks' conditions can be read, and are of the type they must be.

After ``apiserver/pkg/admission/plugin/cel/compile.go``.
"""

from __future__ import annotations

from simkube.apimachinery.errors import not_simulated
from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.checking import check
from simkube.apiserver.cel.syntax import CelError, NotSimulated, parse
from simkube.apiserver.cel.types import Kind, Types
from simkube.apiserver.validation.field import Errors

_NAMES = dict.fromkeys(("object", "oldObject", "request", "namespaceObject", "params", "variables"), t.DYN)
_AUTHORIZER = {"authorizer": t.AUTHORIZER, "authorizer.requestResource": t.RESOURCE_CHECK}


def compiled(text: str, path: str, errors: Errors, kind: Kind | None = t.BOOL, *, authorizer: bool = True) -> None:
    """Note what is wrong with an expression that must be of this type (None: any), and may ask the authorizer."""
    if not text.strip():
        errors.required(path, "expression is not specified")
        return
    try:
        found = check(parse(text), {**_NAMES, **(_AUTHORIZER if authorizer else {})}, Types())
    except NotSimulated as error:
        raise not_simulated(error.message) from None
    except CelError as error:
        errors.invalid(path, text, f"compilation failed: {error.shown(text)}")
        return
    if kind is not None and found not in (kind, t.DYN):
        errors.invalid(path, text, f"must evaluate to {kind.name}")
