"""Redirections: file descriptors changed for one command and put back after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simkube.runtime.nodes import FileError
from simkube.runtime.process import Replace
from simkube.runtime.shell.syntax import Redirection
from simkube.runtime.streams import BytesStream, Stream

if TYPE_CHECKING:
    from simkube.runtime.shell.interpreter import Interpreter


class Redirected:
    """``async with Redirected(shell, redirections) as r``: ``r.failed`` when one could not be made (it has been
    told).
    """

    def __init__(self, shell: Interpreter, redirections: list[Redirection], *, keep: bool = False) -> None:
        self._shell = shell
        self._redirections = redirections
        self._keep = keep
        self._saved: dict[int, Stream | None] = {}
        self.failed = False

    async def __aenter__(self) -> Redirected:
        for redirection in self._redirections:
            if not await self._apply(redirection):
                self.failed = True
                break
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._saved:
            self._keep = self._keep or isinstance(error, Replace)
            self._put_back()

    def _put_back(self) -> None:
        process = self._shell.process
        ended = process.exited.done
        for number, stream in self._saved.items():
            if (self._keep and not self.failed) or ended:
                if stream is not None:
                    stream.release()
            else:
                process.set_fd(number, stream)
        self._saved = {}

    async def _apply(self, redirection: Redirection) -> bool:
        shell, op = self._shell, redirection.op
        text = await shell.expander.text(redirection.word)
        stream: Stream | None
        try:
            if op == "<<":
                stream = BytesStream(text.encode("utf-8", "surrogateescape"))
            elif op in ("<&", ">&"):
                return await self._duplicate(redirection.fd, text)
            elif op == "<":
                stream = shell.process.open_read(text)
            else:
                stream = shell.process.open_write(text, append=op in (">>", "<>"))
        except FileError as error:
            await shell.complain(_wording(text, error, reading=op == "<", flavour=shell.process.container.spec.flavour))
            return False
        return self._install(redirection.fd, stream)

    async def _duplicate(self, fd: int, text: str) -> bool:
        if text == "-":
            return self._install(fd, None)
        number = int(text) if text.isdecimal() and len(text) < 4 else -1
        source = self._shell.process.fds.get(number)
        if source is None:
            await self._shell.complain(f"{text}: Bad file descriptor" if number >= 0 else f"{text}: bad fd number")
            return False
        return self._install(fd, source.hold())

    def _install(self, number: int, stream: Stream | None) -> bool:
        fds = self._shell.process.fds
        old = fds.pop(number, None)
        if number in self._saved:
            if old is not None:
                old.release()
        else:
            self._saved[number] = old
        if stream is not None:
            fds[number] = stream
        return True


def _wording(path: str, error: FileError, *, reading: bool, flavour: str) -> str:
    reason = error.strerror
    missing = reason == "No such file or directory"
    if flavour == "debian":
        if missing:
            reason = "No such file" if reading else "Directory nonexistent"
        return f"cannot {'open' if reading else 'create'} {path}: {reason}"
    if missing:
        reason = "no such file" if reading else "nonexistent directory"
    return f"can't {'open' if reading else 'create'} {path}: {reason}"
