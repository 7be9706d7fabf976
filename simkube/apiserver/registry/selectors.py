"""Label and field selectors as kubectl writes them, with the messages of the API server's own parser.

After ``k8s.io/apimachinery/pkg/labels`` and ``pkg/fields``. It refuses what they refuse; a field selector also names
only fields that the resource offers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from simkube.apimachinery.errors import bad_request
from simkube.apimachinery.labels import holds
from simkube.apiserver.registry.resources import Resource
from simkube.client.client import Obj

Matcher = Callable[[Obj], bool]
Requirement = Mapping[str, Any]
"""One requirement of a selector, as :func:`simkube.apimachinery.labels.holds` reads it."""

MOST_REQUIREMENTS = 64
MOST_VALUES = 1000
"""Of all requirements of one selector: thousands of objects are held against each."""
_TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
_WORDS = "in, notin, =, ==, !=, gt, lt"
_SYMBOLS = frozenset(("=", "==", "!=", "!", "(", ")", ",", "<", ">"))


class _Parser:
    def __init__(self, text: str) -> None:
        self._words = _TOKEN.findall(text)
        self._at = 0

    def peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def take(self) -> str:
        word = self.peek()
        self._at += 1
        return word

    def requirements(self) -> list[Requirement]:
        found = []
        while self.peek():
            found.append(self._requirement())
            word = self.take()
            if word == "":
                break
            if word != ",":
                raise bad_request(f"found '{word}', expected: ',' or 'end of string'")
            if self.peek() == "":
                raise bad_request("found '', expected: identifier after ','")
        return found

    def _requirement(self) -> Requirement:
        if self.peek() == "!":
            self.take()
            return _requirement(self._key(), "DoesNotExist")
        key = self._key()
        operator = self.peek()
        if operator in ("", ","):
            return _requirement(key, "Exists")
        self.take()
        if operator in ("=", "=="):
            return _requirement(key, "In", [self._value(key)])
        if operator == "!=":
            return _requirement(key, "NotIn", [self._value(key)])
        if operator == "in":
            return _requirement(key, "In", self._values())
        if operator == "notin":
            return _requirement(key, "NotIn", self._values())
        if operator in (">", "gt", "<", "lt"):
            return _compared(key, operator, self._value(key))
        raise bad_request(f"unable to parse requirement: found '{operator}', expected: {_WORDS}")

    def _key(self) -> str:
        key = self.take()
        if key in _SYMBOLS or not key:
            raise bad_request(f"unable to parse requirement: found '{key}', expected: identifier")
        return key

    def _value(self, key: str) -> str:
        if self.peek() in ("", ","):
            return ""
        value = self.take()
        if value in _SYMBOLS:
            raise bad_request(f"unable to parse requirement: found '{value}', expected: identifier")
        if len(value) > 63 or not re.fullmatch(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", value):
            raise bad_request(f'unable to parse requirement: values[0][{key}]: Invalid value: "{value}": {_BAD_VALUE}')
        return value

    def _values(self) -> set[str]:
        word = self.take()
        if word != "(":
            raise bad_request(f"unable to parse requirement: found '{word}', expected: '('")
        values = set()
        while True:
            word = self.take()
            if word not in (",", ")", "") and word not in _SYMBOLS:
                values.add(word)
                word = self.take()
            if word == ")":
                return values
            if word != ",":
                raise bad_request(f"unable to parse requirement: found '{word}', expected: ',' or ')'")


_BAD_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def _requirement(key: str, operator: str, values: Iterable[str] = ()) -> Requirement:
    return {"key": key, "operator": operator, "values": tuple(values)}


def _compared(key: str, operator: str, value: str) -> Requirement:
    try:
        int(value)
    except ValueError:
        raise bad_request(
            f"unable to parse requirement: values[0][{key}]: for 'Gt', 'Lt' operators, the value must be an integer"
        ) from None
    return _requirement(key, "Gt" if operator in (">", "gt") else "Lt", (value,))


def _everything(_: Obj) -> bool:
    return True


@lru_cache(maxsize=512)
def label_matcher(selector: str) -> Matcher:
    """A test of objects for a label selector in kubectl's syntax; 400 when it cannot be parsed."""
    requirements = _Parser(selector).requirements()
    if len(requirements) > MOST_REQUIREMENTS or sum(len(each["values"]) for each in requirements) > MOST_VALUES:
        most = f"{MOST_REQUIREMENTS} requirements and {MOST_VALUES} values"
        raise bad_request(f"a selector may have {most} here, not more")
    if not requirements:
        return _everything

    def matches(obj: Obj) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(holds(requirement, labels) for requirement in requirements)

    return matches


