"""What an account may be called, how this machine's user is, and when two names are the same.

Names and emails are one space: nobody may sign in with what looks like another's. It refuses names that could be
mistaken for a path, a flag or markup.
"""

from __future__ import annotations

import getpass
import os
import re
import unicodedata
from functools import cache

_NAME = re.compile(r"[^\W_](?:[\w.@+-]{0,62}[\w.@+-])?")
_EMAIL = re.compile(r"[^@\s<>\"',;:\\]{1,64}@[^@\s<>\"',;:\\]{1,180}")
_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}
RESERVED = frozenset([
    "admin", "administrator", "root", "superuser", "sysadmin", "system", "operator", "staff", "support",
    "help", "helpdesk", "info", "security", "abuse", "moderator", "instructor", "teacher", "lecturer",
    "professor", "tutor", "grader", "kindling", "simkube", "kubernetes", "postmaster", "webmaster",
    "hostmaster", "mailer-daemon", "noreply", "no-reply",
])  # fmt: skip
"""What nobody calls an account of their own: others would take it for who runs the site or teaches, or the program."""
_UNSEEN = {"Cc", "Cf", "Zs", "Zl", "Zp"}


def is_name(text: str) -> bool:
    """Whether an account may have this name."""
    return _NAME.fullmatch(text) is not None


def is_reserved(text: str) -> bool:
    """Whether only those who run the site may give an account this name, or one that looks like it."""
    return key_of(text) in RESERVED


def is_email(text: str) -> bool:
    """Whether this looks like an email address."""
    return _EMAIL.fullmatch(text) is not None and text.isprintable()


def shown_name(text: str, most: int = 200) -> str:
    """What is written of a person or a class on pages and in reports: one line of composed characters (NFC).

    Characters that nobody sees go: control characters, and those that turn the direction of what stands beside them.
    The two that join letters (ZWJ, ZWNJ) stay: some scripts and emoji need them.
    """
    kept = (" " if each.isspace() else each for each in unicodedata.normalize("NFC", text))
    seen = "".join(each for each in kept if each in _JOINERS or unicodedata.category(each) not in _HIDDEN)
    return " ".join(seen.split())[:most]


def key_of(name_or_email: str) -> str:
    """What is the same for names that people take for each other: at most 512 characters.

    Case, width and compatibility forms (NFKC, casefold), spaces and unseen characters do not count, and a letter of
    another script that looks like an ASCII one counts as that (Unicode's confusables, UTS #39). Accents count, and
    ``0`` is not ``o``: rosters have numbers in names.
    """
    text = _folded(name_or_email)
    if not text.isascii():
        text = _folded("".join(_lookalikes().get(character, character) for character in text))
    return text[:512]


def in_order(name: str) -> tuple[str, str]:
    """Where a name stands in a list: capitals beside small letters, accented ones after their plain ones."""
    return unicodedata.normalize("NFKD", name).casefold(), name


def local_name() -> str:
    """The operating system's user, as an account's name; ``KINDLING_LEARNER`` overrides it."""
    try:
        name = os.environ.get("KINDLING_LEARNER") or getpass.getuser()
    except (KeyError, OSError):  # a user id without an entry, as containers have
        name = f"user-{os.getuid()}"
    if is_name(name):
        return name
    return re.sub(r"[^\w.@+-]|^[\W_]+", "", name)[:64] or "learner"


def _folded(text: str) -> str:
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(each for each in text if unicodedata.category(each) not in _UNSEEN)


@cache
def _lookalikes() -> dict[str, str]:
    """Characters beyond ASCII, each with the ASCII text that it is taken for."""
    from confusable_homoglyphs.confusables import confusables_data  # large, and most names are ASCII

    found: dict[str, str] = {}
    for character, others in confusables_data.items():
        ascii_ones = [other["c"].casefold() for other in others if other["c"].isascii()]
        if not character.isascii() and ascii_ones:
            found[character] = ascii_ones[0]
    return found
