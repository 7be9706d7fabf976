"""Amounts of resources: ``500m``, ``1.5``, ``64Mi``, ``2e3``.

Kept exact, as integers of a thousandth of the unit, rounded up as ``resource.Quantity.MilliValue`` does. It refuses
what is not a quantity with ``ValueError``; how a person wrote it is not kept.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

_QUANTITY = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?[0-9]{1,3})?")

_FACTORS = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", 1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)},
}


@lru_cache(maxsize=4096)
def milli(quantity: str | int | float) -> int:
    """A quantity in thousandths: ``milli("500m") == 500``, ``milli("1Ki") == 1024000``; ``ValueError`` otherwise."""
    found = _QUANTITY.fullmatch(str(quantity))
    if found is None:
        raise ValueError(f"{quantity!r} is not a quantity such as 500m, 2 or 64Mi")
    number, suffix = found[1], found[2] or ""
    factor = _FACTORS[suffix] if suffix in _FACTORS else Decimal(10) ** int(suffix[1:])
    return int((Decimal(number) * factor * 1000).to_integral_value(ROUND_CEILING))
