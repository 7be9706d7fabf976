"""Whether a proof still holds, and which are tried again although they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

from labs.definition import Lab, State
from labs.proofs.inputs import Inputs
from labs.proofs.record import Proof

PARTS = 10
"""Of what holds, one part is tried again each time."""
Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Standing:
    """One state and its proof. ``wrong``: why the proof does not hold, "" while it does; ``elsewhere``: it was made
    with another node image than is used here."""

    lab: str
    state: str
    wrong: str
    elsewhere: bool = False

    @property
    def due(self) -> bool:
        """Something has changed since it was made."""
        return bool(self.wrong) or self.elsewhere

    def __str__(self) -> str:
        return f"{self.lab}/{self.state}"


def stand(lab: Lab, state: State, proof: Proof, now: Inputs, node_image: str, provider: str) -> Standing:
    """How a state stands with its proof when its inputs are what they are ``now``."""
    if proof.refused is not None and proof.refused.needs == lab.file.needs.model_dump(mode="json"):
        return Standing(lab.name, state.name, "")
    proven = proof.states.get(state.name)
    if proven is None:
        return Standing(lab.name, state.name, "missing: it was never proven")
    before = asdict(proven.inputs)
    changed = [name for name, digest in asdict(now).items() if digest != before[name]]
    wrong = f"stale: the {' and the '.join(changed)} changed since" if changed else ""
    expected = dict(state.file.expected_on(provider))
    if not wrong and proven.outcomes != expected:
        wrong = f"different: {_parted(proven.outcomes, expected)}, and state.yaml gives no reason"
    return Standing(lab.name, state.name, wrong, elsewhere=proven.node_image != node_image)


def rotating(things: Sequence[Thing], turn: int) -> list[Thing]:
    """One of ``PARTS`` parts; each thing is in one of as many turns that follow one another."""
    return [thing for place, thing in enumerate(things) if place % PARTS == turn % PARTS]


def _parted(outcomes: Mapping[str, str], expected: Mapping[str, str]) -> str:
    names = sorted(name for name in {*outcomes, *expected} if outcomes.get(name) != expected.get(name))
    return ", ".join(f"{name} {outcomes.get(name, 'was not graded')}, not {expected.get(name)}" for name in names)
