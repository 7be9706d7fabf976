"""Image references: ``nginx`` is ``docker.io/library/nginx:latest``.

The grammar is that of github.com/distribution/reference, without the rule that tells a host by its dot from a path of
one component (``a.b`` alone is taken as a path).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from simkube.runtime.cri import ImageError

_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*\Z")
_HOST = re.compile(r"(?:[A-Za-z0-9-]+\.)*[A-Za-z0-9-]+(?::[0-9]{1,5})?\Z")
_TAG = re.compile(r"\w[\w.-]{0,127}\Z", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Reference:
    """A normalised reference. ``repository`` includes the host; one of ``tag`` and ``digest`` may be empty."""

    repository: str
    tag: str
    digest: str = ""

    def __str__(self) -> str:
        text = self.repository
        if self.tag:
            text += f":{self.tag}"
        return f"{text}@{self.digest}" if self.digest else text

    @property
    def local(self) -> str:
        """What a node knows the image by once it has it: the tag where there is one, else the digest."""
        return f"{self.repository}:{self.tag}" if self.tag else f"{self.repository}@{self.digest}"

    @property
    def familiar(self) -> str:
        """The repository as people write it: without ``docker.io/library/``."""
        return self.repository.removeprefix("docker.io/").removeprefix("library/")


def parse(image: str) -> Reference:
    """Normalise a reference; ImageError ``InvalidImageName`` worded as the kubelet's."""
    if len(image) > 512:
        raise _invalid(image[:64] + "...")
    name, _, digest = image.partition("@")
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        head, tag = name, ""
    host, slash, path = head.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, path = "docker.io", head
    if host in ("docker.io", "index.docker.io"):
        host = "docker.io"
        if "/" not in path:
            path = f"library/{path}"
    bad = (digest or "@" in image) and not _DIGEST.match(digest)
    if (
        bad
        or not _HOST.match(host)
        or not _PATH.match(path)
        or (colon and "/" not in name[len(head) :] and not _TAG.match(tag))
    ):
        raise _invalid(image)
    if not tag and not digest:
        tag = "latest"
    return Reference(f"{host}/{path}", tag, digest)


def _invalid(image: str) -> ImageError:
    why = "repository name must be lowercase" if image != image.lower() else "invalid reference format"
    if image != image.lower() and ":" not in image:
        why = f"invalid reference format: {why}"
    return ImageError("InvalidImageName", f'couldn\'t parse image name "{image}": {why}')
