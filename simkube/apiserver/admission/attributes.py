"""What an admission plug-in is asked about: a request, and the object as it was and will be.

After ``apiserver/pkg/admission/attributes.go``.
"""

from __future__ import annotations

from simkube.client.client import Obj


def operation_of(new: Obj | None, old: Obj | None) -> str:
    """``CREATE``, ``UPDATE`` or ``DELETE``, by what there is and will be."""
    if new is None:
        return "DELETE"
    return "CREATE" if old is None else "UPDATE"
