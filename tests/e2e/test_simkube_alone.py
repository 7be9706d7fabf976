"""simkube's own wheel, by itself in a new environment: a cluster from the command line, and a fixture for a test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import unavailable

ROOT = Path(__file__).resolve().parents[2]
TEST = """
def test_a_pod(simkube_cluster):
    container = {"name": "one", "image": "busybox:1.36", "command": ["sleep", "60"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": {"containers": [container]}}
    simkube_cluster.apply(pod)
    simkube_cluster.step("10s")
    assert simkube_cluster.client.get("pods", "one", "default")["status"]["phase"] == "Running"
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the folder alone."""
    folder = tmp_path_factory.mktemp("simkube-wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", folder, ROOT / "simkube"], check=True, capture_output=True)
    (made,) = folder.glob("simkube-*.whl")
    return made


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel and pytest; skipped where nothing can be installed."""
    folder = tmp_path_factory.mktemp("alone")
    try:
        venv.create(folder, with_pip=True)
    except subprocess.CalledProcessError:
        unavailable("this Python makes no environments with pip (Debian: apt install python3-venv)")
    found = folder / "bin" / "python"
    install = [
        found,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--retries",
        "1",
        wheel,
        "pytest",
    ]
    done = subprocess.run(install, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        unavailable(f"its requirements cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    return found


def environment(home: Path) -> dict[str, str]:
    """Nothing of this checkout on the way."""
    return {**{name: value for name, value in os.environ.items() if name != "PYTHONPATH"}, "HOME": str(home)}


def test_the_wheel_has_one_package_and_all_of_its_data(wheel: Path) -> None:
    names = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert {name.partition("/")[0] for name in names} == {"simkube"}
    there = (path for path in (ROOT / "simkube").rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert {str(path.relative_to(ROOT)) for path in there} - {"simkube/pyproject.toml"} == set(names)


def test_it_installs_without_the_rest(python: Path, tmp_path: Path) -> None:
    look = "import importlib.util as u; print([n for n in ('labs', 'webapp', 'grader', 'flask') if u.find_spec(n)])"
    assert subprocess.check_output([python, "-c", look], cwd=tmp_path, env=environment(tmp_path), text=True) == "[]\n"


def test_up_gives_a_kubeconfig(python: Path, tmp_path: Path) -> None:
    command = [python, "-m", "simkube", "up", "--nodes", "2"]
    up = subprocess.Popen(command, cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, text=True)
    assert up.stdout is not None
    try:
        assert "2 nodes is up" in up.stdout.readline()
        while "Ctrl-C" not in up.stdout.readline():
            assert up.poll() is None
        kubectl = [Path(sys.executable).parent / "kubectl", "--kubeconfig", tmp_path / "simkube.kubeconfig"]
        nodes = subprocess.check_output([*kubectl, "get", "nodes", "-o", "name"], env=environment(tmp_path), text=True)
        assert nodes.split() == ["node/simkube-control-plane", "node/simkube-worker"]
    finally:
        up.send_signal(signal.SIGINT)
        assert up.wait(30) == 0
        up.stdout.close()


def test_pytest_finds_the_fixture_by_itself(python: Path, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    command = [python, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
