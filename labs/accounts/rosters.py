"""What becomes of a line of a roster: a new account, an old one entered, or a place that waits for an invitation.

Being in a class shows its instructor what one hands in, and being the learner of a line brings what belongs to that
line. So it refuses to take an account for the learner of a line because of a name or an email that the account gave
itself: that is shown by the invitation, which the instructor hands to the person. Nor is an account entered, however
well known, that learns in none of this instructor's classes: it comes in by itself. (Admins see everybody anyway.)
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from labs.accounts.names import is_name, is_reserved, key_of, shown_name
from labs.accounts.rows import check, enter_class, holder_of, make_user
from labs.errors import Refused
from labs.records.models import Membership, Place, SchoolClass, User
from labs.roster import RosterEntry, RosterLine

HAS_ACCOUNT, BY_CODE = "has an account: comes in with an invitation", ", or by itself with the join code {code}"
PERSONS_NAME = (
    "{name!r} is no name to sign in with, which has no spaces: give an email beside it, or call this column "
    "display_name and add a column name or email"
)
MADE_ITSELF = "somebody made an account with this name or email: only an invitation makes it this learner's"


def enter_line(tx: Transaction, now: datetime, row: SchoolClass, teacher: User, entry: RosterEntry) -> RosterLine:
    """Enter one line in a class of ``teacher``'s; a line that cannot be used is refused in what is returned."""
    try:
        if entry.refused:
            raise Refused(entry.refused)
        entry = _signs_in(entry)
        check(entry.name, entry.email)
        return _enter(tx, now, row, teacher, entry)
    except Refused as error:
        return RosterLine(entry.line, entry.name, entry.email, "refused", str(error))


def teaches(tx: Transaction, teacher: User, learner: int) -> bool:
    """Whether an account learns in a class that ``teacher`` is an instructor of."""
    theirs = select(Membership.class_id).where(Membership.user_id == teacher.id, Membership.role == "instructor")
    member = (Membership.user_id == learner, Membership.role == "learner", Membership.class_id.in_(theirs))
    return tx.scalar(select(Membership.class_id).where(*member).limit(1)) is not None


def _enter(tx: Transaction, now: datetime, row: SchoolClass, teacher: User, entry: RosterEntry) -> RosterLine:
    place = tx.scalar(select(Place).where(Place.class_id == row.id, Place.key == key_of(entry.email or entry.name)))
    member = tx.get(Membership, (row.id, place.user_id)) if place is not None and place.user_id is not None else None
    if member is not None and member.role != "former":
        return RosterLine(entry.line, entry.name, entry.email, "unchanged")
    user = _known(tx, entry)
    if user is None and _held(tx, entry):
        return _invite(tx, row, entry, place, MADE_ITSELF)
    if user is not None and teacher.role != "admin" and user is not teacher and not teaches(tx, teacher, user.id):
        return _invite(
            tx, row, entry, place, HAS_ACCOUNT + (BY_CODE.format(code=row.join_code) if row.joinable else "")
        )
    state = "added" if user else "created"
    if user is None:
        if is_reserved(entry.name) and not entry.derived and teacher.role != "admin":
            raise Refused(f"the name {entry.name} is kept for those who run this site")
        taken = is_reserved(entry.name) or holder_of(tx, entry.name) is not None
        name = entry.email if entry.derived and taken else entry.name
        user = make_user(tx, now, name, entry.email, entry.display_name, "learner")
    if not enter_class(tx, now, row, user):
        state = "unchanged"
    return RosterLine(entry.line, user.name, user.email or "", state)


def _signs_in(entry: RosterEntry) -> RosterEntry:
    """The line with a name to sign in with: schools' lists have people's full names in the column ``name``.

    Then the email says who it is. Without one it is refused: two people may be called the same.
    """
    if is_name(entry.name) or not any(each.isspace() for each in entry.name):
        return entry
    if not entry.email:
        raise Refused(PERSONS_NAME.format(name=shown_name(entry.name, 60)))
    shown = entry.display_name or entry.name
    return replace(entry, name=entry.email.split("@")[0], display_name=shown, derived=True)


def _known(tx: Transaction, entry: RosterEntry) -> User | None:
    """The account whose name or email on this line is proven; ``Refused`` where they belong to different people."""
    by_email = holder_of(tx, entry.email)
    by_name = None if entry.derived else holder_of(tx, entry.name)
    known = [held.user for held in (by_email, by_name) if held is not None and held.proven]
    if len({user.id for user in known}) > 1:
        raise Refused(f"the name {entry.name} and the email {entry.email} belong to two different accounts")
    if known and entry.email and known[0].email and key_of(known[0].email) != key_of(entry.email):
        raise Refused(f"the name {entry.name} has another email")
    return known[0] if known else None


def _held(tx: Transaction, entry: RosterEntry) -> bool:
    return holder_of(tx, entry.email) is not None or (not entry.derived and holder_of(tx, entry.name) is not None)


def _invite(tx: Transaction, row: SchoolClass, entry: RosterEntry, place: Place | None, why: str) -> RosterLine:
    if place is None:
        key = key_of(entry.email or entry.name)
        shown = shown_name(entry.display_name)
        tx.add(Place(class_id=row.id, key=key, name=entry.name, email=entry.email, display_name=shown))
        tx.flush()
    else:
        place.user_id = None
    return RosterLine(entry.line, entry.name, entry.email, "invited", why)
