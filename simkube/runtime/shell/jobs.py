"""The builtins that are about other processes: ``wait``, ``kill``, ``jobs``. Job control is not simulated."""

from __future__ import annotations

from simkube.clock.clock import Future
from simkube.runtime.applets.processes import kill_command
from simkube.runtime.shell.interpreter import Interpreter


async def run_wait(shell: Interpreter, words: list[str]) -> int:
    status = 0
    wanted = words[1:]
    pids = [int(word) if word.isdecimal() and len(word) < 9 else -1 for word in wanted] or list(shell.children)
    for pid in pids:
        child = shell.children.get(pid)
        if child is None:
            status = 127
            continue
        number = await _exit_or_signal(shell, child.exited)
        if number:
            return 128 + number
        status = child.exited.result()
        shell.children.pop(pid, None)
    return status if wanted else 0


async def _exit_or_signal(shell: Interpreter, exited: Future[int]) -> int:
    """0 when the child has ended, or the number of the signal whose trap is to run."""
    while not exited.done:
        if shell.pending:
            return shell.pending[0]
        first: Future[None] = Future()
        exited.when_done(lambda _, first=first: first.set(None))  # type: ignore[misc] # bound per iteration
        shell.signalled.when_done(lambda _, first=first: first.set(None))  # type: ignore[misc] # as above
        await first
    return 0


async def run_kill(shell: Interpreter, words: list[str]) -> int:
    pids = list(shell.children)
    named = [int(word[1:]) if word[:1] == "%" and word[1:].isdecimal() and len(word) < 5 else 0 for word in words]
    given = [
        str(pids[number - 1]) if 0 < number <= len(pids) else word for number, word in zip(named, words, strict=True)
    ]
    return await kill_command(shell.process, given)


async def run_jobs(shell: Interpreter, words: list[str]) -> int:
    for at, (pid, child) in enumerate(list(shell.children.items()), 1):
        if not child.exited.done:
            await shell.process.out(f"[{at}] + Running  {pid} {' '.join(child.argv)}\n")
    return 0
