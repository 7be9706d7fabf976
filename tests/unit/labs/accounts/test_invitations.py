"""Who becomes the learner of a roster's line: whom the roster made, or who shows the invitation. No name does it."""

from __future__ import annotations

import pytest

from labs.accounts import ClassInfo
from labs.bootstrap import Kindling
from labs.errors import NotFound, Refused
from labs.records.models import Identifier, Place
from tests.doubles.providers import ManualClock
from tests.unit.labs.accounts.test_identifiers import at_once

PASSWORD = "correct horse battery"


@pytest.fixture
def school(services: Kindling) -> ClassInfo:
    services.accounts.ensure("prof", role="instructor")
    services.accounts.ensure("other-prof", role="instructor")
    services.accounts.ensure("root", role="admin")
    return services.classes.create_class("First", "prof")


def states(services: Kindling, school: ClassInfo, text: str, by: str = "prof") -> list[str]:
    return [line.state for line in services.classes.import_roster(school.id, by, text)]


def members(services: Kindling, school: ClassInfo) -> list[str]:
    return [one.name for one in services.classes.members(school.id, "prof")]


@pytest.mark.parametrize(
    ("name", "email"),
    [("mallory", "vera@school.org"), ("vera", ""), ("VERA", "m@x.org"), ("vera@school.org", "vera@school.org")],
)
@pytest.mark.parametrize("by", ["prof", "root"])
def test_a_claimed_name_or_email_takes_no_place(
    services: Kindling, school: ClassInfo, name: str, email: str, by: str
) -> None:
    """Nor where the instructor knows the account already, from another class or from this one."""
    services.invitations.enrol(name, PASSWORD, email=email, code=school.join_code)
    second = services.classes.create_class("Second", "prof")
    line = "name,email\nvera,vera@school.org\n"
    assert states(services, second, line, by) == ["invited"]
    assert states(services, school, line, by) == ["invited"]
    assert members(services, second) == []
    (waiting,) = services.invitations.waiting(second.id, "prof")
    assert (waiting.name, waiting.email) == ("vera", "vera@school.org")


def test_nobody_registers_as_somebody_of_a_roster(services: Kindling, school: ClassInfo) -> None:
    assert states(services, school, "name,email\nvera,vera@school.org\n") == ["created"]
    for name, email in (("vera", ""), ("Verа", ""), ("m", "VERA@school.org"), ("vera@school.org", "vera@school.org")):
        with pytest.raises(Refused, match=r"taken|already has an account"):
            services.invitations.enrol(name, PASSWORD, email=email, code=school.join_code)
    assert members(services, school) == ["vera"]


def test_the_invitation_makes_a_new_account_the_learner(services: Kindling, school: ClassInfo) -> None:
    services.accounts.register("vera", PASSWORD)
    states(services, school, "name,email\nvera,vera@school.org\n")
    (place,) = services.invitations.waiting(school.id, "prof")
    shown, token = services.invitations.invite(school.id, "prof", place.id)
    assert services.invitations.shown(token) == shown == place
    account, joined = services.invitations.enrol("real-vera", PASSWORD, invitation=token)
    assert (account.email, joined.id, joined.join_code) == ("vera@school.org", school.id, "")
    assert members(services, school) == ["real-vera"]
    assert services.invitations.waiting(school.id, "prof") == []
    assert states(services, school, "name,email\nvera,vera@school.org\n") == ["unchanged"]
    second = services.classes.create_class("Second", "prof")
    assert states(services, second, "email\nvera@school.org\n") == ["added"]
    assert members(services, second) == ["real-vera"]


def test_the_invitation_shows_that_an_account_is_rightly_called_so(services: Kindling, school: ClassInfo) -> None:
    services.accounts.register("vera", PASSWORD, email="vera@school.org")
    states(services, school, "name,email\nvera,vera@school.org\n")
    (place,) = services.invitations.waiting(school.id, "prof")
    _, token = services.invitations.invite(school.id, "prof", place.id)
    assert services.invitations.accept(token, "vera").name == "First"
    with services.records.read() as tx:
        assert all(tx.get_one(Identifier, key).proven for key in ("vera", "vera@school.org"))
    second = services.classes.create_class("Second", "prof")
    assert states(services, second, "name,email\nvera,vera@school.org\n") == ["added"]


def test_an_invitation_proves_nothing_else_of_an_account(services: Kindling, school: ClassInfo) -> None:
    """mallory, invited as mallory, is not vera because of an email she gave herself."""
    services.accounts.register("mallory", PASSWORD, email="vera@school.org")
    states(services, school, "name\nmallory\n")
    (place,) = services.invitations.waiting(school.id, "prof")
    services.invitations.accept(services.invitations.invite(school.id, "prof", place.id)[1], "mallory")
    assert states(services, school, "email\nvera@school.org\n") == ["invited"]


