"""Who may do what: accounts, sign-in, classes. No HTTP here; the site keeps the cookie."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Role = Literal["learner", "instructor", "admin"]


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
class RosterLine:
    """What became of one line of a roster. ``state``: created, added (had an account), unchanged, refused (why in ``message``)."""

    line: int
    name: str
    email: str
    state: str
    message: str = ""


class Accounts:
    """Accounts and classes. Trouble is ``NotFound`` or ``Refused`` with a sentence."""

    def by_id(self, account_id: int) -> Account | None:
        """For a cookie."""
        raise NotImplementedError

    def get(self, name: str) -> Account:
        """By name; ``NotFound``."""
        raise NotImplementedError

    def ensure(self, name: str, role: Role = "learner") -> Account:
        """The account of this name, made when there is none (the local default learner)."""
        raise NotImplementedError

    def register(
        self, name: str, password: str, *, email: str = "", display_name: str = "", role: Role = "learner"
    ) -> Account:
        """Make an account with a password; ``Refused`` when the name or email is taken or the password is too short."""
        raise NotImplementedError

    def sign_in(self, name_or_email: str, password: str) -> Account:
        """``Refused`` in the same words and time whether the name or the password is wrong."""
        raise NotImplementedError

    def set_password(self, name: str, password: str) -> None:
        """``Refused`` when too short."""
        raise NotImplementedError

    def set_role(self, name: str, role: Role) -> Account:
        """Change a role."""
        raise NotImplementedError

    def login_link(self, name: str, minutes: float = 15.0) -> str:
        """A one-time token for the site's ``/login/<token>``."""
        raise NotImplementedError

    def redeem(self, token: str) -> Account:
        """Use a token, once; ``Refused``."""
        raise NotImplementedError

    def all(self) -> list[Account]:
        """Every account, by name."""
        raise NotImplementedError

    def create_class(self, name: str, instructor: str) -> ClassInfo:
        """A class with a fresh join code; ``instructor`` teaches it."""
        raise NotImplementedError

    def classes(self, name: str) -> list[ClassInfo]:
        """Classes that an account teaches (admins: all)."""
        raise NotImplementedError

    def joined(self, name: str) -> list[ClassInfo]:
        """Classes that an account learns in."""
        raise NotImplementedError

    def class_of(self, class_id: str, instructor: str) -> ClassInfo:
        """One class, for who teaches it or an admin; ``NotFound`` for anybody else."""
        raise NotImplementedError

    def members(self, class_id: str, instructor: str) -> list[Account]:
        """Its learners, by name."""
        raise NotImplementedError

    def join(self, join_code: str, name: str) -> ClassInfo:
        """Enter a class; entering twice is fine. ``Refused`` for an unknown code."""
        raise NotImplementedError

    def leave(self, class_id: str, name: str) -> None:
        """Leave a class; what was handed in stays."""
        raise NotImplementedError

    def import_roster(self, class_id: str, instructor: str, text: str) -> list[RosterLine]:
        """Enter everybody of a CSV (header with ``name`` and/or ``email``, optional ``display_name``).

        ``Malformed`` with the line when it is not a roster at all; a bad line is refused alone.
        """
        raise NotImplementedError
