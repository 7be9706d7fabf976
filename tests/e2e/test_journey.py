"""The whole journey, by browser and kubectl: from the one-time link to the instructor's report."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from labs import settings
from labs.library import Library
from labs.parameters import seed_of
from labs.replay import carry_out, choose
from tests.e2e import accessibility
from tests.e2e.conftest import OpenPage, RunningSite

pytestmark = pytest.mark.browser

GRADING_MS = 180_000
PASSWORD = "a longer phrase for tests"


@pytest.fixture(scope="module")
def join_code(site: RunningSite, browser: object) -> str:
    """A class, opened by who signs in with the link of this machine."""
    assert browser  # first, so that a missing browser is a skip
    context = browser.new_context()  # type: ignore[attr-defined]  # a Browser
    page = context.new_page()
    page.goto(site.link)
    expect(page).to_have_url(f"{site.url}/")
    page.get_by_role("link", name="Classes").click()
    page.get_by_label("Name of the class").fill("Autumn class")
    page.get_by_role("button", name="Open").click()
    code = page.locator(".join-code code").inner_text()
    context.storage_state(path=site.home / "instructor.json")
    context.close()
    return str(code)


@pytest.fixture
def instructor(open_page: OpenPage, site: RunningSite, join_code: str) -> Page:
    """Somebody who teaches the class."""
    assert join_code
    return open_page(storage_state=site.home / "instructor.json")


def enrol(page: Page, site: RunningSite, code: str, name: str) -> None:
    """Make an account with the join code."""
    page.goto(f"{site.url}/register?code={code}")
    page.get_by_label("Name to sign in with").fill(name)
    page.get_by_label("Your name").fill(f"{name.title()} Tester")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make the account and join").click()
    expect(page.get_by_role("status").filter(has_text="Welcome")).to_be_visible()


def test_from_lesson_to_report(
    site: RunningSite, open_page: OpenPage, instructor: Page, join_code: str, tmp_path: Path, pictures: Path
) -> None:
    page = open_page()
    enrol(page, site, join_code, "ada")
    answer_a_quiz(page)
    start_lab(page, site, "pods")
    page.screenshot(path=pictures / "lab-ready.png")

    page.get_by_role("button", name="Check", exact=True).click()
    results = page.locator("#results")
    expect(results.get_by_text("Not yet", exact=True)).to_be_visible(timeout=GRADING_MS)
    expect(results.locator(".check.failed dt").filter(has_text="Expected").first).to_be_visible()
    expect(results.locator(".check.failed dt").filter(has_text="Observed").first).to_be_visible()
    page.screenshot(path=pictures / "lab-failed.png")

    page.locator("#hints").get_by_role("button").first.click()
    expect(page.locator("#hints li ol li").first).to_be_visible()

    with page.expect_download() as download:
        page.get_by_text("Or with your own kubectl").click()
        page.get_by_role("link", name="kubeconfig").click()
    kubeconfig = tmp_path / "kubeconfig"
    download.value.save_as(kubeconfig)
    solve(site, "pods", "ada", kubeconfig)

    page.get_by_role("button", name="Check again").click()
    expect(results.get_by_text("Everything holds")).to_be_visible(timeout=GRADING_MS)
    expect(results.locator(".check.passed")).to_have_count(4)
    page.screenshot(path=pictures / "lab-passed.png")
    said = site.kindling("status", "--learner", "ada")
    assert "pods" in said.stdout, said

    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Reset").click()
    expect(page.locator("#cluster .state")).to_contain_text("Resetting")
    expect(page.locator("#cluster .state")).to_contain_text("Ready", timeout=60_000)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#cluster .state")).to_contain_text("Stopped", timeout=60_000)

    page.get_by_role("link", name="All attempts").click()
    expect(page.get_by_role("row")).to_have_count(3)
    see_report(instructor, site, pictures)


def answer_a_quiz(page: Page) -> None:
    """Read the first lesson, answer wrong, then right; the answer is kept."""
    page.get_by_role("link", name=re.compile("^Begin")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You say what, not how")
    question = page.locator(".question").first
    question.get_by_role("radio").nth(0).check()
    question.get_by_role("button", name="Answer").click()
    expect(question.locator(".verdict")).to_contain_text("Not yet")
    expect(question.locator(".because")).to_contain_text("Not yet. No pod need exist")
    question.get_by_role("radio").nth(1).check()
    question.get_by_role("button", name="Answer").click()
    expect(question.locator(".verdict")).to_have_text("Right.")
    page.reload()
    expect(page.locator(".question").first.locator(".verdict")).to_have_text("Right.")


def start_lab(page: Page, site: RunningSite, lab: str) -> None:
    """Start it on a simulated cluster and see the steps."""
    page.goto(f"{site.url}/labs/{lab}/")
    page.get_by_role("radio", name="Simulated cluster").check()
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#cluster .state")).to_contain_text("Ready", timeout=60_000)
    expect(page.get_by_text(f"kindling shell {lab}")).to_be_visible()


def solve(site: RunningSite, lab: str, learner: str, kubeconfig: Path) -> None:
    """Bring the cluster to the lab's solved state with kubectl, as its author wrote it down."""
    found = settings.load(site.environment)
    definition = Library(found.catalogs).get(lab)
    values = definition.parameters_for(seed_of(learner, lab))
    (state,) = choose(definition, "solved")
    carry_out(definition, state, values, kubeconfig.read_text(), found.kubectl)


