"""Who may do what: accounts, sign-in, classes. No HTTP here; the site keeps the cookie.

Passwords are kept as argon2id hashes, one-time links and nothing else as the hash of a random token. It refuses to say
whether a name or a password was the wrong one.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Literal, cast

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session as Transaction

from labs.errors import NotFound, Refused
from labs.records.database import Database
from labs.records.models import LoginLink, Membership, SchoolClass, User
from labs.roster import RosterEntry, RosterLine, read_roster

if TYPE_CHECKING:
    from argon2 import PasswordHasher

Role = Literal["learner", "instructor", "admin"]

PASSWORD_LENGTH = (10, 1000)
_NAME = re.compile(r"[^\W_](?:[\w.@+-]{0,62}[\w.@+-])?")
_EMAIL = re.compile(r"[^@\s<>\"',;:\\]{1,64}@[^@\s<>\"',;:\\]{1,180}")
_CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # none that is mistaken for another


@dataclass(frozen=True)
class Account:
    """An account. ``name`` is unique and is what every other service calls the learner."""

    id: int
    name: str
    display_name: str
    email: str
    role: Role
    has_password: bool


@dataclass(frozen=True)
class ClassInfo:
    """A class. ``members`` counts its learners."""

    id: str
    name: str
    join_code: str
    members: int
    created_at: datetime


@dataclass(frozen=True)
class Accounts:
    """Accounts and classes. Trouble is ``NotFound`` or ``Refused`` with a sentence."""

    records: Database
    now: Callable[[], datetime]

    # Accounts

    def by_id(self, account_id: int) -> Account | None:
        """For a cookie."""
        with self.records.read() as tx:
            user = tx.get(User, account_id)
            return _account(user) if user else None

    def get(self, name: str) -> Account:
        """By name; ``NotFound``."""
        with self.records.read() as tx:
            return _account(_user(tx, name))

    def all(self) -> list[Account]:
        """Every account, by name."""
        with self.records.read() as tx:
            return [_account(user) for user in tx.scalars(select(User).order_by(User.name))]

    def ensure(self, name: str, role: Role = "learner") -> Account:
        """The account of this name, made (without a password) when there is none."""
        with self.records.read() as tx:
            user = tx.scalar(select(User).where(User.name == name))
            if user is not None:
                return _account(user)
        with self.records.begin() as tx:
            user = tx.scalar(select(User).where(User.name == name)) or self._make(tx, name, "", "", role)
            return _account(user)

    def register(
        self, name: str, password: str, *, email: str = "", display_name: str = "", role: Role = "learner"
    ) -> Account:
        """Make an account with a password; ``Refused`` when the name or email is taken or the password is too short."""
        hashed = _hash(password)
        with self.records.begin() as tx:
            user = self._make(tx, name, email, display_name, role)
            user.password_hash = hashed
            return _account(user)

    def sign_in(self, name_or_email: str, password: str) -> Account:
        """``Refused`` in the same words, and after the same work, whether the name or the password is wrong."""
        from argon2.exceptions import InvalidHashError, VerificationError

        wanted = name_or_email.strip()
        with self.records.read() as tx:
            user = tx.scalar(select(User).where(or_(User.name == wanted, User.email == wanted.lower())))
        try:
            _hasher().verify(user.password_hash if user and user.password_hash else _nobody(), password[:2000])
        except (VerificationError, InvalidHashError) as error:
            raise Refused("The name or the password is wrong.") from error
        if user is None or not user.password_hash:
            raise Refused("The name or the password is wrong.")
        return _account(user)

    def set_password(self, name: str, password: str) -> None:
        """``Refused`` when too short."""
        hashed = _hash(password)
        with self.records.begin() as tx:
            _user(tx, name).password_hash = hashed

    def set_role(self, name: str, role: Role) -> Account:
        """Change a role."""
        with self.records.begin() as tx:
            user = _user(tx, name)
            user.role = role
            return _account(user)

    def local(self) -> Account:
        """The account of whoever sits at this machine: the same for the command and for the site's one-time link."""
        return self.ensure(local_name(), role="admin")

    # One-time links

    def login_link(self, name: str, minutes: float = 15.0) -> str:
        """A one-time token for the site's sign-in page. Links that have expired are forgotten."""
        token, now = secrets.token_urlsafe(32), self.now()
        with self.records.begin() as tx:
            tx.execute(delete(LoginLink).where(LoginLink.expires_at < now))
            expires = now + timedelta(minutes=minutes)
            user = _user(tx, name)
            tx.add(LoginLink(user_id=user.id, token_hash=_digest(token), created_at=now, expires_at=expires))
        return token

    def redeem(self, token: str) -> Account:
        """Use a token, once; ``Refused``."""
        now = self.now()
        with self.records.begin() as tx:
            mine = (LoginLink.token_hash == _digest(token), LoginLink.used_at.is_(None), LoginLink.expires_at >= now)
            user_id = tx.execute(
                update(LoginLink).where(*mine).values(used_at=now).returning(LoginLink.user_id)
            ).scalar()
            if user_id is None:
                raise Refused("This sign-in link has been used or has expired; ask for a new one.")
            return _account(tx.get_one(User, user_id))

    # Classes

    def create_class(self, name: str, instructor: str) -> ClassInfo:
        """A class with a fresh join code; ``instructor`` teaches it. ``Refused`` for a learner or an empty name."""
        name = " ".join(name.split())[:200]
        with self.records.begin() as tx:
            user = _user(tx, instructor)
            if user.role == "learner" or not name:
                raise Refused("A class needs a name." if not name else "Only an instructor can open a class.")
            code = "".join(secrets.choice(_CODE_LETTERS) for _ in range(8))
            row = SchoolClass(name=name, join_code=code, created_at=self.now())
            tx.add(row)
            tx.flush()
            tx.add(Membership(class_id=row.id, user_id=user.id, role="instructor", joined_at=self.now()))
            tx.flush()
            return _class(tx, row)

    def classes(self, name: str) -> list[ClassInfo]:
        """Classes that an account teaches (admins: all), by name."""
        with self.records.read() as tx:
            user = _user(tx, name)
            query = select(SchoolClass).order_by(SchoolClass.name, SchoolClass.id)
            if user.role != "admin":
                query = query.join(Membership).where(Membership.user_id == user.id, Membership.role == "instructor")
            return [_class(tx, row) for row in tx.scalars(query)]

    def joined(self, name: str) -> list[ClassInfo]:
        """Classes that an account learns in. Join codes are left out."""
        with self.records.read() as tx:
            mine = (Membership.user_id == _user(tx, name).id, Membership.role == "learner")
            rows = tx.scalars(select(SchoolClass).join(Membership).where(*mine).order_by(SchoolClass.name))
            return [_class(tx, row, code=False) for row in rows]

    def class_of(self, class_id: str, instructor: str) -> ClassInfo:
        """One class, for who teaches it or an admin; ``NotFound`` for anybody else."""
        with self.records.read() as tx:
            return _class(tx, taught(tx, class_id, instructor))

    def members(self, class_id: str, instructor: str) -> list[Account]:
        """Its learners, by name."""
        with self.records.read() as tx:
            row = taught(tx, class_id, instructor)
            query = select(User).join(Membership).where(Membership.class_id == row.id, Membership.role == "learner")
            return [_account(user) for user in tx.scalars(query.order_by(User.name))]

    def join(self, join_code: str, name: str) -> ClassInfo:
        """Enter a class; entering twice is fine. ``Refused`` for an unknown code."""
        with self.records.begin() as tx:
            row = tx.scalar(select(SchoolClass).where(SchoolClass.join_code == _code(join_code)))
            if row is None:
                raise Refused("There is no class with this code; ask your instructor for it.")
            self._enter(tx, row, _user(tx, name))
            return _class(tx, row, code=False)

    def knows_code(self, join_code: str) -> bool:
        """Whether a class has this join code."""
        with self.records.read() as tx:
            return tx.scalar(select(SchoolClass.id).where(SchoolClass.join_code == _code(join_code))) is not None

    def leave(self, class_id: str, name: str) -> None:
        """Leave a class; what was handed in stays."""
        with self.records.begin() as tx:
            mine = (Membership.class_id == class_id, Membership.user_id == _user(tx, name).id)
            tx.execute(delete(Membership).where(*mine, Membership.role == "learner"))

    def import_roster(self, class_id: str, instructor: str, text: str) -> list[RosterLine]:
        """Enter everybody of a CSV (:mod:`labs.roster`). A bad line is refused alone; ``Malformed`` for no roster.

        Being in a class shows its instructor what one hands in, so an account that learns in none of this instructor's
        classes is not entered but invited: it comes in with the join code, by itself. (Admins see everybody anyway.)
        """
        entries = read_roster(text)
        with self.records.begin() as tx:
            row, teacher = taught(tx, class_id, instructor), _user(tx, instructor)
            return [self._roster_entry(tx, row, teacher, entry) for entry in entries]

    # Inside

    def _roster_entry(self, tx: Transaction, row: SchoolClass, teacher: User, entry: RosterEntry) -> RosterLine:
        if entry.refused:
            return RosterLine(entry.line, entry.name, entry.email, "refused", entry.refused)
        email = entry.email.lower()
        by_email = tx.scalar(select(User).where(User.email == email)) if email else None
        by_name = tx.scalar(select(User).where(User.name == entry.name))
        name = entry.name
        if by_name is not None and by_email is None and entry.derived:
            by_name, name = None, email  # somebody else has the name that we made up
        if by_email is not None and by_name is not None and by_email is not by_name:
            message = f"the name {entry.name} and the email {email} belong to two different accounts"
            return RosterLine(entry.line, entry.name, email, "refused", message)
        user = by_email or by_name
        if user is not None and email and user.email not in (None, email):
            return RosterLine(entry.line, entry.name, email, "refused", f"the name {entry.name} has another email")
        if user is not None and teacher.role != "admin" and user is not teacher and not teaches(tx, teacher, user.id):
            message = f"has an account: comes in with the join code {row.join_code}"
            return RosterLine(entry.line, entry.name, email, "invited", message)
        try:
            state = "added" if user else "created"
            user = user or self._make(tx, name, email, entry.display_name, "learner")
        except Refused as error:
            return RosterLine(entry.line, entry.name, email, "refused", str(error))
        if not self._enter(tx, row, user):
            state = "unchanged"
        return RosterLine(entry.line, user.name, user.email or "", state)

    def _enter(self, tx: Transaction, row: SchoolClass, user: User) -> bool:
        if tx.get(Membership, (row.id, user.id)) is not None:
            return False
        tx.add(Membership(class_id=row.id, user_id=user.id, role="learner", joined_at=self.now()))
        tx.flush()
        return True

    def _make(self, tx: Transaction, name: str, email: str, display_name: str, role: Role) -> User:
        name, email = name.strip(), email.strip().lower()
        if not _NAME.fullmatch(name):
            raise Refused("A name has at most 64 letters, digits and . _ @ + - and begins with a letter or digit.")
        if email and not _EMAIL.fullmatch(email):
            raise Refused("This is not an email address.")
        if tx.scalar(select(User.id).where(User.name == name)):
            raise Refused(f"The name {name} is taken.")
        if email and tx.scalar(select(User.id).where(User.email == email)):
            raise Refused("This email address already has an account.")
        shown = " ".join(display_name.split())[:200]
        user = User(name=name, email=email or None, display_name=shown or name, role=role, created_at=self.now())
        tx.add(user)
        tx.flush()
        return user


