"""Whether an address can be reached from a pod, as the probe mode of ``kindling/web`` tries it.

TCP connections, over which nothing is sent, and questions to a name server over UDP. What becomes of an attempt is one
of the requester's words, "" when the other side answered.
"""

from __future__ import annotations

from typing import Any

from simkube.clock.clock import TimedOut, within
from simkube.runtime.cri import NetworkError
from simkube.runtime.process import Process
from simkube.runtime.programs import requester

RESEND_SECONDS = 0.9


async def reach(process: Process, host: str, port: int, protocol: str, timeout: float) -> dict[str, Any]:
    """``{"ms", "error"}``. ``timeout`` in seconds, for the name and for the connection each; never raises."""
    clock = process.container.clock
    start = clock.now()
    try:
        address = await _address(process, host, timeout)
        await within(clock, timeout, _ask(process, address) if protocol == "UDP" else _connect(process, address, port))
        error = ""
    except TimedOut:
        error = "timeout"
    except NetworkError as problem:
        error = requester.word(problem)
    return {"ms": round((clock.now() - start) * 1000, 1), "error": error}


async def _address(process: Process, host: str, timeout: float) -> str:
    sandbox = process.container.sandbox
    try:
        return (await within(process.container.clock, timeout, sandbox.network.resolve(sandbox.ip, host)))[0]
    except TimedOut:
        raise NetworkError("name", "Temporary failure in name resolution") from None


async def _connect(process: Process, address: str, port: int) -> None:
    sandbox = process.container.sandbox
    (await sandbox.network.connect(sandbox.ip, address, port)).close()


async def _ask(process: Process, address: str) -> None:
    """Returns when any answer to a question of ours came."""
    sandbox = process.container.sandbox
    while not sandbox.network.answers_names(sandbox.ip, address):
        await process.container.clock.sleep(RESEND_SECONDS)