def _lookup(obj: Obj, path: str) -> str:
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_POD_FIELDS = (
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)
_FIELDS: dict[str, dict[str, str]] = {
    "pods": dict.fromkeys(_POD_FIELDS, ""),
    "secrets": {"type": ""},
    "namespaces": {"status.phase": "", "name": "metadata.name"},
    "nodes": {"spec.unschedulable": ""},
    "certificatesigningrequests.certificates.k8s.io": {"spec.signerName": ""},
    "services": {"spec.clusterIP": "", "spec.type": ""},
    "replicasets.apps": {"status.replicas": ""},
    "events": {
        **{f"involvedObject.{name}": "" for name in _INVOLVED},
        **dict.fromkeys(("reason", "reportingComponent", "type"), ""),
        "source": "source.component",
    },
    "events.events.k8s.io": {
        **{f"regarding.{name}": "" for name in _INVOLVED},
        **dict.fromkeys(("reason", "reportingController", "type"), ""),
    },
}
"""The fields a resource can be selected by, beside its
name and namespace; the value is where it is, "" for there."""

_BOOLEANS = frozenset({"spec.hostNetwork", "spec.unschedulable"})
_NUMBERS = frozenset({"status.replicas"})


def _field(resource: str, name: str, custom: frozenset[str] | None) -> Callable[[Obj], str]:
    if name in ("metadata.name", "metadata.namespace"):
        return lambda obj: _lookup(obj, name)
    fields = _FIELDS.get(resource, {}) if custom is None else dict.fromkeys(custom, "")
    if name not in fields:
        raise bad_request(f"field label not supported: {name}")
    path = fields[name] or name
    if path in _BOOLEANS:
        return lambda obj: _lookup(obj, path) or "false"
    if path in _NUMBERS:
        return lambda obj: _lookup(obj, path) or "0"
    return lambda obj: _lookup(obj, path)


@lru_cache(maxsize=512)
def field_matcher(resource: str, selector: str, custom: frozenset[str] | None = None) -> Matcher:
    """A test of objects for a field selector; ``resource`` is qualified. 400 for a field it does not offer.

    ``custom`` are those that the definition of a custom resource offers.
    """
    terms: list[tuple[Callable[[Obj], str], bool, str]] = []
    for term in (term for term in _split(selector) if term):
        for operator in ("!=", "==", "="):
            name, found, value = term.partition(operator)
            if found:
                terms.append(
                    (_field(resource, name.strip(), custom), operator != "!=", value.strip().replace("\\", ""))
                )
                break
        else:
            raise bad_request(f"invalid selector: '{selector}'; can't understand '{term}'")
    return lambda obj: all((read(obj) == value) == wanted for read, wanted, value in terms)


def _split(selector: str) -> list[str]:
    return re.split(r"(?<!\\),", selector)


def matcher(resource: Resource, labels: str, fields: str) -> Matcher | None:
    """Both selectors as one test; None when everything matches."""
    tests = []
    if labels.strip():
        tests.append(label_matcher(labels))
    if fields.strip():
        chosen = None if resource.custom is None else resource.custom.selectable
        tests.append(field_matcher(resource.qualified, fields, chosen))
    if not tests:
        return None
    return tests[0] if len(tests) == 1 else lambda obj: tests[0](obj) and tests[1](obj)
