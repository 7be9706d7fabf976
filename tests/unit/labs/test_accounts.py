"""Accounts, links, classes, rosters: who gets in, and who does not."""

from __future__ import annotations

import pytest

from labs.accounts import local_name
from labs.bootstrap import Kindling
from labs.errors import Malformed, NotFound, Refused
from labs.records.models import LoginLink, User
from tests.doubles.providers import ManualClock

PASSWORD = "correct horse battery"


class TestPasswords:
    def test_in_by_name_or_email(self, services: Kindling) -> None:
        services.accounts.register("grace", PASSWORD, email="Grace@Example.org")
        assert services.accounts.sign_in("grace", PASSWORD).email == "grace@example.org"
        assert services.accounts.sign_in("GRACE@example.org", PASSWORD).name == "grace"

    def test_one_sentence_for_every_wrong(self, services: Kindling) -> None:
        services.accounts.register("grace", PASSWORD)
        for name, password in (("grace", "wrong"), ("nobody", PASSWORD), ("ada", ""), ("grace", "x" * 100_000)):
            with pytest.raises(Refused, match=r"^The name or the password is wrong\.$"):
                services.accounts.sign_in(name, password)

    def test_kept_as_argon2_only(self, services: Kindling) -> None:
        account = services.accounts.register("grace", PASSWORD)
        with services.records.read() as tx:
            kept = tx.get_one(User, account.id).password_hash
        assert kept is not None
        assert kept.startswith("$argon2id$")

    def test_too_short_taken_or_odd(self, services: Kindling) -> None:
        accounts = services.accounts
        accounts.register("grace", PASSWORD, email="g@example.org")
        for name, password, email, said in (
            ("grace", PASSWORD, "", "taken"),
            ("other", PASSWORD, "g@example.org", "already has an account"),
            ("other", "short", "", "at least 8"),
            ("a b", PASSWORD, "", "A name to sign in with has"),
            ("<script>", PASSWORD, "", "A name to sign in with has"),
            ("x" * 65, PASSWORD, "", "A name to sign in with has"),
            ("other", PASSWORD, "not an email", "not an email"),
        ):
            with pytest.raises(Refused, match=said):
                accounts.register(name, password, email=email)

    def test_changed(self, services: Kindling) -> None:
        services.accounts.register("grace", PASSWORD)
        services.accounts.set_password("grace", "another long one")
        with pytest.raises(Refused):
            services.accounts.sign_in("grace", PASSWORD)
        assert services.accounts.sign_in("grace", "another long one").has_password


class TestLinks:
    def test_once(self, services: Kindling) -> None:
        token = services.accounts.login_link("ada")
        assert services.accounts.redeem(token).name == "ada"
        with pytest.raises(Refused, match="used or has expired"):
            services.accounts.redeem(token)

    def test_not_late_and_not_guessed(self, services: Kindling, clock: ManualClock) -> None:
        token = services.accounts.login_link("ada", minutes=15)
        with pytest.raises(Refused):
            services.accounts.redeem(token[:-1] + ("A" if token[-1] != "A" else "B"))
        clock.pass_time(minutes=16)
        with pytest.raises(Refused):
            services.accounts.redeem(token)

    def test_only_a_hash_is_kept(self, services: Kindling) -> None:
        token = services.accounts.login_link("ada")
        with services.records.read() as tx:
            kept = tx.query(LoginLink).one()
        assert token not in (kept.token_hash, str(vars(kept)))


