"""The images a lab needs: the labs' own built from source, others pulled, all of them loaded into every node.

A learner's first pod must not wait for a download, and a lab must work where no registry can be reached once its images
are there. Images are rebuilt when their source changed, which a label on the image tells.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import docker
import docker.errors
from requests.exceptions import RequestException

from labs.clusters.provider import ProviderUnavailable

OWN = "kindling/"
"""Images of this repository are built from ``labs/images/NAME``; the tag is the version they report."""

_SOURCE_LABEL = "kindling.source"
_UPON = re.compile(r"^FROM (kindling/[a-z-]+):\$\{VERSION\}$", re.MULTILINE)
"""What a Dockerfile says that builds upon another image of this repository, in the same version."""


def ensure(engine: docker.DockerClient, images: Sequence[str], sources: Path, base: str) -> None:
    """Have every image in the Docker engine; :class:`ProviderUnavailable` names one that cannot be had."""
    for image in images:
        if image.startswith(OWN):
            _build(engine, image, sources, base)
        else:
            _pull(engine, image)


def _build(engine: docker.DockerClient, image: str, sources: Path, base: str) -> str:
    """Build an image, after the one that it builds upon, unless what is there has the same source; its fingerprint."""
    repository, _, version = image.removeprefix(OWN).partition(":")
    folder = sources / repository
    if not folder.is_dir():
        raise ProviderUnavailable(f"there is no source for the image {image} in {sources}")
    upon = _UPON.search((folder / "Dockerfile").read_text(encoding="utf-8"))
    below = _build(engine, f"{upon[1]}:{version}", sources, base) if upon else base
    source = _fingerprint(folder, below, version)
    try:
        if engine.images.get(image).labels.get(_SOURCE_LABEL) == source:
            return source
    except docker.errors.ImageNotFound:
        pass
    try:
        engine.images.build(
            path=str(folder),
            tag=image,
            buildargs={"BASE": base, "VERSION": version},
            labels={_SOURCE_LABEL: source},
            rm=True,
            forcerm=True,
        )
    except (docker.errors.BuildError, docker.errors.APIError, RequestException) as error:
        why = error.msg if isinstance(error, docker.errors.BuildError) else error
        raise ProviderUnavailable(
            f"the image {image} could not be built from {base}: {why}", f"docker pull {base}"
        ) from error
    return source


def _pull(engine: docker.DockerClient, image: str) -> None:
    try:
        engine.images.get(image)
    except docker.errors.ImageNotFound:
        try:
            engine.images.pull(image)
        except (docker.errors.APIError, RequestException) as error:
            raise ProviderUnavailable(
                f"the image {image}, which this lab needs, is not here and could not be pulled.", f"docker pull {image}"
            ) from error


def _fingerprint(folder: Path, base: str, version: str) -> str:
    digest = hashlib.sha256(f"{base}\n{version}\n".encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
