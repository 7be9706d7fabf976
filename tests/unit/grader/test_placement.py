"""Pods are brought back to where they were before a node was away."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from grader.clock import used
from grader.objects import Pod
from grader.placement import Placement
from tests.doubles.api_server import pod as raw_pod
from tests.doubles.clock import SteppedClock


class Namespace:
    """Pods of controllers; one that is deleted comes back on the node with the fewest, unless ``only`` says where."""

    def __init__(self) -> None:
        self.all: list[Pod] = []
        self.connection = self
        self.nodes = ["one", "two"]
        self.only = ""
        self.deleted: list[str] = []
        self._numbers = itertools.count()

    def add(self, node: str, owner: str = "ReplicaSet/web") -> Pod:
        kind, _, name = owner.partition("/")
        owners = [{"kind": kind, "name": name, "controller": True, "uid": name}] if owner else []
        made = Pod(raw_pod(f"pod-{next(self._numbers)}", node=node, meta={"ownerReferences": owners}))
        self.all.append(made)
        return made

    def pods(self, *_: object, **__: object) -> list[Pod]:
        return list(self.all)

    def delete(self, path: str, **_: object) -> None:
        gone = next(one for one in self.all if path.endswith(f"/{one.name}"))
        self.deleted.append(gone.name)
        self.all.remove(gone)
        fewest = min(self.nodes, key=lambda node: sum(one.node == node for one in self.all))
        self.add(self.only or fewest, "/".join(gone.controller))

    def move(self, away: str, to: str) -> None:
        """What the loss of a node leaves."""
        for one in [one for one in self.all if one.node == away]:
            self.all.remove(one)
            if one.controller[0]:
                self.add(to, "/".join(one.controller))


@pytest.fixture
def namespace() -> Iterator[Any]:
    with used(SteppedClock()):
        yield Namespace()


def counted(namespace: Namespace) -> dict[str, int]:
    return {node: sum(one.node == node for one in namespace.all) for node in namespace.nodes}


def test_what_a_lost_node_left_on_the_other_is_spread_again(namespace: Any) -> None:
    for node in ("one", "one", "two", "two"):
        namespace.add(node)
    placement = Placement(namespace, lambda pod: None)
    namespace.move("one", "two")
    assert counted(namespace) == {"one": 0, "two": 4}
    placement.restore()
    assert counted(namespace) == {"one": 2, "two": 2}
    placement.restore()
    assert len(namespace.deleted) == 2


def test_nothing_is_moved_that_is_where_it_was(namespace: Any) -> None:
    for node in ("one", "two", "two"):
        namespace.add(node)
    Placement(namespace, lambda pod: None).restore()
    assert namespace.deleted == []


def test_where_a_learners_rules_lead_elsewhere_it_is_given_up(namespace: Any) -> None:
    for node in ("one", "two"):
        namespace.add(node)
    placement = Placement(namespace, lambda pod: None)
    namespace.move("one", "two")
    namespace.only = "two"
    placement.restore()
    assert counted(namespace) == {"one": 0, "two": 2}
    assert len(namespace.deleted) == 3


def test_more_replicas_than_before_stay(namespace: Any) -> None:
    namespace.add("one")
    placement = Placement(namespace, lambda pod: None)
    namespace.add("two")
    placement.restore()
    assert namespace.deleted == []


def test_a_pod_on_its_own_is_made_again_and_pods_of_daemon_sets_are_left_alone(namespace: Any) -> None:
    lonely = namespace.add("one", "")
    for node in ("one", "two"):
        namespace.add(node, "DaemonSet/each")
    again: list[str] = []
    placement = Placement(namespace, lambda pod: again.append(pod.name))
    namespace.move("one", "two")
    placement.restore()
    assert again == [lonely.name]
    assert namespace.deleted == []
