"""The kind command, played by shell scripts that say and do what kind does."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from labs.clusters.kind.command import Kind
from labs.clusters.provider import ClusterError, ProviderUnavailable

SPOKEN = """echo 'Creating cluster "x" ...' >&2
echo ' • Ensuring node image (kindest/node:v1.36.1) 🖼  ...' >&2
echo ' ✓ Ensuring node image (kindest/node:v1.36.1) 🖼' >&2
echo ' • Preparing nodes 📦 📦   ...' >&2
echo ' • Starting control-plane 🕹️  ...' >&2
"""


def script(folder: Path, body: str) -> str:
    path = folder / "kind"
    path.write_text(f"#!/bin/sh\n{body}")
    path.chmod(0o755)
    return str(path)


def test_phases_are_read_as_they_begin(tmp_path: Path) -> None:
    kind = Kind(script(tmp_path, SPOKEN + f'echo "$@" > {tmp_path}/said'), "kindest/node:v1.36.1")
    phases = list(kind.create("x", tmp_path / "single.yaml", tmp_path / "kubeconfig"))
    assert phases == ["Ensuring node image", "Preparing nodes", "Starting control-plane"]
    assert (tmp_path / "said").read_text().split() == [
        *("create", "cluster", "--name", "x", "--config", str(tmp_path / "single.yaml")),
        *("--image", "kindest/node:v1.36.1", "--kubeconfig", str(tmp_path / "kubeconfig")),
    ]


def test_no_image_is_named_when_the_choice_is_kinds(tmp_path: Path) -> None:
    kind = Kind(script(tmp_path, f'echo "$@" > {tmp_path}/said'), "")
    list(kind.create("x", tmp_path / "single.yaml", tmp_path / "kubeconfig"))
    assert "--image" not in (tmp_path / "said").read_text()


def test_a_failure_gives_kinds_reason(tmp_path: Path) -> None:
    body = SPOKEN + "echo 'ERROR: failed to create cluster: port is taken' >&2; echo 'Stack Trace:' >&2; exit 1"
    kind = Kind(script(tmp_path, body), "")
    with pytest.raises(ClusterError, match=r"^failed to create cluster: port is taken$"):
        list(kind.create("x", tmp_path / "single.yaml", tmp_path / "kubeconfig"))


def test_a_node_image_that_cannot_be_had_is_lacking(tmp_path: Path) -> None:
    reason = 'failed to create cluster: failed to pull image "kindest/node:v9": command "docker pull" failed'
    kind = Kind(script(tmp_path, SPOKEN + f"echo 'ERROR: {reason}' >&2; exit 1"), "kindest/node:v9")
    with pytest.raises(ProviderUnavailable, match="node image kindest/node:v9 is not on this machine") as failed:
        list(kind.create("x", tmp_path / "single.yaml", tmp_path / "kubeconfig"))
    assert failed.value.fix == "docker pull kindest/node:v9"


def test_closing_early_ends_kind_and_what_it_runs(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    kind = Kind(script(tmp_path, SPOKEN + f"sleep 600 & echo $! > {pid_file}; wait"), "")
    with closing(kind.create("x", tmp_path / "single.yaml", tmp_path / "kubeconfig")) as phases:
        assert next(phases) == "Ensuring node image"
        deadline = time.monotonic() + 10
        while not pid_file.exists() or not pid_file.read_text().strip():
            assert time.monotonic() < deadline
    child = int(pid_file.read_text())
    deadline = time.monotonic() + 10
    while _alive(child):
        assert time.monotonic() < deadline, "what kind had started is still running"


def test_a_missing_kind_says_how_to_install_it() -> None:
    with pytest.raises(ProviderUnavailable, match="not installed") as caught:
        Kind("no-such-kind-here", "").find()
    assert "kind" in caught.value.fix


def test_a_failed_load_says_why(tmp_path: Path) -> None:
    kind = Kind(script(tmp_path, """echo 'ERROR: image: "a:1" not present locally' >&2; exit 1"""), "")
    with pytest.raises(ClusterError, match='could not be loaded into the nodes: image: "a:1" not present locally'):
        kind.load("x", ["a:1"])


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z" if Path(f"/proc/{pid}").exists() else False
