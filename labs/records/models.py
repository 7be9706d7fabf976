"""The tables. Rows only: no rule of the business lives here beyond what a constraint can hold.

Times are stored and returned as timezone-aware UTC. JSON that may be large (evidence, snapshots) is stored compressed.
"""

from __future__ import annotations

import json
import secrets
import zlib
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator


def new_id() -> str:
    """An id that cannot be guessed (80 bits, lower-case hexadecimal)."""
    return secrets.token_hex(10)


class UTCDateTime(TypeDecorator[datetime]):
    """A point in time; a naive one is refused, so that no local time ever gets in."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a time zone cannot be stored")
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        return value.replace(tzinfo=UTC) if value else None


class PackedJSON(TypeDecorator[Any]):
    """JSON, compressed."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | None:
        del dialect
        return None if value is None else zlib.compress(json.dumps(value, default=str).encode(), 6)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        del dialect
        return None if value is None else json.loads(zlib.decompress(value))


class Base(DeclarativeBase):
    """The root of every table."""


class User(Base):
    """An account. ``name`` is what one signs in with and what the command's ``--learner`` takes.

    ``deleted_at``: the person is gone, and the row a pseudonym for what they handed in.
    """

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    display_name: Mapped[str] = mapped_column(String(200), default="")
    email: Mapped[str | None] = mapped_column(String(254), unique=True)
    role: Mapped[str] = mapped_column(String(16), default="learner")
    password_hash: Mapped[str | None] = mapped_column(String(200))
    password_set_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    password_set_by: Mapped[str] = mapped_column(String(100), default="", server_default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Identifier(Base):
    """A name or an email, folded so that those which look alike are one: it signs in one account and no other.

    ``proven``: a roster, an admin, the command or an invitation has said that it is this account's; without it, whoever
    made the account said so.
    """

    __tablename__ = "identifiers"
    key: Mapped[str] = mapped_column(String(512), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    proven: Mapped[bool] = mapped_column(Boolean, default=False)
    user: Mapped[User] = relationship()


class LoginLink(Base):
    """A one-time link that signs in without a password, or sets one. Only the token's hash is kept."""

    __tablename__ = "login_links"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    purpose: Mapped[str] = mapped_column(String(16), default="sign-in", server_default="sign-in")
    made_by: Mapped[str] = mapped_column(String(100), default="", server_default="")


class SignIn(Base):
    """Somebody is signed in somewhere. Only the token's hash is kept; who is signed out has no row.

    ``seen_at`` lags by some minutes. ``address`` and ``agent`` are what the browser said, as text.
    """

    __tablename__ = "sign_ins"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    address: Mapped[str] = mapped_column(String(64), default="")
    agent: Mapped[str] = mapped_column(String(300), default="")


class Allowance(Base):
    """How much of a limit is used up: ``level`` at ``at``, draining to nothing at ``empty_at``."""

    __tablename__ = "allowances"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    level: Mapped[float] = mapped_column(Float, default=0.0)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    empty_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class SchoolClass(Base):
    """A class of learners, entered with a join code while it is ``joinable``."""

    __tablename__ = "classes"
    id: Mapped[str] = mapped_column(String(20), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200))
    join_code: Mapped[str] = mapped_column(String(16), unique=True)
    joinable: Mapped[bool] = mapped_column(Boolean, default=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Membership(Base):
    """Who belongs to a class: ``learner`` or ``instructor`` of it, or ``former``: a learner who left it."""

    __tablename__ = "memberships"
    class_id: Mapped[str] = mapped_column(ForeignKey("classes.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str] = mapped_column(String(16), default="learner")
    joined_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Place(Base):
    """A roster's line whose name or email an account has already: whoever shows its invitation takes it, once."""

    __tablename__ = "places"
    id: Mapped[str] = mapped_column(String(20), primary_key=True, default=new_id)
    class_id: Mapped[str] = mapped_column(ForeignKey("classes.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(512))
    name: Mapped[str] = mapped_column(String(64))
    email: Mapped[str] = mapped_column(String(254), default="")
    display_name: Mapped[str] = mapped_column(String(200), default="")
    token_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    __table_args__ = (UniqueConstraint("class_id", "key"),)


class ProviderGrant(Base):
    """A privileged provider is open to a role, to a class or to an account: one of the three."""

    __tablename__ = "provider_grants"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    provider: Mapped[str] = mapped_column(String(32))
    role: Mapped[str | None] = mapped_column(String(16))
    class_id: Mapped[str | None] = mapped_column(ForeignKey("classes.id", ondelete="CASCADE"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Session(Base):
    """One learner's lab. ``desired`` is what was asked for, ``state`` what was last observed or done.

    ``cluster`` is the name chosen before anything is made. ``reset_wanted`` counts resets asked for, ``reset_done``
    those carried out. At most one session of a learner and lab has no ``ended_at``. ``beginning``: what there was in
    its cluster when the lab began (:mod:`grader.inventory`), in labs that ask for it; loaded only when asked for.
    """

    __tablename__ = "sessions"
    id: Mapped[str] = mapped_column(String(20), primary_key=True, default=new_id)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    lab: Mapped[str] = mapped_column(String(64))
    lab_version: Mapped[str] = mapped_column(String(64))
    provider: Mapped[str] = mapped_column(String(32))
    cluster: Mapped[str] = mapped_column(String(40), unique=True)
    desired: Mapped[str] = mapped_column(String(16), default="ready")
    state: Mapped[str] = mapped_column(String(16), default="provisioning")
    reset_wanted: Mapped[int] = mapped_column(Integer, default=0)
    reset_done: Mapped[int] = mapped_column(Integer, default=0)
    handle: Mapped[dict[str, Any]] = mapped_column(JSON)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    seed: Mapped[str] = mapped_column(String(64))
    detail: Mapped[str] = mapped_column(Text, default="")
    fix: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ready_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    beginning: Mapped[dict[str, Any] | None] = mapped_column(PackedJSON, deferred=True)
    user: Mapped[User] = relationship()
    steps: Mapped[list[SessionStep]] = relationship(order_by="SessionStep.position", cascade="all, delete-orphan")
    __table_args__ = (
        Index(
            "one_live_session",
            "user_id",
            "lab",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )


class SessionStep(Base):
    """One step of bringing a cluster up (or back), as the learner sees it."""

    __tablename__ = "session_steps"
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Attempt(Base):
    """Something handed in, numbered from 1 for each learner and lab.

    Committed as ``wanted`` before grading starts, ``running`` before the grading process is asked: one that is found
    after a crash is either run (it never began), wanted again (``regraded``, once, when nothing of it can have been the
    learner's doing) or closed as ungradable, which is not ``counted``. ``forked``: it is or was graded on forks of its
    cluster, which is as the learner left it. ``detail`` is a sentence for the learner, ``cause`` for the instructor and
    the log.
    """

    __tablename__ = "attempts"
    id: Mapped[str] = mapped_column(String(20), primary_key=True, default=new_id)
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    lab: Mapped[str] = mapped_column(String(64), index=True)
    lab_version: Mapped[str] = mapped_column(String(64))
    provider: Mapped[str] = mapped_column(String(32))
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    number: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16), default="wanted")
    outcome: Mapped[str | None] = mapped_column(String(16))
    counted: Mapped[bool] = mapped_column(Boolean, default=False)
    score: Mapped[float] = mapped_column(Float, default=0.0)
    max_score: Mapped[float] = mapped_column(Float, default=0.0)
    seconds: Mapped[float] = mapped_column(Float, default=0.0)
    wanted_at: Mapped[datetime] = mapped_column(UTCDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    regraded: Mapped[bool] = mapped_column(Boolean, default=False)
    forked: Mapped[bool] = mapped_column(Boolean, default=False)
    detail: Mapped[str] = mapped_column(Text, default="")
    cause: Mapped[str] = mapped_column(Text, default="")
    snapshot: Mapped[Any] = mapped_column(PackedJSON, nullable=True, deferred=True)
    session: Mapped[Session] = relationship()
    user: Mapped[User] = relationship()
    checks: Mapped[list[CheckRecord]] = relationship(order_by="CheckRecord.position", cascade="all, delete-orphan")
    __table_args__ = (
        Index(
            "one_running_attempt",
            "session_id",
            unique=True,
            sqlite_where=text("state <> 'done'"),
            postgresql_where=text("state <> 'done'"),
        ),
    )


class CheckRecord(Base):
    """One check of an attempt, written as it finishes. ``state``: waiting, running, done."""

    __tablename__ = "check_results"
    attempt_id: Mapped[str] = mapped_column(ForeignKey("attempts.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    position: Mapped[int] = mapped_column(Integer)
    title: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(String(16), default="waiting")
    outcome: Mapped[str | None] = mapped_column(String(16))
    points: Mapped[float] = mapped_column(Float, default=0.0)
    max_points: Mapped[float] = mapped_column(Float, default=0.0)
    message: Mapped[str] = mapped_column(Text, default="")
    seconds: Mapped[float] = mapped_column(Float, default=0.0)
    evidence: Mapped[Any] = mapped_column(PackedJSON, nullable=True, deferred=True)
    cause: Mapped[str] = mapped_column(Text, default="")


class HintTaken(Base):
    """A hint that a learner was shown, counted from 1 within its check."""

    __tablename__ = "hints_taken"
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True)
    check: Mapped[str] = mapped_column(String(100), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    taken_at: Mapped[datetime] = mapped_column(UTCDateTime)


class QuizAnswer(Base):
    """What a learner answered last to one question of a lesson's quiz."""

    __tablename__ = "quiz_answers"
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    lesson: Mapped[str] = mapped_column(String(200), primary_key=True)
    question: Mapped[str] = mapped_column(String(100), primary_key=True)
    answer: Mapped[Any] = mapped_column(JSON)
    correct: Mapped[bool] = mapped_column(Boolean)
    answered_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Prediction(Base):
    """What a learner predicted in a lab, and what then happened: each is written once and stays.

    ``option`` is None where nobody answered in time; ``happened`` until a counted attempt (``attempt``, its number) has
    shown it.
    """

    __tablename__ = "predictions"
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    lab: Mapped[str] = mapped_column(String(64), primary_key=True)
    question: Mapped[str] = mapped_column(String(40), primary_key=True)
    option: Mapped[str | None] = mapped_column(String(40))
    answered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    happened: Mapped[str | None] = mapped_column(String(40))
    happened_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    attempt: Mapped[int | None] = mapped_column(Integer)
    __table_args__ = (Index("predictions_of_lab", "lab", "user_id"),)


class Activity(Base):
    """Something a learner did, for time spent and last activity. ``lab`` is "" for what belongs to no lab."""

    __tablename__ = "activity"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    lab: Mapped[str] = mapped_column(String(64), default="")
    kind: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    __table_args__ = (Index("activity_of", "user_id", "lab", "at"), UniqueConstraint("user_id", "lab", "kind", "at"))
