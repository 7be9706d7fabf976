"""``certificate.json`` beside a lab: how often its checks were wrong when hundreds of changes were tried.

Written by ``kindling certify --write``; it holds for what its digests are of (:mod:`labs.certify.inputs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from labs import yamlfile
from labs.errors import Malformed

FILE = "certificate.json"
Standing = Literal["published", "outdated", "draft"]
LEAST = 200
"""Changes that must have been decided and graded before a lab is published."""


class Case(BaseModel):
    """One check and one change, of which something is to be said. ``why``: by the oracle; ``said``: by the check."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    change: str
    check: str
    why: str = ""
    said: str = ""


class Tally(BaseModel):
    """One check: how many changes were right and wrong for it, and how often it did not say so."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    right: int = 0
    wrong: int = 0
    false_passes: int = 0
    false_fails: int = 0
    ungradable: int = 0
    undecided: int = 0


class Certificate(BaseModel):
    """``version``: the lab's; ``inputs``: digests of what else it comes from. ``decided``: changes of which every check
    was known to be right or wrong, and which were graded, ``near_misses`` with one that was wrong, ``neutral`` with
    none; ``refused``: by the API server. ``seconds``: how long all of it took."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lab: str
    version: str
    inputs: dict[str, str]
    states: int
    decided: int
    near_misses: int
    neutral: int
    refused: int
    seconds: float
    checks: dict[str, Tally]
    false_passes: list[Case] = []
    false_fails: list[Case] = []
    ungradable: list[Case] = []
    undecided: list[Case] = []

    @property
    def faultless(self) -> bool:
        """No check was wrong, or silent, about any change."""
        return not (self.false_passes or self.false_fails or self.ungradable)

    @property
    def enough(self) -> bool:
        """As many changes as a published lab needs."""
        return self.decided >= LEAST

    def standing(self, version: str, inputs: Mapping[str, str] | None = None) -> Standing:
        """How a lab of that version, and these inputs where they are known, stands by it."""
        if not (self.faultless and self.enough):
            return "draft"
        same = self.version == version and inputs in (None, self.inputs)
        return "published" if same else "outdated"


def read_certificate(folder: Path) -> Certificate | None:
    """The certificate of a lab, or None; :class:`Malformed`."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return Certificate.model_validate_json(yamlfile.read_text(path))
    except ValidationError as error:
        raise Malformed(
            path, 1, f"expected what kindling certify --write writes: {error.errors()[0]['msg']}"
        ) from error
