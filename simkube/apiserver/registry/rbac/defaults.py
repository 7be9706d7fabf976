"""Defaults of bindings (``pkg/apis/rbac/v1/defaults.go``): the API group of the role and of each subject."""

from __future__ import annotations

from simkube.client.client import Obj

_GROUP = "rbac.authorization.k8s.io"


def binding(obj: Obj) -> None:
    """A role is one of this API; so is a user or a group, while a service account is of the core group."""
    obj.setdefault("roleRef", {}).setdefault("apiGroup", _GROUP)
    for subject in obj.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", _GROUP)


def role(obj: Obj) -> None:
    """A role without rules says so."""
    obj.setdefault("rules", None)
