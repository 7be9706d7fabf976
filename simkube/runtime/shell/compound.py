"""The compound commands that only ash and bash have: ``[[ ]]``, ``(( ))``, ``for ((;;))``, ``select``, ``time``."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from simkube.runtime.applets.conditions import evaluate_test
from simkube.runtime.regex import Regex, RegexError
from simkube.runtime.shell.jumps import Jump, leaves
from simkube.runtime.shell.line_input import read_line
from simkube.runtime.shell.redirect import Redirected
from simkube.runtime.shell.state import ShellError
from simkube.runtime.shell.syntax import Calculation, Conditional, CountingFor, Select, Test, Text, Word

if TYPE_CHECKING:
    from simkube.runtime.shell.interpreter import Interpreter

_NUMERIC = frozenset(["-eq", "-ne", "-lt", "-le", "-gt", "-ge"])
_SPECIAL = "\\^$.[]|()?*+{}"


async def conditional(shell: Interpreter, node: Conditional, tail: bool) -> int:
    """``[[ ... ]]``: 2 for a pattern that is wrong."""
    async with Redirected(shell, node.redirections) as redirected:
        if redirected.failed:
            return 1
        try:
            status = int(not await _holds(shell, node.test))
        except RegexError as error:
            await shell.complain(f"[[: {error}")
            status = 2
    await shell.check(status)
    return status


async def _holds(shell: Interpreter, test: Test) -> bool:
    await shell.process.work(0.5)
    if test.op in ("&&", "||"):
        for one in test.tests:
            if await _holds(shell, one) == (test.op == "||"):
                return test.op == "||"
        return test.op == "&&"
    if test.op == "!":
        return not await _holds(shell, test.tests[0])
    first = await shell.expander.text(test.words[0])
    if len(test.words) == 1:
        if test.op == "word":
            return first != ""
        if test.op == "-v":
            return bool(shell.state.elements(first)) or first in shell.state.variables
        if test.op == "-o":
            return first in shell.state.long_options()
        return evaluate_test(shell.process, ["test", test.op, first])[0] == 0
    return await _compare(shell, test, first)


async def _compare(shell: Interpreter, test: Test, first: str) -> bool:
    op, word = test.op, test.words[1]
    if op in ("=", "==", "!="):
        return (await shell.expander.pattern(word)).matches(first) == (op != "!=")
    if op == "=~":
        return await _matches(shell, first, word)
    second = await shell.expander.text(word)
    if op in ("<", ">"):
        return first < second if op == "<" else first > second
    if op in _NUMERIC:
        numbers = [str(shell.expander.number(text)) for text in (first, second)]
        return evaluate_test(shell.process, ["test", numbers[0], op, numbers[1]])[0] == 0
    status, problem = evaluate_test(shell.process, ["test", first, op, second])
    if problem:
        raise ShellError(f"[[: {problem}")
    return status == 0


async def _matches(shell: Interpreter, text: str, word: Word) -> bool:
    """``=~``: what matched goes to ``BASH_REMATCH``; quoted parts of the pattern stand for themselves."""
    pattern = []
    for part in word.parts:
        piece = await shell.expander.text(Word([part]))
        literal = part.quoted if isinstance(part, Text) else False
        pattern.append("".join(f"\\{char}" if char in _SPECIAL else char for char in piece) if literal else piece)
    regex = Regex("".join(pattern), extended=True)
    await shell.process.work(regex.cost * len(text) / 200)
    spans = regex.search(text)
    if shell.dialect.bash:
        found = [text[start:end] if start >= 0 else "" for start, end in spans or []]
        shell.state.arrays["BASH_REMATCH"] = dict(enumerate(found))
    return spans is not None


async def calculation(shell: Interpreter, node: Calculation, tail: bool) -> int:
    """``((...))``: 0 when the value is not 0."""
    async with Redirected(shell, node.redirections) as redirected:
        if redirected.failed:
            return 1
        try:
            status = int(await shell.expander.calculate(node.expression) == 0)
        except ShellError as error:
            await shell.complain(f"((: {error}")
            status = 1
    await shell.check(status)
    return status


async def counting_for(shell: Interpreter, node: CountingFor, tail: bool) -> int:
    """``for ((first; test; step))``."""
    expander = shell.expander
    async with Redirected(shell, node.redirections) as redirected:
        if redirected.failed:
            return 1
        await expander.calculate(node.first)
        status = 0
        shell.loops += 1
        try:
            while not node.test.parts or await expander.calculate(node.test):
                await shell.process.work(1)
                try:
                    status = await shell.run(node.body)
                except Jump as jump:
                    if leaves(jump):
                        return 0
                await expander.calculate(node.step)
            return status
        finally:
            shell.loops -= 1


async def select(shell: Interpreter, node: Select, tail: bool) -> int:
    """``select name in words``: asks with a numbered menu until input ends or the body breaks."""
    words = list(shell.state.positional) if node.words is None else await shell.expander.fields(node.words)
    menu = "".join(f"{number}) {word}\n" for number, word in enumerate(words, 1))
    status, show = 0, True
    async with Redirected(shell, node.redirections) as redirected:
        if redirected.failed or not words:
            return int(redirected.failed)
        shell.loops += 1
        try:
            while True:
                await shell.process.err((menu if show else "") + shell.state.variables.get("PS3", "#? "))
                line = await read_line(shell.process)
                if line is None:
                    await shell.process.err("\n")
                    return 1
                answer = line.strip()
                show = not answer
                if show:
                    continue
                chosen = int(answer) if answer.isdecimal() and len(answer) < 6 else 0
                shell.state.set("REPLY", answer)
                shell.state.set(node.name, words[chosen - 1] if 0 < chosen <= len(words) else "")
                try:
                    status = await shell.run(node.body)
                except Jump as jump:
                    if leaves(jump):
                        return status
        finally:
            shell.loops -= 1


async def timed(shell: Interpreter, call: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """``time``: what a pipeline took, told on standard error."""
    clock = shell.process.container.clock
    began = clock.now()
    status = await call()
    minutes, seconds = divmod(clock.now() - began, 60)
    await shell.process.err(f"\nreal\t{int(minutes)}m{seconds:.3f}s\nuser\t0m0.000s\nsys\t0m0.000s\n")
    return status
