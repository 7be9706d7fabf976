"""Single loads that once took a service away from everybody: what of it is left, and what others get meanwhile."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import quantiles

import requests

from simkube.host.settings import ANSWERS
from soak import processes
from soak.attack import attacked
from soak.beside import Neighbours
from soak.client import Api
from soak.members import Target
from soak.members.member import CONFIG_MAPS
from soak.site import Browser
from soak.stage import Stage, mib, percentiles

SECONDS = 12.0
ROOM = 512 << 20
"""Bytes that a host may hold beside what its large answers may keep."""
LEFT = 256 << 20
"""Bytes that may be left of a load that is over: the 54 MB of objects, and what Python keeps for later."""
PASSWORD = "correct horse battery staple of the soak"
CLASS = 100
PAGES_SECONDS = 5.0
BESIDE_PAGES = (("HalfSentPages", "frozen by 110"), ("SlowReaders", ""), ("SignInGuessing", ""), ("LabRestarts", ""))
"""Members, and what became of the site beside them."""


def answers(stage: Stage, seconds: float = SECONDS) -> None:
    """120 listings of 50 MB that nobody reads."""
    report, most = stage.report, int(os.environ.get(ANSWERS, "1024")) << 20
    report.part("Large answers that nobody reads")
    with stage.cluster("first"):
        before = stage.usage().memory
        with stage.cluster("unread") as config:
            with attacked("UnreadListings", Target(config)):
                peak = _peak(stage, seconds)
            left = stage.settled(before + LEFT)
        with stage.cluster("deleted") as config, attacked("UnreadListings", Target(config)):
            time.sleep(seconds / 4)
            stage.host().delete(config.partition("/clusters/")[2].partition('"')[0])
            gone = stage.settled(before + LEFT)
    bound, what = most + ROOM, "120 unread listings of 50 MB: the host's memory"
    report.row(what, mib(peak), reach=f"at most {mib(bound)}", before="7.2 GiB", good=peak <= bound)
    for when, kept in (("the client has left", left - before), ("the cluster has gone", gone - before)):
        reach = f"{mib(LEFT)} more than before"
        report.row(f"... when {when}", mib(kept), reach=reach, before="kept", good=kept <= LEFT)
    report.invariant("unread answers are bounded", peak <= bound, mib(peak))


def _peak(stage: Stage, seconds: float) -> int:
    ends, peak = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        peak = max(peak, stage.usage().memory)
        time.sleep(0.2)
    return peak


def connections(stage: Stage, seconds: float = SECONDS / 2) -> None:
    """As many connections as a member can hold; somebody else needs a new one each time."""
    stage.report.part("Connections that ask nothing, while somebody else needs new ones")
    with stage.cluster("quiet") as quiet, stage.cluster("idle") as config:
        for name in ("IdleConnections", "HalfHandshakes", "HalfSentRequests"):
            with attacked(name, Target(config)):
                time.sleep(seconds / 4)
                times, failed = _anew(quiet, seconds)
            middle, late = percentiles(times)
            now = f"{1000 * middle:.0f} {1000 * late:.0f} ms, {failed} of {len(times)} failed"
            before = "the service ends at 1,141" if name == "IdleConnections" else ""
            what = f"a new connection and a request beside {name} (p50, p99)"
            stage.report.row(what, now, reach="p99 300 ms", before=before, good=late < 0.3 and not failed)
            stage.report.invariant(f"new connections beside {name}", not failed, f"{failed} of {len(times)} failed")


def _anew(kubeconfig: str, seconds: float) -> tuple[list[float], int]:
    ends, times, failed = time.monotonic() + seconds, list[float](), 0
    while time.monotonic() < ends or not times:
        began = time.perf_counter()
        try:
            api = Api(kubeconfig)
            status, _ = api("GET", f"{CONFIG_MAPS}/kube-root-ca.crt")
            api.close()
            failed += status != 200
        except OSError:
            failed += 1
        times.append(time.perf_counter() - began)
        time.sleep(0.02)
    return times, failed


def objects(stage: Stage, seconds: float = SECONDS) -> None:
    """A ConfigMap of 49,000 keys, merged and applied; how long the longest of a neighbour's reads takes."""
    stage.one_worker()
    stage.report.part("One object of 49,000 values")
    with stage.cluster("quiet") as config, Neighbours([config]) as quiet, stage.cluster("huge") as huge:
        alone = max(quiet.reads(50))
        with attacked("HugePatches", Target(huge)):
            ends, pids = time.monotonic() + seconds, processes.below(stage.host_pid())
            waits, worked = list[float](), list[float]()
            while time.monotonic() < ends:
                before = processes.ran(pids)
                waits += quiet.reads(1)
                worked.append(processes.ran(pids) - before)
    now = f"{1000 * max(waits):.0f} ms, {1000 * alone:.0f} ms alone; the host worked {1000 * max(worked):.0f} ms"
    what = "a neighbour waits beside merges and applies of 49,000 keys, longest"
    stage.report.row(what, now, reach="the host works 50 ms", before="2.7 s", good=max(worked) <= 0.05)
    stage.report.invariant("a neighbour beside huge objects is answered", not quiet.failed, quiet.failed)


