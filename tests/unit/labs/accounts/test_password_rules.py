"""Passwords that others would try first are refused; all else is taken as it is."""

from __future__ import annotations

import pytest

from labs.accounts.password_rules import check
from labs.bootstrap import Kindling
from labs.errors import Refused


@pytest.mark.parametrize(
    "password",
    [
        "password", "PASSWORD1", "12345678", "qwertyuiop", "iloveyou1", "Passw0rd", "trustno1", "ｐａｓｓｗｏｒｄ",
        "aaaaaaaaaa", "abababababab", "kindling", "Kindling2026!", "kubernetes123", "kindling-kubernetes",
        "Summer2026!", "winter 2025", "!Autumn26", "dragon1234", "2026-Monday",
        "grace-grace-1", "gracehopper", "g.hopper@example.org", "HOPPER1906", "example.org!",
    ],
)  # fmt: skip
def test_refused(password: str) -> None:
    with pytest.raises(Refused, match=r"first that anybody|made of your name"):
        check(password, "gracehopper", "g.hopper@example.org", "Grace Hopper")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery", "xkqzvwjy", "        spaces", "пароль из четырёх слов", "四つの言葉の合言葉です",
        "🐎🔋📎🌲🐙🌋🧀🚲",
        "summer1234567", "summer rain 26", "48291048573",
        "my kindling burns", "grace under pressure", "é" * 3 + "ü" * 3 + "ß-", "x" + "yz" * 63 + "!",
    ],
)  # fmt: skip
def test_taken(password: str) -> None:
    check(password, "gracehopper", "g.hopper@example.org", "Grace Hopper")


@pytest.mark.parametrize(("length", "said"), [(7, "at least 8"), (129, "at most 128")])
def test_length_is_counted_in_characters(length: int, said: str) -> None:
    with pytest.raises(Refused, match=said):
        check(("ab🐎" * 50)[:length])


def test_a_short_name_spoils_nothing() -> None:
    check("joyful morning", "jo", "", "J O")


def test_a_word_that_only_contains_a_short_name_is_taken() -> None:
    check("evenings", "eve")


def test_wherever_one_is_set_and_kept_as_it_was_typed(services: Kindling) -> None:
    accounts = services.accounts
    with pytest.raises(Refused, match="first that anybody"):
        accounts.register("grace", "password123")
    with pytest.raises(Refused, match="made of your name"):
        accounts.register("grace", "hopper-1906", display_name="Grace Hopper")
    accounts.register("grace", "ﬁne words, NFD é")
    assert accounts.sign_in("grace", "ﬁne words, NFD é").name == "grace"
    for other in ("fine words, NFD é", "FINE WORDS, NFD É", "ﬁne words, NFD é "):
        with pytest.raises(Refused):
            accounts.sign_in("grace", other)
    with pytest.raises(Refused, match="made of your name"):
        accounts.set_password("grace", "grace 2026")
    accounts.set_password("grace", "🐎" * 40 + "correct" + "🔋" * 81)
    assert accounts.sign_in("grace", "🐎" * 40 + "correct" + "🔋" * 81).has_password
