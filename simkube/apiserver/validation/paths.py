"""Paths within volumes: relative, and never upwards (``ValidateLocalNonReservedPath`` and what it is made of)."""

from __future__ import annotations

from simkube.apiserver.validation.field import Errors


def no_backsteps(value: str, path: str, errors: Errors) -> None:
    """No element is ``..``; told once however many are."""
    if ".." in value.split("/"):
        errors.invalid(path, value, "must not contain '..'")


def descending(value: str, path: str, errors: Errors) -> None:
    """Relative, and within what it is relative to."""
    if value.startswith("/"):
        errors.invalid(path, value, "must be a relative path")
    no_backsteps(value, path, errors)


def local(value: str, path: str, errors: Errors) -> None:
    """Descending, and not one of the names that a kubelet keeps for itself (``..data``)."""
    descending(value, path, errors)
    if value.startswith("..") and not value.startswith("../"):
        errors.invalid(path, value, "must not start with '..'")