def see_report(page: Page, site: RunningSite, pictures: Path) -> None:
    """The instructor sees the attempts, the evidence and the statistics, and gets them as CSV."""
    page.goto(f"{site.url}/classes/")
    page.get_by_role("link", name="Autumn class").click()
    row = page.get_by_role("row").filter(has_text="Ada Tester")
    expect(row.locator(".cell.heat-5")).to_have_count(1)
    expect(row).to_contain_text("2 tries")
    assert accessibility.wrong(page) == []
    page.screenshot(path=pictures / "class.png", full_page=True)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    assert "ada" in Path(download.value.path()).read_text()
    row.get_by_role("link", name="Ada Tester").click()
    first = page.locator("details.attempt").filter(has_text="Attempt 1")
    first.locator("summary").first.click()
    expect(first.locator(".feedback dt").filter(has_text="Observed").first).to_be_visible()
    second = page.locator("details.attempt").filter(has_text="Attempt 2")
    second.locator("summary").first.click()
    second.get_by_text("Evidence").first.click()
    expect(second.locator(".evidence pre").first).to_be_visible()
    assert accessibility.wrong(page) == []
    page.screenshot(path=pictures / "learner.png", full_page=True)
    page.go_back()
    page.get_by_role("link", name="Pods", exact=True).click()
    expect(page.locator(".rates > li")).to_have_count(4)
    expect(page.locator(".rate").first).to_contain_text("50 %")
    assert accessibility.wrong(page) == []
    page.screenshot(path=pictures / "lab-report.png", full_page=True)


def test_by_keyboard_alone(site: RunningSite, open_page: OpenPage, join_code: str) -> None:
    page = open_page()
    enrol(page, site, join_code, "keyes")
    page.goto(f"{site.url}/courses/kubernetes-architecture/desired-state/")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    tab_to(page, "A |radio")
    page.keyboard.press("ArrowDown")
    tab_to(page, "Answer|submit")
    page.keyboard.press("Enter")
    expect(page.locator(".verdict").first).to_have_text("Right.")
    assert page.evaluate("document.activeElement.textContent") == "Answer again"
    expect(page.locator("#live")).to_contain_text("Right.")

    page.goto(f"{site.url}/labs/pods/")
    tab_to(page, "Start|submit")
    page.keyboard.press("Enter")
    expect(page.locator("#cluster .state")).to_contain_text("Ready", timeout=60_000)
    expect(page.locator("#live")).to_contain_text("ready")
    tab_to(page, "Check|submit")
    page.keyboard.press("Enter")
    expect(page.locator("#results .outcome")).to_have_text(re.compile("Not yet"), timeout=GRADING_MS)
    expect(page.locator("#live")).to_contain_text("failed")
    walk_around(page)
    page.on("dialog", lambda dialog: dialog.accept())
    tab_to(page, "Stop|submit")
    page.keyboard.press("Space")
    expect(page.locator("#cluster .state")).to_contain_text("Stopped", timeout=60_000)


