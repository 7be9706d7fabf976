"""A provider that gives power over the machine: offered to whom it is open, refused to others on every way in."""

from __future__ import annotations

from pathlib import Path

import pytest

from labs.bootstrap import Kindling
from tests.doubles.providers import MemoryProvider, PrivilegedProvider
from tests.unit.labs.conftest import Make
from tests.unit.webapp.conftest import Enter, Visitor, text_of


@pytest.fixture
def services(make: Make, provider: MemoryProvider, tmp_path: Path) -> Kindling:
    """``memory`` is for everybody, ``other`` gives power over the machine."""
    return make(provider, other=PrivilegedProvider(tmp_path / "real"))


def choices(visitor: Visitor) -> list[str]:
    page = visitor.get("/labs/first/").get_data(as_text=True)
    return [name for name in ("memory", "other") if f'name="provider" value="{name}"' in page]


@pytest.mark.parametrize("role", ["learner", "instructor"])
def test_it_is_neither_offered_nor_given(enter: Enter, services: Kindling, role: str) -> None:
    someone = enter("someone", role)
    assert choices(someone) == ["memory"]
    answer = someone.post("/labs/first/start", {"provider": "other"})
    assert answer.status_code == 403
    assert "power over the whole machine" in text_of(answer)
    assert "kindling start first --on memory" in text_of(answer)
    told = someone.send("/labs/first/start", {"provider": "other"}).json
    assert told is not None
    assert "Start first on memory instead" in told["error"]
    assert services.sessions.current("someone", "first") is None


def test_an_admin_opens_it_to_a_class_and_closes_it(enter: Enter, services: Kindling) -> None:
    services.accounts.ensure("prof", "instructor")
    school = services.classes.create_class("Autumn", "prof")
    services.classes.join(school.join_code, "ada")
    root, ada = enter("root", "admin"), enter("ada")
    assert choices(root) == ["memory", "other"]
    assert "Only admins" in text_of(root.get("/access/"))
    answer = root.post("/access/", {"provider": "other", "who": f"class:{school.id}"}, follow_redirects=True)
    assert "the class Autumn may start labs on other" in text_of(answer)
    assert choices(ada) == ["memory", "other"]
    assert ada.post("/labs/first/start", {"provider": "other"}).status_code == 302
    session = services.sessions.current("ada", "first")
    assert session is not None
    (grant,) = services.grants.all()
    root.post(f"/access/{grant.id}/revoke")
    services.sessions.wait(session.id)
    assert services.sessions.view(session.id, "ada").state == "stopped"
    assert "you may not use other any more" in text_of(ada.get("/labs/first/"))
    assert choices(ada) == ["memory"]


def test_a_role_and_an_account_can_be_let_in(enter: Enter, services: Kindling) -> None:
    root = enter("root", "admin")
    root.post("/access/", {"provider": "other", "who": "role:instructor"})
    root.post("/access/", {"provider": "other", "who": "account:", "account": " ada "})
    assert [one.shown for one in services.grants.all()] == ["ada", "every instructor"]
    assert root.post("/access/", {"provider": "other", "who": "account:", "account": "nobody"}).status_code == 404
    assert root.post("/access/", {"provider": "memory", "who": "role:learner"}).status_code == 403
    assert root.post("/access/", {"provider": "cloud", "who": "role:learner"}).status_code == 404
    assert root.post("/access/", {"provider": "other", "who": "moon"}).status_code == 403


def test_only_admins_let_in(enter: Enter, visitor: Visitor, services: Kindling) -> None:
    """An instructor must not be able to give power over the machine, also not to a class of their own."""
    services.accounts.ensure("prof", "instructor")
    school = services.classes.create_class("Autumn", "prof")
    grant = services.grants.allow("other", "account", "ada")
    for someone in (enter("prof", "instructor"), enter("ada")):
        assert someone.get("/access/").status_code == 404
        assert someone.post("/access/", {"provider": "other", "who": f"class:{school.id}"}).status_code == 404
        assert someone.post(f"/access/{grant.id}/revoke").status_code == 404
    assert visitor.get("/access/").status_code == 302
    assert visitor.post("/access/", {"provider": "other", "who": "role:learner"}).status_code == 302
    assert services.grants.all() == [grant]
