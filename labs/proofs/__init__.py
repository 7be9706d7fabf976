"""What was proven of each lab on a provider that is too slow to ask again every time, and whether that still holds.

A proof lies beside its lab. It is made by ``kindling prove``, which grades; nothing here does.
"""

from __future__ import annotations

from labs.proofs.inputs import Digests, Inputs
from labs.proofs.record import Proof, Proven, Refusal, read, write
from labs.proofs.standing import Standing, rotating, stand

__all__ = ["Digests", "Inputs", "Proof", "Proven", "Refusal", "Standing", "read", "rotating", "stand", "write"]
