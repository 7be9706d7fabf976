"""What is said of a kind and of its subresources; and short ways to say it."""

from __future__ import annotations

from dataclasses import dataclass, field

from simkube.apiserver.registry.customresources.kind import CustomKind

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
    What is ``computed`` is read from somebody who knows it at the moment of asking, in clusters that have such.
    ``custom`` is what is made of a definition, of kinds that a cluster's users define.
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
    computed: bool = False
    custom: CustomKind | None = field(default=None, compare=False, repr=False)

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


SCALE = Subresource("scale", "Scale", CHANGE, "autoscaling", "v1")


def status(kind: str) -> Subresource:
    """``/status`` of a kind."""
    return Subresource("status", kind, CHANGE)
