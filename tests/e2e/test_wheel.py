"""The wheel carries everything: laid into an empty place, far from the checkout, the site and a lab work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from simkube.host import launcher

KINDLING = (sys.executable, "-c", "from labs.cli.main import main; main()")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", folder, ROOT], check=True, capture_output=True)
    (wheel,) = folder.glob("kindling-*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "packages")
    return folder / "packages"


@pytest.fixture
def environment(installed: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What a process needs to find the unpacked wheel before the checkout, and a home of its own."""
    home = tmp_path / "home"
    yield {**os.environ, "PYTHONPATH": str(installed), "KINDLING_HOME": str(home), "HOME": str(tmp_path)}
    launcher.shutdown(home / "simkube")


def kindling(environment: dict[str, str], *arguments: str) -> str:
    """What the command prints."""
    command = [*KINDLING, *arguments]
    return subprocess.run(command, env=environment, cwd="/", check=True, capture_output=True, text=True).stdout


def test_labs_come_with_it_and_start(environment: dict[str, str], installed: Path) -> None:
    where = subprocess.check_output(
        [sys.executable, "-c", "import labs; print(labs.__file__)"], env=environment, cwd="/"
    )
    assert where.decode().startswith(str(installed))
    listed = kindling(environment, "labs")
    for lab in ("pods", "services", "scaling", "self-healing"):
        assert lab in listed
    kindling(environment, "start", "self-healing")
    nodes = kindling(environment, "kubectl", "self-healing", "--", "get", "nodes", "-o", "name")
    assert len(nodes.split()) == 3
    kindling(environment, "stop", "self-healing")


def test_up_serves_the_course(environment: dict[str, str]) -> None:
    command = [*KINDLING, "up", "--port", "0"]
    site = subprocess.Popen(command, env=environment, cwd="/", stdout=subprocess.PIPE, text=True)
    try:
        assert site.stdout is not None
        address = re.search(r"http://127\.0\.0\.1:\d+", site.stdout.readline())
        assert address is not None
        deadline = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"{address[0]}/courses/kubernetes-architecture/") as answer:
                    page = answer.read().decode()
                break
            except OSError:
                assert time.monotonic() < deadline
        assert "Kubernetes architecture" in page
        assert "/labs/pods" in page
    finally:
        site.terminate()
        assert site.wait(20) == 0
        if site.stdout is not None:
            site.stdout.close()
