"""Taking away accounts, classes, memberships, codes and links: what goes, what stays, who may, and nothing by half."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from typing import Any

import pytest
from sqlalchemy import func, select

from grader.protocol import Outcome
from labs.accounts import Account
from labs.bootstrap import Kindling
from labs.errors import NotFound, Refused
from labs.records.models import Activity, Attempt, Base, Membership, QuizAnswer, Session, User
from labs.removal import belongings
from labs.report import class_csv, learner_csv
from labs.session import AttemptView, SessionView
from tests.doubles.providers import ManualClock, MemoryProvider, ScriptedGrader, SlowProvider, StubbornProvider
from tests.unit.labs.conftest import Make

PASSWORD = "correct horse battery"


def up(services: Kindling, learner: str = "ada", lab: str = "first") -> SessionView:
    return services.sessions.wait(services.sessions.start(learner, lab).id)


def handed_in(services: Kindling, learner: str = "ada") -> AttemptView:
    session = up(services, learner)
    return services.sessions.follow(services.sessions.check(session.id, learner).id, learner)


def settle(services: Kindling) -> None:
    """As the site's loop does, twice: what the first round ends, the second forgets."""
    services.sessions.reconcile()
    services.sessions.reconcile()


def counted(services: Kindling, table: type[Base]) -> int:
    with services.records.read() as tx:
        return tx.execute(select(func.count()).select_from(table)).scalar_one()


@pytest.fixture
def school(services: Kindling) -> str:
    """The id of a class of prof's, with ada and bob in it; root is an admin."""
    return enrolled(services)


def enrolled(services: Kindling) -> str:
    services.accounts.ensure("root", "admin")
    services.accounts.ensure("prof", "instructor")
    services.accounts.ensure("bob")
    made = services.classes.create_class("Autumn", "prof")
    for name in ("ada", "bob"):
        services.classes.join(made.join_code, name)
    return made.id


class TestOfAnAccountOutsideAnyClass:
    def test_everything_goes(self, services: Kindling, provider: MemoryProvider) -> None:
        services.accounts.ensure("root", "admin")
        services.accounts.register("eve", PASSWORD, email="eve@example.org")
        handed_in(services, "eve")
        answer(services, "eve")
        assert len(provider.clusters()) == 1
        seen = services.removals.remove("eve", "eve")
        assert (seen.running, seen.attempts, seen.quiz_answers, seen.kept_in) == (["first"], 1, 1, [])
        settle(services)
        assert provider.clusters() == []
        with services.records.read() as tx:
            assert set(tx.scalars(select(User.name))) == {"ada", "root"}
        for table in (Session, Attempt, QuizAnswer, Activity, Membership):
            assert counted(services, table) == 0, table

    def test_name_and_email_are_free_and_bring_nothing_back(self, services: Kindling) -> None:
        old = services.accounts.register("eve", PASSWORD, email="eve@example.org")
        token = services.accounts.login_link("eve")
        handed_in(services, "eve")
        services.removals.remove("eve", None)
        with pytest.raises(Refused):
            services.accounts.sign_in("eve", PASSWORD)
        with pytest.raises(Refused):
            services.accounts.redeem(token)
        assert services.sign_ins.whose(services.sign_ins.begin(old.id)) is None
        new = services.accounts.register("eve", PASSWORD + "!", email="eve@example.org")
        assert services.sessions.all("eve") == []
        assert services.sessions.attempts("eve", "first") == []
        settle(services)
        assert services.accounts.get("eve") == new


