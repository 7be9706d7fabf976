"""Defaults of claims for devices (``pkg/apis/resource/v1/defaults.go``)."""

from __future__ import annotations

from simkube.client.client import Obj


def device_class(obj: Obj) -> None:
    """A class of devices: its spec is there, be it empty."""
    obj.setdefault("spec", {})


def resource_claim(obj: Obj) -> None:
    """A claim: one device a request; nothing is allocated."""
    _requests(obj.setdefault("spec", {}))
    obj.setdefault("status", {})


def resource_claim_template(obj: Obj) -> None:
    """A template of claims: as a claim."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("metadata", {})
    _requests(spec.setdefault("spec", {}))


def _requests(spec: Obj) -> None:
    for request in spec.setdefault("devices", {}).get("requests", ()):
        for wanted in (request.get("exactly"), *request.get("firstAvailable", ())):
            if wanted is not None:
                mode = wanted.setdefault("allocationMode", "ExactCount")
                if mode == "ExactCount":
                    wanted.setdefault("count", 1)
