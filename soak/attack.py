"""A hostile member as a process of its own: ``python -m soak.attack NAME SECONDS``, its target as JSON on stdin.

It says ``ready`` once it has what it needs, and attacks until its stdin ends or its seconds are over.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soak.members import MEMBERS, Target

MOST_SECONDS = 1200.0


@contextmanager
def attacked(name: str, target: Target) -> Iterator[subprocess.Popen[str]]:
    """A member at work for the block."""
    command = [sys.executable, "-m", "soak.attack", name, str(MOST_SECONDS)]
    pipe = subprocess.PIPE
    root = str(Path(__file__).parents[1])
    path = os.pathsep.join(each for each in (root, os.environ.get("PYTHONPATH", "")) if each)
    environment = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as child:
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(json.dumps(dataclasses.asdict(target)) + "\n")
            child.stdin.flush()
            if child.stdout.readline() != "ready\n":
                raise RuntimeError(f"the member {name} did not begin")
            yield child
        finally:
            child.kill()


def main(name: str, seconds: float) -> None:
    """Attack until it is time to end."""
    os.nice(19)
    target = Target(**json.loads(sys.stdin.readline()))
    with MEMBERS[name](target).attacking():
        print("ready", flush=True)
        ended = threading.Event()
        threading.Thread(target=_until_end_of_input, args=(ended,), daemon=True).start()
        ended.wait(seconds)
    os._exit(0)  # threads that hang in what they asked for are not waited for


def _until_end_of_input(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
