"""Requests to groups that an APIService says others serve.

After ``kube-aggregator/pkg/apiserver/handler_proxy.go``. It refuses (501) to pass a request on: no simulated program is
an API server. The metrics are built in, and answered for whoever has registered them while that server would answer.
"""

from __future__ import annotations

from simkube.apimachinery.errors import not_simulated
from simkube.apiserver.registry.apiregistration.bootstrap import METRICS
from simkube.apiserver.registry.served import Registry
from simkube.client.client import Obj


class Unavailable(Exception):
    """Whoever serves it does not answer."""


def refuse(path: str, kinds: Registry) -> None:
    """:class:`Unavailable` or a StatusError for what lies below a group and version of others."""
    parts = path.strip("/").split("/")
    if len(parts) < 3:
        return
    group, version = parts[1], parts[2]
    found = kinds.api_service(group, version)
    if found is None or not found["spec"].get("service"):
        return
    if (group, version) != METRICS and (group, version) not in kinds.elsewhere:
        return  # what the API server serves itself it answers
    if not available(found):
        raise Unavailable
    if (group, version) != METRICS:
        raise not_simulated("passing requests on to an aggregated API server")


def available(service: Obj) -> bool:
    """What its condition says."""
    conditions = (service.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Available" and each["status"] == "True" for each in conditions)
