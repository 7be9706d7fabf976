"""Start as the web application (no argument), as the grader's probe (``probe``) or, where the image has it, as a
service of the shop (``shop``).

Refuses any other argument, so that a typing mistake in a manifest is seen in the pod's log and not as odd behaviour.
Everything in this folder keeps to the standard library and runs on Python 3.9 and newer.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys

import listener
import probe
import web

STOPPING = (signal.SIGTERM, signal.SIGINT)
MODES: list[list[str]] = [[], ["probe"], ["shop"]]


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM; the process's exit code."""
    if os.environ.get("CRASH"):
        print("fatal: " + os.environ["CRASH"], flush=True)  # noqa: T201 - the container's log is what a learner reads
        return 1
    modes = MODES if importlib.util.find_spec("shop") else MODES[:-1]
    if arguments not in modes:
        known = ", ".join(mode[0] for mode in modes if mode)
        print("fatal: unknown arguments " + repr(arguments) + "; use none or: " + known, flush=True)  # noqa: T201
        return 2
    try:
        port = int(os.environ.get("PORT") or "8080")
        drain = float(os.environ.get("DRAIN_SECONDS") or "0")
        server = listener.Listener(port, _handler(arguments), drain)
    except (ValueError, OSError, OverflowError) as error:
        print("fatal: " + str(error), flush=True)  # noqa: T201 - as above
        return 1
    # Blocked in every thread and waited for here: a handler runs only once the main thread is back from what it waits
    # in, which is never for a signal that comes just before it begins to wait.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    server.start()
    signal.sigwait(STOPPING)
    server.stop()
    return 0


def _handler(arguments: list[str]) -> type[listener.Handler]:
    if arguments == ["probe"]:
        return probe.make_handler()
    if arguments == ["shop"]:
        import shop  # only that image has it

        return shop.make_handler(os.environ)
    return web.make_handler(web.settings(os.environ))


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # do not wait for threads that serve clients who never finish
