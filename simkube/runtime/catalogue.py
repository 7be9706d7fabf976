"""What the simulated registry holds, read from ``simkube/behaviours/*.yaml``, and what is known of public registries.

Each document of a file is a *family*: what its images share (entry point, userland, programs, behaviour), and under
``images`` the repositories that are of this kind, each with its tags (:mod:`simkube.runtime.tags`) and with what
differs. Tags are worked out when somebody first asks for the repository.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any

import yaml

from simkube.runtime import tags

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The parser in C where the library has it: some thousand lines are read before the first pod can start."""


@dataclass(frozen=True)
class Repository:
    """A repository: its full name, and what each of its entries says (a family's fields under the entry's own)."""

    name: str
    entries: tuple[Mapping[str, Any], ...]

    @functools.cached_property
    def tags(self) -> dict[str, tuple[tags.Build, Mapping[str, Any]]]:
        """By tag: the build, and everything that is said of it."""
        return {tag: (build, entry) for entry in self.entries for tag, build in tags.tags_of(entry).items()}

    @property
    def credentials(self) -> Mapping[str, str] | None:
        """Who may pull; None: everybody."""
        return self.entries[0].get("credentials")


def read(folder: str) -> dict[str, list[dict[str, Any]]]:
    """The documents of every YAML file of a folder below ``behaviours``, by the file's name."""
    found = {}
    base = resources.files("simkube") / "behaviours"
    for item in sorted((base / folder if folder else base).iterdir(), key=lambda item: item.name):
        if item.name.endswith(".yaml"):
            found[item.name.removesuffix(".yaml")] = list(yaml.load_all(item.read_text("utf-8"), _Loader))
    return found


@functools.cache
def repositories() -> dict[str, Repository]:
    """Every repository by its full name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for family in (one for documents in read("").values() for one in documents):
        for entry in family["images"]:
            names = entry["repository"]
            for name in names if isinstance(names, list) else [names]:
                found.setdefault(name, []).append(under(family, entry))
    return {name: Repository(name, tuple(entries)) for name, entries in found.items()}


def under(family: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """A family with what differs: a field replaces that of the family, files come beside its files."""
    merged = {**family, **more}
    if "files" in family and "files" in more:
        merged["files"] = {**family["files"], **more["files"]}
    return merged


def repository(name: str) -> Repository | None:
    """The repository of that name, or the one that a mirror's name leads to."""
    known = repositories()
    found = known.get(name)
    if found is None:
        for beginning, instead in _public()["mirrors"].items():
            if found is None and name.startswith(beginning):
                found = known.get(instead + name.removeprefix(beginning))
    return found


@functools.cache
def userlands() -> dict[str, dict[str, Any]]:
    """What images are built on."""
    return {name: documents[0] for name, documents in read("userlands").items()}


@functools.cache
def _public() -> dict[str, Any]:
    return read("registries")["public"][0]


def is_public(repository_name: str) -> bool:
    """Whether a public registry may have it: by its host, and for Docker's official library by its name."""
    host, _, path = repository_name.partition("/")
    if not any(fnmatchcase(host, pattern) for pattern in _public()["hosts"]):
        return False
    return host != "docker.io" or not path.startswith("library/") or path.removeprefix("library/") in official()


@functools.cache
def official() -> frozenset[str]:
    """Names of Docker's official library."""
    return frozenset(_public()["official"])


def is_known_host(host: str) -> bool:
    """Whether there is a registry of that name: a public one, or one of ours."""
    return any(fnmatchcase(host, pattern) for pattern in _public()["hosts"]) or any(
        name.startswith(f"{host}/") for name in repositories()
    )
