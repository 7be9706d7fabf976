"""The simulated registry: which images there are, and what each of them is, read from ``simkube/behaviours/*.yaml``.

An image is data: entry point, environment, files, the userland it is built on (``behaviours/userlands``), and which of
its executables is which simulated program. What is not there cannot be pulled, and the error says what is there.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from simkube.quantity import milli
from simkube.runtime.cri import Credentials, ImageError
from simkube.runtime.nodes import Device, Directory, File, Symlink, share
from simkube.runtime.reference import Reference

PULL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """One image: what containers of it start with."""

    reference: str
    id: str
    pull_seconds: float
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]
    env: dict[str, str]
    working_dir: str
    user: int
    flavour: str
    stop_signal: int
    cores: float
    memory: int
    behaviour: dict[str, Any]
    root: Directory


@dataclass(frozen=True, slots=True)
class _Entry:
    spec: dict[str, Any]
    tags: dict[str, dict[str, Any]]


def _load(folder: str) -> dict[str, dict[str, Any]]:
    found = {}
    base = resources.files("simkube") / "behaviours"
    for item in sorted((base / folder if folder else base).iterdir(), key=lambda item: item.name):
        if item.name.endswith(".yaml"):
            found[item.name.removesuffix(".yaml")] = yaml.safe_load(item.read_text())
    return found


@functools.cache
def _entries() -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    for spec in _load("").values():
        for variant in spec["images"]:
            tags = {str(tag): {} for tag in variant["tags"]} if isinstance(variant["tags"], list) else variant["tags"]
            merged = {**spec, **variant}
            known = entries.setdefault(variant["repository"], _Entry(merged, {}))
            known.tags.update({str(tag): {**merged, **(more or {})} for tag, more in tags.items()})
    return entries


@functools.cache
def _userlands() -> dict[str, dict[str, Any]]:
    return _load("userlands")


def known_images() -> dict[str, list[str]]:
    """Every repository with its tags, as people write them."""
    return {Reference(name, "").familiar: list(entry.tags) for name, entry in _entries().items()}


def authorize(reference: Reference, credentials: Sequence[Credentials]) -> None:
    """ImageError ``ErrImagePull`` for an image that only those who are known may pull, when nobody who pulls is."""
    entry = _entries().get(reference.repository)
    wanted = entry.spec.get("credentials") if entry is not None else None
    if not wanted:
        return
    for one in credentials:
        host = one.registry.removeprefix("https://").removeprefix("http://").rstrip("/")
        where = reference.repository == host or reference.repository.startswith(f"{host}/")
        if where and (one.username, one.password) == (wanted["username"], wanted["password"]):
            return
    raise _pull_error(
        reference,
        "pull access denied, repository does not exist or may require authorization: server message: "
        "insufficient_scope: authorization failed",
    )


def find(reference: Reference) -> ImageSpec:
    """The image; ImageError ``ErrImagePull`` worded as containerd's when the registry has none."""
    entry = _entries().get(reference.repository)
    if entry is None:
        have = ", ".join(sorted(known_images()))
        raise _pull_error(
            reference,
            "pull access denied, repository does not exist or may require authorization: server message: "
            f"insufficient_scope: authorization failed (the simulated registry has {have})",
        )
    tag = reference.tag
    if reference.digest:
        for name in entry.tags:
            if _digest(reference.repository, name) == reference.digest:
                tag = name
                break
        else:
            raise _pull_error(reference, f"{reference}: not found")
    if tag not in entry.tags:
        raise _pull_error(reference, f"{reference}: not found")
    return _build(reference.repository, tag)


def _pull_error(reference: Reference, why: str) -> ImageError:
    return ImageError(
        "ErrImagePull",
        f'failed to pull and unpack image "{reference}": failed to resolve reference "{reference}": {why}',
    )


def _digest(repository: str, tag: str) -> str:
    return "sha256:" + hashlib.sha256(f"{repository}:{tag}".encode()).hexdigest()


@functools.cache
def _build(repository: str, tag: str) -> ImageSpec:
    spec = _entries()[repository].tags[tag]
    userland = _userlands()[spec["userland"]]
    root = Directory()
    for part in (userland, spec):
        _add_files(root, part)
    share(root)
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **spec.get("env", {})}
    return ImageSpec(
        reference=f"{repository}:{tag}",
        id=f"{repository}@{_digest(repository, tag)}",
        pull_seconds=float(spec.get("pull_seconds", PULL_SECONDS)),
        entrypoint=tuple(spec.get("entrypoint", ())),
        cmd=tuple(spec.get("cmd", ())),
        env={key: str(value) for key, value in env.items()},
        working_dir=spec.get("working_dir", "/"),
        user=int(spec.get("user", 0)),
        flavour=userland["flavour"],
        stop_signal=int(spec.get("stop_signal", 15)),
        cores=milli(spec.get("cpu", 0)) / 1000,
        memory=milli(spec.get("memory", "1Mi")) // 1000,
        behaviour=spec.get("behaviour", {}),
        root=root,
    )


def _add_files(root: Directory, part: dict[str, Any]) -> None:
    for path in part.get("directories", ()):
        _directory(root, path)
    for path in part.get("world_writable", ()):
        _directory(root, path).mode = 0o1777
    for where, names in part.get("applets", {}).items():
        for name in names:
            _directory(root, where).entries[name] = File(b"\x7fELF", 0o755, program=name)
    for path, program in part.get("programs", {}).items():
        folder, _, name = path.rpartition("/")
        _directory(root, folder).entries[name] = File(b"\x7fELF", 0o755, program=program)
    for path, content in part.get("files", {}).items():
        folder, _, name = path.rpartition("/")
        mode = 0o755 if content.startswith("#!") else 0o644
        _directory(root, folder).entries[name] = File(content.encode(), mode)
    for path, target in part.get("links", {}).items():
        folder, _, name = path.rpartition("/")
        _directory(root, folder).entries[name] = Symlink(target)
    for path, kind in part.get("devices", {}).items():
        folder, _, name = path.rpartition("/")
        _directory(root, folder).entries[name] = Device(kind)
    for path, uid in part.get("owners", {}).items():
        _directory(root, path).uid = uid


def _directory(root: Directory, path: str) -> Directory:
    here = root
    for name in path.split("/"):
        if not name:
            continue
        below = here.entries.setdefault(name, Directory())
        if isinstance(below, Symlink):
            return _directory(root, below.target)
        assert isinstance(below, Directory), f"{path} of an image is not a directory"
        here = below
    return here
