"""How dash, ash and bash each word what went wrong, from the one form (ash's) that the rest of this folder raises."""

from __future__ import annotations

import re

from simkube.runtime.nodes import FileError
from simkube.runtime.shell.dialect import Dialect
from simkube.runtime.shell.state import ShellError
from simkube.runtime.shell.syntax import SyntaxProblem

_UNEXPECTED = re.compile(r'unexpected (?:"(.*?)"|(newline)|(end of file))(?: \(expecting "(.*)"\))?', re.DOTALL)
_BASH = (
    (re.compile(r"^(.*): parameter not set$"), r"\1: unbound variable"),
    (re.compile(r"^(.*): is read only$"), r"\1: readonly variable"),
    (re.compile(r"^(.*): not found$"), r"\1: command not found"),
    (re.compile(r"^(\w+): (.*): bad variable name$"), r"\1: `\2': not a valid identifier"),
    (re.compile(r"^local: not in a function$"), "local: can only be used in a function"),
    (re.compile(r"^(\w+): Illegal number: (.*)$"), r"\1: \2: numeric argument required"),
    (re.compile(r"^can't fork: (.*)$"), r"fork: \1"),
)


def message(dialect: Dialect, text: str) -> str:
    """A message other than of syntax."""
    if dialect.bash:
        for pattern, words in _BASH:
            text, changed = pattern.subn(words, text, count=1)
            if changed:
                break
    return text


def status(dialect: Dialect, error: ShellError) -> int:
    """The exit code of a shell that ends with an error."""
    if not dialect.bash:
        return error.status
    return 127 if str(error).endswith("parameter not set") else 1


def syntax(dialect: Dialect, problem: SyntaxProblem) -> str:
    """What is wrong with a script."""
    text = str(problem)
    match = _UNEXPECTED.fullmatch(text)
    if dialect.bash:
        if match is not None and not match[3]:
            return f"syntax error near unexpected token `{match[1] or 'newline'}'"
        if text == "unterminated quoted string":
            return "unexpected EOF while looking for matching quote"
        return f"syntax error: {text}" if match is not None else text
    if dialect.extended:
        return f"syntax error: {text}"
    if match is None:
        return f"Syntax error: {text[:1].upper()}{text[1:]}"
    shown = f'"{match[1]}"' if match[1] is not None else match[2] or match[3]
    if match[1] in ("<", ">", "&"):
        shown = "redirection"
    return f"Syntax error: {shown} unexpected" + (f' (expecting "{match[4]}")' if match[4] else "")


def cannot_open(dialect: Dialect, path: str, error: FileError, *, reading: bool) -> str:
    """A redirection that failed."""
    reason = error.strerror
    missing = reason == "No such file or directory"
    if dialect.bash:
        return f"{path}: {reason}"
    if not dialect.extended:
        if missing:
            reason = "No such file" if reading else "Directory nonexistent"
        return f"cannot {'open' if reading else 'create'} {path}: {reason}"
    if missing:
        reason = "no such file" if reading else "nonexistent directory"
    return f"can't {'open' if reading else 'create'} {path}: {reason}"


def no_directory(dialect: Dialect, path: str, problem: str) -> str:
    """``cd`` to where one cannot go."""
    if dialect.bash:
        return f"cd: {path}: {problem}"
    return f"cd: can't cd to {path}" + (f": {problem}" if dialect.extended else "")
