"""Whatever answers the probe: a word for it in time, a bounded part of it, and nobody else asked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.doubles import hostile_server as hostile
from tests.doubles.hostile_server import Bytes, HostileServer

HOME = Path(__file__).parents[5] / "labs" / "images" / "web"
Serve = Callable[[Bytes], HostileServer]


@pytest.fixture
def requester(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The image's module, as the image imports it."""
    monkeypatch.syspath_prepend(str(HOME))
    import requester  # type: ignore[import-not-found]  # lies in the image's folder

    yield requester
    del sys.modules["requester"]


@pytest.fixture
def serve() -> Iterator[Serve]:
    made: list[HostileServer] = []

    def begin(answer: Bytes) -> HostileServer:
        made.append(HostileServer(answer))
        return made[-1]

    yield begin
    for server in made:
        server.close()


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (hostile.endless, 200, ""),
        (hostile.dripping_body, 0, "timeout"),
        (hostile.dripping_head, 0, "timeout"),
        (hostile.endless_continues, 0, "timeout"),
        (hostile.many_headers, 0, "bad answer"),
        (hostile.long_header, 0, "bad answer"),
        (hostile.too_long_promised, 0, "reset"),
        (hostile.too_little_promised, 200, ""),
        (hostile.negative_length, 200, ""),
        (hostile.broken_chunks, 0, "reset"),
        (hostile.not_http, 0, "bad answer"),
        (hostile.odd_status, 0, "bad answer"),
        (hostile.bomb, 200, ""),
        (hostile.invalid_text, 200, ""),
        (hostile.broken_off, 0, "bad answer"),
    ],
)
def test_it_ends_with_a_word(requester: ModuleType, serve: Serve, answer: Bytes, status: int, error: str) -> None:
    record = requester.request(serve(answer).url, timeout=0.5)
    assert (record["status"], record["error"]) == (status, error)
    assert len(record["body"]) <= requester.BODY_CHARACTERS


@pytest.mark.parametrize(
    "to",
    [
        "http://169.254.169.254/latest/meta-data/",
        "//127.0.0.1:{port}/",
        "http://127.0.0.1:{port}/",
        "http://[::1]:{port}/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:{port}/",
        "/",
    ],
)
def test_no_redirect_is_followed(requester: ModuleType, serve: Serve, to: str) -> None:
    inside = serve(hostile.endless)
    outside = serve(hostile.redirect(to.format(port=inside.url.rsplit(":")[-1].strip("/"))))
    record = requester.request(outside.url, timeout=0.5)
    assert (record["status"], record["error"], record["body"]) == (302, "", "")
    assert (outside.asked, inside.asked) == (1, 0)


def test_little_of_an_endless_answer_is_taken(requester: ModuleType, serve: Serve) -> None:
    server = serve(hostile.endless)
    requester.request(server.url, timeout=5)
    assert server.sent < 64 << 20
