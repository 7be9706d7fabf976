"""The ``kind`` command: found, run, and its progress read as it is printed."""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
from collections.abc import Generator, Sequence
from pathlib import Path

from labs.clusters.provider import ClusterError, ProviderUnavailable

_NO_IMAGE = re.compile(r'failed to pull image "([^"\s]+)"')
_PHASE = re.compile(r"^ (?:•|✓|✗) ([A-Za-z -]+[a-z])")


class Kind:
    """Runs one kind binary; ``node_image`` "" leaves the choice to kind."""

    def __init__(self, binary: str, node_image: str) -> None:
        self._binary = binary
        self._node_image = node_image

    def find(self) -> str:
        """The path of the binary; :class:`ProviderUnavailable` with the command that installs it."""
        path = shutil.which(self._binary)
        if path is None:
            system = platform.system().lower()
            machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
            url = f"https://kind.sigs.k8s.io/dl/latest/kind-{system}-{machine}"
            raise ProviderUnavailable(
                "The kind command is not installed.",
                "brew install kind"
                if system == "darwin"
                else f"curl -fsSLo kind {url} && sudo install kind /usr/local/bin/",
            )
        return path

    def version(self) -> str:
        """``kind v0.27.0 go1.24 linux/amd64``: which node image it takes by itself follows from it."""
        done = subprocess.run([self.find(), "version"], capture_output=True, text=True, errors="replace", check=False)  # noqa: S603 - arguments are ours
        return done.stdout.strip()[:200] or "kind"

    def create(self, name: str, topology: Path, kubeconfig: Path) -> Generator[str]:
        """Create a cluster, yielding each phase as kind names it (``Preparing nodes``) when it begins.

        Closing the iterator early ends kind; what it made so far stays for the caller to remove.
        """
        image = ["--image", self._node_image] if self._node_image else []
        command = [self.find(), "create", "cluster", "--name", name, "--config", str(topology), *image]
        command += ["--kubeconfig", str(kubeconfig)]
        process = subprocess.Popen(  # noqa: S603 - arguments are ours; the name is checked by the provider
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert process.stderr is not None
        said: list[str] = []
        try:
            for line in process.stderr:
                said.append(line)
                phase = _PHASE.match(line)
                if phase and line.startswith(" •"):
                    yield phase[1]
            if process.wait() != 0:
                raise _failure(said)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with the docker commands it runs
                process.wait()
            process.stderr.close()

    def load(self, name: str, images: Sequence[str]) -> None:
        """Load images of the Docker engine into every node of a cluster."""
        if not images:
            return
        command = [self.find(), "load", "docker-image", "--name", name, *images]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603 - as above
        if done.returncode != 0:
            raise ClusterError(f"the images could not be loaded into the nodes: {_reason(done.stderr.splitlines())}")


def _failure(lines: Sequence[str]) -> ClusterError:
    """kind's reason; a node image that cannot be had is something this machine lacks."""
    reason = _reason(lines)
    image = _NO_IMAGE.search(reason)
    if image is None:
        return ClusterError(reason)
    said = f"The node image {image[1]} is not on this machine and could not be pulled."
    return ProviderUnavailable(said, f"docker pull {image[1]}")


def _reason(lines: Sequence[str]) -> str:
    """What kind said was wrong, without its banner and stack trace."""
    for line in lines:
        if line.startswith("ERROR:"):
            return line.removeprefix("ERROR:").strip()[:500]
    return " ".join(line.strip() for line in lines[-3:])[:500] or "kind ended without saying why"
