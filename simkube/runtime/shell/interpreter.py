"""Runs the syntax tree: in this process what a shell does itself, in child processes what a shell forks for.

Every command costs a step of the container's CPU budget, so that an endless loop waits on the cluster clock like
any process under a CPU limit. Job control is not simulated.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from simkube.clock.clock import Future
from simkube.runtime import signals
from simkube.runtime.executables import which
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Exit, Process, Program, Replace
from simkube.runtime.shell import compound, error_messages
from simkube.runtime.shell.assignments import assign
from simkube.runtime.shell.dialect import Dialect
from simkube.runtime.shell.expand import Expander
from simkube.runtime.shell.jumps import Jump, leaves
from simkube.runtime.shell.parser import commands
from simkube.runtime.shell.redirect import Redirected
from simkube.runtime.shell.state import MAX_VALUE, ShellError, State, quote
from simkube.runtime.shell.syntax import (
    AndOr,
    Calculation,
    Case,
    Conditional,
    CountingFor,
    For,
    Function,
    Group,
    If,
    Node,
    NotSimulated,
    Pipeline,
    ProcessSubstitution,
    Select,
    Sequence,
    Simple,
    Subshell,
    SyntaxProblem,
    While,
    Word,
)
from simkube.runtime.streams import Collector, Pipe

FORK_STEPS = 5
"""What starting a program costs."""

MAX_DEPTH = 100
"""Commands within commands (functions included) that one shell runs at a time."""


Builtin = Callable[["Interpreter", list[str]], Coroutine[Any, Any, int]]
"""A command that a shell runs itself: its words, then its status."""
SPECIAL = frozenset(
    [
        ":",
        ".",
        "break",
        "continue",
        "eval",
        "exec",
        "exit",
        "export",
        "readonly",
        "return",
        "set",
        "shift",
        "trap",
        "unset",
    ]
)
"""POSIX's special builtins: their assignments stay."""


