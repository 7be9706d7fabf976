"""JSON that somebody has damaged somewhere, for whatever has to be read all the same."""

from __future__ import annotations

import random
from typing import Any


def broken(value: Any, chance: random.Random, part: Any) -> Any:
    """``value`` with something in it replaced by ``part``."""
    if not isinstance(value, dict | list) or not value or chance.random() < 0.15:
        return part
    if isinstance(value, list):
        at = chance.randrange(len(value))
        return [broken(one, chance, part) if number == at else one for number, one in enumerate(value)]
    key = chance.choice(sorted(value))
    return {**value, key: broken(value[key], chance, part)}
