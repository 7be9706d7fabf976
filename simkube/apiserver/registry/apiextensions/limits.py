"""How much a cluster's definitions may be: each of them costs memory in the process that serves all clusters."""

from __future__ import annotations

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Obj
from simkube.etcd.journal import dumps
from simkube.etcd.store import Store

MOST_DEFINITIONS = 200
MOST_BYTES = 4 * 1024 * 1024


def confirm(obj: Obj, store: Store, definitions: str) -> None:
    """507 when there would be more, or more of them, than a cluster may have; ``definitions`` is their resource."""
    others = [one for one in store.objects(definitions) if one["metadata"]["name"] != obj["metadata"]["name"]]
    if len(others) >= MOST_DEFINITIONS:
        raise _refused(f"a cluster may have {MOST_DEFINITIONS} definitions of custom resources here")
    if sum(len(dumps(one["spec"])) for one in (*others, obj)) > MOST_BYTES:
        raise _refused(f"a cluster's definitions of custom resources may fill {MOST_BYTES // 1024 // 1024} MiB here")


def _refused(why: str) -> StatusError:
    return StatusError(507, "InsufficientStorage", f"{why}; delete some first")
