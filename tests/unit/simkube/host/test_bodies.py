"""Compressed bodies: inflated for whom is known, in small steps, no further than the limit. On loopback only."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.http import body, reading
from tests.unit.simkube.host.serving import MAPS, listening, serving

JSON = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
BOMB = gzip.compress(b" " * 20_000_000)


async def inflated(sent: bytes, encoding: str) -> tuple[bytes, int]:
    """What it inflates to, and how often others had their turn meanwhile."""
    turns = 0

    async def pause() -> None:
        nonlocal turns
        turns += 1

    async def once() -> AsyncIterator[bytes]:
        yield sent

    parts = [part async for part in reading.inflated(once(), encoding, pause)]
    assert all(len(part) <= reading.STEP for part in parts)
    return b"".join(parts), turns


@pytest.mark.parametrize(("encoding", "made"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_it_is_inflated_in_small_steps(encoding: str, made: Any) -> None:
    text = b"words " * 100_000
    found, turns = asyncio.run(inflated(made(text), encoding))
    assert found == text
    assert turns >= len(text) / reading.STEP


@pytest.mark.parametrize(
    ("sent", "encoding", "code"),
    [
        (b"{}", "gzip", 400),
        (gzip.compress(b"{}")[:-9], "gzip", 400),
        (gzip.compress(b"{}") + b"more", "gzip", 400),
        (b"{}", "br", 415),
    ],
    ids=["plain", "cut off", "more behind it", "unknown encoding"],  # what gzip makes has the time in it
)
def test_what_is_no_such_data_is_refused(sent: bytes, encoding: str, code: int) -> None:
    with pytest.raises(StatusError) as refused:
        asyncio.run(inflated(sent, encoding))
    assert refused.value.code == code


def test_the_server_hands_bodies_over_as_they_were_sent() -> None:
    async def live() -> bytes:
        async def handler(http: Any) -> web.Response:
            return web.Response(body=await http.content.read())

        async with (
            listening(handler) as (_, url),
            aiohttp.ClientSession() as client,
            client.post(url, data=BOMB, headers=JSON) as answer,
        ):
            return await answer.read()

    assert asyncio.run(live()) == BOMB


def test_only_who_is_known_has_a_body_inflated_and_only_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "MOST_BYTES", 300_000)
    made = 0
    real = reading.inflated

    async def counted(*args: Any) -> AsyncIterator[bytes]:
        nonlocal made
        async for part in real(*args):
            made += len(part)
            yield part

    monkeypatch.setattr(reading, "inflated", counted)

    async def live() -> list[int]:
        codes = []
        async with serving() as host:
            host.create("a")
            right = gzip.compress(json.dumps({"metadata": {"name": "right"}}).encode())
            for token, data in (("", BOMB), ("nobody", BOMB)):
                async with host.ask("a", "POST", MAPS, token=token, data=data, headers=JSON) as answer:
                    codes.append(answer.status)
            assert made == 0
            for data in (BOMB, right):
                async with host.ask("a", "POST", MAPS, data=data, headers=JSON) as answer:
                    codes.append(answer.status)
            async with host.ask("a", "POST", "/simkube/clock", data=BOMB, headers=JSON) as answer:
                codes.append(answer.status)
        return codes

    assert asyncio.run(live()) == [403, 401, 413, 201, 413]
    assert made <= 3 * 300_000