class TestOfALearnerOfAClass:
    def test_the_work_stays_with_the_class_under_a_pseudonym(
        self, services: Kindling, school: str, grader: ScriptedGrader
    ) -> None:
        grader.outcomes = {"second": Outcome.FAILED}
        attempt = handed_in(services)
        before = services.reports.class_report("prof", school)
        seen = services.removals.preview("ada")
        assert seen.kept_in == ["Autumn"]
        assert services.removals.remove("ada", "root") == seen
        settle(services)
        after = services.reports.class_report("prof", school)
        old, new = before.rows[0], next(row for row in after.rows if row.removed)
        assert (new.display_name, new.email, new.cells, new.score) == ("Former learner", "", old.cells, old.score)
        assert new.learner.startswith("former-")
        assert "ada" not in class_csv(after)
        report = services.reports.learner_report("prof", new.learner)
        assert [one.id for one in report.attempts] == [attempt.id]
        assert report.attempts[0].checks[0].evidence == [{"seen": "first"}]
        assert attempt.id in learner_csv(report)
        assert services.reports.lab_report("prof", "first", school).attempts == 1

    def test_no_trace_of_the_person_is_left_in_the_records(self, services: Kindling, school: str) -> None:
        services.classes.import_roster(school, "root", "name,email,display_name\nada,,Ada Byron\n")
        with services.records.begin() as tx:
            user = tx.scalars(select(User).where(User.name == "ada")).one()
            user.email, user.display_name = "countess@example.org", "Countess"
        handed_in(services)
        answer(services, "ada")
        services.removals.remove("ada", "ada")
        settle(services)
        with services.records.read() as tx:
            rows = [tuple(row) for table in Base.metadata.sorted_tables for row in tx.execute(select(table))]
        for trace in ("'ada'", "countess@example.org", "Countess"):
            assert trace not in repr(rows)

    def test_who_has_handed_in_nothing_leaves_no_row(self, services: Kindling, school: str) -> None:
        services.removals.remove("ada", "ada")
        settle(services)
        assert [row.learner for row in services.reports.class_report("prof", school).rows] == ["bob"]
        with services.records.read() as tx:
            assert tx.scalar(select(User.id).where(User.deleted_at.is_not(None))) is None

    def test_who_has_left_the_class_takes_nothing_away_from_it_either(self, services: Kindling, school: str) -> None:
        attempt = handed_in(services)
        services.classes.leave(school, "ada")
        services.removals.remove("ada", "ada")
        settle(services)
        assert [row.learner for row in services.reports.class_report("prof", school).rows] == ["bob"]
        assert services.reports.attempt("root", attempt.id).outcome == "passed"
        with pytest.raises(NotFound):
            services.reports.attempt("prof", attempt.id)

    def test_a_pseudonym_is_nobody(self, services: Kindling, school: str) -> None:
        handed_in(services)
        services.removals.remove("ada", "ada")
        settle(services)
        with services.records.read() as tx:
            name = tx.scalars(select(User.name).where(User.deleted_at.is_not(None))).one()
        assert name not in [one.name for one in services.accounts.all()]
        assert name not in [one.name for one in services.classes.members(school, "prof")]
        assert services.classes.class_of(school, "prof").members == 1
        for ask in (
            services.accounts.get,
            services.accounts.login_link,
            services.sessions.all,
            services.removals.preview,
            services.classes.joined,
        ):
            with pytest.raises(NotFound):
                ask(name)
        with pytest.raises(Refused):
            services.accounts.ensure(name)
        with pytest.raises(NotFound):
            services.sessions.start(name, "first")
        with pytest.raises(NotFound):
            services.class_removals.remove_learner(school, "prof", name)


