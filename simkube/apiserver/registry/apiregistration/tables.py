"""How APIServices are shown (``kube-aggregator/pkg/registry/apiservice/etcd/etcd.go``)."""

from __future__ import annotations

from simkube.apiserver.tables.cells import age_of, name_of
from simkube.apiserver.tables.columns import AGE, NAME, Cells, Column, Layout
from simkube.client.client import Obj


def _api_service(obj: Obj, now: float) -> Cells:
    service = (obj.get("spec") or {}).get("service")
    where = "Local" if service is None else f"{service.get('namespace', '')}/{service.get('name', '')}"
    conditions = (obj.get("status") or {}).get("conditions") or ()
    found = next((each for each in conditions if each["type"] == "Available"), None)
    available = "Unknown" if found is None else found["status"]
    if available not in ("True", "Unknown") and found is not None:
        available = f"{available} ({found.get('reason', '')})"
    return [name_of(obj), where, available, age_of(obj, now)]


API_SERVICES = Layout(
    (
        NAME,
        Column("Service", "The reference to the service that hosts this API endpoint."),
        Column("Available", "Whether this service is available."),
        AGE,
    ),
    _api_service,
)
