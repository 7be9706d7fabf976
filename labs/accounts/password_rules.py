"""Which passwords are refused: short ones, and those that are tried first. No rule about letters, digits or signs.

The list of common ones is that of the package ``zxcvbn``: 30,000 from leaks, a third of them long enough to matter. It
refuses as well one of these, or a season, with little more than a year or a sign around it, and what is made of the
site's name, or of the account's own name and email.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from labs.errors import Refused

SHORTEST, LONGEST = 8, 128
SITE_WORDS = ("kindling", "kubernetes", "kubectl", "simkube", "password", "passwort")
SEASONS = frozenset({"spring", "summer", "autumn", "fall", "winter"})
AROUND = 6
"""So many digits and signs around a word that is tried first are tried with it: ``2026!``, ``123!!!``."""
_OWN_LETTERS = 4
"""What must be left of a password without the words that anybody would try."""


def check(password: str, *about: str) -> None:
    """``Refused`` with the reason. ``about``: the account's names and email."""
    if len(password) < SHORTEST:
        raise Refused(f"A password has at least {SHORTEST} characters.")
    if len(password) > LONGEST:
        raise Refused(f"A password has at most {LONGEST} characters.")
    folded = _folded(password)
    if _first_tried(folded) or len(set(folded)) < 3:
        raise Refused("This password is one of the first that anybody would try. A few words that you like are better.")
    rest = folded
    for word in sorted({*SITE_WORDS, *_words(about)}, key=len, reverse=True):
        rest = rest.replace(word, "")
    letters = [each for each in rest if each.isalpha()]
    if rest != folded and len(letters) < _OWN_LETTERS:
        raise Refused("This password is made of your name or this site's. A few other words are better.")


def _first_tried(folded: str) -> bool:
    """Whether it is a common one, as it is or with a few digits and signs around it."""
    core = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", folded)
    return folded in _common() or (len(folded) - len(core) <= AROUND and (core in SEASONS or core in _common()))


def _words(about: tuple[str, ...]) -> set[str]:
    """Names and emails, whole and in their parts."""
    texts = [_folded(text) for text in about if text]
    parts = [part for text in texts for part in (text, *re.split(r"[\W_]+", text))]
    return {part for part in parts if len(part) >= 3}


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


@cache
def _common() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # large, and needed only where a password is set

    return frozenset(FREQUENCY_LISTS["passwords"])
