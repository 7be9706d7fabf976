"""The composition root: from settings to services. Parts are chosen here only; nothing connects at import."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from labs.access import AccessRules, Grants
from labs.accounts import Accounts, Allowances, Classes, GuardedSignIn, Invitations, Resets, SignIns
from labs.clusters.registry import Providers
from labs.library import Library
from labs.mail import Mailer
from labs.records.database import Database
from labs.removal import ClassRemovals, Export, Removals
from labs.report import Reports
from labs.session.grader import Grader
from labs.session.predictions import Predictions
from labs.session.service import SessionService, utc_now
from labs.settings import Settings


@dataclass(frozen=True)
class Kindling:
    """Everything the command and the site work with."""

    settings: Settings
    records: Database
    labs: Library
    providers: Providers
    sessions: SessionService
    predictions: Predictions
    accounts: Accounts
    sign_ins: SignIns
    allowances: Allowances
    guarded: GuardedSignIn
    resets: Resets
    mailer: Mailer | None
    classes: Classes
    invitations: Invitations
    grants: Grants
    removals: Removals
    class_removals: ClassRemovals
    export: Export
    reports: Reports

    def close(self) -> None:
        """Let background work end and give back the database."""
        self.sessions.close()
        self.records.close()


def bootstrap(
    settings: Settings,
    *,
    grader: Grader | None = None,
    providers: Providers | None = None,
    now: Callable[[], datetime] = utc_now,
    ticks: Callable[[], float] = time.monotonic,
    tell: Callable[[str], None] | None = None,
) -> Kindling:
    """Open the records (made and migrated when needed) and wire the services; no cluster is touched.

    The command hands in a grader that is warming up already; tests hand in what they test with, time included (``now``
    is the time of day, ``ticks`` a steady clock in seconds). ``tell`` is how a
    process of the site tells the one that drives sessions what is wanted.
    """
    records = Database(settings.database_url, settings.home)
    records.open()
    library = Library(settings.catalogs)
    chosen = providers or Providers(settings)
    rules = AccessRules(chosen, settings.kind_clusters, settings.kind_per_learner)
    sessions = SessionService(
        settings, records, library, chosen, rules, grader or _grader(), now, ticks=ticks, tell=tell
    )
    accounts, allowances = Accounts(records, now), Allowances(records, now)
    return Kindling(
        settings=settings,
        records=records,
        labs=library,
        providers=chosen,
        sessions=sessions,
        predictions=Predictions(records, library, now),
        accounts=accounts,
        allowances=allowances,
        guarded=GuardedSignIn(accounts, allowances),
        resets=Resets(records, now),
        mailer=Mailer(settings.smtp_url, settings.mail_from) if settings.smtp_url else None,
        sign_ins=SignIns(records, now, timedelta(hours=settings.idle_hours), timedelta(days=settings.signed_in_days)),
        classes=Classes(records, now),
        invitations=Invitations(records, now),
        grants=Grants(records, rules, now),
        removals=Removals(records, rules, now),
        class_removals=ClassRemovals(records, rules, now),
        export=Export(records, now),
        reports=Reports(records, library, now),
    )


def _grader() -> Grader:
    from labs.grading import ProcessGrader

    return ProcessGrader()