def site(stage: Stage, seconds: float = SECONDS) -> None:
    """Half-sent requests, unread pages: what others get. And how many pages a second there are."""
    stage.report.part("The site")
    stage.site.start()
    _account(stage, "quiet")
    browser = Browser(stage.site.url)
    browser.sign_in("quiet", PASSWORD)
    for name, before in BESIDE_PAGES:
        with attacked(name, _member(stage)):
            time.sleep(seconds / 6)
            times, failed = _pages(browser, seconds / 3)
        middle, late = percentiles(times)
        now = f"{1000 * middle:.0f} {1000 * late:.0f} ms, {failed} of {len(times)} failed"
        what = f"a page beside {name} (p50, p99)"
        stage.report.row(what, now, reach="p99 1 s", before=before, good=late < 1 and not failed)
        stage.report.invariant(f"pages beside {name}", not failed, f"{failed} of {len(times)} failed")
    with ThreadPoolExecutor(8) as pool:
        took = list(pool.map(lambda _: len(_pages(browser, PAGES_SECONDS, 0)[0]), range(8)))
    stage.report.row("lab pages a second, eight at a time", f"{sum(took) / PAGES_SECONDS:.0f}", before="26")


def _pages(browser: Browser, seconds: float, rest: float = 0.05) -> tuple[list[float], int]:
    ends, times, failed = time.monotonic() + seconds, list[float](), 0
    while time.monotonic() < ends or not times:
        began = time.perf_counter()
        try:
            failed += browser.get("/labs/pods/").status_code != 200
        except requests.RequestException:
            failed += 1
        times.append(time.perf_counter() - began)
        time.sleep(rest)
    return times, failed


def _account(stage: Stage, name: str) -> None:
    stage.kindling.accounts.register(name, PASSWORD)


def _member(stage: Stage) -> Target:
    name = f"member-{time.monotonic_ns()}"
    _account(stage, name)
    return Target(site=stage.site.url, name=name, password=PASSWORD)


def sign_ins(stage: Stage, many: int = CLASS) -> None:
    """A class that signs in at once."""
    stage.report.part(f"{many} sign-ins at once")
    for number in range(many):
        _account(stage, f"learner-{number}")
    stage.site.start()
    assert stage.site.process is not None
    pid = stage.site.process.pid
    before = processes.usage(pid).memory

    def one(number: int) -> tuple[int, float]:
        browser = Browser(stage.site.url)
        browser.get("/sign-in")
        began = time.perf_counter()
        status = browser.sign_in(f"learner-{number}", PASSWORD)
        return status, time.perf_counter() - began

    peak = 0
    with ThreadPoolExecutor(many) as pool:
        running = [pool.submit(one, number) for number in range(many)]
        while not all(each.done() for each in running):
            peak = max(peak, processes.usage(pid).memory)
            time.sleep(0.1)
    done = [each.result() for each in running]
    late = quantiles([seconds for _, seconds in done], n=20, method="inclusive")[18]
    refused = [status for status, _ in done if status != 200]
    report = stage.report
    report.row("from the form to the page, p95", f"{late:.1f} s", reach="3 s", before="30 s", good=late <= 3)
    more = peak - before
    report.row("memory that the site takes more", mib(more), reach=mib(ROOM), before="2 GiB", good=more < ROOM)
    report.invariant("everybody who knows their password signs in", not refused, refused[:5])


def streams(stage: Stage, seconds: float = SECONDS / 2) -> None:
    """One learner opens all the live pages they can; another one needs one."""
    report = stage.report
    report.part("Live pages")
    stage.site.start()
    _account(stage, "quiet")
    browser = Browser(stage.site.url)
    browser.sign_in("quiet", PASSWORD)
    with attacked("LivePages", _member(stage)):
        time.sleep(seconds)
        page = browser.session.get(f"{stage.site.url}/labs/pods/events", stream=True, timeout=30)
        first = next(page.iter_lines(), b"")
    now = f"{page.status_code}, {first.decode()!r}"
    good = page.status_code == 200 and bool(first)
    what, before = "a live page beside a learner who opens 64 and more", "503: one had all 64"
    report.row(what, now, reach="200", before=before, good=good)
    report.invariant("a live page for each learner", good, now)
