"""The formats of strings that a schema may ask for; a format that nobody knows fits everything.

After ``kube-openapi/pkg/validation/strfmt`` and the list of supported formats of ``apiextensions-apiserver``.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date, datetime
from urllib.parse import urlsplit

from simkube.apiserver.validation.metadata import dns_label, subdomain

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d+)?([Zz]|[+-]\d\d:?\d\d)", re.ASCII)
_DURATION = re.compile(r"[-+]?((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w))+|0", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_MAC = re.compile(
    r"([0-9A-Fa-f]{2}[:-]){5}([0-9A-Fa-f]{2}[:-]){0,2}[0-9A-Fa-f]{0,2}|([0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}"
)
_HOST = re.compile(
    r"(?=.{1,253}$)([A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?)(\.[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?)*\.?"
)
_EMAIL = re.compile(r"[^@\s<>]{1,64}@[^@\s<>]{1,255}")
_SHORT = 1000
"""No value of a format is longer than this, except ``byte``."""


def fits_format(name: str, value: str) -> bool:
    """Whether the text has the format."""
    check = _FORMATS.get(name)
    return True if check is None else check(value)


def _moment(text: str) -> bool:
    match = _TIME.fullmatch(text)
    if match is None:
        return False
    try:
        datetime.fromisoformat(f"{match[1]}T{match[2].replace(':60', ':59')}")
    except ValueError:
        return False
    return True


def _day(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _address(kind: Callable[[str], object]) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        try:
            kind(text)
        except ValueError:
            return False
        return True

    return fits


def _network(text: str) -> object:
    if "/" not in text:
        raise ValueError(text)
    return ipaddress.ip_network(text, strict=False)


def _uri(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme) or text.startswith("/")


def _bytes(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _whole(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: len(text) <= _SHORT and pattern.fullmatch(text) is not None


_FORMATS: dict[str, Callable[[str], bool]] = {
    "byte": _bytes,
    "cidr": _address(_network),
    "date": _day,
    "date-time": _moment,
    "datetime": _moment,
    "duration": _whole(_DURATION),
    "email": _whole(_EMAIL),
    "hostname": _whole(_HOST),
    "ipv4": _address(ipaddress.IPv4Address),
    "ipv6": _address(ipaddress.IPv6Address),
    "k8s-long-name": lambda text: not subdomain(text),
    "k8s-short-name": lambda text: not dns_label(text),
    "mac": _whole(_MAC),
    "uri": _uri,
    "uuid": _whole(_UUID),
}
