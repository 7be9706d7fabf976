"""``python -m simkube up``: a kubeconfig that works until Ctrl-C, and nothing left after it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from simkube.__main__ import main

KUBECTL = Path(sys.executable).parent / "kubectl"
ROOT = Path(__file__).resolve().parents[4]


@contextmanager
def up(folder: Path, *arguments: str) -> Iterator[str]:
    """Run it in ``folder``; what it said once it is up. It must end well when it is interrupted."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "scratch")}
    (folder / "scratch").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "simkube", "up", *arguments]
    running = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    try:
        said = ""
        while "Ctrl-C" not in said:
            line = running.stdout.readline()
            assert line, f"it ended before it was up: {said}"
            said += line
        yield said
    finally:
        running.send_signal(signal.SIGINT)
        with running.stdout:
            assert running.wait(30) == 0
    assert list((folder / "scratch").iterdir()) == []


def kubectl(config: Path, *words: str) -> str:
    command = [KUBECTL, "--kubeconfig", config, f"--cache-dir={config.parent}/cache", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_up_and_down(tmp_path: Path) -> None:
    config = tmp_path / "simkube.kubeconfig"
    with up(tmp_path, "--nodes", "3") as said:
        assert "3 nodes is up" in said
        assert f"export KUBECONFIG={config}" in said
        assert config.stat().st_mode & 0o077 == 0
        nodes = kubectl(config, "get", "nodes", "-o", "name").split()
        assert nodes == ["node/simkube-control-plane", "node/simkube-worker", "node/simkube-worker2"]
        assert kubectl(config, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}") == "kubernetes-admin"
    assert not config.exists()


def test_topology_speed_name_and_a_home_that_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text("kind: Cluster\nnodes: [{role: control-plane}, {role: worker}]\n")
    config, home = tmp_path / "here" / "config", tmp_path / "home"
    config.parent.mkdir()
    arguments = ["--topology", str(tmp_path / "two.yaml"), "--kubeconfig", str(config), "--name", "mine"]
    arguments += ["--home", str(home), "--speed", "10"]
    with up(tmp_path, *arguments) as said:
        assert "10 times as fast" in said
        kubectl(config, "create", "configmap", "kept", "--from-literal=a=1")
        assert json.loads(kubectl(config, "get", "--raw", "/simkube/clock"))["speed"] == 10
    with up(tmp_path, *arguments):
        assert kubectl(config, "get", "nodes", "-o", "name").split() == ["node/mine-control-plane", "node/mine-worker"]
        assert kubectl(config, "get", "configmap", "kept", "-o", "jsonpath={.data.a}") == "1"


def test_refusals_say_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = tmp_path / "config"
    others.write_text(json.dumps({"contexts": [{"name": "production"}]}))
    (tmp_path / "broken.yaml").write_text("kind: [")
    (tmp_path / "list.yaml").write_text("- 1\n")
    for arguments, expected in (
        (["--kubeconfig", str(others)], "name another file with --kubeconfig"),
        (["--nodes", "101"], "1 to 100 nodes, not 101"),
        (["--nodes", "0"], "1 to 100 nodes, not 0"),
        (["--speed", "5000"], "between 0.1 and 1000, not 5000"),
        (["--topology", str(tmp_path / "broken.yaml")], "is not YAML"),
        (["--topology", str(tmp_path / "list.yaml")], "expected a mapping"),
        (["--topology", str(tmp_path / "none.yaml")], f"there is no file {tmp_path / 'none.yaml'}"),
        (["--name", "Not A Name", "--kubeconfig", str(tmp_path / "new")], "a cluster's id is a DNS label"),
    ):
        assert main(["up", *arguments]) == 1, arguments
        assert expected in capsys.readouterr().err
    assert json.loads(others.read_text()) == {"contexts": [{"name": "production"}]}
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("port", ["80000", "0", "-1", "http"])
def test_a_port_is_a_port(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["up", f"--port={port}"])
    assert f"a port is a number from 1 to 65535, not {port}" in capsys.readouterr().err


def test_a_second_one_does_not_take_the_kubeconfig_of_one_that_is_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "simkube.kubeconfig"
    with up(tmp_path):
        written = config.read_text()
        assert main(["up", "--kubeconfig", str(config)]) == 1
        assert f"the cluster of {config} is still up" in capsys.readouterr().err
        assert config.read_text() == written
    assert not config.exists()
    config.write_text(written)  # as one that was killed leaves it
    with up(tmp_path):
        assert config.read_text() != written
        config.write_text(written)
    assert config.read_text() == written, "what another one wrote is not this one's to remove"
