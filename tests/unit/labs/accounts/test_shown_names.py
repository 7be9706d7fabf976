"""What is written of people and classes, and how long a roster may be."""

from __future__ import annotations

import pytest

from labs.accounts.names import shown_name
from labs.bootstrap import Kindling
from labs.errors import Malformed
from labs.roster import LINES_LIMIT, read_roster

CLEVER = "Ada\N{RIGHT-TO-LEFT OVERRIDE}txt.exe\x1b[31m\x00\N{LINE SEPARATOR}x\N{ZERO WIDTH SPACE}\ufeff\U000e0041"
PLAIN = "Adatxt.exe[31m x"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("  Ada \t Lovelace\n", "Ada Lovelace"),
        ("Jose\N{COMBINING ACUTE ACCENT}", "José"),
        ("نام\N{ZERO WIDTH NON-JOINER}ها", "نام\N{ZERO WIDTH NON-JOINER}ها"),
        ("王小明", "王小明"),
        (CLEVER, PLAIN),
        ("<b>Ada</b>", "<b>Ada</b>"),  # as it is: pages escape it
        ("x" * 300, "x" * 200),
        ("\x07", ""),
    ],
)
def test_one_line_without_what_nobody_sees(given: str, shown: str) -> None:
    assert shown_name(given) == shown


def test_wherever_a_name_comes_in(services: Kindling) -> None:
    services.accounts.ensure("olga", "instructor")
    made = services.classes.create_class(CLEVER, "olga")
    assert made.name == PLAIN
    assert services.accounts.register("tom", "a longer phrase", display_name=CLEVER).display_name == PLAIN
    assert services.accounts.register("tim", "a longer phrase", display_name="\x07").display_name == "tim"
    services.classes.import_roster(made.id, "olga", f'name,display_name\nnew,"{CLEVER.replace(chr(0), "")}"\n')
    assert services.accounts.get("new").display_name == PLAIN


def test_a_roster_is_a_class_not_a_city() -> None:
    lines = "name\n" + "".join(f"l{number}\n" for number in range(LINES_LIMIT))
    assert len(read_roster(lines)) == LINES_LIMIT
    with pytest.raises(Malformed, match=f"at most {LINES_LIMIT} learners") as refused:
        read_roster(lines + "one-more\n")
    assert refused.value.line == LINES_LIMIT + 2
