"""A busy API server is waited for; one that is gone is not, for long."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from grader import limits
from grader.connection import Connection
from grader.errors import ClusterBusy, ClusterUnreachable

PATH = "/api/v1/namespaces"


def refusing(scripted: Any, monkeypatch: pytest.MonkeyPatch, *statuses: int) -> list[int]:
    """Has the API server answer with these statuses first; they are taken from the list as it does."""
    left, usual = list(statuses), scripted.handle

    def handle(*request: Any) -> tuple[int, Any]:
        return (left.pop(0), {"kind": "Status", "message": "later"}) if left else usual(*request)

    monkeypatch.setattr(scripted, "handle", handle)
    return left


def test_too_many_requests_are_not_the_end(scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    left = refusing(scripted, monkeypatch, 429, 429)
    assert Connection(scripted.kubeconfig, patience=0.0).get(PATH)["items"] == []
    assert left == []


def test_nor_is_an_answer_that_comes_late(scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "READ_SECONDS", 0.2)
    late, usual, asked = threading.Event(), scripted.handle, []

    def handle(*request: Any) -> tuple[int, Any]:
        asked.append(request)
        if len(asked) == 1:
            late.wait(20)
        answer: tuple[int, Any] = usual(*request)
        return answer

    monkeypatch.setattr(scripted, "handle", handle)
    assert Connection(scripted.kubeconfig, patience=0.0).get(PATH)["items"] == []
    assert len(asked) > 1
    late.set()


def test_it_is_when_it_takes_too_long(scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUSY_SECONDS", 0.0)
    left = refusing(scripted, monkeypatch, 429, 429)
    with pytest.raises(ClusterBusy):
        Connection(scripted.kubeconfig, patience=60.0).get(PATH)
    assert left == [429]


def test_an_error_of_the_servers_is_asked_again_for_as_long_as_was_said(
    scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = refusing(scripted, monkeypatch, 500, 500)
    with pytest.raises(ClusterUnreachable):
        Connection(scripted.kubeconfig, patience=0.0).get(PATH)
    assert left == [500]


def test_where_nobody_listens_nobody_is_busy(scripted: Any) -> None:
    found = Connection(scripted.kubeconfig, patience=0.0)
    scripted.close()
    with pytest.raises(ClusterUnreachable) as gone:
        found.get(PATH)
    assert not isinstance(gone.value, ClusterBusy)
