"""The grading process's end of the pipe to the session: events go out, faults are asked for and answered.

It speaks over descriptors of its own, so that nothing a check prints can be taken for a verdict. When the session is
gone (end of file), the process is told to end as it would be by SIGTERM: nobody is left to hear a verdict.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import signal
import threading
import time
from typing import IO, Any, Literal

from grader.errors import FaultUnavailable
from grader.protocol import Event, FaultCall, FaultReply, GradeRequest, decode, encode

ANSWER_SECONDS = 180.0


class Channel:
    """Lines of the grading protocol over ``incoming`` and ``outgoing``."""

    def __init__(self, incoming: IO[str], outgoing: IO[str]) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._numbers = itertools.count(1)
        self._replies: queue.Queue[FaultReply] = queue.Queue()
        self._lock = threading.Lock()
        self.closed = False

    def request(self) -> GradeRequest | None:
        """The first line; None when the session went away or wanted nothing. From then on, replies are listened for."""
        line = self._incoming.readline()
        if not line:
            return None
        message = decode(line)
        if not isinstance(message, GradeRequest):
            raise ValueError("the first line is not a request to grade")
        threading.Thread(target=self._listen, name="session", daemon=True).start()
        return message

    def event(self, kind: Literal["plan", "started", "finished", "snapshot", "done"], **data: Any) -> None:
        """Tell the session."""
        self._write(Event(kind, data))

    def ask(self, fault: str, target: str) -> None:
        """Have a fault injected, and wait until it is. ``LookupError``: no such target; ``FaultUnavailable``: anything
        else."""
        call = FaultCall(next(self._numbers), fault, target)
        self._write(call)
        reply = self._reply(call)
        if reply.kind == "unknown-target":
            raise LookupError(reply.error)
        if reply.error:
            raise FaultUnavailable(f"{fault} {target}: {reply.error}")

    def _reply(self, call: FaultCall) -> FaultReply:
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline and not self.closed:
            try:
                reply = self._replies.get(timeout=0.5)
            except queue.Empty:
                continue
            if reply.id == call.id:  # any other answers a call that was given up
                return reply
        raise FaultUnavailable(f"{call.fault} {call.target}: the session does not answer")

    def _listen(self) -> None:
        with contextlib.suppress(ConnectionError):  # it may have died before it had read everything
            for line in self._incoming:
                message = decode(line)
                if isinstance(message, FaultReply):
                    self._replies.put(message)
        self.closed = True
        os.kill(os.getpid(), signal.SIGTERM)

    def _write(self, message: Event | FaultCall) -> None:
        if self.closed:
            return
        with self._lock:
            try:
                self._outgoing.write(encode(message))
                self._outgoing.flush()
            except ConnectionError:
                self.closed = True
