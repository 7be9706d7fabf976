"""Members who attack the site."""

from __future__ import annotations

import socket
import time
from typing import Any

import requests

from soak.members.connections import Holding
from soak.members.member import Member, Target
from soak.site import Browser

HALF = 300
PAGES = 64
LAB = "pods"


def _address(target: Target) -> tuple[str, int]:
    host, _, port = target.site.removeprefix("http://").partition(":")
    return host, int(port)


class OfSite(Member):
    """Asks the site, signed in as themselves, and no cluster."""

    def run(self) -> None:
        browser = self.browser()
        while not self.ending.is_set():
            try:
                self.ask(browser)
            except (OSError, requests.RequestException):
                self.ending.wait(0.05)

    def browser(self) -> Browser:
        """A signed-in one."""
        made = Browser(self.target.site, 30)
        made.sign_in(self.target.name, self.target.password)
        return made

    def ask(self, browser: Browser) -> None:
        """Do it once more."""
        raise NotImplementedError


class HoldingSite(Holding):
    """Holds connections to the site."""

    most = HALF

    def run(self) -> None:
        while not self.ending.is_set():
            try:
                self.act(None)
            except OSError:
                self.ending.wait(0.05)


class HalfSentPages(HoldingSite):
    """begins requests to the site and never ends them: in their heads, in their bodies"""

    def open(self, api: Any) -> socket.socket:
        opened = socket.create_connection(_address(self.target), 10)
        head = b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
        form = b"Content-Type: application/x-www-form-urlencoded\r\n\r\na"
        opened.sendall(head if len(self.held) % 2 else head + form)
        return opened


class SlowReaders(HoldingSite):
    """asks for pages and does not read them"""

    def open(self, api: Any) -> socket.socket:
        opened = socket.create_connection(_address(self.target), 10)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        opened.sendall(b"GET /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 50)
        return opened


class LivePages(OfSite):
    """opens a live page after the other and closes none"""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.held: list[requests.Response] = []

    def ask(self, browser: Browser) -> None:
        page = browser.session.get(f"{self.target.site}/labs/{LAB}/events", stream=True, timeout=30)
        if page.status_code == 200:
            self.held.append(page)
        else:
            self.ending.wait(0.05)


class SignInGuessing(OfSite):
    """guesses passwords of others"""

    def browser(self) -> Browser:
        return Browser(self.target.site, 30)

    def ask(self, browser: Browser) -> None:
        browser.sign_in("quiet", f"guess-{time.monotonic_ns()}")


class LabRestarts(OfSite):
    """starts, resets and stops their lab in a loop, without waiting"""

    threads = 2

    def ask(self, browser: Browser) -> None:
        page = f"/labs/{LAB}/"
        browser.post(f"{page}start", page, provider="simulated")
        found = browser.get(page).text.partition("/sessions/")[2].partition("/")[0]
        for what in ("reset", "check", "stop"):
            browser.post(f"/sessions/{found}/{what}", page)
