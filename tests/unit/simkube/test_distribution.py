"""simkube stands alone: what it requires, what it imports, and what it speaks of."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "simkube"
OURS = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WHOLE = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BROUGHT_BY = {"yaml": "PyYAML", "re2": "google-re2", "kubernetes_validate": "kubernetes-validate"}
BROUGHT_BY |= {"yarl": "aiohttp", "multidict": "aiohttp"}  # which are its own types
BESIDE_PYTEST = {"pytest"}
OTHERS = re.compile(r"\b(labs?|learners?|graders?|grad(?:es|ed|ing)|kindling)\b", re.IGNORECASE)
IMAGES = re.compile(
    r"(docker\.io/|registry\.)?kindling(/(web|shop|hungry|stand-in)|\.example/private/web|-probe|-web|-shop)"
)
SOURCES = sorted(path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".yaml", ".json", ".md"))


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add((node.module or "").partition(".")[0])
    return found


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!~\[ ]", each)[0] for each in requirements}


def test_it_requires_what_it_imports_and_nothing_else() -> None:
    modules = set().union(*(imported(path) for path in PACKAGE.rglob("*.py"))) - set(sys.stdlib_module_names)
    needed = {BROUGHT_BY.get(each, each) for each in modules - {"simkube"} - BESIDE_PYTEST}
    data_only = {"kubernetes-validate", "tzdata"}
    assert needed | data_only == names(OURS["dependencies"])
    assert imported(PACKAGE / "testing" / "plugin.py") >= BESIDE_PYTEST


def test_the_distribution_that_contains_it_requires_the_same() -> None:
    assert set(OURS["dependencies"]) <= set(WHOLE["dependencies"])
    assert (OURS["version"], OURS["requires-python"]) == (WHOLE["version"], WHOLE["requires-python"])


def test_it_speaks_of_nothing_that_it_is_not() -> None:
    said = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in SOURCES
        for line in path.read_text(encoding="utf-8").splitlines()
        if OTHERS.search(IMAGES.sub("", line)) and "credentials: {username:" not in line
    ]
    assert said == []


def test_pytest_loads_nothing_of_it_before_a_cluster_is_used() -> None:
    assert {each for each in imported(PACKAGE / "testing" / "plugin.py") if each != "simkube"} <= {
        "__future__",
        "collections",
        "typing",
        "pytest",
    }
    assert imported(PACKAGE / "testing" / "__init__.py") <= {"__future__", "importlib", "typing", "simkube"}
