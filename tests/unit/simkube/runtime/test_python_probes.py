"""The one-liners of Python that probes are, in the image that has nothing else to ask with, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.runtime.programs.python_commands import python_refusals
from simkube.runtime.programs.python_names import unsimulated
from tests.doubles.container_node import Bench

URL = "http://127.0.0.1:8080"
URLOPEN = f"import urllib.request; urllib.request.urlopen('{URL}/%s', timeout=2)"
STATUS = (
    "import http.client, sys\nc = http.client.HTTPConnection('localhost', 8080, timeout=2)\nc.request('GET', '/%s')\n"
    "sys.exit(0 if 200 <= c.getresponse().status < 400 else 1)"
)
CAUGHT = (
    "import urllib.request as u, sys\ntry:\n  with u.urlopen('http://127.0.0.1:8080/%s') as answer:\n"
    "    sys.exit(0 if answer.read().decode().strip() in ('ok', 'ready') else 1)\nexcept Exception:\n  sys.exit(1)"
)
FROM = "from urllib.request import urlopen\nassert urlopen('http://127.0.0.1:8080/%s').getcode() == 200"


def code(program: str, env: dict[str, str] | None = None) -> int | None:
    bench = Bench()
    return bench.exec(["python3", "-c", program], bench.started("kindling/web:1.0", env=env), seconds=10).code


@pytest.mark.parametrize("program", [URLOPEN, STATUS, CAUGHT, FROM])
def test_a_probe_says_what_the_application_says(program: str) -> None:
    assert code(program % "readyz") == 0
    assert code(program % "healthz", {"STARTUP_SECONDS": "60"}) == 0
    assert code(program % "readyz", {"STARTUP_SECONDS": "60"}) == 1
    assert code(program % "nothing") == 1


def test_a_connection_that_is_only_opened() -> None:
    assert code("import socket; socket.create_connection(('127.0.0.1', 8080), 1).close()") == 0
    assert code("import socket; socket.create_connection(('127.0.0.1', 8081), timeout=1)") == 1


@pytest.mark.parametrize(
    "program", ["import requests", "raise SystemExit(1)", "raise ValueError('no')", "x = 1\nassert x > 1, 'small'"]
)
def test_what_fails_in_python_fails_here(program: str) -> None:
    assert unsimulated(program) == ""
    assert code(program) == 1


def test_python_runs_what_it_came_for_and_a_folder() -> None:
    bench = Bench()
    shell = ["sh", "-c", "cd /app && exec python3 -u main.py"]
    assert bench.exec(["sh", "-c", "true"], bench.started("kindling/web:1.0", command=shell)).code == 0


@pytest.mark.parametrize(("program", "code"), [(b"import sys; sys.exit(7)", 7), (b"import mine", 1)])
def test_what_was_put_in_the_place_of_the_application_runs_instead_of_it(program: bytes, code: int) -> None:
    bench = Bench()
    container = bench.idle("kindling/web:1.0")
    container.files.write("/app/main.py", program)
    assert bench.exec(["python3", "/app/main.py"], container, seconds=10).code == code


@pytest.mark.parametrize(
    ("program", "what"),
    [
        ("import subprocess; subprocess.run(['ls'])", "import subprocess"),
        ("def f(): pass", "def f():"),
        ("import os; os.system('ls')", "os.system()"),
        ("print([x for x in [1]])", "[x for x in [1]]"),
    ],
)
def test_a_program_that_is_not_carried_out_is_named_before_it_runs(program: str, what: str) -> None:
    assert unsimulated(program) == what
    probe = {"exec": {"command": ["python3", "-c", program]}}
    script = {"exec": {"command": ["/bin/sh", "-c", f'sleep 1; python3 -c "{program}"']}}
    for container in (
        {"readinessProbe": probe},
        {"livenessProbe": script},
        {"lifecycle": {"preStop": probe}},
        {"command": ["python", "-c"], "args": [program]},
    ):
        assert python_refusals({"containers": [container]}) == [f"the Python program with {what}"]


@pytest.mark.parametrize(
    "container",
    [
        {},
        {"command": ["python3", "/app/main.py"]},
        {"readinessProbe": {"exec": {"command": ["python3", "-c", URLOPEN % "readyz"]}}},
        {"livenessProbe": {"exec": {"command": ["sh", "-c", "echo 'python3 -c"]}}},
        {"args": ["-c", "import subprocess"]},
    ],
)
def test_nothing_else_is_refused(container: dict[str, Any]) -> None:
    assert python_refusals({"containers": [container]}) == []
