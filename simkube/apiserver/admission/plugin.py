"""What an admission plug-in is: it handles some operations on some kinds, changes what is asked for, and refuses it.

After ``apiserver/pkg/admission/interfaces.go``. A plug-in that refuses raises a StatusError. It never writes: what is
to be stored with the object it leaves in the attributes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from simkube.apiserver.admission.attributes import Attributes, Operation
from simkube.apiserver.admission.webhooks import Webhooks
from simkube.apiserver.authorization.rbac import Authorizer
from simkube.apiserver.settings import Settings
from simkube.etcd.store import Store


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What plug-ins look at beside the request."""

    store: Store
    settings: Settings
    authorizer: Authorizer
    webhooks: Webhooks


class Plugin:
    """One plug-in of one cluster. ``handles`` are the stored names of the kinds it is asked about; None: all."""

    name: ClassVar[str]
    operations: ClassVar[frozenset[Operation]] = frozenset({"CREATE", "UPDATE", "DELETE"})
    handles: ClassVar[frozenset[str] | None] = None

    def __init__(self, dependencies: Dependencies) -> None:
        self.store = dependencies.store
        self.settings = dependencies.settings
        self.authorizer = dependencies.authorizer
        self.webhooks = dependencies.webhooks

    def admit(self, attributes: Attributes) -> None:
        """Change the object before it is validated, or refuse the request."""

    def validate(self, attributes: Attributes) -> None:
        """Refuse the request once the object is known to be valid."""