def test_once_not_late_not_guessed_and_the_newest_only(
    services: Kindling, school: ClassInfo, clock: ManualClock
) -> None:
    services.accounts.register("vera", PASSWORD)
    states(services, school, "name\nvera\n")
    (place,) = services.invitations.waiting(school.id, "prof")
    _, older = services.invitations.invite(school.id, "prof", place.id)
    _, token = services.invitations.invite(school.id, "prof", place.id)
    for wrong in (older, token[:-1], "", "None"):
        with pytest.raises(Refused, match="used or has expired"):
            services.invitations.accept(wrong, "ada")
    with services.records.read() as tx:
        assert token not in str(vars(tx.get_one(Place, place.id)))
    clock.pass_time(days=8)
    with pytest.raises(Refused):
        services.invitations.shown(token)
    _, token = services.invitations.invite(school.id, "prof", place.id)
    services.invitations.accept(token, "vera")
    for use in (lambda: services.invitations.accept(token, "ada"), lambda: services.invitations.shown(token)):
        with pytest.raises(Refused):
            use()
    with pytest.raises(Refused):
        services.invitations.enrol("new", PASSWORD, invitation=token)
    with pytest.raises(NotFound):
        services.accounts.get("new")  # no account without its place
    assert members(services, school) == ["vera"]


def test_of_many_at_once_one_takes_the_place(services: Kindling, school: ClassInfo) -> None:
    services.accounts.register("vera", PASSWORD)
    states(services, school, "name\nvera\n")
    (place,) = services.invitations.waiting(school.id, "prof")
    _, token = services.invitations.invite(school.id, "prof", place.id)
    names = [services.accounts.ensure(f"one{number}").name for number in range(5)]
    done = at_once(*(lambda name=name: services.invitations.accept(token, name) for name in names))
    assert sum(isinstance(one, ClassInfo) for one in done) == 1
    assert len(members(services, school)) == 1


def test_only_who_teaches_the_class_sees_and_invites(services: Kindling, school: ClassInfo) -> None:
    services.accounts.register("vera", PASSWORD)
    states(services, school, "name\nvera\n")
    (place,) = services.invitations.waiting(school.id, "root")
    theirs = services.classes.create_class("Theirs", "other-prof")
    for name, class_id in (("other-prof", school.id), ("vera", school.id), ("other-prof", theirs.id)):
        with pytest.raises(NotFound):
            services.invitations.invite(class_id, name, place.id)
    services.invitations.dismiss(theirs.id, "other-prof", place.id)
    assert services.invitations.waiting(school.id, "prof") == [place]
    services.invitations.dismiss(school.id, "prof", place.id)
    assert services.invitations.waiting(school.id, "prof") == []


def test_a_name_that_is_an_address_must_be_ones_own(services: Kindling, school: ClassInfo) -> None:
    with pytest.raises(Refused, match="looks like an email address"):
        services.invitations.enrol("vera@school.org", PASSWORD, email="m@x.org", code=school.join_code)
    made, _ = services.invitations.enrol("m@x.org", PASSWORD, email="M@x.org", code=school.join_code)
    assert made.name == "m@x.org"


def test_who_left_by_themselves_is_invited_again(services: Kindling, school: ClassInfo) -> None:
    services.accounts.register("vera", PASSWORD)
    states(services, school, "name\nvera\n")
    (place,) = services.invitations.waiting(school.id, "prof")
    services.invitations.accept(services.invitations.invite(school.id, "prof", place.id)[1], "vera")
    services.classes.leave(school.id, "vera")
    assert states(services, school, "name\nvera\n") == ["invited"]
    assert len(services.invitations.waiting(school.id, "prof")) == 1


def test_an_email_that_somebody_else_gave_is_freed(services: Kindling, school: ClassInfo) -> None:
    services.invitations.enrol("mallory", PASSWORD, email="bob@school.example", code=school.join_code)
    assert states(services, school, "email\nbob@school.example\n") == ["invited"]
    (place,) = services.invitations.waiting(school.id, "prof")
    _, token = services.invitations.invite(school.id, "prof", place.id)
    with pytest.raises(Refused, match=r"leave the email out, or ask whoever runs this site to free it"):
        services.invitations.enrol("bob", PASSWORD, email="bob@school.example", invitation=token)
    mailed = services.resets.by_mail("mallory")
    assert mailed
    assert services.accounts.free_email("mallory") == "bob@school.example"
    with pytest.raises(Refused):
        services.resets.shown(mailed[1])
    account, _ = services.invitations.enrol("bob", PASSWORD, email="bob@school.example", invitation=token)
    assert services.accounts.sign_in("bob@school.example", PASSWORD).id == account.id
    assert services.accounts.sign_in("mallory", PASSWORD).email == ""
    with pytest.raises(Refused, match="has no email"):
        services.accounts.free_email("mallory")


def test_an_email_that_is_the_name_goes_with_the_account_only(services: Kindling, school: ClassInfo) -> None:
    services.invitations.enrol("bob@x.org", PASSWORD, email="bob@x.org", code=school.join_code)
    with pytest.raises(Refused, match="only deleting the account"):
        services.accounts.free_email("bob@x.org")


def test_who_leaves_the_taken_email_out_gets_in(services: Kindling, school: ClassInfo) -> None:
    services.invitations.enrol("mallory", PASSWORD, email="bob@school.example", code=school.join_code)
    states(services, school, "email\nbob@school.example\n")
    (place,) = services.invitations.waiting(school.id, "prof")
    _, token = services.invitations.invite(school.id, "prof", place.id)
    services.invitations.enrol("bob", PASSWORD, invitation=token)
    assert members(services, school) == ["bob", "mallory"]
