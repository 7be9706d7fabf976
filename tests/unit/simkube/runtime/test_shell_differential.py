"""The simulated shells and applets against the machine's own ``sh`` and ``bash`` on tables of scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from simkube.runtime.nodes import Directory
from tests.doubles.container_node import Bench
from tests.unit.simkube.runtime.bash_scripts import AWK_SCRIPTS, BASH_SCRIPTS, BASH_WORDS, DASH_SCRIPTS
from tests.unit.simkube.runtime.scripts import SCRIPTS

SH, DASH, BASH = shutil.which("sh"), shutil.which("dash"), shutil.which("bash")


def real(program: str, script: str, folder: Path) -> tuple[int, str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C"}
    done = subprocess.run(
        [program, "-c", script], cwd=folder, env=env, capture_output=True, stdin=subprocess.DEVNULL, timeout=30
    )
    return done.returncode, done.stdout.decode()


def simulated(script: str, shell: str = "sh") -> tuple[int | None, str]:
    bench = Bench()
    container = bench.idle("httpd:2.4", working_dir="/work")
    assert isinstance(container.files.node("/work"), Directory)
    result = bench.exec([shell, "-c", script], container)
    return result.code, result.out


@pytest.mark.skipif(SH is None, reason="this machine has no sh to compare with")
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_same_output_and_exit_code_as_a_real_shell(script: str, tmp_path: Path) -> None:
    assert simulated(script) == real(str(SH), script, tmp_path)


@pytest.mark.skipif(BASH is None, reason="this machine has no bash to compare with")
@pytest.mark.parametrize("script", BASH_SCRIPTS)
def test_the_same_output_and_exit_code_as_bash(script: str, tmp_path: Path) -> None:
    assert simulated(script, "bash") == real(str(BASH), script, tmp_path)


@pytest.mark.skipif(BASH is None, reason="this machine has no bash to compare with")
@pytest.mark.parametrize("script", SCRIPTS)
def test_bash_runs_what_sh_runs(script: str, tmp_path: Path) -> None:
    assert simulated(script, "bash") == real(str(BASH), script, tmp_path)


@pytest.mark.skipif(DASH is None, reason="this machine has no dash to compare with")
@pytest.mark.parametrize("script", DASH_SCRIPTS)
def test_what_dash_does_not_know_its_double_does_not_know(script: str, tmp_path: Path) -> None:
    assert simulated(script) == real(str(DASH), script, tmp_path)


@pytest.mark.skipif(SH is None or shutil.which("awk") is None, reason="this machine has no awk to compare with")
@pytest.mark.parametrize("script", AWK_SCRIPTS)
def test_the_same_output_and_exit_code_as_awk(script: str, tmp_path: Path) -> None:
    assert simulated(script) == real(str(SH), script, tmp_path)


@pytest.mark.parametrize(
    "program", ["function f() {} {f()}", "{getline}", '{print > "f"}', '{"date" | getline}', "{while (1) x = x x}"]
)
def test_what_awk_does_not_do_here_is_refused(program: str) -> None:
    result = Bench().run(f"echo abc | awk '{{x = \"a\"}} {program}'")
    assert result.code == 2
    assert "not simulated" in result.err or "syntax error" in result.err


@pytest.mark.parametrize(("script", "code", "words"), BASH_WORDS)
def test_the_words_of_bash(script: str, code: int, words: str) -> None:
    bench = Bench()
    result = bench.exec(["bash", "-c", script], bench.idle("nginx"))
    assert (result.code, result.err) == (code, words)
