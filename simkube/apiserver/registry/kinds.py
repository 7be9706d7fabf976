"""The kinds of every cluster, as data: discovery, the request path and the tables all read them from here.

Each folder beside this file says everything about some of them, in its ``kinds.py``. A kind that is not there is not
simulated: it is missing from discovery, and asking for it by URL is answered with 501
(:func:`simkube.apimachinery.errors.not_simulated`). It refuses to describe fields; those come from the OpenAPI
definitions. Names, verbs, short names and categories are those of the discovery documents of Kubernetes 1.36.
"""

from __future__ import annotations

from simkube.apiserver.registry.admissionregistration import kinds as admissionregistration
from simkube.apiserver.registry.apiextensions import kinds as apiextensions
from simkube.apiserver.registry.apiregistration import kinds as apiregistration
from simkube.apiserver.registry.apps import kinds as apps
from simkube.apiserver.registry.autoscaling import kinds as autoscaling
from simkube.apiserver.registry.batch import kinds as batch
from simkube.apiserver.registry.certificates import kinds as certificates
from simkube.apiserver.registry.core import kinds as core
from simkube.apiserver.registry.devices import kinds as devices
from simkube.apiserver.registry.flowcontrol import kinds as flowcontrol
from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.metrics import kinds as metrics
from simkube.apiserver.registry.networking import kinds as networking
from simkube.apiserver.registry.pods import kinds as pods
from simkube.apiserver.registry.policy import kinds as policy
from simkube.apiserver.registry.rbac import kinds as rbac
from simkube.apiserver.registry.resources import Resource
from simkube.apiserver.registry.reviews import kinds as reviews
from simkube.apiserver.registry.services import kinds as services
from simkube.apiserver.registry.storage import kinds as storage
from simkube.apiserver.registry.strategy import GENERAL, Strategy
from simkube.apiserver.tables.columns import NAME_AND_AGE, Layout

GROUPS: tuple[tuple[str, str], ...] = (
    ("apiregistration.k8s.io", "v1"),
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

_FOLDERS = (
    admissionregistration.KINDS,
    apiextensions.KINDS,
    apiregistration.KINDS,
    apps.KINDS,
    autoscaling.KINDS,
    batch.KINDS,
    certificates.KINDS,
    core.KINDS,
    devices.KINDS,
    flowcontrol.KINDS,
    networking.KINDS,
    pods.KINDS,
    policy.KINDS,
    rbac.KINDS,
    reviews.KINDS,
    services.KINDS,
    storage.KINDS,
)


def _place(kind: Kind) -> tuple[int, str]:
    resource = kind.resource
    group = -1 if not resource.group else GROUPS.index((resource.group, resource.version))
    return group, resource.plural


_KINDS = sorted((kind for folder in _FOLDERS for kind in folder), key=_place)
METRICS: tuple[Resource, ...] = tuple(kind.resource for kind in metrics.KINDS)
"""Kinds that a cluster has when somebody measures there."""

ALL: tuple[Resource, ...] = tuple(kind.resource for kind in _KINDS)
"""Every kind in every version, but :data:`METRICS`; by group and plural, the preferred version first."""

RESOURCES: dict[str, Resource] = {}
"""Every kind in its preferred version, by its qualified plural."""
_STRATEGIES: dict[str, Strategy] = {}
_LAYOUTS: dict[str, Layout] = {}
_BY_PATH: dict[tuple[str, str, str], Resource] = {}
_BY_KIND: dict[tuple[str, str, str], Resource] = {}
for _kind in (*_KINDS, *metrics.KINDS):
    _resource = _kind.resource
    RESOURCES.setdefault(_resource.qualified, _resource)
    _LAYOUTS.setdefault(_resource.qualified, _kind.layout)
    if _kind.strategy is not GENERAL:
        _STRATEGIES.setdefault(_resource.qualified, _kind.strategy)
    _BY_PATH[_resource.group, _resource.version, _resource.plural] = _resource
    _BY_KIND[_resource.gvk] = _resource


def by_path(group: str, version: str, plural: str) -> Resource | None:
    """The resource behind ``/apis/GROUP/VERSION/PLURAL``, or None."""
    return _BY_PATH.get((group, version, plural))


def by_kind(api_version: str, kind: str) -> Resource | None:
    """The resource of objects with this ``apiVersion`` and ``kind``, or None."""
    group, _, version = api_version.rpartition("/")
    return _BY_KIND.get((group, version, kind))


def strategy_of(resource: Resource) -> Strategy:
    """The strategy of a resource, custom ones included."""
    if resource.custom is not None:
        return resource.custom.strategy
    return _STRATEGIES.get(resource.qualified) or _STRATEGIES.get(resource.storage, GENERAL)


def layout_of(resource: Resource) -> Layout:
    """How a resource is shown as a table, custom ones included."""
    if resource.custom is not None:
        return resource.custom.layout
    return _LAYOUTS.get(resource.qualified, NAME_AND_AGE)
