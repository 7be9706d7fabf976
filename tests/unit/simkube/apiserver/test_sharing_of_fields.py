"""Equal sets of fields are held once."""

from __future__ import annotations

import gc

from simkube.apiserver.fields.sharing import _known, shared
from tests.doubles.control_plane import Plane


def fields(plane: Plane, name: str) -> list[object]:
    return [each["fieldsV1"] for each in plane.client.get("pods", name, "default")["metadata"]["managedFields"]]


def test_objects_of_several_clusters_share_them() -> None:
    one, other = Plane(), Plane()
    for plane in (one, other):
        plane.pod("a", schedulerName="nobody")
    assert fields(one, "a") == fields(other, "a")
    assert fields(one, "a")[0] is fields(other, "a")[0]


def test_a_change_leaves_the_others_alone() -> None:
    plane = Plane()
    plane.pod("a", schedulerName="nobody")
    plane.pod("b", schedulerName="nobody")
    before = str(fields(plane, "b"))
    plane.client.patch("pods", "a", {"metadata": {"labels": {"x": "y"}}}, "default")
    assert str(fields(plane, "b")) == before
    assert "f:x" in str(fields(plane, "a"))


def test_they_are_forgotten_with_the_last_object() -> None:
    found = shared({"f:nobody-else": {"f:has-this": {}}})
    assert shared({"f:nobody-else": {"f:has-this": {}}}) is found
    count = len(_known)
    del found
    gc.collect()
    assert len(_known) < count
