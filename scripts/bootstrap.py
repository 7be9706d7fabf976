"""Makes the virtual environment that everything else runs in. Needs Python 3.11 or newer and nothing else.

``python3 scripts/bootstrap.py VENV [EXTRA]`` creates VENV where it is missing and installs this checkout into it,
editable. Debian's python3 comes without ensurepip unless ``python3-venv`` is installed; then pip itself is fetched from
the package index as a wheel, which can run without being installed, so that neither root nor another package is needed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(folder: Path, extra: str) -> None:
    """Create ``folder`` and install into it."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this is the script that tells
        sys.exit(
            f"Kindling needs Python 3.11 or newer; this is {sys.version.split()[0]}. Try: make run PYTHON=python3.11"
        )
    python = folder / "bin" / "python"
    has_pip = subprocess.run([python, "-m", "pip", "--version"], capture_output=True) if python.exists() else None
    if has_pip is None or has_pip.returncode != 0:
        make_environment(folder, python)
    what = f"{ROOT}[{extra}]" if extra else str(ROOT)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--editable", what], check=True)


def make_environment(folder: Path, python: Path) -> None:
    """A virtual environment with pip in it."""
    print(f"Making a Python environment in {folder}", file=sys.stderr)
    if importlib.util.find_spec("ensurepip") is not None:
        try:
            venv.create(folder, clear=True, with_pip=True, symlinks=True)
            return
        except subprocess.CalledProcessError:
            pass  # ensurepip is there, but not its wheels: fetch them as below
    venv.create(folder, clear=True, with_pip=False, symlinks=True)
    with tempfile.TemporaryDirectory() as scratch:
        wheel = fetch_pip(Path(scratch))
        subprocess.run([python, wheel / "pip", "install", "--quiet", wheel], check=True)


def fetch_pip(scratch: Path) -> Path:
    """The newest pip wheel of the package index (PIP_INDEX_URL, or PyPI), its checksum compared."""
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
    request = urllib.request.Request(f"{index}/pip/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        base, files = answer.url, json.load(answer)["files"]
    wheels = [f for f in files if f["filename"].endswith("-py3-none-any.whl") and is_release(f) and not f.get("yanked")]
    newest = max(wheels, key=lambda f: version(f["filename"]))
    with urllib.request.urlopen(urllib.parse.urljoin(base, newest["url"]), timeout=120) as answer:
        data = answer.read()
    if hashlib.sha256(data).hexdigest() != newest["hashes"]["sha256"]:
        sys.exit(f"{newest['filename']} does not have the checksum that the index names; try again")
    path = scratch / newest["filename"]
    path.write_bytes(data)
    return path


def is_release(file: dict[str, object]) -> bool:
    """Whether the version is digits and dots only."""
    return str(file["filename"]).split("-")[1].replace(".", "").isdigit()


def version(filename: str) -> tuple[int, ...]:
    """``pip-25.1-py3-none-any.whl`` -> (25, 1)."""
    return tuple(int(part) for part in filename.split("-")[1].split("."))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: bootstrap.py VENV [EXTRA]")
    try:
        main(Path(sys.argv[1]).absolute(), sys.argv[2] if len(sys.argv) > 2 else "")
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"The environment could not be made: {error}\nCheck network and disk, then run it again.")
