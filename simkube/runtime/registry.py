"""The simulated registry: from a reference to an image, or to an error that says what there is.

A repository that it knows has just the tags that the real one has (``behaviours``). What it does not know cannot be
pulled; where stand-ins are allowed, a public repository gets one: an image that starts, listens where its pod says it
should, and says in its log what it is. Names that no public registry can have (a misspelt official image, an unknown
host) are refused all the same.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Sequence

from simkube.runtime import catalogue, images, tags
from simkube.runtime.cri import Credentials, ImageError
from simkube.runtime.images import ImageSpec
from simkube.runtime.reference import Reference

STAND_IN = "docker.io/kindling/stand-in"
"""The family that stand-ins are built from; nobody can pull it by this name."""
SCHEME = "stand-in://"
"""What the id of a stand-in begins with, where the kubelet shows it (``imageID``)."""
_DENIED = (
    "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: "
    "authorization failed"
)


def known_images() -> dict[str, list[str]]:
    """Every repository that can be pulled with its tags, as people write them."""
    return {
        Reference(name, "").familiar: list(one.tags)
        for name, one in catalogue.repositories().items()
        if name != STAND_IN
    }


def authorize(reference: Reference, credentials: Sequence[Credentials]) -> None:
    """ImageError ``ErrImagePull`` for an image that only those who are known may pull, when nobody who pulls is."""
    found = catalogue.repository(reference.repository)
    wanted = found.credentials if found is not None else None
    if not wanted:
        return
    for one in credentials:
        host = one.registry.removeprefix("https://").removeprefix("http://").rstrip("/")
        where = reference.repository == host or reference.repository.startswith(f"{host}/")
        if where and (one.username, one.password) == (wanted["username"], wanted["password"]):
            return
    raise _pull_error(reference, _DENIED)


def find(reference: Reference, *, stand_ins: bool = False) -> ImageSpec:
    """The image; ImageError ``ErrImagePull`` worded as containerd's when there is none. With ``stand_ins`` those that
    only a real registry has are stood in for."""
    found = catalogue.repository(reference.repository) if reference.repository != STAND_IN else None
    if found is None:
        if stand_ins and catalogue.is_public(reference.repository):
            return _stand_in(reference)
        raise _pull_error(reference, _missing(reference))
    tag = reference.tag
    if not tag:  # a digest alone
        tag = _digests(found.name).get(reference.digest, "")
        if not tag and stand_ins:
            return _stand_in(reference)
    if tag not in found.tags:
        raise _pull_error(reference, f"{reference}: not found {_instead(reference, found.name)}")
    return _build(found.name, tag, reference.repository)


@functools.lru_cache(maxsize=1024)  # a pull that fails is tried again and again
def _missing(reference: Reference) -> str:
    """Why there is no such repository, in the words of its registry, and what there is."""
    host, _, path = reference.repository.partition("/")
    if not catalogue.is_known_host(host):
        where = f"https://{host}/v2/{path}/manifests/{reference.digest or reference.tag}"
        return f'failed to do request: Head "{where}": dial tcp: lookup {host.partition(":")[0]}: no such host'
    why = _DENIED if host == "docker.io" else f"{reference}: not found"
    alike = _alike(reference.familiar)
    what = f"; nearest: {', '.join(alike)}" if alike else ", nor anything with a name like it"
    return f"{why} (the simulated registry does not have it{what})"


def _alike(name: str) -> list[str]:
    """Repositories with a name like that one, or a last part like its."""
    names = [Reference(one, "").familiar for one in catalogue.repositories() if one != STAND_IN]
    last = name.rpartition("/")[2]
    same = sorted((one for one in names if one.rpartition("/")[2] == last), key=len)
    by_last = {one.rpartition("/")[2]: one for one in reversed(names)}
    close = [by_last[one] for one in tags.close(last, by_last)]
    return list(dict.fromkeys([*same, *close]))[:3]


@functools.lru_cache(maxsize=1024)
def _instead(reference: Reference, repository: str) -> str:
    """What is there instead of a tag or digest of a repository."""
    found = catalogue.repositories()[repository]
    if not reference.tag:
        return f"(the simulated registry has digests of its own; {reference.familiar}:{_first(found.tags)} is there)"
    like = tags.nearest(reference.tag, found.tags)
    return "(nearest: " + ", ".join(f"{reference.familiar}:{tag}" for tag in like) + ")"


def _first(names: Iterable[str]) -> str:
    listed = list(names)
    return "latest" if "latest" in listed else listed[-1]


def _pull_error(reference: Reference, why: str) -> ImageError:
    return ImageError(
        "ErrImagePull",
        f'failed to pull and unpack image "{reference}": failed to resolve reference "{reference}": {why}',
    )


def _digest(repository: str, build: str) -> str:
    return "sha256:" + hashlib.sha256(f"{repository}:{build}".encode()).hexdigest()


@functools.cache
def _digests(repository: str) -> dict[str, str]:
    """From digests to tags."""
    return {
        _digest(repository, build.name): tag for tag, (build, _) in catalogue.repositories()[repository].tags.items()
    }


@functools.lru_cache(maxsize=1024)
def _build(repository: str, tag: str, called: str) -> ImageSpec:
    build, entry = catalogue.repositories()[repository].tags[tag]
    image_id = f"{called}@{_digest(repository, build.name)}"
    return images.build(f"{called}:{tag}", image_id, catalogue.under(entry, build.more), build.version)


@functools.lru_cache(maxsize=1024)
def _stand_in(reference: Reference) -> ImageSpec:
    family = catalogue.repositories()[STAND_IN].entries[0]
    digest = reference.digest or _digest(reference.repository, reference.tag)
    image_id = f"{SCHEME}{reference.repository}@{digest}"
    return images.build(reference.local, image_id, family, "", stand_in=True)