def focused(page: Page) -> str:
    """The text of what has the focus."""
    return str(page.evaluate("document.activeElement.textContent.trim()"))


_FOCUS = """(() => {
  const one = document.activeElement, style = getComputedStyle(one);
  const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  return [one.textContent.trim(), one.type || '', seen, one.outerHTML.slice(0, 90)];
})()"""


def tab_to(page: Page, wanted: str, most: int = 80) -> None:
    """Press Tab until ``text|type`` has the focus; every stop on the way shows that it has it."""
    text, kind = wanted.split("|")
    for _ in range(most):
        page.keyboard.press("Tab")
        at = page.evaluate(_FOCUS)
        assert at[2] or at[3].startswith("<body"), f"focus cannot be seen on {at[3]}"
        if at[1] == kind and (kind == "radio" or at[0] == text):
            return
    pytest.fail(f"no {wanted} within {most} presses of Tab")


def walk_around(page: Page) -> None:
    """Tab leaves every control again: a whole round comes back to where it began."""
    page.evaluate("document.activeElement.blur()")
    seen: list[str] = []
    for _ in range(120):
        page.keyboard.press("Tab")
        here = str(page.evaluate("document.activeElement.outerHTML.slice(0, 200)"))
        if seen and here == seen[0]:
            return
        seen.append(here)
    pytest.fail(f"the focus never came round; it was last on {seen[-3:]}")


PAGES = [
    "/",
    "/courses/kubernetes-architecture/the-map/",
    "/courses/kubernetes-architecture/probes-and-failure/",
    "/labs/",
    "/labs/services/",
    "/labs/services/attempts/",
    "/profile",
    "/classes/",
    "/accounts/",
    "/access/",
    "/profile/delete",
    "/forgot",
    "/no-such-page",
]


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_and_can_be_read(
    site: RunningSite, open_page: OpenPage, join_code: str, pictures: Path, width: int, scheme: str
) -> None:
    assert join_code
    page = open_page(width=width, color_scheme=scheme, storage_state=site.home / "instructor.json")
    wrong: dict[str, list[str]] = {}
    page.goto(f"{site.url}/classes/")
    school = page.get_by_role("link", name="Autumn class").get_attribute("href") or ""
    for path in [*PAGES, f"{school}manage", f"{school}manage/delete"]:
        page.goto(site.url + path)
        found = accessibility.wrong(page)
        if found:
            wrong[path] = found
        name = path.strip("/").replace("/", "-") or "course"
        page.screenshot(path=pictures / f"{name}-{scheme}-{width}.png", full_page=True)
    assert wrong == {}
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(re.findall(r"\d+", ground)[0])
    assert (red < 60) == (scheme == "dark"), ground


@pytest.mark.parametrize("width", [390, 1440])
def test_visitor_can_read_and_sign_in(site: RunningSite, open_page: OpenPage, width: int) -> None:
    page = open_page(width=width)
    for path in ("/sign-in", "/register", "/", "/courses/kubernetes-architecture/pods/", "/login/not-a-token"):
        page.goto(site.url + path)
        assert accessibility.wrong(page) == [], path


def test_theme_is_kept(site: RunningSite, open_page: OpenPage) -> None:
    page = open_page(color_scheme="light")
    page.goto(site.url)
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert accessibility.contrast(page) == []


