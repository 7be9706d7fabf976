"""Whose request is next: learners take turns, nobody holds every thread, and what is too much is refused at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from webapp.front.turns import Full, Turns


class Requests:
    """Requests that stand in line and are answered when the test says so."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.running: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._done: dict[str, asyncio.Event] = {}

    async def ask(self, *names: str) -> None:
        """``ada-1`` is a request of ada's."""
        for name in names:
            self._done[name] = asyncio.Event()
            self.tasks[name] = asyncio.ensure_future(self._ask(name))
            await settle()

    async def answer(self, name: str) -> None:
        """End one that runs."""
        self._done[name].set()
        await settle()

    async def _ask(self, name: str) -> None:
        async with self.turns.turn(name.partition("-")[0]):
            self.running.append(name)
            await self._done[name].wait()
            self.running.remove(name)


async def settle() -> None:
    """Let every task go on as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def test_a_second_learner_is_next_however_many_the_first_has_asked() -> None:
    async def scenario() -> None:
        requests = Requests(Turns(places=1, of_one=1, waiting=100, waiting_of_one=50))
        await requests.ask("ada-0", *(f"ada-{number}" for number in range(1, 20)), "bob-0")
        assert requests.running == ["ada-0"]
        await requests.answer("ada-0")
        await requests.answer("ada-1")
        assert requests.running == ["bob-0"]
        await requests.answer("bob-0")
        assert requests.running == ["ada-2"]
        for task in requests.tasks.values():
            task.cancel()

    run(scenario)


def test_one_owner_leaves_places_to_others() -> None:
    async def scenario() -> None:
        requests = Requests(Turns(places=3, of_one=2, waiting=100, waiting_of_one=50))
        await requests.ask("ada-0", "ada-1", "ada-2", "bob-0", "cyd-0")
        assert requests.running == ["ada-0", "ada-1", "bob-0"]
        await requests.answer("bob-0")
        assert requests.running == ["ada-0", "ada-1", "cyd-0"]  # ada has as many as she may
        await requests.answer("ada-0")
        assert requests.running == ["ada-1", "cyd-0", "ada-2"]
        for task in requests.tasks.values():
            task.cancel()

    run(scenario)


def test_too_many_of_one_and_too_many_in_all_are_refused_at_once() -> None:
    async def scenario() -> None:
        requests = Requests(Turns(places=1, of_one=1, waiting=3, waiting_of_one=2))
        await requests.ask("ada-0", "ada-1", "ada-2")
        with pytest.raises(Full):
            await requests._ask("ada-3")
        await requests.ask("bob-0")
        with pytest.raises(Full):
            await requests._ask("cyd-0")
        await requests.answer("ada-0")
        await requests.ask("cyd-1")
        assert not requests.tasks["cyd-1"].done()
        for task in requests.tasks.values():
            task.cancel()

    run(scenario)


def test_who_gives_up_takes_no_place() -> None:
    async def scenario() -> None:
        requests = Requests(Turns(places=1, of_one=1, waiting=10, waiting_of_one=10))
        await requests.ask("ada-0", "bob-0", "cyd-0")
        requests.tasks["bob-0"].cancel()
        await settle()
        await requests.answer("ada-0")
        assert requests.running == ["cyd-0"]
        await requests.ask("dan-0")
        requests._done["cyd-0"].set()  # dan is called, and gives up before he hears it
        await asyncio.sleep(0)
        requests.tasks["dan-0"].cancel()
        await settle()
        await requests.ask("eve-0")
        assert requests.running == ["eve-0"]
        requests.tasks["eve-0"].cancel()

    run(scenario)
