"""What the lab services says about a Service that leads to the right pods and to no port that they listen on."""

from __future__ import annotations

import runpy
from types import SimpleNamespace
from typing import Any

import pytest

from grader.answers import Answer
from grader.errors import CheckFailed
from labs.settings import load


class Refusing:
    """A cluster whose Service has ``addresses`` that refuse every connection."""

    def __init__(self, addresses: int) -> None:
        self._ready = [object()] * addresses

    def __getattr__(self, name: str) -> Any:
        pods = [SimpleNamespace(name="web-1", uid="1", ready=True)]
        answers = {"pods_of": pods, "endpoints": SimpleNamespace(ready=self._ready), "url": "http://front:80/"}
        return lambda *_: answers.get(name)


class Probe:
    """Refused, always."""

    def get(self, url: str) -> Answer:
        return Answer(url, t=0.0, ms=1.0, status=0, error="refused", body="")


class Itself:
    """Every pod is the application itself."""

    def application(self, *_: object) -> None:
        return


def said(addresses: int, *before: str) -> list[str]:
    checks = runpy.run_path(str(load({}).catalogs[0] / "services" / "checks.py"))
    answered_by_all = checks["answered_by_all"]
    answered_by_all.__globals__["SETTLE_SECONDS"] = 0
    way = checks["Way"](Refusing(addresses), Probe(), Itself(), "front", "web", 1, 8080)
    with pytest.raises(CheckFailed) as failed:
        answered_by_all(way, *before)
    return str(failed.value).splitlines()


def test_ports_are_to_be_compared_where_there_are_addresses() -> None:
    _, observed, look = said(3)
    assert "refused" in observed
    for word in ("Port and TargetPort", "kubectl get endpointslices", "the port that the pods listen on"):
        assert word in look
    assert "--show-labels" in said(0)[-1]


def test_what_the_first_check_said_is_not_said_again() -> None:
    expected, observed = said(3, "a pod is replaced")
    assert expected == "Expected: the Service front to lead to web, before a pod is replaced"
    assert "refused" in observed
