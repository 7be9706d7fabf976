"""Bodies of requests: read no further than the limit, JSON or YAML, and no bomb of either.

It refuses (413) more than 3 MiB and more values than any real object has, (415) what is neither JSON nor YAML, and
(400) what cannot be parsed, in the API server's words where users meet them.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from simkube.apimachinery.errors import StatusError, bad_request
from simkube.apiserver.http import protobuf
from simkube.apiserver.schema.strict import parse_json

MOST_BYTES = 3 * 1024 * 1024
MOST_YAML_BYTES = 1024 * 1024
MOST_VALUES = 50_000
MOST_DEPTH = 200
TOO_DEEP = "yaml: exceeded max depth"

_CONTEXTS = (
    ("Expecting ':' delimiter", "after object key"),
    ("Expecting property name", "looking for beginning of object key string"),
    ("Expecting value", "looking for beginning of value"),
    ("Extra data", "after top-level value"),
    ("Invalid control character", "in string literal"),
    ("Invalid \\", "in string escape code"),
)


def too_large() -> StatusError:
    """413 for a body beyond the limit."""
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {MOST_BYTES}")


def media_type(content_type: str) -> str:
    """``json``, ``yaml`` or ``protobuf``; 415 for anything else. No content type means JSON."""
    media = content_type.partition(";")[0].strip().lower()
    if media in ("", "application/json", "*/*"):
        return "json"
    if media in ("application/yaml", "text/yaml", "application/x-yaml"):
        return "yaml"
    if media == protobuf.CONTENT_TYPE:
        return "protobuf"
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )
    raise StatusError(415, "UnsupportedMediaType", message)


def parse(raw: bytes, media: str) -> tuple[Any, list[str]]:
    """The value of a body and its duplicate fields; a ``ValueError`` that words the mistake as Go does."""
    value, duplicates = _yaml(raw) if media == "yaml" else _json(raw)
    if _many(raw) and _count(value) > MOST_VALUES:
        message = f"Request entity too large: more than {MOST_VALUES} values in one object"
        raise StatusError(413, "RequestEntityTooLarge", message)
    return value, duplicates


def parse_object(raw: bytes, media: str, kind: str) -> tuple[dict[str, Any], list[str]]:
    """As :func:`parse`, for a body that must be an object of ``kind``; 400 as the API server's decoder."""
    if media == "protobuf":
        return protobuf.decode(raw), []
    try:
        value, duplicates = parse(raw, media)
    except ValueError as error:
        reason = str(error) if media == "yaml" else f"couldn't get version/kind; json parse error: {error}"
        raise _unrecognized(kind, reason, raw) from None
    if not isinstance(value, dict):
        reason = (
            f"couldn't get version/kind; json parse error: json: cannot unmarshal {_go_kind(value)} into Go value of "
        )
        fields = 'APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\""'
        raise _unrecognized(kind, f"{reason}type struct {{ {fields} }}", raw)
    return value, duplicates


def _unrecognized(kind: str, reason: str, raw: bytes) -> StatusError:
    return bad_request(f"the object provided is unrecognized (must be of type {kind}): {reason} ({_summary(raw)})")


def _summary(raw: bytes) -> str:
    if not raw:
        return "<empty>"
    short, more = raw[:30], " ..." if len(raw) > 30 else ""
    if raw[:1] == b"{":
        return short.decode(errors="replace") + more
    return short.hex() + more


def _go_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return {list: "array", str: "string", int: "number", float: "number"}.get(type(value), "null")


def _json(raw: bytes) -> tuple[Any, list[str]]:
    try:
        text = raw.decode()
        return parse_json(text)
    except UnicodeDecodeError:
        raise ValueError("invalid UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(_go_error(text, error)) from None


def _go_error(text: str, error: json.JSONDecodeError) -> str:
    if error.msg.startswith("Unterminated") or not text[error.pos :].strip():
        return "unexpected end of JSON input"
    at = error.pos + len(text[error.pos :]) - len(text[error.pos :].lstrip())
    character = text[at]
    shown = "'\\''" if character == "'" else "'\"'" if character == '"' else f"'{character}'"
    if error.msg.startswith("Expecting ',' delimiter"):
        inside = text.rfind("[", 0, at) > text.rfind("{", 0, at)
        context = "after array element" if inside else "after object key:value pair"
    else:
        context = next((words for start, words in _CONTEXTS if error.msg.startswith(start)), "in JSON")
    return f"invalid character {shown} {context}"


# PyYAML's C parser, where it is built in, is many times faster; both refuse what is not plain data.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Plain(_Loader):  # type: ignore[misc]
    """Times stay text, as in JSON. (mypy cannot know the base class, which is chosen above.)"""


_Plain.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def _yaml(raw: bytes) -> tuple[Any, list[str]]:
    if len(raw) > MOST_YAML_BYTES:
        message = f"Request entity too large: limit is {MOST_YAML_BYTES} for YAML; send JSON"
        raise StatusError(413, "RequestEntityTooLarge", message)
    try:
        _check_events(raw)
        value = yaml.load(raw, Loader=_Plain)  # noqa: S506  a safe loader
        return json.loads(json.dumps(value, allow_nan=False)), []
    except (yaml.MarkedYAMLError, yaml.reader.ReaderError) as error:
        raise ValueError(_yaml_error(error)) from None
    except (TypeError, RecursionError) as error:
        raise ValueError(f"yaml: {error}") from None


def _yaml_error(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    if "nesting" in problem:  # libyaml reads ahead, and since 0.2.6 has a limit of its own, far beyond ours
        return TOO_DEEP
    ahead = isinstance(error, yaml.scanner.ScannerError)  # go-yaml counts lines from 1 for these, for others from 0
    where = f"line {mark.line + ahead}: " if mark is not None else ""
    return f"yaml: {where}{problem}"


def _check_events(raw: bytes) -> None:
    """Refuse depth, and aliases that would multiply: an alias may stand for at most ``MOST_VALUES`` values in all."""
    depth, values = 0, 0
    sizes: dict[str, int] = {}
    opened: list[tuple[str | None, int]] = []
    for event in yaml.parse(raw, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            values += sizes.get(event.anchor or "", MOST_VALUES)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            opened.append((event.anchor, values))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
            anchor, before = opened.pop()
            if anchor:
                sizes[anchor] = values - before + 1
        elif isinstance(event, yaml.ScalarEvent):
            values += 1
            if event.anchor:
                sizes[event.anchor] = 1
        if values > MOST_VALUES:
            raise ValueError("yaml: document contains excessive aliasing" if sizes else "yaml: too many values")
        if depth > MOST_DEPTH:
            raise ValueError(TOO_DEEP)


def _many(raw: bytes) -> bool:
    return raw.count(b",") + raw.count(b":") > MOST_VALUES


def _count(value: Any) -> int:
    total, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        total += 1
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return total
