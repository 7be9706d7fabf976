"""The process that grading processes are forked from: ``python -m grader.zygote``, with a socket as standard input.

Everything that grading needs is imported in it, once; from then on a grading process is there in some milliseconds
instead of half a second. :mod:`grader.processes` is the other side. An order is one byte (what is to be done) with the
files that the new process gets: its conversation with the session, its standard error, and a line by which the session
is told of its number and its end, and by which it is stopped (``STOP``) or ended with all that it started (``KILL``).

Who is forked is on its own from then on: it reads and answers its session directly, and puts everything right when
that is gone, or when this process is. Here they are only waited for, and ended when they do not come to an end. It
refuses to do anything else, and never grades itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from grader import worker

GRADE, SWEEP = b"g", b"s"
STOP, KILL = b"t", b"k"
FILES = 3
LAST_SECONDS = 120.0
"""How long a process may take to put everything right after its session is gone."""
_PR_SET_PDEATHSIG = 1


@dataclass
class _Child:
    """A process that was forked. ``line``: to its session; ``until``: when it is ended, None for not at all."""

    line: socket.socket
    until: float | None = None


class Server:
    """Forks a process for each order that comes; ends when nobody can order any more and all of them are done."""

    def __init__(self, orders: socket.socket, work: Callable[[bool], int]) -> None:
        """``work``: what a grading process does, told whether it is to sweep only; its exit code."""
        self._orders, self._work = orders, work
        self._children: dict[int, _Child] = {}
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = os.pipe()

    def serve(self) -> None:
        """Until the session's process is gone, and with it what was forked for it."""
        for each in (self._wake, self._woken):
            os.set_blocking(each, False)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._selector.register(self._orders, selectors.EVENT_READ)
        wanted = True
        while wanted or self._children:
            ready = [key for key, _ in self._selector.select(self._patience())]
            if any(key.fd == self._wake for key in ready):
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake, 4096)
            for key in ready:
                if key.data is not None and key.data in self._children:
                    self._listen(key.data)
                elif key.fileobj is self._orders and not self._order():
                    self._selector.unregister(self._orders)
                    wanted = False
            self._reap()

    def _patience(self) -> float | None:
        times = [child.until for child in self._children.values() if child.until is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _order(self) -> bool:
        """Fork what is asked for; False when nobody can ask any more."""
        try:
            what, files, _, _ = socket.recv_fds(self._orders, 1, FILES)
        except ConnectionError:
            return False
        if not what:
            return False
        talk, errors, line = files
        parent, pid = os.getpid(), os.fork()
        if pid == 0:
            _begin(lambda: self._work(what == SWEEP), parent, talk, errors)
        os.close(talk)
        os.close(errors)
        child = _Child(socket.socket(fileno=line))
        self._children[pid] = child
        self._selector.register(child.line, selectors.EVENT_READ, pid)
        _tell(child.line, f"pid {pid}\n")
        return True

    def _listen(self, pid: int) -> None:
        """Stop a child or end it; one whose session is gone knows that itself, and has some time left."""
        child = self._children[pid]
        try:
            said = child.line.recv(16)
        except ConnectionError:
            said = b""
        if KILL in said:
            _end(pid)
        elif STOP in said:
            os.kill(pid, signal.SIGTERM)
        elif not said:
            self._selector.unregister(child.line)
            child.until = time.monotonic() + LAST_SECONDS

    def _reap(self) -> None:
        for pid, child in self._children.items():
            if child.until is not None and time.monotonic() >= child.until:
                child.until = None
                _end(pid)
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)  # what it has started and left
            ended = self._children.pop(pid)
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(ended.line)
            _tell(ended.line, f"ended {os.waitstatus_to_exitcode(status)}\n")
            ended.line.close()


def _end(pid: int) -> None:
    """End a child that is not reaped yet, and everything it started."""
    for end in (os.killpg, os.kill):  # the second for one that has not got a group of its own yet
        with contextlib.suppress(ProcessLookupError, PermissionError):
            end(pid, signal.SIGKILL)


def _tell(line: socket.socket, what: str) -> None:
    with contextlib.suppress(OSError):
        line.sendall(what.encode())


def _begin(work: Callable[[], int], parent: int, talk: int, errors: int) -> None:
    """What a forked process is from here on: nothing of this one's but what is loaded."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.dup2(talk, 0)
        os.dup2(talk, 1)
        os.dup2(errors, 2)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == parent:  # else it died before that
            code = work()
    except BaseException:  # noqa: BLE001 -- whatever it is, it must not get back into the loop of this process's parent
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)  # threads that wait for an answer that no longer matters are not waited for


def main() -> None:
    """Be the zygote of whoever is at the other end of standard input."""
    orders = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    worker.warm()
    gc.collect()
    gc.freeze()  # what is loaded stays shared with the processes that are forked
    Server(orders, worker.run).serve()


if __name__ == "__main__":
    main()
