"""``awk``, the part that tutorials use: ``[-F S] '[/RE/ | NR==N] {print [EXPR, ...]}'`` with $N, $NF, NR, NF and texts.

Everything else of the language is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from simkube.runtime.applets.options import parse
from simkube.runtime.applets.reading import lines, open_operand
from simkube.runtime.process import Process
from simkube.runtime.regex import Regex, RegexError

_ITEM = re.compile(r'\s*(\$\d{1,4}|\$NF|NR|NF|"(?:[^"\\]|\\.){0,500}"|,)', re.ASCII)
_RULE = re.compile(
    r"\s*(?:/((?:[^/\\]|\\.){0,500})/|NR\s*(==|>=|<=|>|<|!=)\s*(\d{1,9}))?\s*(?:\{\s*print\b([^{}|>]{0,1000});?\s*\})?\s*\Z"
)
_COMPARE = {"==": int.__eq__, "!=": int.__ne__, ">": int.__gt__, "<": int.__lt__, ">=": int.__ge__, "<=": int.__le__}

Value = Callable[[str, list[str], int], str]


class _Refused(Exception):
    pass


def _items(text: str) -> list[list[Value]]:
    groups: list[list[Value]] = [[]]
    at = 0
    while text[at:].strip():
        match = _ITEM.match(text, at)
        if match is None:
            raise _Refused
        at = match.end()
        word = match.group(1)
        if word == ",":
            groups.append([])
        else:
            groups[-1].append(_value(word))
    return groups


def _value(word: str) -> Value:
    if word.startswith('"'):
        text = word[1:-1].replace("\\n", "\n").replace("\\t", "\t").replace('\\"', '"').replace("\\\\", "\\")
        return lambda line, fields, number: text
    if word == "$0":
        return lambda line, fields, number: line
    if word == "$NF":
        return lambda line, fields, number: fields[-1] if fields else ""
    if word == "NR":
        return lambda line, fields, number: str(number)
    if word == "NF":
        return lambda line, fields, number: str(len(fields))
    index = int(word[1:])
    return lambda line, fields, number: fields[index - 1] if index <= len(fields) else ""


async def awk(process: Process) -> int:
    """Run a program of the part described above."""
    options = await parse(process, "", "Fv", stop_early=True)
    words = options.operands
    rule = _RULE.match(words[0]) if words and len(words[0]) < 2000 and words[0].strip() else None
    try:
        if rule is None or "v" in options:
            raise _Refused
        groups = _items(rule.group(4) or "")
        regex = Regex(rule.group(1).replace("\\/", "/"), extended=True) if rule.group(1) is not None else None
        separator = options.values.get("F")
        splitter = (
            Regex(separator, extended=True)
            if separator is not None and len(separator) > 1 and separator != "\\t"
            else None
        )
    except (_Refused, RegexError):
        await process.err("awk: this program is not simulated; only '[/RE/] {print $N, ...}' is\n")
        return 2
    status, number = 0, 0
    for path in words[1:] or ["-"]:
        stream = await open_operand(process, path)
        if stream is None:
            status = 2
            continue
        async for line in lines(process, stream):
            number += 1
            await process.work(0.5 + (regex.cost * len(line) / 2000 if regex is not None else 0))
            if regex is not None and regex.search(line[:16384]) is None:
                continue
            if rule.group(2) and not _COMPARE[rule.group(2)](number, int(rule.group(3))):
                continue
            fields = _split(line, separator, splitter)
            text = " ".join("".join(value(line, fields, number) for value in group) for group in groups)
            await process.out((text if rule.group(4) and rule.group(4).strip(" ;") else line) + "\n")
    return status


def _split(line: str, separator: str | None, splitter: Regex | None) -> list[str]:
    if separator is None or separator == " ":
        return line.split()
    if splitter is None:
        return line.split("\t" if separator == "\\t" else separator) if line else []
    found: list[str] = []
    at = 0
    while (match := splitter.search(line, at)) is not None and match[0][1] > match[0][0] and len(found) < 1000:
        found.append(line[at : match[0][0]])
        at = match[0][1]
    return [*found, line[at:]]