def local_name() -> str:
    """The operating system's user, as an account's name; ``KINDLING_LEARNER`` overrides it."""
    try:
        name = os.environ.get("KINDLING_LEARNER") or getpass.getuser()
    except (KeyError, OSError):  # a user id without an entry, as containers have
        name = f"user-{os.getuid()}"
    if _NAME.fullmatch(name):
        return name
    return re.sub(r"[^\w.@+-]|^[\W_]+", "", name)[:64] or "learner"


def taught(tx: Transaction, class_id: str, instructor: str) -> SchoolClass:
    """The class, if this account teaches it or is an admin; else ``NotFound``."""
    user, row = _user(tx, instructor), tx.get(SchoolClass, class_id)
    member = tx.get(Membership, (class_id, user.id))
    if row is None or not (user.role == "admin" or (member is not None and member.role == "instructor")):
        raise NotFound("there is no such class of yours")
    return row


def teaches(tx: Transaction, teacher: User, learner: int) -> bool:
    """Whether an account learns in a class that ``teacher`` is an instructor of."""
    theirs = select(Membership.class_id).where(Membership.user_id == teacher.id, Membership.role == "instructor")
    member = (Membership.user_id == learner, Membership.role == "learner", Membership.class_id.in_(theirs))
    return tx.scalar(select(Membership.class_id).where(*member).limit(1)) is not None


