"""The states a lab ships to prove its checks: how a learner's cluster came to be, and the verdict it must get."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Expected = Literal["passed", "failed"]


class Step(BaseModel):
    """One thing a learner does: exactly one of ``kubectl`` (arguments), ``apply`` (a file beside the state)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kubectl: str | None = None
    apply: str | None = None
    may_fail: bool = False

    @model_validator(mode="after")
    def _one_kind(self) -> Step:
        if (self.kubectl is None) == (self.apply is None):
            raise ValueError("expected exactly one of kubectl, apply")
        return self


class Difference(BaseModel):
    """Checks that come out otherwise on one provider, and why that is right."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    expected: Annotated[dict[str, Expected], Field(min_length=1)]
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=20)]


class StateFile(BaseModel):
    """``state.yaml``. ``happened``: what its checks must measure of the questions in ``predict``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str
    steps: list[Step]
    expected: Annotated[dict[str, Expected], Field(min_length=1)]
    messages: dict[str, str] = {}
    happened: dict[str, str] = {}
    differs: dict[str, Difference] = {}

    def expected_on(self, provider: str) -> dict[str, Expected]:
        """The verdict of each check there."""
        differs = self.differs.get(provider)
        return {**self.expected, **(differs.expected if differs else {})}


@dataclass(frozen=True)
class State:
    """A state. ``name`` is its folder's: ``solved``, ``alternative-...`` or ``broken-...``."""

    name: str
    folder: Path
    file: StateFile

    @property
    def kind(self) -> str:
        """solved, alternative or broken."""
        return self.name.split("-", 1)[0]
