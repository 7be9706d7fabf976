"""A cluster coming up, as it happens: a moving list on a terminal, a line per finished step anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from labs.cli.output import clean, console, echo, live
from labs.session import SessionView

if TYPE_CHECKING:
    from rich.console import RenderableType


@contextmanager
def watching(title: str) -> Iterator[Callable[[SessionView], None]]:
    """Gives what is to be called with each change."""
    if not live():
        yield _Lines(title).show
        return
    from rich.live import Live

    steps = _Moving(title)
    with Live(get_renderable=steps.render, console=console(), refresh_per_second=10, transient=False):
        yield steps.show


class _Lines:
    """One line per step that is done."""

    def __init__(self, title: str) -> None:
        self._title, self._said = title, set[str]()

    def show(self, view: SessionView) -> None:
        for step in view.steps:
            if step.state == "done" and step.name not in self._said and view.state in ("provisioning", "resetting"):
                self._said.add(step.name)
                echo(f"{clean(self._title)}: {clean(step.name)} ({step.seconds:.1f} s)")


class _Moving:
    """Every step with its sign and time; a running one counts on by itself."""

    SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

    def __init__(self, title: str) -> None:
        self._title, self._seen = title, time.monotonic()
        self._view: SessionView | None = None

    def show(self, view: SessionView) -> None:
        self._view, self._seen = view, time.monotonic()

    def render(self) -> RenderableType:
        from rich.text import Text

        text = Text(clean(self._title), style="bold")
        passed = time.monotonic() - self._seen
        for step in self._view.steps if self._view else []:
            running = step.state == "running"
            glyph = {"done": "✓", "failed": "✗", "waiting": "·"}.get(step.state, self._spin())
            colour = {"done": "green", "failed": "red", "waiting": "bright_black"}.get(step.state, "cyan")
            text.append(f"\n  {glyph} ", style=colour)
            text.append(clean(step.name), style="bright_black" if step.state == "waiting" else "")
            if step.state != "waiting":
                text.append(f"  {step.seconds + passed * running:.1f} s", style="bright_black")
        return text

    def _spin(self) -> str:
        return self.SPINNER[int(time.monotonic() * 10) % len(self.SPINNER)]
