"""A scripted cluster, and a way to grade it with a ``checks.py`` written in the test."""

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.processes import Zygote
from grader.protocol import GradeRequest, Verdict
from grader.runner import grade
from tests.doubles.api_server import ScriptedCluster

Run = Callable[..., Verdict]


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """What grading processes are forked from."""
    with Zygote() as made:
        yield made


@pytest.fixture
def scripted() -> Iterator[Any]:
    """A cluster that the test scripts."""
    cluster = ScriptedCluster()
    yield cluster
    cluster.close()


@pytest.fixture
def request_for(scripted: Any, tmp_path: Path) -> Callable[..., GradeRequest]:
    """A request to grade the scripted cluster with the given body of ``checks.py``."""

    def make(body: str, **fields: Any) -> GradeRequest:
        path = tmp_path / "checks.py"
        path.write_text("from grader import *\nimport time\n" + textwrap.dedent(body))
        given = {"checks": str(path), "kubeconfig": scripted.kubeconfig, "namespace": "default", "parameters": {}}
        return GradeRequest(**{**given, "seconds": 30.0, **fields})

    return make


@pytest.fixture
def run(request_for: Callable[..., GradeRequest], zygote: Zygote) -> Run:
    """Grade, for real: in a process of its own."""

    def go(body: str, fields: dict[str, Any] | None = None, **options: Any) -> Verdict:
        return grade(request_for(body, **(fields or {})), **{"zygote": zygote, **options})

    return go
