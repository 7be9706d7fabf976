"""Where a lab can be started: every provider, and for one that cannot, why and the command that mends it."""

from __future__ import annotations

import threading
import time
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
    """Asks the providers, and remembers for a few seconds what they said: asking Docker takes a moment."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, list[ProviderChoice]]] = {}

    def of(self, lab: Lab) -> list[ProviderChoice]:
        """Every provider of this installation, the one that is chosen by default marked."""
        with self._lock:
            kept = self._kept.get(lab.name)
            if kept is None or time.monotonic() - kept[0] > KEPT_SECONDS:
                kept = (time.monotonic(), self._ask(lab))
                self._kept[lab.name] = kept
            return kept[1]

    def _ask(self, lab: Lab) -> list[ProviderChoice]:
        wanted = self._providers.settings.provider
        answers = {name: self._refusal(name, lab) for name in self._providers.names()}
        able = [name for name, refusal in answers.items() if refusal is None]
        default = wanted if wanted in able else (able[0] if able else "")
        made: list[ProviderChoice] = []
        for name, refusal in answers.items():
            title, summary = TITLES.get(name, (name, ""))
            reason, fix = (str(refusal), refusal.fix) if refusal else ("", "")
            made.append(ProviderChoice(name, title, summary, refusal is None, name == default, reason, fix))
        return made

    def _refusal(self, name: str, lab: Lab) -> KindlingError | None:
        try:
            self._providers.fit(name, lab.needs, lab.name)
        except KindlingError as error:
            return error
        return None
