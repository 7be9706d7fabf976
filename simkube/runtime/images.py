"""One image: what containers of it start with, built from what a family says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simkube.apimachinery.quantity import milli
from simkube.runtime import catalogue, packages
from simkube.runtime.nodes import Device, Directory, File, Symlink, share

PULL_SECONDS = 0.3
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """One image. ``version`` is what its tag stands for ("" where that is not known); a ``stand_in`` is an image that
    is not simulated."""

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
    version: str = ""
    stand_in: bool = False


def build(reference: str, image_id: str, spec: Mapping[str, Any], version: str, *, stand_in: bool = False) -> ImageSpec:
    """The image that ``spec`` (fields of a family) says; ``${version}`` in variables and files is its version."""
    userland = catalogue.userlands()[spec["userland"]]
    root = Directory()
    _add_files(root, userland, version)
    for package in packages.wanted(userland["distribution"], spec["packages"]) if "packages" in spec else ():
        _add_files(root, {"programs": package.programs}, version)
    _add_files(root, spec, version)
    share(root)
    env = {"PATH": PATH, **{key: _filled(str(value), version) for key, value in spec.get("env", {}).items()}}
    return ImageSpec(
        reference=reference,
        id=image_id,
        pull_seconds=float(spec.get("pull_seconds", PULL_SECONDS)),
        entrypoint=tuple(spec.get("entrypoint", ())),
        cmd=tuple(spec.get("cmd", ())),
        env=env,
        working_dir=spec.get("working_dir", "/"),
        user=int(spec.get("user", 0)),
        flavour=userland["flavour"],
        stop_signal=int(spec.get("stop_signal", 15)),
        cores=milli(spec.get("cpu", 0)) / 1000,
        memory=milli(spec.get("memory", "1Mi")) // 1000,
        behaviour=spec.get("behaviour", {}),
        root=root,
        version=version,
        stand_in=stand_in,
    )


def _filled(text: str, version: str) -> str:
    return text.replace("${version}", version)


def _add_files(root: Directory, part: Mapping[str, Any], version: str) -> None:
    for path in part.get("directories", ()):
        _directory(root, path)
    for path in part.get("world_writable", ()):
        _directory(root, path).mode = 0o1777
    for where, names in part.get("applets", {}).items():
        for name in names:
            _directory(root, where).entries[name] = File(b"\x7fELF", 0o755, program=name)
    for where, names in part.get("refused", {}).items():
        for name in names:
            _directory(root, where).entries.setdefault(name, File(b"\x7fELF", 0o755, program="refused"))
    for path, program in part.get("programs", {}).items():
        folder, _, name = path.rpartition("/")
        _directory(root, folder).entries[name] = File(b"\x7fELF", 0o755, program=program)
    for path, content in part.get("files", {}).items():
        folder, _, name = path.rpartition("/")
        mode = 0o755 if content.startswith("#!") else 0o644
        _directory(root, folder).entries[name] = File(_filled(content, version).encode(), mode)
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
            below = _directory(root, below.target)
        assert isinstance(below, Directory), f"{path} of an image is not a directory"
        here = below
    return here
