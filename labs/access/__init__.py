"""Who may start labs where: privileged providers are for admins, and for those whom an admin lets in."""

from __future__ import annotations

from labs.access.grants import ROLES, Grant, Grants
from labs.access.rules import AccessRules

__all__ = ["ROLES", "AccessRules", "Grant", "Grants"]
