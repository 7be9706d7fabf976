"""Taking away what was made: accounts, classes, memberships, codes, links; and handing over what is one's own."""

from __future__ import annotations

from labs.removal.accounts import AccountRemoval, Removals
from labs.removal.classes import ClassRemoval, ClassRemovals
from labs.removal.export import Export

__all__ = ["AccountRemoval", "ClassRemoval", "ClassRemovals", "Export", "Removals"]