class Interpreter:
    """One shell process."""

    def __init__(
        self,
        process: Process,
        state: State,
        dialect: Dialect,
        builtins: Mapping[str, Builtin],
        *,
        top_pid: int | None = None,
    ) -> None:
        self.process = process
        self.state = state
        self.dialect = dialect
        self.builtins = builtins
        self.opened: list[int] = []
        """File descriptors of process substitutions that are still in use."""
        self.top_pid = process.pid if top_pid is None else top_pid
        self.expander = Expander(self)
        self.interactive = False
        self.pending: list[int] = []
        self.signalled: Future[None] = Future()
        self.children: dict[int, Process] = {}
        self.loops = 0
        self.functions = 0
        self.option_index, self.option_place = 1, 1
        """Where ``getopts`` is: the number of the argument, and the letter in it."""
        self.line = 1
        self._depth = 0
        self._checked = 0
        self._in_trap = False
        self._random = random.Random()  # noqa: S311 - $RANDOM

    # -- scripts ---------------------------------------------------------------------------------------------------

    async def run_text(self, source: str, *, tail: bool = False) -> int:
        """Run a script command by command, as shells read it; its status. Syntax errors are told on standard error."""
        await self.process.work(3 + len(source) / 50)
        try:
            for command, end in commands(source, self._depth // 4, self.dialect):
                self.line = source.count("\n", 0, end) + 1 if len(source) < 4096 else 1
                last = tail and not source[end:].strip()
                await self.run(command, tail=last)
        except SyntaxProblem as problem:
            await self.complain(error_messages.syntax(self.dialect, problem))
            self.state.status = 2
        except NotSimulated as refused:
            await self.complain(f"syntax not simulated: {refused}")
            self.state.status = 2
        return self.state.status

    async def complain(self, text: str) -> None:
        """A message on standard error as this shell words it."""
        text = error_messages.message(self.dialect, text)
        if self.dialect.bash:
            where = "" if self.interactive else f"line {self.line}: "
        else:
            where = "" if self.dialect.extended else f"{self.line}: "
        await self.process.err(f"{self.state.name}: {where}{text}\n")

    def known(self, name: str) -> str | None:
        """The variables that bash (and ash, some of them) works out when it is asked."""
        now = self.process.container.clock.now()
        if name in ("EPOCHSECONDS", "EPOCHREALTIME"):
            return str(int(now)) if name == "EPOCHSECONDS" else f"{now:.6f}"
        if not self.dialect.bash:
            return None
        if name in ("UID", "EUID"):
            return str(self.process.uid)
        if name == "SECONDS":
            return str(int(now - self.process.started_at))
        return str(self.process.pid) if name == "BASHPID" else None

    def random(self) -> int:
        """The next $RANDOM."""
        return self._random.randrange(32768)

    # -- nodes -----------------------------------------------------------------------------------------------------

    async def run(self, node: Node, *, tail: bool = False) -> int:
        """Run a node; its status, also in ``state.status``. ``tail``: nothing follows in this process."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._depth = 0
            await self.complain(f"commands nested deeper than {MAX_DEPTH} levels are not simulated")
            raise Exit(2)
        try:
            runner = _RUNNERS[type(node)]
            status: int = await runner(self, node, tail)
        finally:
            self._depth -= 1
        self.state.status = status
        if self.pending and not self._in_trap:
            await self.run_traps()
        return self.state.status

    async def _sequence(self, node: Sequence, tail: bool) -> int:
        status = 0
        last = len(node.items) - 1
        for at, (item, background) in enumerate(node.items):
            if background:
                status = await self._background(item)
                self.state.status = status
            else:
                status = await self.run(item, tail=tail and at == last)
        return status

    async def _background(self, node: Node) -> int:
        child = await self.fork(node, lambda shell: shell.run(node, tail=True))
        child.background = True
        if not self.interactive:
            child.detach_input()
            child.handlers[signals.INT] = child.handlers[signals.QUIT] = None
        self.children[child.pid] = child
        if len(self.children) > 256:
            self.children.pop(next(iter(self.children)))
        self.state.last_background = child.pid
        return 0

    async def _and_or(self, node: AndOr, tail: bool) -> int:
        last = len(node.rest) - 1
        self._checked += 1
        try:
            status = await self.run(node.first)
            for at, (operator, item) in enumerate(node.rest):
                if (operator == "&&") == (status == 0):
                    if at == last:
                        self._checked -= 1
                        try:
                            return await self.run(item, tail=tail)
                        finally:
                            self._checked += 1
                    status = await self.run(item)
        finally:
            self._checked -= 1
        return status

    async def _pipeline(self, node: Pipeline, tail: bool) -> int:
        if node.timed:
            return await compound.timed(self, lambda: self.run(Pipeline(node.commands, node.negated)))
        if len(node.commands) == 1 and not node.negated:
            return await self.run(node.commands[0])
        if len(node.commands) == 1:
            self._checked += 1
            try:
                status = await self.run(node.commands[0])
            finally:
                self._checked -= 1
            return int(not status)
        children = await self._start_pipeline(node.commands)
        statuses = [await child.exited for child in children]
        status = statuses[-1]
        if self.dialect.bash:
            self.state.arrays["PIPESTATUS"] = {at: str(code) for at, code in enumerate(statuses)}
        if "pipefail" in self.state.options:
            status = next((code for code in reversed(statuses) if code), 0)
        if node.negated:
            return int(not status)
        await self.check(status)
        return status

    async def _start_pipeline(self, commands: list[Node]) -> list[Process]:
        children = []
        previous = None
        for at, command in enumerate(commands):
            child = await self.make_child()
            if previous is not None:
                child.set_fd(0, previous)
                previous = None
            if at < len(commands) - 1:
                pipe = Pipe()
                child.set_fd(1, pipe.writer)
                previous = pipe.reader
            self.start_child(child, _runner_of(command))
            children.append(child)
        return children

    async def _group(self, node: Group, tail: bool) -> int:
        async with Redirected(self, node.redirections) as redirected:
            if redirected.failed:
                return 1
            return await self.run(node.body, tail=tail and not node.redirections)

    async def _subshell(self, node: Subshell, tail: bool) -> int:
        async with Redirected(self, node.redirections) as redirected:
            if redirected.failed:
                return 1
            if tail and not self.state.traps:
                return await self.run(node.body, tail=not node.redirections)
            child = await self.fork(node, lambda shell: shell.run(node.body, tail=True))
            status = await child.exited
        await self.check(status)
        return status

    async def _if(self, node: If, tail: bool) -> int:
        async with Redirected(self, node.redirections) as redirected:
            if redirected.failed:
                return 1
            tail = tail and not node.redirections
            for condition, body in node.branches:
                if await self._condition(condition) == 0:
                    return await self.run(body, tail=tail)
            if node.otherwise is not None:
                return await self.run(node.otherwise, tail=tail)
            return 0

    async def _condition(self, node: Sequence) -> int:
        self._checked += 1
        try:
            return await self.run(node)
        finally:
            self._checked -= 1

    async def _while(self, node: While, tail: bool) -> int:
        status = 0
        async with Redirected(self, node.redirections) as redirected:
            if redirected.failed:
                return 1
            self.loops += 1
            try:
                while True:
                    await self.process.work(1)
                    try:
                        if (await self._condition(node.condition) == 0) == node.until:
                            return status
                        status = await self.run(node.body)
                    except Jump as jump:
                        if leaves(jump):
                            return 0
            finally:
                self.loops -= 1

    async def _for(self, node: For, tail: bool) -> int:
        words = list(self.state.positional) if node.words is None else await self.expander.fields(node.words)
        status = 0
        async with Redirected(self, node.redirections) as redirected:
            if redirected.failed:
                return 1
            self.loops += 1
            try:
                for word in words:
                    await self.process.work(1)
                    self.state.set(node.name, word)
                    try:
                        status = await self.run(node.body)
                    except Jump as jump:
                        if leaves(jump):
                            return 0
                return status
            finally:
                self.loops -= 1

    async def _case(self, node: Case, tail: bool) -> int:
        subject = await self.expander.text(node.word)
        status, following = 0, False
        async with Redirected(self, node.redirections) as redirected:
            if redirected.failed:
                return 1
            for patterns, body, end in node.items:
                if not following and not await self._fits(subject, patterns):
                    continue
                status = await self.run(body, tail=tail and not node.redirections and end == ";;")
                if end == ";;":
                    break
                following = end == ";&"
        return status

    async def _fits(self, subject: str, patterns: list[Word]) -> bool:
        for word in patterns:
            await self.process.work(0.5 + len(subject) / 256)
            if (await self.expander.pattern(word)).matches(subject):
                return True
        return False

    async def _function(self, node: Function, tail: bool) -> int:
        if len(self.state.functions) >= 500:
            raise ShellError("more than 500 functions (a limit of this simulation)")
        self.state.functions[node.name] = node.body
        return 0

    # -- simple commands -------------------------------------------------------------------------------------------

    async def _simple(self, node: Simple, tail: bool) -> int:
        opened = len(self.opened)
        await self.process.work(1)
        before = self.state.status
        words = await self.expander.fields(node.words)
        alias = self.state.aliases.get(words[0]) if words and node.words[0].literal() == words[0] else None
        if alias is not None and (self.interactive or not self.dialect.bash or "expand_aliases" in self.state.options):
            return await self._aliased(words, alias)
        status = await self._command(node, words, tail) if words else await self._assign_only(node, before)
        if self.dialect.bash:
            self.close_opened(opened)
            self.state.arrays["PIPESTATUS"] = {0: str(status)}
        await self.check(status)
        return status

    async def _aliased(self, words: list[str], alias: str) -> int:
        """A command whose first word is an alias: its text instead, in which it is no alias itself."""
        aliases = self.state.aliases
        self.state.aliases = {name: text for name, text in aliases.items() if name != words[0]}
        try:
            return await self.run_text(" ".join([alias, *(quote(word) for word in words[1:])]))
        finally:
            self.state.aliases = aliases

    async def _command(self, node: Simple, words: list[str], tail: bool) -> int:
        name, builtins = words[0], self.builtins
        special = name in SPECIAL and not self.dialect.bash
        async with Redirected(self, node.redirections, keep=name == "exec") as redirected:
            if redirected.failed:
                if special and not self.interactive:
                    raise Exit(2)
                return 1
            if name in self.state.functions and not special:
                return await self._with_assignments(node, lambda: self._call(self.state.functions[name], words))
            await self._trace(words)
            if name not in builtins:
                return await self._external(node, words, tail=tail)
            status = await self._with_assignments(node, lambda: builtins[name](self, words), keep=special)
            for array in node.arrays:
                await assign(self, array)
            return status

    async def _trace(self, words: list[str]) -> None:
        if "x" in self.state.options:
            await self.process.err("+ " + " ".join(words) + "\n")

    async def _assign_only(self, node: Simple, before: int) -> int:
        self.state.status = 0
        for assignment in node.assignments:
            await assign(self, assignment)
        status = self.state.status  # that of the last command substitution
        async with Redirected(self, node.redirections) as redirected:
            if redirected.failed:
                status = 1
        return status

    async def _with_assignments(
        self, node: Simple, call: Callable[[], Coroutine[Any, Any, int]], *, keep: bool = False
    ) -> int:
        """Run a builtin or function with the assignments before it in place (for good with ``keep``)."""
        if not node.assignments:
            return await call()
        variables, exported = dict(self.state.variables), set(self.state.exported)
        names = [assignment.name for assignment in node.assignments]
        for assignment in node.assignments:
            await assign(self, assignment)
            self.state.exported.add(assignment.name)
        try:
            return await call()
        finally:
            if not keep:
                for name in names:
                    if name in variables:
                        self.state.variables[name] = variables[name]
                    else:
                        self.state.variables.pop(name, None)
                self.state.exported = exported

    async def _call(self, body: Node, words: list[str]) -> int:
        positional, self.state.positional = self.state.positional, words[1:]
        self.state.locals.append({})
        loops, self.loops = self.loops, 0
        self.functions += 1
        names = self.state.arrays.get("FUNCNAME", {})
        if self.dialect.bash:
            self.state.arrays["FUNCNAME"] = dict(enumerate([words[0], *names.values()][:MAX_DEPTH]))
        try:
            return await self.run(body)
        except Jump as jump:
            if jump.kind != "return":
                raise
            return jump.status
        finally:
            self.functions -= 1
            self.loops = loops
            self.state.positional = positional
            for name, value in self.state.locals.pop().items():
                self.state.put_back(name, value)
            if names:
                self.state.arrays["FUNCNAME"] = names
            else:
                self.state.arrays.pop("FUNCNAME", None)

    async def _external(self, node: Simple, words: list[str], *, tail: bool) -> int:
        env = self.state.environment()
        for assignment in node.assignments:
            env[assignment.name] = await self.expander.text(assignment.value)
        found = await self.find_program(words, env)
        if isinstance(found, int):
            return found
        program, argv = found
        if tail and not self.state.traps and not self.interactive:
            self.replace(program, argv, env)
        await self.process.work(FORK_STEPS)
        try:
            child = self.process.child(argv, env=env)
        except FileError:
            await self.complain("can't fork: Resource temporarily unavailable")
            return 2
        child.run(program)
        status = await child.exited
        if self.interactive and status == 128 + signals.INT:
            await self.process.err("\n")
        return status

    def replace(self, program: Program, argv: list[str], env: dict[str, str]) -> None:
        """Become another program (execve): raises :class:`~simkube.runtime.process.Replace`."""
        process = self.process
        process.argv, process.env = argv, env
        process.handlers = {number: None for number, handler in process.handlers.items() if handler is None}
        raise Replace(program)

    async def find_program(self, words: list[str], env: dict[str, str]) -> tuple[Program, list[str]] | int:
        """The program of a command, or the status (126, 127) after saying why there is none."""
        files, name = self.process.container.files, words[0]
        search = {"PATH": self.state.variables["PATH"]} if "PATH" in self.state.variables else {}
        try:
            path = which(files, name, search, self.process.cwd)
        except FileError as error:
            denied = error.strerror == "Permission denied"
            missing = "No such file or directory" if self.dialect.bash and "/" in name else "not found"
            await self.complain(f"{name}: {'Permission denied' if denied else missing}")
            return 126 if denied else 127
        try:
            return self.process.container.load(path, words, env)
        except FileError as error:
            if error.strerror == "Exec format error":
                shell = "bash" if self.dialect.bash else "sh"  # a script without #! runs in a shell
                return self.process.container.programs[shell], [shell, path, *words[1:]]
            await self.complain(
                f"{name}: {error.strerror if error.strerror != 'No such file or directory' else 'not found'}"
            )
            return 127

    # -- children --------------------------------------------------------------------------------------------------

    async def make_child(self) -> Process:
        """A process like this one; ShellError when there can be no more."""
        try:
            await self.process.work(FORK_STEPS)
            return self.process.child(list(self.process.argv))
        except FileError:
            raise ShellError("can't fork: Resource temporarily unavailable") from None

    def start_child(self, child: Process, body: Callable[[Interpreter], Coroutine[Any, Any, int]]) -> None:
        """Run ``body`` in a copy of this shell."""
        state = self.state.copy()
        loops = self.loops
        checked = self._checked

        async def program(process: Process) -> int:
            shell = Interpreter(process, state, self.dialect, self.builtins, top_pid=self.top_pid)
            shell.loops, shell._checked, shell.line = loops, checked, self.line
            return await shell.finish(body(shell))

        child.run(program)

    async def open_process(self, part: ProcessSubstitution) -> str:
        """``<(...)``: the path of a pipe that a process writes to (or reads, for ``>(...)``)."""
        child = await self.make_child()
        pipe = Pipe()
        child.set_fd(0 if part.writes else 1, pipe.reader if part.writes else pipe.writer)
        number = next((one for one in range(63, 9, -1) if one not in self.process.fds), 0)
        if not number:
            raise ShellError("too many process substitutions")
        self.process.set_fd(number, pipe.writer if part.writes else pipe.reader)
        self.opened.append(number)
        self.start_child(child, lambda shell: shell.run(part.body, tail=True))
        return f"/dev/fd/{number}"

    def close_opened(self, kept: int) -> None:
        """Close the process substitutions but for the first ``kept``."""
        for number in self.opened[kept:]:
            self.process.set_fd(number, None)
        del self.opened[kept:]

    async def fork(self, node: Node, body: Callable[[Interpreter], Coroutine[Any, Any, int]]) -> Process:
        """A child that runs ``body``."""
        child = await self.make_child()
        self.start_child(child, body)
        return child

    async def finish(self, work: Coroutine[Any, Any, int]) -> int:
        """Run this shell's work to its end: jumps and errors become its exit code, then the EXIT trap runs."""
        try:
            code = await work
        except Jump as jump:
            code = jump.status if jump.kind == "return" else self.state.status
        except Exit as end:
            code = end.code
        except ShellError as error:
            await self.complain(str(error))
            code = error_messages.status(self.dialect, error)
        trap = self.state.traps.pop(0, None)
        if trap:
            self.state.status = code
            try:
                await self.run_text(trap)
            except Exit as end:
                code = end.code
            except (Jump, ShellError):
                return code
        return code

    async def substitute(self, body: Sequence) -> str:
        """``$(...)``: what the commands write, without the newlines at the end."""
        collector = Collector(MAX_VALUE)
        child = await self.make_child()
        child.set_fd(1, collector.hold())
        self.start_child(child, lambda shell: shell.run(body, tail=True))
        self.state.status = await child.exited
        text = bytes(collector.data).replace(b"\0", b"").decode("utf-8", "surrogateescape")
        await self.process.work(len(text) / 256)
        return text.rstrip("\n")

    # -- errors and signals ----------------------------------------------------------------------------------------

    async def check(self, status: int) -> None:
        """``set -e``."""
        if status and "e" in self.state.options and not self._checked:
            self.state.status = status
            raise Exit(status)

    def caught(self, number: int) -> None:
        """A signal with a trap arrived: its trap runs after the command under way, or ends a ``wait``."""
        self.pending.append(number)
        signalled, self.signalled = self.signalled, Future()
        signalled.set(None)

    async def run_traps(self) -> None:
        """Run the traps of the signals that arrived."""
        while self.pending:
            number = self.pending.pop(0)
            action = self.state.traps.get(number)
            if action:
                status = self.state.status
                self._in_trap = True
                try:
                    await self.run_text(action)
                finally:
                    self._in_trap = False
                self.state.status = status


def _runner_of(command: Node) -> Callable[[Interpreter], Coroutine[Any, Any, int]]:
    return lambda shell: shell.run(command, tail=True)


_RUNNERS: dict[type, Callable[[Interpreter, Any, bool], Coroutine[Any, Any, int]]] = {
    AndOr: Interpreter._and_or,
    Calculation: compound.calculation,
    Conditional: compound.conditional,
    CountingFor: compound.counting_for,
    Select: compound.select,
    Case: Interpreter._case,
    For: Interpreter._for,
    Function: Interpreter._function,
    Group: Interpreter._group,
    If: Interpreter._if,
    Pipeline: Interpreter._pipeline,
    Sequence: Interpreter._sequence,
    Simple: Interpreter._simple,
    Subshell: Interpreter._subshell,
    While: Interpreter._while,
}
