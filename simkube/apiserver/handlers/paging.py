"""Lists: which objects, at which version, how many at a time.

After ``pkg/storage/etcd3/store.go`` (GetList) and ``apimachinery/pkg/apis/meta/internalversion/validation``. Lists are
always of the present; an exact older version is answered only while it is the present one, else with 410.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simkube.apimachinery.errors import StatusError, bad_request
from simkube.apiserver.registry.request import integer, list_option
from simkube.client.client import Obj


@dataclass(frozen=True, slots=True)
class Page:
    """What a list answers: the items, the version they are of, and where the next page begins ("" when nowhere)."""

    items: Sequence[Obj]
    version: str
    next: str = ""
    remaining: int | None = None


def check_version(query: Mapping[str, str], current: int) -> None:
    """Whether a list at the asked-for ``resourceVersion`` can be answered."""
    version, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    if match and not version:
        raise list_option(
            "resourceVersionMatch", "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        )
    if match not in ("", "Exact", "NotOlderThan"):
        message = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
        raise list_option("resourceVersionMatch", message, "FieldValueNotSupported")
    if match and query.get("continue"):
        message = "Forbidden: resourceVersionMatch is forbidden when continue is provided"
        raise list_option("resourceVersionMatch", message)
    if match == "Exact" and version == "0":
        message = 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        raise list_option("resourceVersionMatch", message)
    if not version:
        return
    if not version.isdigit():
        why = f'resourceVersion: Invalid value: "{version}": strconv.ParseUint: parsing "{version}": invalid syntax'
        raise bad_request(f"invalid resource version: {why}")
    wanted = int(version)
    if wanted > current:
        raise too_new(wanted, current)
    exact = match == "Exact" or (not match and query.get("limit") not in (None, "", "0") and version != "0")
    if exact and wanted < current:
        raise StatusError(410, "Expired", "The resourceVersion for the provided list is too old.")


def too_new(wanted: int, current: int) -> StatusError:
    """504: a version that is not reached yet."""
    details = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    return StatusError(504, "Timeout", message, details)


def page(items: Sequence[Obj], query: Mapping[str, str], current: int, *, selected: bool) -> Page:
    """The page of ``items`` (in order) that ``limit`` and ``continue`` ask for."""
    limit = integer(query.get("limit")) or 0
    if limit < 0:
        raise list_option("limit", f"Invalid value: {limit}: must be greater than or equal to 0", "FieldValueInvalid")
    version = str(current)
    given = query.get("continue", "")
    if given:
        begin, version = _decode(given)
        items = [item for item in items if _key(item) >= begin]
    if not limit or len(items) <= limit:
        return Page(items, version)
    rest = len(items) - limit
    following = _encode(_key(items[limit - 1]), version)
    return Page(items[:limit], version, following, None if selected else rest)


def _key(item: Obj) -> str:
    meta = item["metadata"]
    return f"{meta.get('namespace', '')}/{meta['name']}"


def _encode(last: str, version: str) -> str:
    token = json.dumps({"v": "meta.k8s.io/v1", "rv": int(version), "start": last + "\0"}, separators=(",", ":"))
    return base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def _decode(token: str) -> tuple[str, str]:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        found = json.loads(raw)
        return str(found["start"]), str(int(found["rv"]))
    except (binascii.Error, ValueError, KeyError, TypeError):
        at = len(token) - len(token) % 4
        why = f"continue key is not valid: illegal base64 data at input byte {at}"
        raise bad_request(f"invalid continue token: {why}") from None
