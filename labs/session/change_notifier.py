"""Calls whoever watches a session or an attempt with each change of it, once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from labs.session.views import AttemptView, SessionView


class ChangeNotifier:
    """Calls ``on_change`` with a view that differs from the last one; passing time alone is no change."""

    def __init__(self, on_change: Callable[[Any], None] | None, look: Callable[[], Any]) -> None:
        self._on_change, self._look, self._last = on_change, look, None

    def __call__(self) -> None:
        if self._on_change is None:
            return
        view = self._look()
        if _still(view) != self._last:
            self._last = _still(view)
            self._on_change(view)


def _still(view: SessionView | AttemptView) -> Any:
    """The view without what changes by itself."""
    if isinstance(view, SessionView):
        steps = [dataclasses.replace(step, seconds=0.0) for step in view.steps]
        return dataclasses.replace(view, steps=steps, seconds_left=0.0, working=False)
    return dataclasses.replace(view, seconds=0.0)
