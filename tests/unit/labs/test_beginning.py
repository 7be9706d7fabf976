"""What there is when a lab begins is looked at when it has come to rest, kept, and handed to its checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from labs.session.beginning import ALIKE, LOOKS, beginning
from tests.doubles.providers import MemoryProvider, ScriptedGrader
from tests.unit.labs.conftest import LAB_YAML, Make, write_lab
from tests.unit.labs.test_session import ready


def looked(answers: list[Any]) -> tuple[Any, int]:
    """What comes of looks that see these, the last for ever, and how many were taken."""
    seen: list[Any] = []

    def look() -> dict[str, Any]:
        seen.append(answers[min(len(seen), len(answers) - 1)])
        if isinstance(seen[-1], Exception):
            raise seen[-1]
        return dict(seen[-1])

    return beginning(look, lambda _: None), len(seen)


def test_it_is_taken_when_everything_has_come_to_rest() -> None:
    down, up = {"web": {"healthy": False}}, {"web": {"healthy": True}}
    assert looked([down, down, up]) == (up, 2 + ALIKE)
    assert looked([up]) == (up, ALIKE)


def test_what_never_rests_is_taken_as_it_is_and_what_does_not_answer_is_not_known() -> None:
    found, looks = looked([{"n": number} for number in range(LOOKS + 5)])
    assert (found, looks) == ({"n": LOOKS - 1}, LOOKS)
    assert looked([{}, OSError("away")])[0] is None


def test_checks_are_handed_what_there_was_in_labs_that_ask_for_it(
    make: Make, catalog: Path, grader: ScriptedGrader, provider: MemoryProvider
) -> None:
    write_lab(catalog, "second", LAB_YAML + "collateral: true\n")
    services = make(provider)
    for lab in ("first", "second"):
        session = ready(services, lab=lab)
        services.sessions.follow(services.sessions.check(session.id, "ada").id, "ada")
    first, second = (request.start for request in grader.requests)
    assert first == {}
    assert second == grader.inventory("")
