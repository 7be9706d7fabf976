"""Sets of fields that are equal are held once, whichever objects and clusters they are of.

Objects of one kind that one program writes have equal ``fieldsV1``: half of what the objects of a fresh cluster take.
They may be shared because nobody changes a set of fields in place (:mod:`~simkube.apiserver.fields.fieldset`). A set is
forgotten with the last object that has it.
"""

from __future__ import annotations

import hashlib
from typing import Any
from weakref import WeakValueDictionary

from simkube.etcd.journal import dumps


class _Fields(dict[str, Any]):
    """A set of fields that can be referred to weakly."""

    __slots__ = ("__weakref__",)


_known: WeakValueDictionary[bytes, _Fields] = WeakValueDictionary()


def shared(fields: dict[str, Any]) -> dict[str, Any]:
    """The set of fields that is equal to this one and that others hold already, or from now on."""
    if isinstance(fields, _Fields) or not fields:
        return fields
    digest = hashlib.blake2b(dumps(fields).encode(), digest_size=16).digest()
    found = _known.get(digest)
    if found is None:
        found = _known[digest] = _Fields(fields)
    return found
