"""Where a lab can be started: every provider, and for one that cannot, why and the command that mends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from labs.clusters.registry import Providers
from labs.definition import Lab
from labs.errors import KindlingError

KEPT_SECONDS = 10.0
TITLES = {
    "simulated": (
        "Simulated cluster",
        "Starts at once and needs nothing else. kubectl works against it as against any cluster.",
    ),
    "kind": ("Real cluster with kind", "Every node is a container of Docker on this machine. Takes about a minute."),
}


@dataclass(frozen=True)
class ProviderChoice:
    """One provider for one lab. ``reason`` and ``fix`` say why not when it is not ``available``."""

    name: str
    title: str
    summary: str
    available: bool
    default: bool
    reason: str = ""
    fix: str = ""


class ProviderChoices:
    """Asks the providers, and remembers for a few seconds what they said: asking Docker takes a moment.

    Who may use what is not remembered; ``open_to`` is asked each time.
    """

    def __init__(self, providers: Providers, open_to: Callable[[str], list[str]]) -> None:
        self._providers, self._open_to = providers, open_to
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, ...], tuple[float, list[ProviderChoice]]] = {}

    def of(self, lab: Lab, learner: str) -> list[ProviderChoice]:
        """Every provider that is open to a learner, the one that is chosen by default marked."""
        names = self._open_to(learner)
        with self._lock:
            kept = self._kept.get((lab.name, *names))
            if kept is None or time.monotonic() - kept[0] > KEPT_SECONDS:
                kept = (time.monotonic(), self._ask(lab, names))
                self._kept[lab.name, *names] = kept
            return kept[1]

    def _ask(self, lab: Lab, names: list[str]) -> list[ProviderChoice]:
        wanted = self._providers.settings.provider
        answers = {name: self._refusal(name, lab, names) for name in names}
        able = [name for name, refusal in answers.items() if refusal is None]
        default = wanted if wanted in able else (able[0] if able else "")
        made: list[ProviderChoice] = []
        for name, refusal in answers.items():
            title, summary = TITLES.get(name, (name, ""))
            reason, fix = (str(refusal), refusal.fix) if refusal else ("", "")
            made.append(ProviderChoice(name, title, summary, refusal is None, name == default, reason, fix))
        return made

    def _refusal(self, name: str, lab: Lab, names: list[str]) -> KindlingError | None:
        try:
            self._providers.fit(name, lab.needs, lab.name, names.__contains__)
        except KindlingError as error:
            return error
        return None
