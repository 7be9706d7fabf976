"""What of Kubernetes is simulated, partly simulated, only stored, or refused: as data, and as the page made from it.

``fields/*.yaml`` name the fields of the API that do less than their documentation says, as ``Definition.field:
"state: why"``; whatever a user may send and is not named there must be read by a component
(:func:`unread` finds what is not). ``kinds.yaml`` does the same for whole kinds, ``commands.yaml`` for kubectl's
commands, ``images.yaml`` for images, ``differences.yaml`` for the answers in which this API server is known to differ
from Kubernetes 1.36.

``python -m simkube.coverage`` prints the page, ``docs/simulated-coverage.md``. It refuses to claim what it cannot
know: that a field is read says that it has an effect, not that every effect is right; that is the tests'.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from simkube.apiserver.registry.kinds import RESOURCES
from simkube.apiserver.schema.schema import Type, definitions
from simkube.runtime import catalogue
from simkube.runtime.reference import Reference

HERE = Path(__file__).parent
SIMKUBE = HERE.parent
STATES = ("stored", "partly", "refused")
SHAPE_ONLY = (
    "apiserver/registry/*/defaults.py",
    "apiserver/registry/*/kinds.py",
    "apiserver/registry/*/table*.py",
    "apiserver/registry/*/valid*.py",
    "apiserver/schema/*.py",
    "apiserver/tables/*.py",
    "apiserver/validation/*.py",
    "coverage/*.py",
)
"""Code that handles the shape of every object; naming a field there gives it no effect."""
NOT_ASKED_FOR = frozenset({"apiVersion", "kind", "managedFields", "selfLink", "status"})
"""What clients do not decide about: written by servers, or by components through ``/status``."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field as a path through the API: ``Definition.field``, and where it was first met (``pods.spec.x``)."""

    definition: str
    name: str
    path: str

    @property
    def key(self) -> str:
        """As ``fields/*.yaml`` name it."""
        return f"{self.definition}.{self.name}"


@dataclass(frozen=True, slots=True)
class Note:
    """What is said of a field or a command: one of :data:`STATES` (or ``simulated``), and why."""

    state: str
    why: str


def note(text: str) -> Note:
    """``"stored: why"`` taken apart. ValueError when the state is none or nothing is said."""
    state, colon, why = text.partition(":")
    if state not in STATES or not colon or not why.strip():
        raise ValueError(f"expected one of {', '.join(STATES)}, a colon and a reason, got {text!r}")
    return Note(state, why.strip())


@cache
def fields() -> dict[str, Note]:
    """Every field that is named, by ``Definition.field``."""
    found: dict[str, Note] = {}
    for path in sorted((HERE / "fields").glob("*.yaml")):
        for key, text in (yaml.safe_load(path.read_text()) or {}).items():
            if key in found:
                raise ValueError(f"{path.name}: {key} is named twice")
            found[key] = note(text)
    return found


@cache
def data(name: str) -> dict[str, str]:
    """``kinds.yaml``, ``commands.yaml`` or ``differences.yaml``."""
    loaded: dict[str, str] = yaml.safe_load((HERE / name).read_text()) or {}
    return loaded


@dataclass(frozen=True, slots=True)
class Images:
    """Images of one kind: their families, the repositories of these as people write them, what they do."""

    families: tuple[str, ...]
    repositories: tuple[str, ...]
    note: Note


@cache
def images() -> dict[str, Images]:
    """``images.yaml``, by title."""
    found = {}
    for title, said in yaml.safe_load((HERE / "images.yaml").read_text()).items():
        names: list[str] = []
        for family in (one for stem in said["families"] for one in catalogue.read("")[stem]):
            for entry in family["images"]:
                each = entry["repository"]
                names += each if isinstance(each, list) else [each]
        familiar = tuple(sorted({Reference(name, "").familiar for name in names}))
        found[title] = Images(tuple(said["families"]), familiar, note(said["is"]))
    return found


def met() -> Iterator[Field]:
    """Every field of every kind that is stored, once a definition; nothing below a field that is stored or refused."""
    seen: set[str] = set()
    for resource in RESOURCES.values():
        known = definitions().of(resource.gvk)
        if known is not None and not resource.review:
            yield from _below(known, resource.qualified, seen)


def _below(value: Type, path: str, seen: set[str]) -> Iterator[Field]:
    while value.element is not None:
        value = value.element
    if value.shape != "struct" or value.name in seen:
        return
    seen.add(value.name)
    for name, field in value.fields.items():
        if name in NOT_ASKED_FOR:
            continue
        found = Field(value.name, name, f"{path}.{name}")
        yield found
        said = fields().get(found.key)
        if said is None or said.state == "partly":
            yield from _below(field.type, found.path, seen)


@cache
def read_names() -> frozenset[str]:
    """Every string literal of the components' code: a field that is read is named by one."""
    names: set[str] = set()
    for path in SIMKUBE.rglob("*.py"):
        if any(path.relative_to(SIMKUBE).match(pattern) for pattern in SHAPE_ONLY):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.add(node.value)
                names.update(node.value.split("."))
    return frozenset(names)


def unread() -> list[Field]:
    """Fields that are accepted, named by no component and by none of ``fields/*.yaml``: there should be none.

    Those of kinds that ``kinds.yaml`` names are told there.
    """
    return [field for field in met() if field.name not in read_names() and field.key not in fields()]
