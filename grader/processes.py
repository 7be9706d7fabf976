"""Grading processes as whoever starts them sees them: forked in some milliseconds, told a request, ended wholly.

A :class:`Zygote` is started once and forked from as often as it takes (:mod:`grader.zygote`). It ends with whoever
started it, and so do its children when they have put everything right. A child of which nobody can say any more how it
ended counts as killed.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

from grader.protocol import FaultReply, GradeRequest, encode
from grader.text import plain

MODULE = "grader.zygote"
GRADE, SWEEP, STOP, KILL = b"g", b"s", b"t", b"k"  # as in grader.zygote, which is slow to import
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SYSTEMROOT", "SSL_CERT_FILE", "COVERAGE_PROCESS_START")
UNKNOWN = -signal.SIGKILL
"""The exit code of a process whose zygote was killed as well."""
GONE_SECONDS = 5.0
"""How long a zygote may take to say that a process it was told to kill has ended."""


class Zygote:
    """Forks grading processes; its own process is started at the first need, and again when it was killed.

    Safe to use from several threads; a context manager.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._orders: socket.socket | None = None
        self._errors: deque[str] = deque(maxlen=100)

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Its process; 0 while there is none."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> Zygote:
        """Have it import what it needs, now and while its caller is busy."""
        with self._lock:
            self._started()
        return self

    def fork(self, what: bytes = GRADE) -> Worker:
        """A grading process that waits for its request, or (``SWEEP``) for one to clean up after."""
        talk, their_talk = socket.socketpair()
        line, their_line = socket.socketpair()
        errors, their_errors = os.pipe()
        with their_talk, their_line, self._lock:
            files = [their_talk.fileno(), their_errors, their_line.fileno()]
            try:
                socket.send_fds(self._started(), [what], files)
            except OSError:  # it was killed a moment ago
                self._leave()
                socket.send_fds(self._started(), [what], files)
            finally:
                os.close(their_errors)
        return Worker(talk, line, errors, self._errors)

    def close(self) -> None:
        """End it when its children have ended; returns at once."""
        with self._lock:
            self._leave()

    def _started(self) -> socket.socket:
        if self._process is not None and self._process.poll() is not None:
            self._leave()
        if self._orders is None:
            self._orders = self._begin()
        return self._orders

    def _begin(self) -> socket.socket:
        root = str(Path(__file__).resolve().parent.parent)
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= {"PYTHONPATH": root, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        orders, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
                [sys.executable, "-m", MODULE],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                cwd=os.sep,  # it is looked into for modules, and anybody may put one into a folder for temporary files
                start_new_session=True,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
        assert self._process.stderr is not None
        _listen(self._process.stderr, self._errors.append)
        return orders

    def _leave(self) -> None:
        if self._orders is not None and self._process is not None:
            self._orders.close()
            threading.Thread(target=self._process.wait, name="zygote", daemon=True).start()
        self._orders = self._process = None


class Worker:
    """A grading process that has not been given its request yet, or is at work. A context manager that ends it."""

    def __init__(self, talk: socket.socket, line: socket.socket, errors: int, zygotes: Iterable[str]) -> None:
        """``zygotes``: what its zygote wrote to standard error, which says why nothing was forked."""
        self._talk, self._line, self._said = talk, line, b""
        self._zygotes = zygotes
        self._code: int | None = None
        self.lines: queue.Queue[str | None] = queue.Queue()
        self._errors: deque[str] = deque(maxlen=100)
        _listen(os.fdopen(errors, encoding="utf-8", errors="replace"), self._errors.append)
        threading.Thread(target=self._read, name="grader", daemon=True).start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Its process, which leads a group of its own; waits until it is there. ``ValueError`` when it never was."""
        while b"\n" not in self._said and self._hear(None):
            pass
        return int(self._said.partition(b"\n")[0].removeprefix(b"pid "))

    @property
    def log(self) -> str:
        """The end of what it wrote to standard error."""
        return plain("".join(self._errors or self._zygotes), 6000)

    def send(self, message: GradeRequest | FaultReply) -> None:
        """One line to it; a process that is gone is noticed by the end of its output."""
        with contextlib.suppress(OSError):
            self._talk.sendall(encode(message).encode())

    def leave(self) -> None:
        """Say no more to it: what the kernel does when the session dies."""
        with contextlib.suppress(OSError):
            self._talk.shutdown(socket.SHUT_WR)

    def stop(self) -> None:
        """Ask it to put everything right and end."""
        self._order(STOP)

    def close(self) -> int:
        """End it and everything it started, now; its exit code. May be called twice."""
        self._order(KILL)
        code = self.ended(GONE_SECONDS)
        with contextlib.suppress(OSError):
            self._talk.shutdown(socket.SHUT_RDWR)  # wakes whoever reads it, who closes it
        self._line.close()
        return UNKNOWN if code is None else code

    def ended(self, seconds: float) -> int | None:
        """Wait for its end; its exit code, None when it still runs."""
        deadline = time.monotonic() + seconds
        while self._code is None and (left := deadline - time.monotonic()) > 0:
            if not self._hear(left) and self._code is None:
                return None
        return self._code

    def _hear(self, seconds: float | None) -> bool:
        """Take in what the zygote says of it; False when that was nothing. Its end is that of the zygote, too."""
        if self._code is not None:
            return False
        try:
            self._line.settimeout(seconds)
            said = self._line.recv(1024)
        except TimeoutError:
            return False
        except OSError:
            said = b""
        self._said += said
        last = self._said.splitlines()[-1:] if self._said.endswith(b"\n") else []
        if last and last[0].startswith(b"ended "):
            self._code = int(last[0].split()[1])
        elif not said:
            self._code = UNKNOWN
        return bool(said)

    def _order(self, what: bytes) -> None:
        with contextlib.suppress(OSError):
            self._line.sendall(what)

    def _read(self) -> None:
        stream = self._talk.makefile("r", encoding="utf-8", errors="replace")
        with self._talk, stream, contextlib.suppress(OSError, ValueError):
            for line in stream:
                self.lines.put(line)
        self.lines.put(None)


def _listen(stream: IO[str], note: Callable[[str], None]) -> None:
    """Note what is written to ``stream`` in the background, until its end."""

    def read() -> None:
        with stream:
            for line in stream:
                note(line[:2000])

    threading.Thread(target=read, name="errors", daemon=True).start()