class TestClasses:
    @pytest.fixture(autouse=True)
    def people(self, services: Kindling) -> None:
        services.accounts.ensure("prof", role="instructor")
        services.accounts.ensure("other-prof", role="instructor")
        services.accounts.ensure("root", role="admin")

    def test_joined_by_code_as_people_type_it(self, services: Kindling) -> None:
        school = services.classes.create_class("First  term", "prof")
        typed = f" {school.join_code[:4].lower()}-{school.join_code[4:].lower()} "
        assert services.classes.knows_code(typed)
        services.classes.join(typed, "ada")
        services.classes.join(typed, "ada")
        assert [one.name for one in services.classes.members(school.id, "prof")] == ["ada"]
        assert services.classes.joined("ada")[0].join_code == ""
        assert services.classes.taught_by("prof")[0].members == 1
        with pytest.raises(Refused, match="no class with this code"):
            services.classes.join("NOSUCH22", "ada")

    def test_seen_by_who_teaches_it(self, services: Kindling) -> None:
        school = services.classes.create_class("First", "prof")
        assert services.classes.class_of(school.id, "root").name == "First"
        for name in ("other-prof", "ada"):
            with pytest.raises(NotFound):
                services.classes.class_of(school.id, name)
            with pytest.raises(NotFound):
                services.classes.members(school.id, name)
            with pytest.raises(NotFound):
                services.classes.import_roster(school.id, name, "name\nx\n")
            assert services.classes.taught_by(name) == []

    def test_a_learner_opens_none(self, services: Kindling) -> None:
        with pytest.raises(Refused):
            services.classes.create_class("Mine", "ada")

    def test_left(self, services: Kindling) -> None:
        school = services.classes.create_class("First", "prof")
        services.classes.join(school.join_code, "ada")
        services.classes.leave(school.id, "ada")
        services.classes.leave(school.id, "prof")
        assert services.classes.members(school.id, "prof") == []
        assert services.classes.class_of(school.id, "prof").name == "First"

    def test_roster(self, services: Kindling) -> None:
        school = services.classes.create_class("First", "prof")
        text = (
            "\N{ZERO WIDTH NO-BREAK SPACE}Name;E-Mail;Full name\r\n"
            'bob;bob@example.org;"Bob; the builder"\r\n'
            "\r\n"
            "ada;;\r\n"
            ";only@example.org;\r\n"
            "<b>x</b>;x@example.org;\r\n"
            ";;Nobody\r\n"
            "bob;bob@example.org;\r\n"
        )
        lines = services.classes.import_roster(school.id, "prof", text)
        assert [(one.line, one.name, one.state) for one in lines] == [
            (2, "bob", "created"),
            (4, "ada", "invited"),
            (5, "only", "created"),
            (6, "<b>x</b>", "refused"),
            (7, "", "refused"),
            (8, "bob", "unchanged"),
        ]
        assert services.accounts.get("bob").display_name == "Bob; the builder"

    @pytest.mark.parametrize(
        ("line", "name", "shown"),
        [
            ("Ada Lovelace,a.lovelace@school.example,", "a.lovelace", "Ada Lovelace"),
            ("Ada Lovelace,a.lovelace@school.example,Countess", "a.lovelace", "Countess"),
            ("Émile d'Arc,bob@school.example,", "bob@school.example", "Émile d'Arc"),  # bob is somebody else
            ("The Admin,admin@school.example,", "admin@school.example", "The Admin"),
        ],
    )
    def test_a_full_name_is_shown_and_the_email_signs_in(
        self, services: Kindling, line: str, name: str, shown: str
    ) -> None:
        services.accounts.ensure("bob")
        school = services.classes.create_class("First", "prof")
        text = f"name,email,display_name\n{line}\n"
        for state in ("created", "unchanged"):
            (made,) = services.classes.import_roster(school.id, "prof", text)
            assert made.state == state, made.message
        (learner,) = services.classes.members(school.id, "prof")
        assert (learner.name, learner.display_name) == (name, shown)

    def test_a_full_name_alone_is_refused_with_what_to_do(self, services: Kindling) -> None:
        school = services.classes.create_class("First", "prof")
        (line,) = services.classes.import_roster(school.id, "prof", "name\nAda Lovelace\n")
        assert (line.state, line.name) == ("refused", "Ada Lovelace")
        assert "give an email beside it" in line.message
        assert "display_name" in line.message

    def test_names_of_who_runs_the_site_are_kept_for_them(self, services: Kindling) -> None:
        school = services.classes.create_class("First", "prof")
        for name in ("admin", "Instructor", "kindling", "ro\N{CYRILLIC SMALL LETTER O}t"):
            with pytest.raises(Refused, match=r"kept for those who run this site|is taken"):
                services.invitations.enrol(name, PASSWORD, code=school.join_code)
        text = "name\nteacher\n"
        assert services.classes.import_roster(school.id, "prof", text)[0].message.endswith("who run this site")
        assert services.classes.import_roster(school.id, "root", text)[0].state == "created"
        assert services.accounts.make("support", "instructor").name == "support"

    def test_lists_are_in_order_without_case(self, services: Kindling) -> None:
        school = services.classes.create_class("b", "prof")
        services.classes.create_class("C", "prof")
        services.classes.create_class("A", "prof")
        services.classes.import_roster(school.id, "prof", "name\nCyd\nanna\nBob2\nÉmile\nfred\n")
        wanted = ["anna", "Bob2", "Cyd", "Émile", "fred"]
        assert [one.name for one in services.classes.members(school.id, "prof")] == wanted
        assert [one.name for one in services.accounts.all() if one.name in wanted] == wanted
        assert [row.learner for row in services.reports.class_report("prof", school.id).rows] == wanted
        assert [one.name for one in services.classes.taught_by("prof")] == ["A", "b", "C"]

    def test_roster_shows_nobodys_learner_to_another_instructor(self, services: Kindling) -> None:
        session = services.sessions.wait(services.sessions.start("ada", "first").id)
        attempt = services.sessions.follow(services.sessions.check(session.id, "ada").id, "ada").id
        school = services.classes.create_class("First", "prof")
        line = services.classes.import_roster(school.id, "prof", "name\nada\n")[0]
        assert line.state == "invited"
        assert school.join_code in line.message
        assert services.classes.members(school.id, "prof") == []
        with pytest.raises(NotFound):
            services.reports.attempt("prof", attempt)
        with pytest.raises(NotFound):
            services.reports.learner_report("prof", "ada")
        services.classes.join(school.join_code, "ada")
        assert services.reports.attempt("prof", attempt).learner == "ada"
        second = services.classes.create_class("Second", "prof")
        assert services.classes.import_roster(second.id, "prof", "name\nada\n")[0].state == "added"

    def test_an_admin_may_enter_anybody(self, services: Kindling) -> None:
        school = services.classes.create_class("First", "root")
        assert services.classes.import_roster(school.id, "root", "name\nada\n")[0].state == "added"

    def test_roster_takes_over_no_account(self, services: Kindling) -> None:
        first = services.classes.create_class("Before", "root")
        services.classes.import_roster(first.id, "root", "name,email\ncarol,carol@here.org\n")
        school = services.classes.create_class("First", "prof")
        lines = services.classes.import_roster(school.id, "prof", "name,email\ncarol,carol@elsewhere.org\n")
        assert (lines[0].state, lines[0].message) == ("refused", "the name carol has another email")
        made = services.classes.import_roster(school.id, "prof", "email\ncarol@elsewhere.org\n")[0]
        assert (made.name, made.state) == ("carol@elsewhere.org", "created")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "line 1: expected a header line with a column name or email"),
            ("a,b\n1,2\n", "expected a header line"),
            ('name\n"unclosed', "expected CSV"),
            ("name\n" + "x" * 1024 * 1024, "at most 1024 KiB"),
        ],
    )
    def test_no_roster(self, services: Kindling, text: str, said: str) -> None:
        school = services.classes.create_class("First", "prof")
        with pytest.raises(Malformed, match=said):
            services.classes.import_roster(school.id, "prof", text)


def test_local_name_is_an_account_name(monkeypatch: pytest.MonkeyPatch, services: Kindling) -> None:
    for given, name in (("ada", "ada"), ("Jane Doe", "JaneDoe"), ("_svc$", "svc"), ("///", "learner")):
        monkeypatch.setenv("KINDLING_LEARNER", given)
        assert local_name() == name
        assert services.accounts.local().name == name