class TestWhoMay:
    @pytest.mark.parametrize(
        ("by", "name", "may"),
        [
            ("ada", "ada", True),
            ("ada", "bob", False),
            ("prof", "ada", False),
            ("prof", "root", False),
            ("root", "ada", True),
            ("root", "prof", True),
            ("root", "second", True),
            (None, "bob", True),
        ],
    )
    def test_oneself_and_admins(self, services: Kindling, school: str, by: str | None, name: str, may: bool) -> None:
        services.accounts.ensure("second", "admin")
        if may:
            services.removals.remove(name, by)
        else:
            with pytest.raises(NotFound):
                services.removals.remove(name, by)
        assert (name in [one.name for one in services.accounts.all()]) is not may

    def test_never_the_last_admin(self, services: Kindling, school: str) -> None:
        for by in ("root", None):
            with pytest.raises(Refused, match="root is the only admin"):
                services.removals.remove("root", by)
        with pytest.raises(Refused, match="only admin"):
            services.accounts.set_role("root", "learner")
        services.accounts.ensure("second", "admin")
        services.accounts.disable("second")
        with pytest.raises(Refused, match="only admin"):  # one that cannot sign in is none
            services.removals.remove("root", "root")
        services.accounts.enable("second")
        services.removals.remove("root", "root")
        with pytest.raises(Refused):
            services.removals.remove("second", "second")

    def test_two_admins_who_remove_each_other_leave_one(self, services: Kindling, school: str) -> None:
        services.accounts.ensure("second", "admin")
        barrier = threading.Barrier(2)

        def go(name: str, by: str) -> None:
            barrier.wait()
            with contextlib.suppress(NotFound, Refused):
                services.removals.remove(name, by)

        pairs = (("root", "second"), ("second", "root"))
        threads = [threading.Thread(target=go, args=pair) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [one.role for one in services.accounts.all()].count("admin") == 1

    def test_an_instructors_classes_stay_for_admins(self, services: Kindling, school: str) -> None:
        assert services.removals.remove("prof", "root").taught == ["Autumn"]
        settle(services)
        assert services.classes.class_of(school, "root").members == 2


class TestMeanwhile:
    def test_while_a_check_runs(self, services: Kindling, school: str, grader: ScriptedGrader) -> None:
        session = up(services)
        attempt = services.sessions.check(session.id, "ada")
        grader.during = lambda check: services.removals.remove("ada", "ada") if check == "second" else None  # type: ignore[func-returns-value,assignment]
        with pytest.raises(NotFound):
            services.sessions.follow(attempt.id, "ada")
        settle(services)
        closed = services.reports.attempt("root", attempt.id)
        assert (closed.state, closed.outcome, closed.counted) == ("done", "ungradable", False)

    def test_while_a_check_of_somebody_in_no_class_runs(
        self, services: Kindling, grader: ScriptedGrader, provider: MemoryProvider
    ) -> None:
        session = up(services)
        attempt = services.sessions.check(session.id, "ada")

        def gone(check: str) -> None:
            if check == "second":
                services.removals.remove("ada", None)
                services.sessions.reconcile()

        grader.during = gone
        with pytest.raises(NotFound):
            services.sessions.follow(attempt.id, "ada")
        settle(services)
        assert counted(services, Attempt) == counted(services, User) == 0
        assert provider.clusters() == []

    def test_while_a_lab_starts(self, make: Make, provider: MemoryProvider) -> None:
        slow = SlowProvider(provider.folder)
        services = make(slow)
        session = services.sessions.start("ada", "first")
        driver = threading.Thread(target=lambda: services.sessions.wait(session.id))
        driver.start()
        assert slow.reached.wait(20)
        services.removals.remove("ada", None)
        slow.go.set()
        driver.join()
        settle(services)
        assert slow.clusters() == []
        assert counted(services, User) == 0

    def test_a_cluster_that_does_not_go_is_not_forgotten(self, make: Make, provider: MemoryProvider) -> None:
        stubborn = StubbornProvider(provider.folder)
        services = make(stubborn)
        up(services)
        services.removals.remove("ada", None)
        settle(services)
        assert counted(services, Session) == 1
        stubborn.stubborn = False
        settle(services)
        assert stubborn.clusters() == []
        assert counted(services, User) == 0

    def test_while_a_learner_joins(self, services: Kindling, school: str) -> None:
        code, barrier = services.classes.class_of(school, "prof").join_code, threading.Barrier(2)

        def join() -> None:
            barrier.wait()
            with contextlib.suppress(NotFound, Refused):
                services.classes.join(code, "ada")

        services.classes.leave(school, "ada")
        joiner = threading.Thread(target=join)
        joiner.start()
        barrier.wait()
        services.class_removals.remove(school, "prof")
        joiner.join()
        assert counted(services, Membership) == 0

    def test_another_process_finishes_it(self, make: Make, provider: MemoryProvider) -> None:
        services = make(provider)
        up(services)
        services.removals.remove("ada", None)  # and is killed
        later = make(provider)
        later.removals.remove("ada", None)  # one that the fixture made
        settle(later)
        assert provider.clusters() == []
        assert counted(later, User) == 0

    def test_half_of_it_never_happens(self, services: Kindling, school: str, monkeypatch: pytest.MonkeyPatch) -> None:
        handed_in(services)
        answer(services, "ada")

        def power_cut(*_: object) -> None:
            raise SystemExit

        monkeypatch.setattr(type(services.removals.rules), "stop_withdrawn", power_cut)
        with pytest.raises(SystemExit):
            services.removals.remove("ada", "ada")
        assert services.accounts.get("ada").name == "ada"
        assert services.sessions.current("ada", "first") is not None
        assert counted(services, QuizAnswer) == 1

    def test_a_lab_that_slipped_in_is_stopped(self, services: Kindling, provider: MemoryProvider) -> None:
        session = up(services)
        services.removals.remove("ada", None)
        with services.records.begin() as tx:  # as another process would, that had looked a moment earlier
            tx.get_one(Session, session.id).desired = "ready"
            tx.get_one(Session, session.id).state = "ready"
        settle(services)
        assert provider.clusters() == []
        assert counted(services, Session) == 0


class TestOfAClass:
    def test_learners_keep_what_is_theirs(self, services: Kindling, school: str) -> None:
        attempt = handed_in(services)
        seen = services.class_removals.preview(school, "prof")
        assert (seen.found.name, seen.learners, seen.forgotten, seen.attempts) == ("Autumn", 2, 0, 0)
        assert services.class_removals.remove(school, "prof") == seen
        settle(services)
        assert services.classes.joined("ada") == []
        assert services.sessions.attempt(attempt.id, "ada").outcome == "passed"
        with pytest.raises(NotFound):
            services.reports.attempt("prof", attempt.id)
        with pytest.raises(NotFound):
            services.class_removals.remove(school, "prof")

    def test_removed_learners_whom_it_alone_kept_are_forgotten(self, services: Kindling, school: str) -> None:
        other = services.classes.create_class("Spring", "prof")
        services.classes.join(other.join_code, "bob")
        for name in ("ada", "bob"):
            handed_in(services, name)
            services.removals.remove(name, name)
        settle(services)
        seen = services.class_removals.remove(school, "root")
        assert (seen.learners, seen.forgotten, seen.attempts) == (0, 1, 1)
        settle(services)
        assert counted(services, Attempt) == 1
        assert len(services.reports.class_report("prof", other.id).rows) == 1

    @pytest.mark.parametrize("who", ["ada", "bob", "other"])
    def test_by_nobody_else(self, services: Kindling, school: str, who: str) -> None:
        services.accounts.ensure("other", "instructor")
        removals = services.class_removals
        for refused in (removals.preview, removals.remove, removals.renew_code, removals.close):
            with pytest.raises(NotFound):
                refused(school, who)
        with pytest.raises(NotFound):
            removals.remove_learner(school, who, "ada")
        assert services.classes.class_of(school, "prof").members == 2


class TestOfAMembership:
    def test_the_instructor_sees_them_no_more_until_they_come_back(self, services: Kindling, school: str) -> None:
        attempt = handed_in(services)
        services.class_removals.remove_learner(school, "prof", "ada")
        assert [row.learner for row in services.reports.class_report("prof", school).rows] == ["bob"]
        for refused in (services.reports.attempt, services.reports.learner_report):
            with pytest.raises(NotFound):
                refused("prof", attempt.id if refused == services.reports.attempt else "ada")
        assert services.classes.joined("ada") == []
        assert services.classes.class_of(school, "prof").members == 1
        assert not services.class_removals.remove_learner(school, "prof", "ada")
        services.classes.join(services.classes.class_of(school, "prof").join_code, "ada")
        assert services.reports.attempt("prof", attempt.id).outcome == "passed"

    def test_a_roster_brings_back_who_was_removed(self, services: Kindling, school: str) -> None:
        services.class_removals.remove_learner(school, "root", "ada")
        (line,) = services.classes.import_roster(school, "root", "name\nada\n")
        assert line.state == "added"
        (line,) = services.classes.import_roster(school, "root", "name\nada\n")
        assert line.state == "unchanged"


class TestOfJoinCodesAndLinks:
    def test_a_new_code_ends_the_old_one(self, services: Kindling, school: str) -> None:
        old = services.classes.class_of(school, "prof").join_code
        new = services.class_removals.renew_code(school, "prof").join_code
        assert new != old
        assert not services.classes.knows_code(old)
        with pytest.raises(Refused, match="no class with this code"):
            services.classes.join(old, "root")
        services.accounts.ensure("eve")
        services.classes.join(new, "eve")

    def test_a_closed_class_has_none_and_opens_with_another(self, services: Kindling, school: str) -> None:
        old = services.classes.class_of(school, "prof").join_code
        assert services.class_removals.close(school, "prof").join_code == ""
        with services.records.read() as tx:
            kept = tx.execute(select(Base.metadata.tables["classes"].c.join_code)).scalar_one()
        for code in (old, kept, ""):
            assert not services.classes.knows_code(code)
            with pytest.raises(Refused):
                services.invitations.enrol("eve", PASSWORD, code=code)
        services.accounts.ensure("stranger", "learner")
        (line,) = services.classes.import_roster(school, "prof", "name\nstranger\n")
        assert line.state == "invited"
        assert "join code" not in line.message
        assert services.class_removals.renew_code(school, "prof").join_code not in ("", old, kept)

    def test_links_end(self, services: Kindling) -> None:
        tokens = [services.accounts.login_link("ada")]
        services.accounts.redeem(tokens[0])
        tokens.append(services.accounts.login_link("ada"))
        assert services.removals.revoke_links("ada") == 1
        for token in tokens:
            with pytest.raises(Refused):
                services.accounts.redeem(token)
        assert services.removals.revoke_links("ada") == 0


class TestExport:
    def exported(self, services: Kindling, name: str) -> dict[str, Any]:
        file = io.StringIO()
        services.export.write(name, file)
        found: dict[str, Any] = json.loads(file.getvalue())
        return found

    def test_everything_that_is_the_persons(self, services: Kindling, school: str, clock: ManualClock) -> None:
        services.accounts.register("eve", PASSWORD, email="eve@example.org", display_name="Eve")
        services.classes.join(services.classes.class_of(school, "prof").join_code, "eve")
        attempt = handed_in(services, "eve")
        services.sessions.hint(attempt.session, "eve")
        answer(services, "eve")
        services.accounts.login_link("eve")
        found = self.exported(services, "eve")
        assert found["account"]["email"] == "eve@example.org"
        assert found["account"]["has_password"] is True
        assert found["memberships"][0]["class"] == "Autumn"
        assert found["labs"][0]["lab"] == "first"
        assert found["labs"][0]["hints_taken"][0]["number"] == 1
        assert found["attempts"][0]["outcome"] == "passed"
        assert found["attempts"][0]["checks"][0]["evidence"] == [{"seen": "first"}]
        assert found["attempts"][0]["cluster_as_it_was"] == {"pods": []}
        assert found["quiz_answers"][0]["question"] == "one"
        assert len(found["login_links"]) == 1
        assert {one["kind"] for one in found["activity"]} >= {"start", "check"}

    def test_of_nobody_else_and_no_secret(self, services: Kindling, school: str) -> None:
        services.accounts.register("eve", PASSWORD)
        services.accounts.login_link("eve")
        handed_in(services, "bob")
        text = json.dumps(self.exported(services, "eve"))
        for other in ("bob", "hash", "argon2", "prof"):
            assert other not in text
        with pytest.raises(NotFound):
            self.exported(services, "nobody")


def test_what_becomes_of_every_table_that_has_an_account() -> None:
    """A new one that does not cascade needs a decision, in :mod:`labs.removal.belongings`."""
    found = {table.name: on_delete for table, _, on_delete in belongings.tables_of_accounts()}
    decided = {name for name, on_delete in found.items() if on_delete == "CASCADE"}
    assert found.keys() - decided == {*belongings.STAYS, "places"}
    assert decided >= {"login_links", "quiz_answers", "identifiers", "provider_grants", *belongings.IN_PART}


def answer(services: Kindling, name: str) -> Account:
    """One answer of a quiz, as the site keeps it."""
    account = services.accounts.get(name)
    with services.records.begin() as tx:
        row = QuizAnswer(user_id=account.id, lesson="a/one", question="one", answer=[0], correct=True)
        row.answered_at = services.sessions.now()
        tx.add(row)
    return account
