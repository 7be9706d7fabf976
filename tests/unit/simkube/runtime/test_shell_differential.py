"""The simulated shell and applets against the machine's own ``sh`` on a table of scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from simkube.runtime.nodes import Directory
from tests.unit.simkube.runtime.bench import Bench
from tests.unit.simkube.runtime.scripts import SCRIPTS

REAL = shutil.which("sh")


def real(script: str, folder: Path) -> tuple[int, str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C"}
    done = subprocess.run(
        [str(REAL), "-c", script], cwd=folder, env=env, capture_output=True, stdin=subprocess.DEVNULL, timeout=30
    )
    return done.returncode, done.stdout.decode()


def simulated(script: str) -> tuple[int | None, str]:
    bench = Bench()
    container = bench.idle("httpd:2.4", working_dir="/work")
    assert isinstance(container.files.node("/work"), Directory)
    result = bench.run(script, container)
    return result.code, result.out


@pytest.mark.skipif(REAL is None, reason="this machine has no sh to compare with")
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_same_output_and_exit_code_as_a_real_shell(script: str, tmp_path: Path) -> None:
    assert simulated(script) == real(script, tmp_path)
