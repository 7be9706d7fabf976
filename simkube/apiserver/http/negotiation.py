"""Which form of an answer a client accepts: JSON or YAML; an object, its metadata alone, or a table.

After ``apiserver/pkg/endpoints/handlers/negotiation``. Protobuf and CBOR are not offered: a client that would rather
have them gets JSON when it takes that too, else 406.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from simkube.apimachinery.errors import StatusError

Form = Literal["object", "table", "metadata"]
_META = "meta.k8s.io"
_OFFERED = "application/json, application/yaml"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The chosen form. ``text`` is ``json`` or ``yaml``; ``pretty`` asks for indentation."""

    text: Literal["json", "yaml"] = "json"
    form: Form = "object"
    list_form: bool = False


JSON = Accepted()


@lru_cache(maxsize=256)
def accepted(header: str) -> Accepted:
    """The best form of an ``Accept`` header; 406 when none of it is offered."""
    if not header:
        return JSON
    refused = False
    for media, parameters in _choices(header):
        text = _text(media)
        if text is None:
            continue
        form = _form(parameters)
        if form is None:
            refused = True
            continue
        return Accepted(text, form, parameters.get("as") == "PartialObjectMetadataList")
    if refused:
        message = f"only the following media types are accepted: {_OFFERED}"
        raise StatusError(406, "NotAcceptable", message)
    streams = "application/json;stream=watch"
    message = f"406: Not Acceptable\n\nAvailable representations: {_OFFERED}, {streams}"
    raise StatusError(406, "NotAcceptable", message, {})


def _choices(header: str) -> list[tuple[str, dict[str, str]]]:
    found = []
    for index, choice in enumerate(header.split(",")):
        media, *given = (part.strip() for part in choice.split(";"))
        parameters = {key.strip(): value.strip() for key, _, value in (each.partition("=") for each in given)}
        try:
            weight = float(parameters.pop("q", "1"))
        except ValueError:
            weight = 0.0
        found.append((-weight, index, media.lower(), parameters))
    return [(media, parameters) for _, _, media, parameters in sorted(found, key=lambda each: each[:2])]


def _text(media: str) -> Literal["json", "yaml"] | None:
    if media in ("application/json", "*/*", "application/*"):
        return "json"
    return "yaml" if media == "application/yaml" else None


def _form(parameters: dict[str, str]) -> Form | None:
    wanted = parameters.get("as", "")
    if not wanted:
        return "object"
    if parameters.get("g") != _META or parameters.get("v") != "v1":
        return None
    if wanted == "Table":
        return "table"
    return "metadata" if wanted in ("PartialObjectMetadata", "PartialObjectMetadataList") else None
