"""The composition root: from settings to services. The only place where parts are chosen; nothing connects at import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labs.settings import Settings

if TYPE_CHECKING:
    from labs.accounts import Accounts
    from labs.library import Library
    from labs.records.database import Database
    from labs.report import Reports
    from labs.session import SessionService


@dataclass(frozen=True)
class Kindling:
    """Everything the command and the site work with."""

    settings: Settings
    records: Database
    labs: Library
    sessions: SessionService
    accounts: Accounts
    reports: Reports


def bootstrap(settings: Settings) -> Kindling:
    """Open the records (made and migrated when needed) and wire the services. Clusters are touched by nothing here."""
    raise NotImplementedError
