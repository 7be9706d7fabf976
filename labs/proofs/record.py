"""The file beside a lab that keeps what was proven of it on a provider. It is read as any YAML of somebody else's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from labs import yamlfile
from labs.definition import Lab
from labs.definition.states import Expected
from labs.definition.validation import validated
from labs.proofs.inputs import Inputs

_HEAD = "# What was graded on {provider}, and what came of it. Made by `make prove`: nobody writes it by hand.\n"


class Proven(BaseModel):
    """One state that came out as it should. ``lab``, ``grader``, ``provider``: digests (:class:`Inputs`).

    ``node_image``: what nodes were made from, as the machine calls it; ``seconds``: cluster, steps and grading.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    lab: str
    grader: str
    provider: str
    node_image: str
    seconds: int
    outcomes: dict[str, Expected]

    @property
    def inputs(self) -> Inputs:
        """What the verdict came from."""
        return Inputs(self.lab, self.grader, self.provider)


class Refusal(BaseModel):
    """The provider cannot run the lab. ``needs``: the lab's at that time; ``why``: what was missing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    needs: dict[str, Any]
    why: str


class Proof(BaseModel):
    """Everything that was proven of a lab: by state, or that it is ``refused``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    states: dict[str, Proven] = {}
    refused: Refusal | None = None

    def with_state(self, name: str, proven: Proven) -> Proof:
        """The same with this state proven."""
        return Proof(states={**self.states, name: proven})


def file_of(lab: Lab, provider: str) -> Path:
    """Where a lab's proof on a provider is kept."""
    return lab.folder / f"proof-{provider}.yaml"


def read(lab: Lab, provider: str) -> Proof:
    """What is kept, an empty proof when nothing is; ``Malformed``."""
    path = file_of(lab, provider)
    return validated(Proof, yamlfile.read(path), path) if path.exists() else Proof()


def write(lab: Lab, provider: str, proof: Proof) -> None:
    """Keep it, states in the lab's order, and without those that the lab no longer has."""
    states = {state.name: proof.states[state.name] for state in lab.states if state.name in proof.states}
    kept = proof.model_copy(update={"states": states}).model_dump(mode="json", exclude_defaults=True)
    path = file_of(lab, provider)
    text = yaml.safe_dump(kept, sort_keys=False, default_flow_style=None, width=120)
    written = path.with_suffix(".new")
    written.write_text(_HEAD.format(provider=provider) + text, encoding="utf-8")
    os.replace(written, path)
