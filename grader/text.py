"""Text of unknown origin made harmless: what a learner named, logged or served is data, and is shown as such.

Control characters (terminal escapes among them) and characters that reorder or hide text are replaced, lengths are
bounded. Markup is left alone: whoever shows a message as HTML escapes all of it.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from grader import limits


def plain(text: object, limit: int = limits.MESSAGE_CHARACTERS) -> str:
    """``text`` with line breaks kept, everything else that is not visible replaced by ``�``, at most ``limit`` long."""
    raw = str(text)[: limit * 2].replace("\r\n", "\n").replace("\t", " ")
    shown = "".join(
        c if c == "\n" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else "�" for c in raw
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def one_line(text: object, limit: int) -> str:
    """``text`` without line breaks, so that nothing in it can pass for another line of a message."""
    return plain(" ".join(str(text)[: limit * 8].split()), limit)


def quoted(text: object, limit: int = limits.QUOTE_CHARACTERS) -> str:
    """``text`` on one line between quotation marks: a learner's words inside a message of ours."""
    return '"' + one_line(text, limit).replace('"', "'") + '"'


def bounded(value: Any, characters: int) -> Any:
    """JSON of at most about ``characters``: strings made plain, lists and objects cut with a note of what is left."""
    return _Cutter(characters).cut(value, 0)


class _Cutter:
    def __init__(self, characters: int) -> None:
        self.left = characters

    def cut(self, value: Any, depth: int) -> Any:
        if isinstance(value, bool | int | float) or value is None:
            self.left -= 8
            return value
        if isinstance(value, dict) and depth < 20:
            return self._object(value, depth)
        if isinstance(value, list | tuple | set | frozenset) and depth < 20:
            return self._list(list(value), depth)
        text = plain(value, max(min(self.left, 4000), 20))
        self.left -= len(text) + 4
        return text

    def _object(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for number, (key, item) in enumerate(value.items()):
            if self.left <= 0:
                made["…"] = f"{len(value) - number} more left out"
                break
            name = plain(key, 200)
            self.left -= len(name) + 4
            made[name] = self.cut(item, depth + 1)
        return made

    def _list(self, value: list[Any], depth: int) -> list[Any]:
        made: list[Any] = []
        for number, item in enumerate(value):
            if self.left <= 0:
                made.append(f"… {len(value) - number} more left out")
                break
            made.append(self.cut(item, depth + 1))
        return made
