"""The process that workers are forked from: everything is loaded in it, and nothing has begun.

It is forked before there is an event loop, a thread or a connection. It starts a worker for each order it reads, ends
those it is told to, and says which have ended: it alone knows that a number is still theirs. Whatever way control goes,
it ends all of them and itself, so that no worker outlives its host.

It refuses to do anything that could keep it from answering.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

Work = Callable[[dict[str, Any], socket.socket], int]
"""What a worker does, given its order and its end of the channel to control; its exit code."""
_PR_SET_PDEATHSIG = 1


class Zygote:
    """Control's view of it. ``pid`` is its process."""

    def __init__(self, pid: int, sock: socket.socket) -> None:
        self.pid = pid
        self._sock = sock
        self._read = b""

    def start(self, order: dict[str, Any], channel: socket.socket) -> None:
        """Have a worker started, which gets that end of a channel."""
        socket.send_fds(self._sock, [json.dumps({"start": order}).encode() + b"\n"], [channel.fileno()])

    def kill(self, pid: int) -> None:
        """Have a worker ended at once; a no-op when it has ended."""
        self._sock.sendall(json.dumps({"kill": pid}).encode() + b"\n")

    async def news(self) -> dict[str, Any] | None:
        """``{"started": NUMBER, "pid": PID}`` or ``{"ended": PID, "status": STATUS}``; None when it is gone itself."""
        loop = asyncio.get_running_loop()
        self._sock.setblocking(False)
        while b"\n" not in self._read:
            try:
                data = await loop.sock_recv(self._sock, 65536)
            except ConnectionError:
                return None
            if not data:
                return None
            self._read += data
        line, _, self._read = self._read.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """End it, and whatever workers there are; wait until that is done."""
        self._sock.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def fork(work: Work) -> Zygote:
    """Start the zygote of this process, which has neither a loop nor threads yet."""
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        ours.close()
        in_child(lambda: _Server(theirs, work).serve(), parent)
    theirs.close()
    return Zygote(pid, ours)


def in_child(what: Callable[[], int], parent: int) -> NoReturn:
    """Do this in a process just forked, and end it. It dies with ``parent`` where the system sees to that."""
    code = 1
    try:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGTERM):  # told to a group of processes: control decides
            signal.signal(number, signal.SIG_IGN)
        if os.getppid() == parent:  # else it died before that
            code = what()
    except BaseException:  # noqa: BLE001 - nobody above here may go on with what was control's
        traceback.print_exc()
    finally:
        os._exit(code)


class _Server:
    """The zygote's own loop."""

    def __init__(self, sock: socket.socket, work: Work) -> None:
        self._sock = sock
        self._work = work
        self._children: set[int] = set()
        self._read = b""
        self._wake, self._woken = os.pipe()

    def serve(self) -> int:
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while self._turn({key.fd for key, _ in selector.select()}):
                pass
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        while self._children:
            self._children.discard(os.waitpid(-1, 0)[0])
        return 0

    def _turn(self, ready: set[int]) -> bool:
        """Deal with what has come; whether control is still there."""
        if self._wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 4096)
        return self._reap() and (self._sock.fileno() not in ready or self._orders())

    def _orders(self) -> bool:
        try:
            data, files, _, _ = socket.recv_fds(self._sock, 65536, 1)
        except ConnectionError:
            return False
        if not data:
            return False
        channel = files[0] if files else None
        self._read += data
        while b"\n" in self._read:
            line, _, self._read = self._read.partition(b"\n")
            order = json.loads(line)
            if "start" in order and channel is not None:
                if not self._start(order["start"], channel):
                    return False
                channel = None
            elif order.get("kill") in self._children:
                os.kill(order["kill"], signal.SIGKILL)
        return True

    def _start(self, order: dict[str, Any], channel: int) -> bool:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (self._wake, self._woken):
                os.close(each)
            self._sock.close()
            in_child(lambda: self._work(order, socket.socket(fileno=channel)), parent)
        os.close(channel)
        self._children.add(pid)
        return self._tell({"started": order["number"], "pid": pid})

    def _reap(self) -> bool:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            self._children.discard(pid)
            if not self._tell({"ended": pid, "status": os.waitstatus_to_exitcode(status)}):
                return False
        return True

    def _tell(self, what: dict[str, Any]) -> bool:
        try:
            self._sock.sendall(json.dumps(what).encode() + b"\n")
        except OSError:
            return False
        return True


__all__ = ["Work", "Zygote", "fork"]
