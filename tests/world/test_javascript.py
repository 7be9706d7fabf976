"""``@kubernetes/client-node`` does a round of what people write with it (``client.mjs``)."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.world.conftest import HERE, Place, program


def node() -> str:
    """The system's node, or the one that a wheel ships."""
    found = shutil.which("node") or shutil.which("node", path=str(Path(sys.prefix) / "bin"))
    if found is None:
        pytest.skip("node is not installed")
    return str(found)


def test_the_javascript_client(place: Place) -> None:
    modules = program("node_modules")
    script = place.kubeconfig.parent / "client.mjs"
    script.write_text((HERE / "client.mjs").read_text())
    (script.parent / "node_modules").symlink_to(modules)
    told = json.loads(place.succeeds(node(), script, place.namespace))
    assert told == {
        "version": True,
        "watched": ["ADDED", "ready", "DELETED"],
        "informed": ["add one", "update one", "delete one"],
        "patched": "blue",
        "applied": {"colour": "green"},
        "executed": "42\n",
        "executedStatus": "Success",
        "logged": "string",
        "scaled": 2,
        "conflict": 409,
        "missing": "NotFound",
    }