def test_copy_takes_the_commands_only(site: RunningSite, open_page: OpenPage) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{site.url}/courses/kubernetes-architecture/desired-state/")
    page.locator(".admonition.try .copy").click()
    expect(page.locator("#live")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()").splitlines() == [
        "kubectl create deployment wish --image=nobody/has-this:1 --replicas=2",
        "kubectl get deployment wish",
    ]


def test_without_script(site: RunningSite, open_page: OpenPage, join_code: str) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"{site.url}/courses/kubernetes-architecture/desired-state/")
    page.locator(".question").first.get_by_role("radio").nth(1).check()
    page.locator(".question").first.get_by_role("button", name="Answer").click()
    expect(page.locator(".verdict").first).to_have_text("Right.")
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    enrol(page, site, join_code, "plain")
    page.goto(f"{site.url}/labs/pods/")
    page.get_by_role("button", name="Start").click()
    reload_until(page, "#cluster .state", "Ready", 60)
    page.get_by_role("button", name="Check", exact=True).click()
    reload_until(page, "#results .outcome", "Not yet", GRADING_MS / 1000)
    page.get_by_role("button", name="Stop").click()
    reload_until(page, "#cluster .state", "Stopped", 60)


def reload_until(page: Page, place: str, text: str, seconds: float) -> None:
    """What a page without script does by itself: every page that shows work under way says so in its head.

    (The browser under test reads no ``noscript`` when script is turned off from outside, so it is told to load again.)
    """
    deadline = time.monotonic() + seconds
    while not page.locator(place).filter(has_text=text).count():
        assert 'http-equiv="refresh"' in page.content(), page.locator("#cluster").inner_text()
        assert time.monotonic() < deadline, page.locator("#cluster").inner_text()
        page.wait_for_timeout(500)
        page.reload()


def test_without_event_stream(site: RunningSite, open_page: OpenPage, join_code: str) -> None:
    page = open_page()
    page.route("**/events", lambda route: route.abort())
    enrol(page, site, join_code, "poll")
    start_lab(page, site, "pods")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#cluster .state")).to_contain_text("Stopped", timeout=60_000)


def test_page_follows_the_command(site: RunningSite, open_page: OpenPage, join_code: str) -> None:
    page = open_page()
    enrol(page, site, join_code, "both")
    page.goto(f"{site.url}/labs/pods/")
    started = site.kindling("start", "pods", "--learner", "both")
    assert started.returncode == 0, started
    expect(page.locator("#cluster .state")).to_contain_text("Ready", timeout=10_000)
    stopped = site.kindling("stop", "pods", "--learner", "both")
    assert stopped.returncode == 0, stopped
    expect(page.locator("#cluster .state")).to_contain_text("Stopped", timeout=10_000)


def test_deleting_ones_account_ends_labs_and_open_pages(
    site: RunningSite, open_page: OpenPage, join_code: str, instructor: Page
) -> None:
    page = open_page()
    enrol(page, site, join_code, "gone")
    start_lab(page, site, "pods")
    page.goto(f"{site.url}/profile")
    page.context.storage_state(path=site.home / "gone.json")
    elsewhere = open_page(storage_state=site.home / "gone.json")
    elsewhere.goto(f"{site.url}/labs/pods/")
    expect(elsewhere.locator("#cluster .state")).to_contain_text("Ready")

    with page.expect_download() as download:
        page.get_by_role("button", name="Download it").click()
    assert '"lab": "pods"' in Path(download.value.path()).read_text(encoding="utf-8")
    page.get_by_role("link", name="Delete your account").click()
    expect(page.get_by_text("Running labs with their clusters: pods")).to_be_visible()
    page.get_by_label("type your name: gone").fill("gone")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Delete my account").click()
    expect(page.get_by_role("status").filter(has_text="Your account is deleted")).to_be_visible()
    expect(elsewhere).to_have_url(re.compile("/sign-in"), timeout=60_000)
    instructor.goto(f"{site.url}/accounts/")
    expect(instructor.get_by_role("rowheader", name="gone", exact=True)).to_have_count(0)
