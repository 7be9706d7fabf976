"""``kindling up``: one site for a home, whose address links have."""

from __future__ import annotations

import os
import re
import socket
import sys

import pytest

from labs.bootstrap import bootstrap
from labs.errors import Refused
from labs.locks import Locks
from labs.settings import load
from tests.unit.labs.cli.conftest import Command


class TestSite:
    def test_a_home_has_one_site_and_the_second_says_where(self, kindling: Command) -> None:
        locks = Locks(kindling.home / "locks")
        with locks.hold("site"):
            locks.write("site", b"4711 http://127.0.0.1:8000")
            assert kindling("up", "--port", "0") == 1
        assert "up for this home already at http://127.0.0.1:8000 (process 4711)" in kindling.err
        assert "another home: KINDLING_HOME=DIRECTORY kindling up" in kindling.err
        assert "or with kill 4711" in kindling.err
        assert "  try: kindling user link" in kindling.err

    def test_one_that_ended_leaves_nothing_that_would_keep_the_next_away(
        self, kindling: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said: list[bytes] = []
        locks = Locks(kindling.home / "locks")
        monkeypatch.setattr("webapp.front.server.serve", lambda *_: said.append(locks.content("site")))
        for _ in range(2):
            assert kindling("up", "--port", "0") == 0
            assert "Sign in, once:  http://127.0.0.1:" in kindling.out
        assert [one.partition(b" ")[0] for one in said] == [str(os.getpid()).encode()] * 2
        assert not locks.held("site")

    def test_what_is_not_installed_is_said_before_it_is_announced(
        self, kindling: Command, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "uvicorn", None)
        monkeypatch.delitem(sys.modules, "webapp.front.server", raising=False)
        said = "the site cannot run: the Python package uvicorn is not installed"
        assert kindling("up", "--port", "0") == 1
        assert kindling.out == ""
        assert kindling.err.startswith(f"kindling: {said}\n  try: pip install")
        assert kindling("doctor") == 1
        assert f"✗ kindling: site: {said}\n    pip install" in kindling.out

    def test_a_taken_port_is_a_sentence(self, kindling: Command) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            assert kindling("up", "--port", str(port)) == 1
        assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in kindling.err
        assert f"try: kindling up --port {port + 1}" in kindling.err


class TestLinksOfTheSiteThatIsUp:
    @pytest.mark.parametrize("command", [("reset", "bob"), ("link", "bob"), ("link",)])
    def test_they_have_its_address(self, kindling: Command, command: tuple[str, ...]) -> None:
        services = bootstrap(load())
        services.accounts.ensure("bob")
        services.close()
        locks = Locks(kindling.home / "locks")
        with locks.hold("site"):
            locks.write("site", b"4711 http://127.0.0.1:8537")
            assert kindling("user", *command) == 0
        assert re.search(r"^http://127\.0\.0\.1:8537/(login|reset)/\S+$", kindling.out, re.MULTILINE)
        assert "not up" not in kindling.out

    def test_a_new_one_signs_in_and_ends_the_older(self, kindling: Command) -> None:
        services = bootstrap(load())
        older = services.accounts.login_link(services.accounts.local().name)
        assert kindling("user", "link") == 0
        token = re.search(r"/login/(\S+)", kindling.out)
        assert token
        with pytest.raises(Refused):
            services.accounts.redeem(older)
        assert services.accounts.redeem(token[1]).role == "admin"
        services.close()

    def test_an_email_is_freed(self, kindling: Command) -> None:
        services = bootstrap(load())
        services.accounts.register("mallory", "a longer phrase", email="bob@school.example")
        assert kindling("user", "free-email", "mallory") == 0
        assert services.accounts.find("bob@school.example") is None
        services.close()
        assert kindling("user", "free-email", "mallory") == 1
        assert "mallory has no email" in kindling.err

    def test_of_nobody(self, kindling: Command) -> None:
        assert kindling("user", "link", "nobody") == 1
        assert "there is no account 'nobody'" in kindling.err


def test_a_link_for_a_new_password(kindling: Command) -> None:
    services = bootstrap(load())
    services.accounts.register("tom", "a longer phrase")
    assert kindling("user", "reset", "tom") == 0
    assert "not up; start it: kindling up" in kindling.out
    token = re.search(r"http://127\.0\.0\.1:8000/reset/(\S+)", kindling.out)
    assert token
    assert services.resets.use(token[1], "an even longer phrase").name == "tom"
    services.close()
    assert kindling("user", "reset", "nobody") == 1
    assert "there is no account" in kindling.err
