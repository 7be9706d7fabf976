"""Which checks must pass, by what is in a cluster: from the lab's requirements, and its author's rulings.

It knows nothing of how checks work. Requirements (``lab.yaml``) are expressions over the objects of the cluster; where
they leave a check undecided, a ruling (``rulings.yaml``) may decide it, and never where they do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from labs.certify.expressions import Expression
from labs.certify.facts import World
from labs.certify.objects import Obj
from labs.certify.unknown import UNKNOWN, Truth, Unknown, every
from labs.definition import Lab

Said = Literal["right", "wrong", "undecided"]
HOLDS = "holds"
"""``holds("other-check")``: whether what another check requires is so."""


@dataclass(frozen=True)
class Judgement:
    """What is to come of a check, and the requirement or ruling that decided it (or could not)."""

    said: Said
    why: str = ""


class Oracle:
    """Of one lab with one learner's values; :class:`labs.certify.expressions.BadExpression` when it is made."""

    def __init__(self, lab: Lab, values: Mapping[str, Any]) -> None:
        self._lab, self._values = lab, values
        self._required = {
            check: [Expression(lab.fill(text, values)) for text in texts]
            for check, texts in lab.file.requirements.items()
        }

    def judge(self, change: str, objects: Iterable[Obj]) -> dict[str, Judgement]:
        """By check, what is to come of this change when it has led to these objects."""
        names = World(objects, self._lab.namespace).names
        names[HOLDS] = lambda check: self._all(check, names)
        return {check.name: self._of(check.name, change, names) for check in self._lab.checks}

    def _of(self, check: str, change: str, names: Mapping[str, Any]) -> Judgement:
        unsure = "nothing is required"
        results = [(one.text, one.holds(names)) for one in self._required.get(check, [])]
        for text, result in results:
            if result is False:
                return Judgement("wrong", text)
        if results and all(result is True for _, result in results):
            return Judgement("right")
        unsure = next((text for text, result in results if isinstance(result, Unknown)), unsure)
        for ruling in self._lab.rulings:
            if check in ruling.checks and ruling.covers(change):
                return Judgement(ruling.checks[check], f"its author: {ruling.why}")
        return Judgement("undecided", unsure)

    def _all(self, check: str, names: Mapping[str, Any]) -> Truth:
        required = self._required.get(check)
        return every(one.holds(names) for one in required) if required else UNKNOWN


def generic(text: str, values: Mapping[str, Any]) -> str:
    """A text with learners' values replaced by the names of their parameters: ``Pod/ember`` is ``Pod/${pod}``."""
    words = {value: name for name, value in values.items() if isinstance(value, str) and len(value) > 2}
    for word in sorted(words, key=len, reverse=True):
        text = re.sub(rf"(?<![\w$]){re.escape(word)}(?!\w)", f"${{{words[word]}}}", text)
    return text
