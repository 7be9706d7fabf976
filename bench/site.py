"""A class of a hundred at the site: pages, half-sent requests, sign-ins at once, live pages; and what came before it.

Before it: one process of gunicorn with 96 threads, which can still be started. The clients run in this process, on the
same processors, so all figures are of both together.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import aiohttp

from bench.simulated import cpu_seconds, resident
from bench.table import heading, row
from labs import settings
from labs.bootstrap import bootstrap
from tests import postgresql
from tests.served import MAIN, free_port

LEARNERS = 100
PASSWORD = "nine boats and a lantern"  # of accounts that are gone in a minute
PAGES = ("/", "/labs/", "/labs/pods/", "/labs/pods/state", "/profile")
AT_ONCE, REQUESTS = 32, 800
HALF_SENT = 400
LIVE_OF_EACH = 5
SECONDS = 10.0
GIVEN_UP = 10.0
"""Seconds after which a page that does not come is counted as lost."""


PATIENT = aiohttp.ClientTimeout(total=None)


@dataclass
class Site:
    """A site under load, and who is signed in there."""

    base: str
    process: subprocess.Popen[bytes]
    cookies: list[str] = field(default_factory=list)

    @property
    def pids(self) -> list[int]:
        """The first process and those it started."""
        first = self.process.pid
        listed = Path(f"/proc/{first}/task/{first}/children").read_text()
        return [first, *map(int, listed.split())]

    def memory(self) -> float:
        """MiB that are resident in all of them; what they share is counted in each."""
        return sum(map(resident, self.pids)) / 2**20

    def processor(self) -> float:
        """Seconds of processor time so far."""
        return sum(map(cpu_seconds, self.pids))


def run(home: Path) -> None:
    """All of it, on SQLite and, where it can be had, on PostgreSQL."""
    measure("gthread, 1 process, 96 threads, SQLite", home / "before", {}, before=True)
    for workers in ("1", "2"):
        measure(f"KINDLING_WORKERS={workers}, SQLite", home / f"with-{workers}", {"KINDLING_WORKERS": workers})
    if why := postgresql.missing():
        print(f"PostgreSQL is not measured: {why}")
        return
    with postgresql.server() as url:
        chosen = {"KINDLING_WORKERS": "2", "KINDLING_DATABASE_URL": url}
        measure("KINDLING_WORKERS=2, PostgreSQL", home / "on-postgresql", chosen)


def measure(title: str, home: Path, chosen: dict[str, str], *, before: bool = False) -> None:
    """Every load on one arrangement."""
    heading(title)
    environment = {**os.environ, **chosen, "KINDLING_HOME": str(home), "KINDLING_PROVIDERS": "simulated"}
    links = accounts(environment)
    with started(environment, before=before) as site:
        asyncio.run(loads(site, links, before=before))


async def loads(site: Site, links: list[str], *, before: bool) -> None:
    """One after the other."""
    async with browser(site, aiohttp.DummyCookieJar()) as client:
        for link in links:
            async with client.get(link, allow_redirects=False) as answer:
                site.cookies.append(answer.headers["Set-Cookie"].partition(";")[0])
        await pages(site, client, "pages")
        await sign_ins(site)
        if not before:
            await live(site, client)
        with half_sent(site):
            await pages(site, client, f"pages, beside {HALF_SENT} half-sent requests")


async def pages(site: Site, client: aiohttp.ClientSession, what: str) -> None:
    """Common pages, by learners in turn; so many at once."""
    took: list[float] = []
    lost = 0
    numbers = iter(range(REQUESTS))

    async def learner() -> None:
        nonlocal lost
        for number in numbers:
            if lost > AT_ONCE:
                return
            cookie = {"Cookie": site.cookies[number % LEARNERS]}
            began = time.perf_counter()
            try:
                async with client.get(PAGES[number % len(PAGES)], headers=cookie, allow_redirects=False) as answer:
                    await answer.read()
                    lost += answer.status != 200
            except (TimeoutError, aiohttp.ClientError):
                lost += 1
            took.append(time.perf_counter() - began)

    began, used = time.perf_counter(), site.processor()
    await asyncio.gather(*(learner() for _ in range(AT_ONCE)))
    seconds = time.perf_counter() - began
    cut = quantiles(took, n=20)
    figures = f"{len(took) / seconds:.0f}/s, {cut[9] * 1000:.0f} {cut[18] * 1000:.0f} ms, {lost} lost"
    row(f"{what}: rate, p50 p95", figures)
    row("processor time of each", f"{(site.processor() - used) / len(took) * 1000:.1f} ms")


async def sign_ins(site: Site) -> None:
    """Everybody at once, each from a browser of their own at one address; the form is open already."""
    most = site.memory()
    began = most

    refused: list[bool] = []

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, site.memory())
            await asyncio.sleep(0.05)

    async def one(number: int, ready: asyncio.Event) -> float:
        async with browser(site) as client:
            async with client.get("/sign-in") as answer:
                token = re.search(r'name="csrf-token" content="([^"]+)"', await answer.text())
                assert token is not None
            await ready.wait()
            began = time.perf_counter()
            form = {"csrf_token": token[1], "name": f"learner-{number}", "password": PASSWORD}
            async with client.post("/sign-in", data=form, allow_redirects=False, timeout=PATIENT) as answer:
                await answer.read()
                refused.append(answer.status != 302)
            return time.perf_counter() - began

    watching, ready = asyncio.ensure_future(watch()), asyncio.Event()
    tasks = [asyncio.ensure_future(one(number, ready)) for number in range(LEARNERS)]
    await asyncio.sleep(SECONDS)  # until all forms are open
    used = site.processor()
    ready.set()
    took = await asyncio.gather(*tasks)
    watching.cancel()
    cut = quantiles(took, n=20)
    row(
        f"{LEARNERS} sign-ins at once: p50 p95",
        f"{cut[9]:.1f} {cut[18]:.1f} s, {sum(refused)} refused",
        "p95 3 s, none",
    )
    row("processor time of each", f"{(site.processor() - used) / LEARNERS * 1000:.1f} ms", "60 ms on two cores")
    row("memory of all processes beyond before", f"{most - began:.0f} MiB")


async def live(site: Site, client: aiohttp.ClientSession) -> None:
    """Open lab pages of all learners, of which nothing changes."""
    memory = site.memory()
    opened = []
    for cookie in site.cookies * LIVE_OF_EACH:
        answer = await client.get("/labs/pods/events", headers={"Cookie": cookie}, timeout=PATIENT)
        if answer.status != 200:
            raise RuntimeError(f"a live page was answered {answer.status}")
        await answer.content.readuntil(b"event: change\n")
        opened.append(answer)
    used = site.processor()
    await asyncio.sleep(SECONDS)
    share = (site.processor() - used) / SECONDS
    row(f"{len(opened)} live pages: memory, processor", f"{site.memory() - memory:.0f} MiB, {share:.1%} of one")
    await pages(site, client, f"pages, beside {len(opened)} live ones")
    for answer in opened:
        answer.close()


@contextmanager
def half_sent(site: Site) -> Iterator[None]:
    """Requests whose head does not come to its end, from another address of this machine."""
    host, _, port = site.base.removeprefix("http://").partition(":")
    sent = []
    for _ in range(HALF_SENT):
        one = socket.create_connection((host, int(port)), source_address=("127.0.0.2", 0), timeout=5)
        one.sendall(b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\nX-Half: ")
        sent.append(one)
    try:
        yield
    finally:
        for one in sent:
            one.close()


@asynccontextmanager
async def browser(site: Site, jar: aiohttp.abc.AbstractCookieJar | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody who gives up after a while; many, where ``jar`` keeps none of their cookies."""
    connector, patience = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None, sock_read=GIVEN_UP)
    if jar is None:
        jar = aiohttp.CookieJar(unsafe=True)  # for an address in place of a name
    async with aiohttp.ClientSession(site.base, connector=connector, timeout=patience, cookie_jar=jar) as made:
        yield made


def accounts(environment: dict[str, str]) -> list[str]:
    """The learners, with a password; links that sign them in."""
    services = bootstrap(settings.load(environment))
    try:
        made = [services.accounts.register(f"learner-{number}", PASSWORD) for number in range(LEARNERS)]
        return [f"/login/{services.accounts.login_link(account.name)}" for account in made]
    finally:
        services.close()


@contextmanager
def started(environment: dict[str, str], *, before: bool) -> Iterator[Site]:
    """The site, until the end."""
    port = free_port()
    up = ["-c", MAIN.format(port=port)]
    gthread = ["-m", "gunicorn", "-b", f"127.0.0.1:{port}", "-k", "gthread", "--threads", "96", "--timeout", "0"]
    command = [*gthread, "--log-level", "error", "webapp:create_app()"] if before else up
    process = subprocess.Popen([sys.executable, *command], env=environment, stdout=subprocess.DEVNULL)
    try:
        while True:
            with socket.socket() as tried:
                if not tried.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.1)
        yield Site(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.wait(timeout=60)
