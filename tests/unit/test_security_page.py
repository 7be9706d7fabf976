"""docs/security.md is held to the standard's numbers, to the tests it names, and to the limits of the code."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path

import pytest

from labs import roster
from labs.accounts import guessing, names, password_rules, sign_ins
from labs.settings import load
from webapp import MAX_REQUEST_BYTES, audit, limits, security

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if re.match(r"\| \d+\.\d+\.\d+ \|", line)
]
ITEMS = [row[0] for row in ROWS]
# Numbers of OWASP ASVS 5.0.0: how many requirements of level 1 each section has, as (chapter.section, numbers).
LEVEL_1 = """
1.2: 1 2 3 4 5; 1.3: 1 2; 1.5: 1; 2.1: 1; 2.2: 1 2; 2.3: 1; 3.2: 1 2; 3.3: 1; 3.4: 1 2; 3.5: 1 2 3; 4.1: 1; 4.4: 1;
5.2: 1 2; 5.3: 1 2; 6.1: 1; 6.2: 1 2 3 4 5 6 7 8; 6.3: 1 2; 6.4: 1 2; 7.2: 1 2 3 4; 7.4: 1 2; 8.1: 1; 8.2: 1 2; 8.3: 1;
9.1: 1 2 3; 9.2: 1; 10.4: 1 2 3 4 5; 11.3: 1 2; 11.4: 1; 12.1: 1; 12.2: 1 2; 13.4: 1; 14.2: 1; 14.3: 1; 15.1: 1;
15.2: 1; 15.3: 1
"""
LEVEL_2 = """
2.1: 3; 2.3: 2; 2.4: 1; 3.3: 2 3 4; 3.4: 3 4 5 6; 4.1: 3; 4.4: 2 3 4; 7.1: 1 2 3; 7.3: 1 2; 7.4: 3 4 5; 7.5: 1 2;
7.6: 1 2; 8.1: 2; 8.2: 3; 8.4: 1; 15.1: 3; 15.2: 2; 15.3: 4
"""
FAIL = re.compile(r"fail, by (\d{4}-\d{2}-\d{2})")


def numbers(text: str) -> list[str]:
    """Item numbers of a list like the above."""
    sections = (section.split(":") for section in text.replace("\n", " ").split(";"))
    return [f"{section.strip()}.{number}" for section, listed in sections for number in listed.split()]


def section(title: str) -> str:
    """What stands below a heading of the second level."""
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_lists_are_as_long_as_the_standards() -> None:
    assert len(numbers(LEVEL_1)) == 70
    assert len(set(numbers(LEVEL_1) + numbers(LEVEL_2))) == 70 + 32


def test_every_item_has_one_row() -> None:
    assert len(ITEMS) == len(set(ITEMS))
    level_1, level_2 = PAGE.partition("### Level 1")[2].split("### Of level 2")
    assert re.findall(r"^\| (\d+\.\d+\.\d+) \|", level_1, re.MULTILINE) == numbers(LEVEL_1)
    assert re.findall(r"^\| (\d+\.\d+\.\d+) \|", level_2.partition("###")[0], re.MULTILINE) == numbers(LEVEL_2)


@pytest.mark.parametrize("row", ROWS, ids=ITEMS)
def test_a_row_says_what_holds_and_why(row: list[str]) -> None:
    _, asked, verdict, why, shown = row
    assert len(asked) > 5
    assert len(why) > 3
    if verdict == "pass":
        assert "`tests/" in shown, "a test shows it"
    elif verdict != "n/a":
        found = FAIL.fullmatch(verdict)
        assert found, "pass, n/a, or fail with the date by which it is mended"
        assert date.fromisoformat(found[1]) >= date(2026, 11, 30)
        assert len(why) > 20, "a fail has its reason"


def test_the_tests_are_there_and_are_run() -> None:
    named = sorted({test for row in ROWS for test in re.findall(r"`(tests/[^`]+)`", row[4])})
    files = sorted({test.partition("::")[0] for test in named})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-n", "0", *files]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert said.returncode == 0, said.stdout[-2000:] + said.stderr[-2000:]
    collected = {line.partition("[")[0] for line in said.stdout.splitlines() if "::" in line}
    assert [test for test in named if test not in collected] == []


def test_limits_are_those_of_the_code() -> None:
    said = dict(re.findall(r"^\| ([^|]+) \| (\d+) a minute \|", section("How often"), re.MULTILINE))
    assert said == {
        "pages of who is signed in": str(limits.PAGES),
        "changes of who is signed in": str(limits.CHANGES),
        "pages of others": str(limits.VISITOR_PAGES),
        "changes of others": str(limits.VISITOR_CHANGES),
        **{f"`{endpoint}`": str(most) for endpoint, most in limits.COSTLY.items()},
    }
    assert f"most {audit.REFUSED_PER_MINUTE} a minute" in section("What is written down")


def test_sessions_are_those_of_the_code(tmp_path: Path) -> None:
    said, found = section("Signed in"), load({"KINDLING_HOME": str(tmp_path)})
    assert f"after {found.idle_hours:g} hours without a request (`KINDLING_IDLE_HOURS`)" in " ".join(said.split())
    assert f"after {found.signed_in_days:g} days in any case (`KINDLING_SIGNED_IN_DAYS`)" in " ".join(said.split())
    assert f"signed in at {sign_ins.MAX_OF_ONE} places" in " ".join(said.split())


def test_guesses_are_those_of_the_code() -> None:
    said = " ".join(section("How often").split())
    home, account, address = guessing.AT_HOME, guessing.OF_ACCOUNT_FROM_ADDRESS, guessing.OF_ADDRESS
    assert f"signed in before: {home.burst}, then one more every {home.seconds:g} s" in said
    assert f"{account.burst} for one account from one address, then one a minute" in said
    assert account.seconds == 60
    assert f"{address.burst} from one address, then one every {address.seconds:g} s" in said
    assert f"Wrong links: {guessing.LINKS_OF_ADDRESS.burst} from an address" in said
    assert f"new accounts: {guessing.NEW_ACCOUNTS_OF_ADDRESS.burst} from an address" in said
    assert f"join codes: {guessing.CODES_OF_ACCOUNT.burst} an account" in said
    assert f"old passwords on the profile: {guessing.OLD_PASSWORD.burst}" in said
    assert f"by mail: {guessing.MAILS_OF_ACCOUNT.burst} for an account" in said
    assert f"then one in {guessing.MAILS_OF_ACCOUNT.seconds / 60:g} minutes" in said
    assert f"and {guessing.MAILS_OF_ADDRESS.burst} from an address" in said


def test_what_is_taken_is_what_the_code_takes() -> None:
    said = section("What is taken")
    low, high = password_rules.SHORTEST, password_rules.LONGEST
    assert f"{low} to {high} characters of any kind" in said
    assert f"at most {MAX_REQUEST_BYTES // 1024**2} MiB" in said
    assert f"at most {roster.SIZE_LIMIT // 1024**2} MiB and {roster.LINES_LIMIT} learners" in said
    assert names.is_name("a" * 64)
    assert not names.is_name("a" * 65)
    assert names.is_email(f"{'a' * 64}@{'b' * 180}")
    assert not names.is_email(f"{'a' * 65}@b")
    assert not names.is_email(f"a@{'b' * 181}")
    assert len(names.shown_name("x" * 1000)) == 200
    assert {"", "application/x-www-form-urlencoded", "multipart/form-data"} == security.FORMS


def test_the_proxies_that_are_kept_speak_current_tls() -> None:
    nginx, caddy = ((ROOT / "deploy" / name).read_text(encoding="utf-8") for name in ("nginx.conf", "Caddyfile"))
    assert re.findall(r"ssl_protocols ([^;]+);", nginx) == ["TLSv1.2 TLSv1.3"]
    assert "return 301 https://" in nginx
    assert not re.search(r"\bprotocols\b|auto_https|http://", caddy), (
        "its own: TLS 1.2 and 1.3, and plain HTTP led there"
    )


def test_every_library_has_a_lower_bound_and_no_upper() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    libraries = [*project["dependencies"], *project["optional-dependencies"].get("postgres", [])]
    assert libraries
    for library in libraries:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+(\[[a-z0-9,]+\])?>=[0-9.]+", library), library
    assert "--upgrade-strategy eager" in section("Updates")
