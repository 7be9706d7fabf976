"""Providers by name. Each is imported when it is first asked for, so that nobody pays for one they do not use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from labs.clusters.provider import Capabilities, ClusterError, Needs, Provider
from labs.errors import NotFound, NotPossible, SettingsError
from labs.settings import Settings


def _simulated(settings: Settings) -> Provider:
    from labs.clusters.simulated import SimulatedProvider

    return SimulatedProvider(settings.home, settings.topologies)


def _kind(settings: Settings) -> Provider:
    from labs.clusters.kind import KindProvider

    return KindProvider(
        settings.home,
        settings.topologies,
        settings.images,
        node_image=settings.kind_node_image,
        image_base=settings.web_image_base,
        binary=settings.kind_binary,
    )


Offered = Callable[[str], bool]


def _any(_: str) -> bool:
    return True


MAKERS: Mapping[str, Callable[[Settings], Provider]] = {"simulated": _simulated, "kind": _kind}


@dataclass
class Providers:
    """The providers that this installation may use. ``makers`` is what each is made with."""

    settings: Settings
    makers: Mapping[str, Callable[[Settings], Provider]] = field(default_factory=lambda: MAKERS)
    _made: dict[str, Provider] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = [name for name in self.settings.providers if name not in self.makers]
        if unknown:
            known = ", ".join(sorted(self.makers))
            raise SettingsError(f"KINDLING_PROVIDERS names {unknown[0]!r}: expected some of {known}")

    def names(self) -> list[str]:
        """In the order of the settings."""
        return list(self.settings.providers)

    def get(self, name: str) -> Provider:
        """``NotFound`` with the names there are."""
        if name not in self.names():
            raise NotFound(f"there is no provider {name!r}; there are: {', '.join(self.names())}", "kindling doctor")
        if name not in self._made:
            self._made[name] = self.makers[name](self.settings)
        return self._made[name]

    def privileged(self, name: str) -> bool:
        """Whether whoever works in one of its clusters has power over this machine."""
        return self.get(name).privileged

    def fit(self, name: str, needs: Needs, lab: str, offered: Offered = _any) -> Capabilities:
        """What the provider can give, when that is enough; ``NotPossible`` says what is missing and who has it.

        ``offered``: whether another may be offered instead.
        """
        try:
            has = self.get(name).capabilities()
        except ClusterError as error:
            raise NotPossible(str(error).rstrip(".") + self.instead(name, needs, lab, offered), error.fix) from error
        missing = needs.missing(has)
        if missing:
            what, instead = " and ".join(missing), self.instead(name, needs, lab, offered)
            raise NotPossible(f"the lab {lab} needs {what}, which {name} does not have{instead}")
        return has

    def able(self, needs: Needs, offered: Offered = _any) -> list[str]:
        """Those of what is offered that have what a lab needs."""
        return [name for name in self.names() if offered(name) and self._able(name, needs)]

    def instead(self, name: str, needs: Needs, lab: str, offered: Offered = _any) -> str:
        """Half a sentence that offers another provider, for when ``name`` cannot give what a lab needs."""
        able = self.able(needs, lambda other: other != name and offered(other))
        if not able:
            return "; no other provider here has it"
        return f"; {able[0]} has what it needs: kindling start {lab} --on {able[0]}"

    def _able(self, name: str, needs: Needs) -> bool:
        try:
            return not needs.missing(self.get(name).capabilities())
        except ClusterError:
            return False
