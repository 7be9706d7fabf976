"""The kinds this API server has, as data: discovery, the request path and the tables all read them from here.

A kind that is not listed is not simulated: it is missing from discovery, and asking for it by URL is answered with 501
(:func:`simkube.errors.not_simulated`). It refuses to describe fields; those come from the OpenAPI definitions.
Names, verbs, short names and categories are those of the discovery documents of Kubernetes 1.36.
"""

from __future__ import annotations

from simkube.apiserver.resources.access import ACCESS
from simkube.apiserver.resources.admission import ADMISSION
from simkube.apiserver.resources.core import CORE
from simkube.apiserver.resources.devices import DEVICES
from simkube.apiserver.resources.extensions import EXTENSIONS
from simkube.apiserver.resources.flowcontrol import FLOWCONTROL
from simkube.apiserver.resources.metrics import METRICS
from simkube.apiserver.resources.model import ALL_VERBS, CHANGE, PROXY, REVIEW, SCALE, Resource, Subresource, status
from simkube.apiserver.resources.network import NETWORK
from simkube.apiserver.resources.storage import STORAGE
from simkube.apiserver.resources.workloads import WORKLOADS

__all__ = [
    "ALL",
    "ALL_VERBS",
    "CHANGE",
    "GROUPS",
    "METRICS",
    "PROXY",
    "RESOURCES",
    "REVIEW",
    "SCALE",
    "Resource",
    "Subresource",
    "by_kind",
    "by_path",
    "status",
]

ALL: tuple[Resource, ...] = (
    *CORE,
    *WORKLOADS,
    *NETWORK,
    *ACCESS,
    *STORAGE,
    *EXTENSIONS,
    *ADMISSION,
    *DEVICES,
    *FLOWCONTROL,
)
"""Every kind in every version."""

RESOURCES: dict[str, Resource] = {}
"""Every kind in its preferred version (the first one listed), by its qualified plural."""
for _resource in (*ALL, *METRICS):
    RESOURCES.setdefault(_resource.qualified, _resource)

GROUPS: tuple[tuple[str, str], ...] = (
    ("apps", "v1"),
    ("events.k8s.io", "v1"),
    ("authentication.k8s.io", "v1"),
    ("authorization.k8s.io", "v1"),
    ("autoscaling", "v2"),
    ("autoscaling", "v1"),
    ("batch", "v1"),
    ("certificates.k8s.io", "v1"),
    ("networking.k8s.io", "v1"),
    ("policy", "v1"),
    ("rbac.authorization.k8s.io", "v1"),
    ("storage.k8s.io", "v1"),
    ("admissionregistration.k8s.io", "v1"),
    ("apiextensions.k8s.io", "v1"),
    ("scheduling.k8s.io", "v1"),
    ("coordination.k8s.io", "v1"),
    ("node.k8s.io", "v1"),
    ("discovery.k8s.io", "v1"),
    ("resource.k8s.io", "v1"),
    ("flowcontrol.apiserver.k8s.io", "v1"),
)
"""The named groups with their versions, in the order of ``/apis``."""

_BY_PATH = {(resource.group, resource.version, resource.plural): resource for resource in (*ALL, *METRICS)}
_BY_KIND = {(resource.group, resource.version, resource.kind): resource for resource in (*ALL, *METRICS)}


def by_path(group: str, version: str, plural: str) -> Resource | None:
    """The resource behind ``/apis/GROUP/VERSION/PLURAL``, or None."""
    return _BY_PATH.get((group, version, plural))


def by_kind(api_version: str, kind: str) -> Resource | None:
    """The resource of objects with this ``apiVersion`` and ``kind``, or None."""
    group, _, version = api_version.rpartition("/")
    return _BY_KIND.get((group, version, kind))
