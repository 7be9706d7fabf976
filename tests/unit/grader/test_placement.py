"""Pods are brought back to where they were before a node was away."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from grader import limits
from grader.bare_pods import BarePods
from grader.clock import current, used
from grader.objects import Pod
from grader.placement import Placement
from tests.doubles.api_server import pod as raw_pod
from tests.doubles.clock import SteppedClock


class MadeAgain(BarePods):
    """Notes what it is to make."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def make_again(self, pods: Sequence[Pod], *, in_place: bool = False) -> None:
        assert in_place
        self.names += [pod.name for pod in pods]


class Namespace:
    """Pods of controllers; one that is deleted comes back on the node with the fewest, unless ``only`` says where.

    ``grace``: what they ask for, ``takes``: the seconds until one that is deleted is gone. What is deleted is in
    ``deleted``, the grace that it is given in ``graces``.
    """

    def __init__(self) -> None:
        self.all: list[Pod] = []
        self.connection = self
        self.nodes = ["one", "two"]
        self.only = ""
        self.deleted: list[str] = []
        self.graces: list[object] = []
        self.grace, self.takes = 30, 0.0
        self._numbers = itertools.count()

    def add(self, node: str, owner: str = "ReplicaSet/web") -> Pod:
        kind, _, name = owner.partition("/")
        owners = [{"kind": kind, "name": name, "controller": True, "uid": name}] if owner else []
        made = Pod(raw_pod(f"pod-{next(self._numbers)}", node=node, meta={"ownerReferences": owners}))
        made.raw["spec"]["terminationGracePeriodSeconds"] = self.grace
        self.all.append(made)
        return made

    def pods(self, *_: object, terminating: bool = False) -> list[Pod]:
        return [one for one in self.all if terminating or not one.terminating]

    def delete(self, path: str, **options: object) -> None:
        gone = next(one for one in self.all if path.endswith(f"/{one.name}"))
        self.deleted.append(gone.name)
        self.graces.append(options["gracePeriodSeconds"])
        self.all.remove(gone)
        if self.takes:
            self._end(gone)
        fewest = min(self.nodes, key=lambda node: sum(one.node == node for one in self.all))
        self.add(self.only or fewest, "/".join(gone.controller))

    def _end(self, gone: Pod) -> None:
        clock, ending = current(), Pod({**gone.raw, "metadata": {**gone.metadata, "deletionTimestamp": "now"}})
        assert isinstance(clock, SteppedClock)
        self.all.append(ending)
        clock.at(clock.now() - clock.start + self.takes, lambda: self.all.remove(ending))

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
    placement = Placement(namespace, MadeAgain())
    namespace.move("one", "two")
    assert counted(namespace) == {"one": 0, "two": 4}
    placement.restore()
    assert counted(namespace) == {"one": 2, "two": 2}
    placement.restore()
    assert len(namespace.deleted) == 2


def test_nothing_is_moved_that_is_where_it_was(namespace: Any) -> None:
    for node in ("one", "two", "two"):
        namespace.add(node)
    Placement(namespace, MadeAgain()).restore()
    assert namespace.deleted == []


def test_where_a_learners_rules_lead_elsewhere_it_is_given_up(namespace: Any) -> None:
    for node in ("one", "two"):
        namespace.add(node)
    placement = Placement(namespace, MadeAgain())
    namespace.move("one", "two")
    namespace.only = "two"
    placement.restore()
    assert counted(namespace) == {"one": 0, "two": 2}
    assert len(namespace.deleted) == 3


def test_more_replicas_than_before_stay(namespace: Any) -> None:
    namespace.add("one")
    placement = Placement(namespace, MadeAgain())
    namespace.add("two")
    placement.restore()
    assert namespace.deleted == []


def test_a_pod_on_its_own_is_made_again_and_pods_of_daemon_sets_are_left_alone(namespace: Any) -> None:
    lonely = namespace.add("one", "")
    for node in ("one", "two"):
        namespace.add(node, "DaemonSet/each")
    again = MadeAgain()
    placement = Placement(namespace, again)
    namespace.move("one", "two")
    placement.restore()
    assert again.names == [lonely.name]
    assert namespace.deleted == []


@pytest.mark.parametrize(("grace", "given"), [(80, limits.GRACE_SECONDS), (55, 55)])
def test_what_is_in_excess_is_waited_for_until_it_is_gone(namespace: Any, grace: int, given: float) -> None:
    namespace.grace, namespace.takes = grace, given + 10
    for node in ("one", "two"):
        namespace.add(node)
    placement = Placement(namespace, MadeAgain())
    namespace.move("one", "two")
    placement.restore()
    assert namespace.graces == [given]
    assert not any(one.terminating for one in namespace.pods(terminating=True))
