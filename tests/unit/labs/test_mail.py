"""Mail over SMTP: what a server on this machine gets, and what is refused without encryption."""

from __future__ import annotations

import smtplib
import socketserver
import threading
from collections.abc import Iterator

import pytest

from labs.errors import SettingsError
from labs.mail import Mailer
from labs.settings import load


class Server(socketserver.TCPServer):
    """Takes one message and keeps what it was told."""

    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.told: list[str] = []
        self.port = self.server_address[1]


class Conversation(socketserver.StreamRequestHandler):
    """Enough of SMTP, without STARTTLS."""

    server: Server

    def handle(self) -> None:
        self.say("220 here")
        data = False
        for raw in self.rfile:
            line = raw.decode().rstrip("\r\n")
            self.server.told.append(line)
            if data and line != ".":
                continue
            data = line.upper() == "DATA"
            if line.lower() == "quit":
                self.say("221 bye")
                return
            self.say("354 go on" if data else "250 good")

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.handle_request)
        thread.start()
        yield made
        thread.join()


def test_a_message(server: Server) -> None:
    mailer = Mailer(f"smtp://127.0.0.1:{server.port}", "Kindling <kindling@example.org>")
    mailer.send("tom@example.org", "A new password", "Set it here:\nhttps://k.example/reset/x\n")
    assert "mail FROM:<kindling@example.org>" in " ".join(server.told).replace("MAIL", "mail")
    assert "Subject: A new password" in server.told
    assert "To: tom@example.org" in server.told
    assert "https://k.example/reset/x" in server.told


def test_elsewhere_only_encrypted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labs.mail.is_loopback", lambda _: False)
    with pytest.raises(smtplib.SMTPNotSupportedError, match="STARTTLS"):
        Mailer(f"smtp://user:secret@127.0.0.1:{server.port}", "k@x.org").send("a@x.org", "s", "t")
    assert not any("secret" in line or "AUTH" in line.upper() for line in server.told)


@pytest.mark.parametrize("address", ["a@x.org\r\nBcc: all@x.org", "a@x.org\n\nbody"])
def test_no_header_is_smuggled_in(address: str) -> None:
    with pytest.raises(ValueError, match="linefeed or carriage return"):
        Mailer("smtp://127.0.0.1:1", "k@x.org").send(address, "s", "t")


GOOD = {
    "KINDLING_SMTP_URL": "smtps://user:p%40ss@mail.example:465",
    "KINDLING_MAIL_FROM": "k@example.org",
    "KINDLING_PUBLIC_URL": "https://k.example",
}


def test_settings(tmp_path: object) -> None:
    home = {"KINDLING_HOME": str(tmp_path)}
    assert load(home | GOOD).smtp_url == GOOD["KINDLING_SMTP_URL"]
    assert "p%40ss" not in repr(load(home | GOOD))
    for left_out in ("KINDLING_MAIL_FROM", "KINDLING_PUBLIC_URL"):
        with pytest.raises(SettingsError, match=left_out):
            load(home | GOOD | {left_out: ""})
    for wrong in ("mail.example", "http://mail.example", "smtp://", "smtp://mail.example:x"):
        with pytest.raises(SettingsError, match="expected smtps://") as caught:
            load(home | GOOD | {"KINDLING_SMTP_URL": wrong})
        assert "@ss" not in str(caught.value)
