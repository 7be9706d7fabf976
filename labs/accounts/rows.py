"""Finding and making rows of accounts, within a transaction of whoever asks.

Who holds a name or an email is said by the table of identifiers, whose key is unique: of two that want the same at the
same moment the database refuses one.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Transaction

from labs.accounts.names import is_email, is_name, is_reserved, key_of, shown_name
from labs.accounts.views import Role
from labs.errors import NotFound, Refused
from labs.records.models import Identifier, Membership, SchoolClass, User


def user_named(tx: Transaction, name: str) -> User:
    """By exactly this name; ``NotFound``."""
    user = tx.scalar(select(User).where(User.name == name, User.deleted_at.is_(None)))
    if user is None:
        raise NotFound(f"there is no account {name!r}")
    return user


def holder_of(tx: Transaction, name_or_email: str) -> Identifier | None:
    """Whoever signs in with this, or with what looks like it; None for nobody (or for nothing)."""
    key = key_of(name_or_email)
    return tx.get(Identifier, key) if key else None


def user_signing_in(tx: Transaction, name_or_email: str) -> User | None:
    """The account that this signs in: by its key, else exactly as it is written in the account."""
    held = holder_of(tx, name_or_email)
    if held is not None:
        return held.user
    wanted = name_or_email.strip()
    mine = or_(User.name == wanted, User.email == wanted.lower())
    return tx.scalar(select(User).where(mine, User.deleted_at.is_(None)))


def check(name: str, email: str) -> None:
    """``Refused`` for a name that is none; for an email that is none, unless it is empty."""
    if not is_name(name):
        raise Refused(
            "A name to sign in with has at most 64 letters, digits and . _ @ + -, no spaces, and begins with a letter "
            "or digit."
        )
    if email and not is_email(email):
        raise Refused("This is not an email address.")


def make_user(
    tx: Transaction, now: datetime, name: str, email: str, display_name: str, role: Role, *, proven: bool = True
) -> User:
    """A new account; ``Refused`` with what is wrong with its name or email, or that it is another's.

    ``proven``: whoever makes it vouches for name and email; else it is what somebody says of themselves.
    """
    name, email = name.strip(), email.strip().lower()
    check(name, email)
    if not proven and is_reserved(name):
        raise Refused(f"The name {name} is kept for those who run this site; take another one.")
    if holder_of(tx, name) is not None:
        raise Refused(f"The name {name} is taken.")
    if holder_of(tx, email) is not None:
        raise Refused(
            "This email address already has an account. If it is yours, sign in with it. If not, leave the email out, "
            "or ask whoever runs this site to free it first."
        )
    shown = shown_name(display_name)
    user = User(name=name, email=email or None, display_name=shown or name, role=role, created_at=now)
    try:
        with tx.begin_nested():
            tx.add(user)
            tx.flush()
            tx.add_all(Identifier(key=key, user_id=user.id, proven=proven) for key in _keys(name, email))
            tx.flush()
    except IntegrityError as error:
        raise Refused(f"The name {name} or this email address was taken a moment ago.") from error
    return user


def give_email(tx: Transaction, user: User, email: str) -> None:
    """Let an account without an email have this one, which is proven to be theirs; a no-op where it is another's."""
    held = holder_of(tx, email)
    if held is None and email and not user.email:
        with suppress(IntegrityError), tx.begin_nested():
            user.email = email
            tx.add(Identifier(key=key_of(email), user_id=user.id, proven=True))


def take_email(tx: Transaction, user: User) -> str:
    """Let an account have no email, so that somebody else can; which it was. ``Refused`` where it is its name."""
    email = user.email or ""
    if not email:
        raise Refused(f"{user.name} has no email.")
    if key_of(email) == key_of(user.name):
        raise Refused(f"The account is called {user.name}: only deleting the account frees this address.")
    held = holder_of(tx, email)
    if held is not None and held.user_id == user.id:
        tx.delete(held)
    user.email = None
    return email


def prove(tx: Transaction, user: User, *names: str) -> None:
    """Note of those names and emails that this account holds that they are rightly its own."""
    for name in names:
        held = holder_of(tx, name)
        if held is not None and held.user_id == user.id:
            held.proven = True


def must_leave_an_admin(tx: Transaction, user: User) -> None:
    """``Refused`` when this is the only admin, whom the site would be without; others wait who ask the same."""
    others = select(func.count()).select_from(User).where(User.role == "admin", User.disabled_at.is_(None))
    others = others.where(User.id != user.id)
    if user.role == "admin" and not tx.execute(others).scalar_one():
        raise Refused(f"{user.name} is the only admin; make somebody else one first.")


def enter_class(tx: Transaction, now: datetime, row: SchoolClass, user: User) -> bool:
    """Make an account a learner of a class, perhaps again; False where it belongs to it already."""
    member = tx.get(Membership, (row.id, user.id))
    if member is not None and member.role != "former":
        return False
    if member is not None:
        member.role, member.joined_at = "learner", now
        return True
    tx.add(Membership(class_id=row.id, user_id=user.id, role="learner", joined_at=now))
    tx.flush()
    return True


def leave_class(tx: Transaction, class_id: str, user: User) -> bool:
    """End a learner's membership; False where there is none. The class knows that they were its learner."""
    member = tx.get(Membership, (class_id, user.id))
    if member is None or member.role != "learner":
        return False
    member.role = "former"
    return True


def _keys(name: str, email: str) -> set[str]:
    return {key_of(each) for each in (name, email) if each}
