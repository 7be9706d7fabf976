"""From a YAML document to a model, or to the line of the first thing that is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from labs import yamlfile
from labs.errors import Malformed

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], document: yamlfile.Document, path: Path) -> Model:
    """The document as a model; :class:`Malformed` for the first thing that is wrong with it."""
    if not isinstance(document.value, dict):
        raise Malformed(path, document.line(()), "expected a mapping of fields")
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        first = min(error.errors(), key=lambda item: document.line(_location(item["loc"])))
        location = _location(first["loc"])
        raise Malformed(path, document.line(location), _expected(first["type"], first["msg"], location)) from error


def _location(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    return tuple(part for part in loc if part != "[key]")


def _expected(kind: str, message: str, location: tuple[int | str, ...]) -> str:
    field = ".".join(str(part) for part in location)
    if kind == "missing":
        return f"expected a field {field}"
    if kind == "extra_forbidden":
        return f"there is no field {field}"
    sentence = message.removeprefix("Value error, ")
    return f"{field}: {sentence[:1].lower()}{sentence[1:]}" if field else sentence
