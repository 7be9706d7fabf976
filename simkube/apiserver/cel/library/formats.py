"""Formats with a name: ``format.dns1123Label().validate(self.name)`` (``cel/library/format.go``).

What is wrong is a list of messages; nothing wrong is no value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from simkube.apiserver.cel import types as t
from simkube.apiserver.cel.errors import EvaluationError
from simkube.apiserver.cel.library import urls
from simkube.apiserver.cel.library.model import Library, function, method, of_any, of_class
from simkube.apiserver.cel.types import Kind, list_of, optional_of
from simkube.apiserver.cel.values import NONE, Optional
from simkube.apiserver.schema.custom.formats import fits_format
from simkube.apiserver.validation.metadata import dns_1035_label, dns_label, label_value, qualified_name, subdomain

Check = Callable[[str], list[str]]


@dataclass(frozen=True)
class Format:
    """A format and what it finds wrong."""

    kind: ClassVar[Kind] = t.FORMAT
    name: str
    wrong: Check


def _prefix(check: Check) -> Check:
    """As the beginning of a name, to which something is added."""
    return lambda text: check(f"{text[:-1]}a" if text.endswith("-") else text)


def _standard(name: str, message: str) -> Check:
    return lambda text: [] if fits_format(name, text) else [message]


def _uri(text: str) -> list[str]:
    try:
        urls.parsed(text)
    except EvaluationError as error:
        return [str(error).removeprefix("URL parse error during conversion from string: ")]
    return []


_CHECKS: dict[str, Check] = {
    "dns1123Label": dns_label,
    "dns1123Subdomain": subdomain,
    "dns1035Label": dns_1035_label,
    "qualifiedName": qualified_name,
    "dns1123LabelPrefix": _prefix(dns_label),
    "dns1123SubdomainPrefix": _prefix(subdomain),
    "dns1035LabelPrefix": _prefix(dns_1035_label),
    "labelValue": label_value,
    "uri": _uri,
    "uuid": _standard("uuid", "does not match the UUID format"),
    "byte": _standard("byte", "invalid base64"),
    "date": _standard("date", "invalid date"),
    "datetime": _standard("datetime", "invalid datetime"),
}
_FORMATS = {name: Format(name, check) for name, check in _CHECKS.items()}


def _named(name: str) -> Optional:
    found = _FORMATS.get(name)
    return NONE if found is None else Optional((found,))


def _validate(given: Format, text: str) -> Optional:
    problems = given.wrong(text)
    return Optional((problems,)) if problems else NONE


def _constant(given: Format) -> Callable[[], Format]:
    return lambda: given


LIBRARY = Library(
    {
        "format.named": [function(t.STRING, gives=optional_of(t.FORMAT))],
        **{f"format.{name}": [function(gives=t.FORMAT)] for name in _FORMATS},
        "validate": [method(t.FORMAT, t.STRING, gives=optional_of(list_of(t.STRING)))],
    },
    {
        **of_any({"format.named": _named, **{f"format.{name}": _constant(one) for name, one in _FORMATS.items()}}),
        **of_class(Format, {"validate": _validate}),
    },
)
