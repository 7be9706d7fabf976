"""Who may use kind, and what is taken away: accounts, links, classes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from labs.bootstrap import bootstrap
from labs.clusters import registry
from labs.settings import load
from tests.doubles.providers import PrivilegedProvider
from tests.unit.labs.cli.conftest import Command


class TestAccess:
    """kind is for whoever owns the machine, and for those whom the command lets in."""

    @pytest.fixture(autouse=True)
    def real(self, kindling: Command, tmp_path: Path) -> PrivilegedProvider:
        made = PrivilegedProvider(tmp_path / "real")
        registry.MAKERS["kind"] = lambda _: made  # type: ignore[index]  # a dict, put there by the fixture above
        return made

    def test_who_sits_at_the_machine_may_use_kind(self, kindling: Command) -> None:
        assert kindling("start", "first", "--on", "kind") == 0
        assert kindling("reset", "first") == 0

    def test_another_learner_may_not_until_let_in(self, kindling: Command) -> None:
        assert kindling("start", "first", "--on", "kind", "--learner", "bob") == 1
        assert "power over the whole machine" in kindling.err
        assert "kindling start first --learner bob --on simulated" in kindling.err
        assert kindling("access", "allow", "kind", "--account", "bob") == 0
        assert "bob may start labs on kind" in kindling.out
        assert kindling("start", "first", "--on", "kind", "--learner", "bob") == 0
        assert kindling("access") == 0
        assert "kind: admins, 4 clusters at most; 1 of anybody else" in kindling.out
        assert re.search(r"kind +bob", kindling.out)
        assert kindling("access", "revoke", "kind", "--account", "bob") == 0
        assert kindling("status", "--learner", "bob") == 0
        assert "No lab has been started" in kindling.out
        assert kindling("access", "revoke", "kind", "--account", "bob") == 1
        assert "there is no such grant" in kindling.err

    def test_a_class_by_its_name_and_a_role(self, kindling: Command) -> None:
        assert kindling("access", "allow", "kind", "--class", "none") == 1
        assert "there is no one class 'none'" in kindling.err
        assert kindling("access", "allow", "kind") == 2
        assert "say one of --role, --class and --account" in kindling.err
        assert kindling("access", "allow", "kind", "--role", "learner") == 0
        assert kindling("start", "first", "--on", "kind", "--learner", "eve") == 0


class TestTakingAway:
    """What the pages take away, the command does as well."""

    @pytest.fixture(autouse=True)
    def school(self, kindling: Command) -> str:
        """The id of a class with bob in it, who has handed in."""
        services = bootstrap(load())
        services.accounts.local()
        services.accounts.ensure("prof", "instructor")
        services.accounts.ensure("bob")
        made = services.classes.create_class("Autumn", "prof")
        services.classes.join(made.join_code, "bob")
        services.close()
        assert kindling("start", "first", "--learner", "bob") == 0
        assert kindling("check", "first", "--learner", "bob") == 0
        return made.id

    def test_an_account(self, kindling: Command, tmp_path: Path) -> None:
        assert kindling("user", "list") == 0
        assert re.search(r"bob +learner", kindling.out)
        assert kindling("user", "export", "bob", "--to", str(tmp_path / "bob.json")) == 0
        assert json.loads((tmp_path / "bob.json").read_text())["attempts"][0]["outcome"] == "passed"
        assert kindling("user", "export", "bob") == 0
        assert json.loads(kindling.out)["account"]["name"] == "bob"
        assert kindling("user", "delete", "bob") == 2
        assert "say --yes if you are sure" in kindling.err
        assert kindling("user", "delete", "bob", "--yes") == 0
        assert "stopped, with their clusters: first" in kindling.out
        assert "attempts that stay under a number: 1, with Autumn" in kindling.out
        assert kindling.provider.clusters() == []
        assert kindling("user", "delete", "bob", "--yes") == 1
        assert "there is no account 'bob'" in kindling.err
        assert kindling("report", "--class", "Autumn") == 0
        assert re.search(r"former-[0-9a-f]{8} .* 10/10 ", kindling.out)

    def test_the_only_admin_stays(self, kindling: Command) -> None:
        assert kindling("user", "delete", "ada", "--yes") == 1
        assert "ada is the only admin" in kindling.err

    def test_no_file_for_nobody(self, kindling: Command, tmp_path: Path) -> None:
        assert kindling("user", "export", "nobody", "--to", str(tmp_path / "x.json")) == 1
        assert not (tmp_path / "x.json").exists()

    def test_links(self, kindling: Command) -> None:
        assert kindling("user", "unlink", "bob") == 0
        assert "bob has no sign-in link." in kindling.out
        services = bootstrap(load())
        services.accounts.login_link("bob")
        services.close()
        assert kindling("user", "unlink", "bob") == 0
        assert "bob has no sign-in link any more." in kindling.out

    def test_a_class(self, kindling: Command, school: str) -> None:
        assert kindling("class", "list") == 0
        code = kindling.out.split()[-2]
        assert kindling("class", "code", "Autumn") == 0
        assert code not in kindling.out
        assert kindling("class", "code", school, "--close") == 0
        assert kindling("class", "list") == 0
        assert "closed" in kindling.out
        assert kindling("class", "remove", "Autumn", "bob") == 0
        assert kindling("class", "remove", "Autumn", "bob") == 1
        assert "bob is no learner of Autumn" in kindling.err
        assert kindling("class", "delete", "Autumn") == 2
        assert kindling("class", "delete", "Autumn", "--yes") == 0
        assert "The class Autumn is deleted" in kindling.out
        assert kindling("class", "delete", "Autumn", "--yes") == 1
        assert kindling("report", "--learner", "bob") == 0
        assert "10/10" in kindling.out
