"""Large answers: as they are taken, so many bytes at a time, until the client or the cluster goes. On loopback only."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest
import yaml

from simkube.apiserver.http import sending
from simkube.apiserver.http.encoding import Encoder
from simkube.client.client import Client
from tests.unit.simkube.host.serving import MAPS, Serving, serving

COUNT, SIZE = 16, 1_000_000
"""More than the buffers of a connection take."""


def filled(host: Serving, cluster: str, count: int = COUNT, size: int = SIZE) -> None:
    host.create(cluster)
    server = host.tenants.get(cluster).cluster
    client = Client(server.apiserver, "kubectl", server.clock)
    for number in range(count):
        name, data = f"n{number:02}", {"k": f"{number:02}" * (size // 2)}
        client.create("configmaps", {"metadata": {"name": name}, "data": data}, "default")


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0)


async def refused(host: Serving, cluster: str) -> tuple[int, str | None, str]:
    async with host.ask(cluster, "GET", MAPS) as answer:
        return answer.status, answer.headers.get("Retry-After"), (await answer.json(content_type=None))["message"]


def test_it_is_made_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    async def live() -> None:
        nonlocal made
        async with serving() as host:
            filled(host, "a")
            real = Encoder.item

            def counted(self: Any, obj: Any) -> bytes:
                nonlocal made
                made += 1
                return real(self, obj)

            monkeypatch.setattr(Encoder, "item", counted)
            at = host.tenants.get("a").frontend.sending
            async with host.ask("a", "GET", MAPS) as unread:
                await until(lambda: len(at) == 1)
                for _ in range(200):  # as many turns as it wants
                    await asyncio.sleep(0)
                assert made < COUNT
                found = await unread.json()
            assert [item["metadata"]["name"] for item in found["items"]][-1] == f"n{COUNT - 1:02}"
            assert made >= COUNT
            assert len(at) == 0

    asyncio.run(live())


@pytest.mark.parametrize("whose", ["this cluster's", "all clusters'"])
def test_too_many_are_refused_until_one_is_given_up(monkeypatch: pytest.MonkeyPatch, whose: str) -> None:
    if whose == "this cluster's":
        monkeypatch.setattr(sending, "MOST_BYTES", 2 * COUNT * SIZE + (8 << 20))

    async def live() -> None:
        async with serving(kept=2 * COUNT * SIZE + (8 << 20)) as host:
            filled(host, "a")
            filled(host, "b")
            at = host.tenants.get("a").frontend.sending
            other = "a" if whose == "this cluster's" else "b"
            async with AsyncExitStack() as stack:
                first = await stack.enter_async_context(host.ask("a", "GET", MAPS))
                await stack.enter_async_context(host.ask("a", "GET", MAPS))
                status, after, message = await refused(host, other)
                assert (status, after) == (429, "1")
                assert message.startswith(whose)
                async with host.ask(other, "GET", f"{MAPS}/kube-root-ca.crt") as small:
                    assert small.status in (200, 404)  # what is small is answered
                first.close()  # its client leaves
                await until(lambda: len(at) == 1)
                async with host.ask(other, "GET", MAPS) as answer:
                    assert answer.status == 200
                    assert len((await answer.json())["items"]) >= COUNT

    asyncio.run(live())


@pytest.mark.parametrize("end", ["delete", "restore", "stop"])
def test_it_is_given_up_with_its_cluster(end: str) -> None:
    async def live() -> None:
        async with serving() as host:
            filled(host, "a")
            host.tenants.snapshot("a")
            at = host.tenants.get("a").frontend.sending
            async with host.ask("a", "GET", MAPS) as unread:
                await until(lambda: len(at) == 1)
                if end == "stop":
                    host.tenants.fault("a", "stop-component", "kube-apiserver")
                else:
                    getattr(host.tenants, end)("a")
                await until(lambda: len(at) == 0)
                with pytest.raises(aiohttp.ClientError):
                    await unread.read()

    asyncio.run(live())


def test_who_reads_for_too_long_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SECONDS", 0.05)

    async def live() -> None:
        async with serving() as host:
            filled(host, "a")
            at = host.tenants.get("a").frontend.sending
            async with host.ask("a", "GET", MAPS) as unread:
                await until(lambda: len(at) == 0)
                with pytest.raises(aiohttp.ClientError):
                    await unread.read()

    asyncio.run(live())


def test_every_form_of_a_large_list_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "MOST_SHAPED", 2_000_000)

    async def live() -> None:
        async with serving() as host:
            filled(host, "a", 4, 100_000)
            async with host.ask("a", "GET", MAPS) as answer:
                plain = (await answer.json())["items"]
            async with host.ask("a", "GET", MAPS, headers={"Accept-Encoding": "gzip"}) as answer:
                assert answer.headers["Content-Encoding"] == "gzip"
                assert json.loads(gzip.decompress(await answer.read()))["items"] == plain
            async with host.ask("a", "GET", MAPS, headers={"Accept": "application/yaml"}) as answer:
                assert yaml.safe_load(await answer.text())["items"] == plain
            filled(host, "b", 30, 100_000)
            async with host.ask("b", "GET", f"{MAPS}?pretty=true") as answer:
                assert answer.status == 413

    asyncio.run(live())


@pytest.mark.parametrize(
    ("agent", "parameter", "indented"),
    [
        ("curl/8.5.0", "", True),
        ("Wget/1.21", "", True),
        ("Mozilla/5.0 (X11; Linux x86_64)", "", True),
        ("kubectl/v1.36.0", "", False),
        ("kubectl/v1.36.0", "?pretty=T", True),
        ("curl/8.5.0", "?pretty=false", False),
        ("curl/8.5.0", "?pretty=", True),
    ],
)
def test_it_is_indented_for_people(agent: str, parameter: str, indented: bool) -> None:
    async def live() -> None:
        async with serving() as host:
            host.create("a")
            for path in ("/api/v1/namespaces/default", "/api/v1/namespaces", "/api/v1/pods/none/x", "/apis", "/api/v1"):
                async with host.ask("a", "GET", path + parameter, headers={"User-Agent": agent}) as answer:
                    text = await answer.text()
                assert text.startswith('{\n  "kind": "' if indented else '{"kind":"'), path
                assert json.loads(text)

    asyncio.run(live())


def test_what_was_written_is_answered_even_so() -> None:
    async def live() -> None:
        async with serving(kept=1 << 20) as host:
            filled(host, "a", 1)
            host_budget = host.tenants._kept
            body = {"metadata": {"name": "more"}, "data": {"k": "x" * SIZE}}
            with host_budget.held(1 << 20, "the test's"):
                async with host.ask("a", "POST", MAPS, json=body) as answer:
                    assert answer.status == 201
            await until(lambda: len(host.tenants.get("a").frontend.sending) == 0)
            with host_budget.held(1 << 20, ""), host_budget.held(1, "", owed=True):
                body["metadata"]["name"] = "again"
                async with host.ask("a", "POST", MAPS, json=body) as answer:
                    assert answer.status == 429
            async with host.ask("a", "GET", f"{MAPS}/again") as answer:
                assert answer.status == 404

    asyncio.run(live())
