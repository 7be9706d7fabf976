"""The kinds this API server has, as data: discovery, the request path and the tables all read them from here.

A kind that is not listed is not simulated: it is missing from discovery, and asking for it by URL is answered with 501
(:func:`simkube.errors.not_simulated`). It refuses to describe fields; those come from the OpenAPI definitions.
Names, verbs, short names and categories are those of the discovery documents of Kubernetes 1.36.
"""

from __future__ import annotations

from dataclasses import dataclass

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
CHANGE = ("get", "patch", "update")
REVIEW = ("create",)
PROXY = ("create", "delete", "get", "patch", "update")


@dataclass(frozen=True, slots=True)
class Subresource:
    """A part of an object with an endpoint of its own. ``group``/``version`` are "" when those of the resource."""

    name: str
    kind: str
    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind under one group and version.

    ``stored_as`` is the :attr:`qualified` name of the resource that holds its objects (``events.events.k8s.io`` are
    core events seen through another schema); "" when it is its own. A ``review`` is answered and never stored.
    """

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...] = ALL_VERBS
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()
    stored_as: str = ""
    review: bool = False

    @property
    def qualified(self) -> str:
        """``pods``, ``deployments.apps``: the plural with its group, as kubectl writes it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        """``v1``, ``apps/v1``: what objects carry as ``apiVersion``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def gvk(self) -> tuple[str, str, str]:
        """``(group, version, kind)``."""
        return (self.group, self.version, self.kind)

    @property
    def storage(self) -> str:
        """The :attr:`qualified` name under which its objects are stored."""
        return self.stored_as or self.qualified

    def subresource(self, name: str) -> Subresource | None:
        """The subresource of that name, or None."""
        for subresource in self.subresources:
            if subresource.name == name:
                return subresource
        return None


def _status(kind: str) -> Subresource:
    return Subresource("status", kind, CHANGE)


_SCALE = Subresource("scale", "Scale", CHANGE, "autoscaling", "v1")

_CORE = (
    Resource("", "v1", "configmaps", "configmap", "ConfigMap", True, short_names=("cm",)),
    Resource("", "v1", "endpoints", "endpoints", "Endpoints", True, short_names=("ep",)),
    Resource("", "v1", "events", "event", "Event", True, short_names=("ev",)),
    Resource(
        "",
        "v1",
        "namespaces",
        "namespace",
        "Namespace",
        False,
        verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
        short_names=("ns",),
        subresources=(Subresource("finalize", "Namespace", ("update",)), _status("Namespace")),
    ),
    Resource("", "v1", "nodes", "node", "Node", False, short_names=("no",), subresources=(_status("Node"),)),
    Resource(
        "",
        "v1",
        "pods",
        "pod",
        "Pod",
        True,
        short_names=("po",),
        categories=("all",),
        subresources=(
            Subresource("attach", "PodAttachOptions", ("create", "get")),
            Subresource("binding", "Binding", ("create",)),
            Subresource("eviction", "Eviction", ("create",), "policy", "v1"),
            Subresource("exec", "PodExecOptions", ("create", "get")),
            Subresource("log", "Pod", ("get",)),
            Subresource("portforward", "PodPortForwardOptions", ("create", "get")),
            Subresource("proxy", "PodProxyOptions", PROXY),
            _status("Pod"),
        ),
    ),
    Resource("", "v1", "secrets", "secret", "Secret", True),
    Resource(
        "",
        "v1",
        "serviceaccounts",
        "serviceaccount",
        "ServiceAccount",
        True,
        short_names=("sa",),
        subresources=(Subresource("token", "TokenRequest", ("create",), "authentication.k8s.io", "v1"),),
    ),
    Resource(
        "",
        "v1",
        "services",
        "service",
        "Service",
        True,
        short_names=("svc",),
        categories=("all",),
        subresources=(Subresource("proxy", "ServiceProxyOptions", PROXY), _status("Service")),
    ),
)

_APPS = (
    Resource("apps", "v1", "controllerrevisions", "controllerrevision", "ControllerRevision", True),
    Resource(
        "apps",
        "v1",
        "deployments",
        "deployment",
        "Deployment",
        True,
        short_names=("deploy",),
        categories=("all",),
        subresources=(_SCALE, _status("Deployment")),
    ),
    Resource(
        "apps",
        "v1",
        "replicasets",
        "replicaset",
        "ReplicaSet",
        True,
        short_names=("rs",),
        categories=("all",),
        subresources=(_SCALE, _status("ReplicaSet")),
    ),
)


def _review(group: str, plural: str, singular: str, kind: str, namespaced: bool = False) -> Resource:
    return Resource(group, "v1", plural, singular, kind, namespaced, verbs=REVIEW, review=True)


_OTHERS = (
    Resource("events.k8s.io", "v1", "events", "event", "Event", True, short_names=("ev",), stored_as="events"),
    _review("authentication.k8s.io", "selfsubjectreviews", "selfsubjectreview", "SelfSubjectReview"),
    _review("authentication.k8s.io", "tokenreviews", "tokenreview", "TokenReview"),
    _review(
        "authorization.k8s.io",
        "localsubjectaccessreviews",
        "localsubjectaccessreview",
        "LocalSubjectAccessReview",
        namespaced=True,
    ),
    _review("authorization.k8s.io", "selfsubjectaccessreviews", "selfsubjectaccessreview", "SelfSubjectAccessReview"),
    _review("authorization.k8s.io", "selfsubjectrulesreviews", "selfsubjectrulesreview", "SelfSubjectRulesReview"),
    _review("authorization.k8s.io", "subjectaccessreviews", "subjectaccessreview", "SubjectAccessReview"),
    Resource("coordination.k8s.io", "v1", "leases", "lease", "Lease", True),
    Resource("discovery.k8s.io", "v1", "endpointslices", "endpointslice", "EndpointSlice", True),
)

RESOURCES: dict[str, Resource] = {resource.qualified: resource for resource in (*_CORE, *_APPS, *_OTHERS)}
"""Every kind there is, by its qualified plural, in the order of discovery."""

GROUPS: tuple[tuple[str, str], ...] = (
    ("apps", "v1"),
    ("events.k8s.io", "v1"),
    ("authentication.k8s.io", "v1"),
    ("authorization.k8s.io", "v1"),
    ("coordination.k8s.io", "v1"),
    ("discovery.k8s.io", "v1"),
)
"""The named groups with their versions, in the order of ``/apis``."""

_BY_PATH = {(resource.group, resource.version, resource.plural): resource for resource in RESOURCES.values()}
_BY_KIND = {(resource.group, resource.version, resource.kind): resource for resource in RESOURCES.values()}


def by_path(group: str, version: str, plural: str) -> Resource | None:
    """The resource behind ``/apis/GROUP/VERSION/PLURAL``, or None."""
    return _BY_PATH.get((group, version, plural))


def by_kind(api_version: str, kind: str) -> Resource | None:
    """The resource of objects with this ``apiVersion`` and ``kind``, or None."""
    group, _, version = api_version.rpartition("/")
    return _BY_KIND.get((group, version, kind))
