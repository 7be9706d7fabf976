"""A site of its own and a browser, for tests that use both as people do.

The site is what ``kindling up`` starts, with an empty home; the browser is Debian's Chromium.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from labs import settings
from labs.clusters.registry import Providers
from tests.conftest import unavailable

KINDLING = Path(sys.executable).parent / "kindling"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_SECONDS = 60.0
STOP_SECONDS = 30.0


@dataclass(frozen=True)
class RunningSite:
    """``link`` signs in the local account, once. ``home`` is its KINDLING_HOME."""

    url: str
    link: str
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to work on the same home."""
        return {**os.environ, "KINDLING_HOME": str(self.home)}

    def kindling(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command beside the site."""
        return subprocess.run(
            [KINDLING, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """``kindling up`` on a free port, from nothing."""
    home = tmp_path_factory.mktemp("home")
    environment = {**os.environ, "KINDLING_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [KINDLING, "up", "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        link = _wait_for_link(process)
        yield RunningSite(link.partition("/login/")[0], link, home)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        finally:
            process.kill()
            assert process.stdout is not None
            process.stdout.close()
            made = Providers(settings.load({**environment, "KINDLING_PROVIDERS": "simulated"}))
            made.get("simulated").shutdown()  # type: ignore[attr-defined]  # the host is the simulated provider's alone


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; skipped with the reason where there is none, except in CI."""
    if not shutil.which(CHROMIUM):
        unavailable(f"no Chromium at {CHROMIUM}; apt-get install chromium, or name it in CHROMIUM")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens a page in a visitor's context of its own. At the end nothing may have been complained about in its console
    (a blocked script or style, an error of ours) but what the site answers on purpose."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def complain(text: str) -> None:
        if "Failed to load resource" not in text:
            complaints.append(text)

    def opened(width: int = 1440, height: int = 900, **options: object) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda said: complain(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complain(str(error)))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: KINDLING_SCREENSHOTS, or away with the test's other files."""
    named = os.environ.get("KINDLING_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _wait_for_link(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    lines: SimpleQueue[str] = SimpleQueue()
    output = process.stdout
    threading.Thread(target=lambda: [lines.put(line) for line in output], daemon=True).start()
    said = ""
    while process.poll() is None or not lines.empty():
        try:
            said += lines.get(timeout=START_SECONDS)
        except Empty:
            break
        found = re.search(r"https?://\S+/login/[\w-]+", said)
        if found:
            return found.group()
    pytest.fail(f"the site did not print a link within {START_SECONDS:g} s:\n{said}")
