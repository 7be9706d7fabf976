"""Whether an account may work on a provider, and whether there is room for one more cluster.

A provider is *privileged* when whoever works in one of its clusters has power over this machine (kind: a node is a
privileged container). Admins may use it, as they own the site; anybody else only by a grant to a role, a class or an
account. Everything is asked in the transaction of whoever is about to act, and nothing is remembered: what is taken
away is gone at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session as Transaction

from labs.clusters.provider import Needs
from labs.clusters.registry import Providers
from labs.errors import NotNow, Refused
from labs.records.models import Membership, ProviderGrant, Session, User

POWER = "whoever works in one of its clusters has power over the whole machine"
WITHDRAWN = "Stopped: you may not use {} any more."
GONE, DISABLED = "Stopped: its account is gone.", "Stopped: its account is disabled."


@dataclass(frozen=True)
class AccessRules:
    """``total`` clusters of a privileged provider at once; ``each`` of one learner who is no admin."""

    providers: Providers
    total: int
    each: int

    def may(self, tx: Transaction, user: User, provider: str) -> bool:
        """Whether the account may use the provider."""
        if not self.providers.privileged(provider) or user.role == "admin":
            return True
        classes = select(Membership.class_id).where(
            Membership.user_id == user.id, Membership.role.in_(("learner", "instructor"))
        )
        mine = or_(
            ProviderGrant.role == user.role, ProviderGrant.user_id == user.id, ProviderGrant.class_id.in_(classes)
        )
        return tx.scalar(select(ProviderGrant.id).where(ProviderGrant.provider == provider, mine).limit(1)) is not None

    def require(self, tx: Transaction, user: User, provider: str, lab: str, needs: Needs) -> None:
        """``Refused``, with where the lab can be started instead, when the account may not use the provider; without,
        when it is disabled."""
        if user.disabled_at is not None:
            raise Refused(f"the account {user.name} is disabled; an admin can enable it again")
        if self.may(tx, user, provider):
            return
        fix = self._elsewhere(tx, user, provider, lab, needs)
        instead = f" Start {lab} on {fix.rpartition(' ')[2]} instead." if fix else ""
        raise Refused(f"{provider} is only for those whom an admin lets use it: {POWER}.{instead}", fix)

    def require_room(self, tx: Transaction, user: User, provider: str, lab: str, needs: Needs) -> None:
        """``NotNow`` when as many clusters of a privileged provider are there as may be.

        To be asked in the transaction that makes another: two at once do not both find the last place.
        """
        if not self.providers.privileged(provider):
            return
        there = (Session.provider == provider, Session.ended_at.is_(None) | (Session.state == "stopping"))
        mine = tx.scalars(select(Session).where(*there, Session.user_id == user.id)).all()
        if user.role != "admin" and len(mine) >= self.each:
            labs = ", ".join(sorted(row.lab for row in mine))
            said = f"you have as many labs on {provider} as one may have ({labs}); stop one of them first"
        elif tx.execute(select(func.count()).select_from(Session).where(*there)).scalar_one() >= self.total:
            said = f"all {self.total} clusters of {provider} that this machine may have are in use; try again later"
        else:
            return
        raise NotNow(said, self._elsewhere(tx, user, provider, lab, needs))

    def withdrawn(self, tx: Transaction, row: Session) -> str:
        """Why a lab that was allowed once is not any more, as a sentence for its learner; "" while it is."""
        if row.user.deleted_at is not None:
            return GONE
        if row.user.disabled_at is not None:
            return DISABLED
        known = row.provider in self.providers.names()
        return WITHDRAWN.format(row.provider) if known and not self.may(tx, row.user, row.provider) else ""

    def withdrawn_sessions(self, tx: Transaction) -> list[tuple[Session, str]]:
        """Every lab that its learner may not work in any more, or whose learner is kept out, and why."""
        live = select(Session).where(Session.ended_at.is_(None), Session.desired == "ready")
        names = tx.scalars(live.with_only_columns(Session.provider).distinct()).all()
        asked = [name for name in names if name in self.providers.names() and self.providers.privileged(name)]
        out = select(User.id).where(User.deleted_at.is_not(None) | User.disabled_at.is_not(None))
        rows = tx.scalars(live.where(Session.provider.in_(asked) | Session.user_id.in_(out))).all()
        return [(row, why) for row in rows if (why := self.withdrawn(tx, row))]

    def stop_withdrawn(self, tx: Transaction) -> None:
        """Have these stopped; the reconciler removes their clusters. In a transaction that may write."""
        for row, why in self.withdrawn_sessions(tx):
            row.desired, row.state, row.detail, row.fix = "stopped", "stopping", why, ""

    def _elsewhere(self, tx: Transaction, user: User, provider: str, lab: str, needs: Needs) -> str:
        """The command that starts a lab on another provider; "" when there is none."""
        able = self.providers.able(needs, lambda name: name != provider and self.may(tx, user, name))
        return f"kindling start {lab} --on {able[0]}" if able else ""
