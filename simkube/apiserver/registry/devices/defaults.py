"""Defaults of claims for devices, and of slices of them (``pkg/apis/resource/v1/defaults.go``)."""

from __future__ import annotations

from simkube.client.client import Caller, Obj


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
                for toleration in wanted.get("tolerations", ()):
                    toleration.setdefault("operator", "Equal")


def new_slice(obj: Obj, now: str, _caller: Caller) -> None:
    """The taints of a new slice's devices were added now, where nothing else is said."""
    _taint_times(obj, now)


def changed_slice(new: Obj, _old: Obj, _subresource: str, now: str) -> None:
    """As for a new one."""
    _taint_times(new, now)


def _taint_times(obj: Obj, now: str) -> None:
    for device in obj.get("spec", {}).get("devices", ()):
        for taint in device.get("taints", ()):
            taint.setdefault("timeAdded", now)
