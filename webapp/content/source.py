"""Content files into typed objects, with every complaint at the line of the value it is about.

YAML is read by :mod:`labs.yamlfile` (size, nesting and alias limits, duplicate keys refused).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from labs import yamlfile
from labs.errors import Malformed
from webapp.content.errors import ContentError, Problem

Model = TypeVar("Model", bound=BaseModel)


def read_text(path: Path) -> str:
    """The text of a content file; :class:`ContentError` when it is missing, too big or not UTF-8."""
    try:
        return yamlfile.read_text(path)
    except Malformed as error:
        raise ContentError.at(path, error.line, error.expected) from None


def parse(text: str, model: type[Model], path: Path, first_line: int = 1) -> Model:
    """``text`` as a ``model``; ``first_line`` is where ``text`` begins in ``path``."""
    document = _document(text, path, first_line)
    if not isinstance(document.value, dict):
        raise ContentError.at(path, first_line, f"expected a mapping of {', '.join(model.model_fields)}")
    return _validated(document.value, model, document, (), path, first_line)


def parse_list(text: str, model: type[Model], path: Path, first_line: int = 1) -> list[Model]:
    """``text`` as a list of ``model``; every entry that is wrong is named at once."""
    document = _document(text, path, first_line)
    if not isinstance(document.value, list):
        raise ContentError.at(path, first_line, "expected a list; begin every entry with '- '")
    made: list[Model] = []
    problems: list[Problem] = []
    for index, item in enumerate(document.value):
        try:
            made.append(_validated(item, model, document, (index,), path, first_line))
        except ContentError as error:
            problems += error.problems
    if problems:
        raise ContentError(problems)
    return made


def _document(text: str, path: Path, first_line: int) -> yamlfile.Document:
    try:
        documents = yamlfile.parse(text, path)
    except Malformed as error:
        raise ContentError.at(path, first_line + error.line - 1, error.expected) from None
    if len(documents) != 1:
        raise ContentError.at(path, first_line, f"expected one YAML document, found {len(documents)}")
    return documents[0]


def _validated(
    data: Any, model: type[Model], document: yamlfile.Document, place: yamlfile.Location, path: Path, first_line: int
) -> Model:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise ContentError(
            [
                Problem(
                    path, first_line + document.line((*place, *fault["loc"])) - 1, _sentence(fault["loc"], fault["msg"])
                )
                for fault in faults
            ]
        ) from None


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    where = ".".join(str(part) for part in location)
    message = message.removeprefix("Value error, ")
    return f"{where}: {message[:1].lower()}{message[1:]}" if where else message
