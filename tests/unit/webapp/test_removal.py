"""Pages that take something away: they say what goes, ask whether one is sure, and do it for who may."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from labs.bootstrap import Kindling
from labs.errors import NotFound, Refused
from labs.records.models import Attempt, User
from tests.unit.webapp.conftest import Enter, Visitor, text_of

PASSWORD = "correct horse battery"


@pytest.fixture
def school(services: Kindling) -> str:
    """A class of prof's with ada, who has a password and has handed in, and dina, who came by a roster."""
    services.accounts.ensure("prof", "instructor")
    services.accounts.ensure("root", "admin")
    made = services.classes.create_class("Autumn", "prof")
    services.accounts.set_password("ada", PASSWORD)
    services.classes.join(made.join_code, "ada")
    services.classes.import_roster(made.id, "prof", "name\ndina\n")
    session = services.sessions.wait(services.sessions.start("ada", "first").id)
    services.sessions.follow(services.sessions.check(session.id, "ada").id, "ada")
    return made.id


def accounts(services: Kindling) -> set[str]:
    return {one.name for one in services.accounts.all()}


def settle(services: Kindling) -> None:
    services.sessions.reconcile()
    services.sessions.reconcile()


class TestOnesOwnAccount:
    def test_it_says_what_goes_and_what_stays(self, enter: Enter, school: str) -> None:
        said = text_of(enter("ada").get("/profile/delete"))
        assert "Running labs with their clusters: first" in said
        assert "Your 1 attempt, with Autumn, under a number and no name" in said
        assert "It cannot be taken back" in said
        assert "Delete your account" in text_of(enter("ada").get("/profile"))

    @pytest.mark.parametrize(
        ("fields", "why"),
        [
            ({}, "type your name, ada"),
            ({"name": "ada"}, "The name or the password is wrong"),
            ({"name": "ada", "password": "wrong password"}, "The name or the password is wrong"),
            ({"name": "dina", "password": PASSWORD}, "type your name, ada"),
        ],
    )
    def test_not_without_name_and_password(
        self, enter: Enter, services: Kindling, school: str, fields: dict[str, object], why: str
    ) -> None:
        ada = enter("ada")
        refused = ada.post("/profile/delete", fields)
        assert refused.status_code == 422
        assert why in text_of(refused)
        assert "ada" in accounts(services)

    def test_who_has_no_password_sets_one_first(self, enter: Enter, services: Kindling, school: str) -> None:
        dina = enter("dina")
        assert "set a password first" in text_of(dina.get("/profile/delete"))
        assert "Set a password first" in text_of(
            dina.post("/profile/delete", {"name": "dina", "password": ""}, follow_redirects=True)
        )
        assert "dina" in accounts(services)

    def test_deleted_signed_out_everywhere_and_labs_gone(self, enter: Enter, services: Kindling, school: str) -> None:
        ada, elsewhere = enter("ada"), enter("ada")
        assert elsewhere.get("/labs/first/state", headers={"Accept": "application/json"}).status_code == 200
        answer = ada.post("/profile/delete", {"name": "ada", "password": PASSWORD}, follow_redirects=True)
        assert "Your account is deleted" in text_of(answer)
        assert "ada" not in accounts(services)
        for browser in (ada, elsewhere):
            assert browser.get("/profile").location.startswith("/sign-in")
        assert elsewhere.get("/labs/first/state", headers={"Accept": "application/json"}).status_code == 401
        assert elsewhere.get("/labs/first/events", headers={"Accept": "text/event-stream"}).status_code == 401
        settle(services)
        report = text_of(enter("prof", "instructor").get(f"/classes/{school}/"))
        assert "Former learner" in report
        assert "account deleted" in report
        assert "Former learner has not" not in report
        assert " ada " not in report

    def test_a_live_page_ends(self, enter: Enter, services: Kindling, school: str) -> None:
        """What keeps a page up to date asks whether it may go on, and is told that it may not."""
        from webapp.streams import HANDOVER

        takers: list[object] = []
        ada = enter("ada")
        answer = ada.get("/labs/first/events", environ_overrides={HANDOVER: takers})
        assert answer.status_code == 200
        (page,) = takers
        assert page.allowed()  # type: ignore[attr-defined]
        services.removals.remove("ada", None)
        assert not page.allowed()  # type: ignore[attr-defined]
        assert page.look() is None  # type: ignore[attr-defined]
        page.close()  # type: ignore[attr-defined]

    def test_the_last_admin_stays(self, enter: Enter, services: Kindling, school: str) -> None:
        services.accounts.set_password("root", PASSWORD)
        root = enter("root", "admin")
        said = text_of(root.post("/profile/delete", {"name": "root", "password": PASSWORD}, follow_redirects=True))
        assert "root is the only admin" in said
        assert "root" in accounts(services)


class TestData:
    def test_as_a_file_of_ones_own(self, enter: Enter, school: str) -> None:
        answer = enter("ada").post("/profile/export")
        assert answer.headers["Content-Disposition"] == 'attachment; filename="kindling-data.json"'
        found = answer.get_json()
        assert found["account"]["name"] == "ada"
        assert found["attempts"][0]["checks"][0]["evidence"] == [{"seen": "first"}]
        assert "argon2" not in answer.get_data(as_text=True)

    def test_an_admin_may_have_it_for_somebody(self, enter: Enter, school: str) -> None:
        answer = enter("root", "admin").post("/accounts/ada/export")
        assert answer.get_json()["account"]["name"] == "ada"
        assert enter("prof", "instructor").post("/accounts/ada/export").status_code == 404

    def test_not_again_and_again(self, enter: Enter, school: str) -> None:
        ada = enter("ada")
        answers = [ada.post("/profile/export") for _ in range(6)]
        assert all(answer.get_data() for answer in answers)
        assert answers[0].status_code == 200
        assert answers[-1].status_code == 429


