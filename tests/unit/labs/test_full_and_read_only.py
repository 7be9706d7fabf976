"""The command on a disk that is really full, and in a home that is really read-only: a small file system of its own.

That needs a mount namespace, which not every system gives to its users.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MEMORY = 28  # MiB of the file system: the ballast is what is left of it divided, not as large as it may be
READING = ("labs", "status", "report")
WRITING = ("start services", "hint pods", "check pods", "extend pods", "up --port 0")
COMMANDS = (*READING, *WRITING)
PROGRAM = "import sys; from labs.cli.main import main; sys.argv = ['kindling', *sys.argv[1:]]; main()"
PRELUDE = """
set -u
mount -t tmpfs -o size={size}m tmpfs {place}
export KINDLING_HOME={place}/home HOME={place} PYTHON={python}
run() {{ echo "== $*"; {python} -c "{program}" "$@" 2>&1; echo "-> $?"; }}
fill() {{ dd if=/dev/zero of={place}/fill bs=4096; dd if=/dev/zero of={place}/fill2 bs=1; }} 2>/dev/null
"""

END = """
kill $($PYTHON -c 'import json, os; print(json.load(open(os.environ["KINDLING_HOME"] + "/simkube/host.json"))["pid"])')
"""


def played(tmp_path: Path, script: str) -> list[tuple[str, int, str]]:
    """What each ``run`` of the script said: its arguments, exit code and output."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare(1) here, with which a test gets a file system of its own")
    place = tmp_path / "disk"
    place.mkdir()
    prelude = PRELUDE.format(size=MEMORY, place=place, python=sys.executable, program=PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KINDLING_PROVIDERS": "simulated"}
    how = ["unshare", "--map-root-user", "--mount", "bash", "-c"]
    if subprocess.run([*how, f"mount -t tmpfs tmpfs {place}"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets no test mount a file system of its own (unshare --map-root-user --mount)")
    ran = subprocess.run(
        [*how, prelude + script], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.stderr == ""
    found = []
    for part in ran.stdout.split("== ")[1:]:
        said, _, code = part.rpartition("-> ")
        arguments, _, output = said.partition("\n")
        found.append((arguments, int(code.split()[0]), output))
    return found


def each(commands: tuple[str, ...]) -> str:
    return "".join(f"run {command}\n" for command in commands)


@pytest.mark.parametrize("used", [False, True], ids=["new", "used"])
def test_in_a_read_only_home_every_command_is_a_sentence(tmp_path: Path, used: bool) -> None:
    begin = "run labs\n" if used else ""
    seen = played(tmp_path, begin + f"mount -o remount,ro {tmp_path}/disk\n" + each((*COMMANDS, "stop pods")))
    seen = seen[used:]
    assert len(seen) == len(COMMANDS) + 1
    for arguments, code, output in seen:
        assert code == (2 if arguments.startswith("check") else 1), (arguments, output)
        assert output.startswith("kindling: what Kindling keeps cannot be written: "), (arguments, output)
        assert output.endswith("choose another home\n  try: export KINDLING_HOME=$HOME/kindling\n"), (arguments, output)


def test_where_nothing_was_kept_for_it_stop_is_not_what_helps(tmp_path: Path) -> None:
    ballast = f"{tmp_path}/disk/home/ballast"
    seen = played(
        tmp_path, f"run start pods\nrm {ballast}\nfill\n" + each(("extend pods", "stop pods", "status")) + END
    )
    for arguments, code, output in seen[1:3]:
        assert code == 1, (arguments, output)
        assert "is full, so nothing of this was kept; delete what is not needed on it" in output, (arguments, output)
        assert f"  try: du -ax {tmp_path}/disk/home | sort -n | tail\n" in output, (arguments, output)
    assert seen[3][1] == 0, seen[3]
    assert "pods  simulated  ready" in seen[3][2]


def test_on_a_full_disk_what_reads_works_and_so_does_stop_which_makes_room(tmp_path: Path) -> None:
    steps = ("run start pods", "fill", *(f"run {one}" for one in COMMANDS), "run stop pods", "run status")
    seen = played(tmp_path, "\n".join((*steps, f"rm {tmp_path}/disk/fill*", "run start pods", "run stop pods", END)))
    before, read, refused, after = seen[0], seen[1:4], seen[4:-4], seen[-4:]
    assert before[1] == 0, before
    assert [(arguments, code) for arguments, code, _ in read] == [(one, 0) for one in READING]
    assert not [output for _, _, output in read if "is full" in output]
    assert "pods  simulated  ready" in read[1][2]
    assert len(refused) == len(WRITING)
    for arguments, code, output in refused:
        assert code == (2 if arguments.startswith("check") else 1), (arguments, output)
        assert re.search("disk .*is full.*; free some space and do that again", output), (arguments, output)
        assert output.endswith("  try: kindling stop pods\n") or arguments.startswith("up"), (arguments, output)
    assert [(arguments, code) for arguments, code, _ in after] == [
        ("stop pods", 0),
        ("status", 0),
        ("start pods", 0),
        ("stop pods", 0),
    ]
    assert after[0][2] == "pods is stopped.\n"
    assert "No lab has been started" in after[1][2]
    assert not [output for _, _, output in seen if "Traceback" in output]