def _user(tx: Transaction, name: str) -> User:
    user = tx.scalar(select(User).where(User.name == name))
    if user is None:
        raise NotFound(f"there is no account {name!r}")
    return user


def _account(user: User) -> Account:
    role = cast(Role, user.role)
    return Account(user.id, user.name, user.display_name or user.name, user.email or "", role, bool(user.password_hash))


def _class(tx: Transaction, row: SchoolClass, *, code: bool = True) -> ClassInfo:
    learners = (Membership.class_id == row.id, Membership.role == "learner")
    count = tx.execute(select(func.count()).select_from(Membership).where(*learners)).scalar_one()
    return ClassInfo(row.id, row.name, row.join_code if code else "", count, row.created_at)


def _code(join_code: str) -> str:
    """A join code as people type it."""
    return re.sub(r"[\s-]", "", join_code).upper()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _hash(password: str) -> str:
    low, high = PASSWORD_LENGTH
    if not low <= len(password) <= high:
        raise Refused(f"A password has at least {low} characters.")
    return _hasher().hash(password)


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # only where a password is looked at

    return PasswordHasher()


@cache
def _nobody() -> str:
    """A hash that nothing matches, so that an unknown name costs as much as a wrong password."""
    return _hasher().hash(secrets.token_hex(16))