class TestOfOthersByAnAdmin:
    def test_asked_then_done(self, enter: Enter, services: Kindling, school: str) -> None:
        root = enter("root", "admin")
        assert "Their name, email and password" in text_of(root.get("/accounts/ada/delete"))
        wrong = root.post("/accounts/ada/delete", {"name": "prof"})
        assert wrong.status_code == 422
        assert "type the account's name, ada" in text_of(wrong)
        done = root.post("/accounts/ada/delete", {"name": "ada"}, follow_redirects=True)
        assert "The account ada is deleted" in text_of(done)
        assert "ada" not in accounts(services)
        assert root.get("/accounts/ada/delete").status_code == 404
        assert root.post("/accounts/ada/delete", {"name": "ada"}).status_code == 404

    def test_not_oneself_past_the_password(self, enter: Enter, services: Kindling, school: str) -> None:
        services.accounts.ensure("second", "admin")
        root = enter("root", "admin")
        for answer in (root.get("/accounts/root/delete"), root.post("/accounts/root/delete", {"name": "root"})):
            assert answer.location == "/profile/delete"
        assert "root" in accounts(services)

    def test_a_link_ends(self, enter: Enter, services: Kindling, visitor: Visitor) -> None:
        services.accounts.ensure("ada")
        token = services.accounts.login_link("ada")
        root = enter("root", "admin")
        assert "does not work any more" in text_of(root.post("/accounts/ada/links/revoke", follow_redirects=True))
        assert "has no sign-in link" in text_of(root.post("/accounts/ada/links/revoke", follow_redirects=True))
        assert visitor.get(f"/login/{token}").status_code == 403


class TestOfAClass:
    def test_join_code(self, enter: Enter, services: Kindling, school: str) -> None:
        prof, old = enter("prof", "instructor"), services.classes.class_of(school, "prof").join_code
        prof.post(f"/classes/{school}/manage/code/renew")
        new = services.classes.class_of(school, "prof").join_code
        assert new != old
        assert new in text_of(prof.get(f"/classes/{school}/manage"))
        prof.post(f"/classes/{school}/manage/code/close")
        for page in (f"/classes/{school}/manage", f"/classes/{school}/", "/classes/", f"/classes/{school}/roster"):
            said = text_of(prof.get(page))
            assert old not in said
            assert new not in said
        assert "closed" in text_of(prof.get(f"/classes/{school}/manage"))
        eve = enter("eve")
        refused = eve.post("/join", {"code": new})
        assert refused.status_code == 422
        assert "no class with this code" in text_of(refused)

    def test_a_learner_is_taken_out(self, enter: Enter, services: Kindling, school: str) -> None:
        prof = enter("prof", "instructor")
        address = f"/classes/{school}/manage/learners/ada/remove"
        assert "what they handed in stay theirs" in text_of(prof.get(address))
        assert "ada is not in the class any more" in text_of(prof.post(address, follow_redirects=True))
        assert "ada is not in the class" in text_of(prof.post(address, follow_redirects=True))
        assert prof.get(address).status_code == 404
        assert [one.name for one in services.classes.members(school, "prof")] == ["dina"]
        assert len(services.sessions.attempts("ada", "first")) == 1

    def test_a_sign_in_link_ends(self, enter: Enter, services: Kindling, school: str) -> None:
        prof, token = enter("prof", "instructor"), services.accounts.login_link("dina")
        prof.post(f"/classes/{school}/manage/learners/dina/links/revoke")
        with pytest.raises(Refused):
            services.accounts.redeem(token)
        mine = services.accounts.login_link("ada")
        assert prof.post(f"/classes/{school}/manage/learners/ada/links/revoke").status_code == 403
        assert services.accounts.redeem(mine).name == "ada"
        assert prof.post(f"/classes/{school}/manage/learners/root/links/revoke").status_code == 404

    def test_the_class(self, enter: Enter, services: Kindling, school: str) -> None:
        prof = enter("prof", "instructor")
        said = text_of(prof.get(f"/classes/{school}/manage/delete"))
        assert "2 memberships" in said
        assert "Learners keep their accounts" in said
        wrong = prof.post(f"/classes/{school}/manage/delete", {"name": "Spring"})
        assert wrong.status_code == 422
        assert "type the name of the class, Autumn" in text_of(wrong)
        assert services.classes.class_of(school, "prof").members == 2
        done = prof.post(f"/classes/{school}/manage/delete", {"name": " Autumn "}, follow_redirects=True)
        assert "Autumn is deleted" in text_of(done)
        with pytest.raises(NotFound):
            services.classes.class_of(school, "root")
        assert prof.get(f"/classes/{school}/").status_code == 404
        assert {"ada", "dina"} <= accounts(services)

    def test_former_learners_work_is_named_before_it_goes(self, enter: Enter, services: Kindling, school: str) -> None:
        services.removals.remove("ada", None)
        settle(services)
        prof = enter("prof", "instructor")
        assert "1 attempt of 1 former learner whose account is deleted" in text_of(
            prof.get(f"/classes/{school}/manage/delete")
        )
        prof.post(f"/classes/{school}/manage/delete", {"name": "Autumn"})
        settle(services)
        with services.records.read() as tx:
            assert tx.scalars(select(Attempt)).all() == []
            assert tx.scalars(select(User).where(User.deleted_at.is_not(None))).all() == []
