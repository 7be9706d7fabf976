"""One object of very many values is refused before it keeps everybody waiting. On loopback only."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from simkube.apiserver.handlers import cost
from tests.unit.simkube.host.serving import MAPS, Serving, serving

MOST = 300
APPLY = {"Content-Type": "application/apply-patch+yaml"}
MERGE = {"Content-Type": "application/merge-patch+json"}


def keys(count: int, first: int = 0, value: str = "x") -> dict[str, Any]:
    data = {f"k{number}": value for number in range(first, first + count)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"}, "data": data}


async def sent(host: Serving, method: str, path: str, body: Any, headers: dict[str, str] | None = None) -> int:
    kind = {"Content-Type": "application/json", **(headers or {})}
    async with host.ask("a", method, path, data=json.dumps(body), headers=kind) as answer:
        found = await answer.json()
        if answer.status == 413:
            assert found["reason"] == "RequestEntityTooLarge"
            assert f"more than {MOST} values" in found["message"]
        return int(answer.status)


def test_objects_of_very_many_values_are_refused_however_they_come_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "MOST_VALUES", MOST)
    name = f"{MAPS}/big"

    async def live() -> list[int]:
        async with serving() as host:
            host.create("a")
            return [
                await sent(host, "POST", MAPS, keys(MOST)),
                await sent(host, "PATCH", f"{name}?fieldManager=a", keys(MOST), APPLY),
                await sent(host, "POST", MAPS, keys(MOST - 50)),
                await sent(host, "PUT", name, keys(MOST)),
                await sent(host, "PATCH", name, keys(100, first=MOST), MERGE),  # together they are too many
                await sent(host, "PATCH", f"{name}?fieldManager=a", keys(100, first=MOST), APPLY),
                await sent(host, "PATCH", name, {"metadata": {"labels": {"a": "b"}}}, MERGE),
            ]

    assert asyncio.run(live()) == [413, 413, 201, 413, 413, 413, 200]


def test_an_object_may_be_sent_back_with_what_the_server_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "MOST_VALUES", MOST)

    async def live() -> int:
        async with serving() as host:
            host.create("a")
            assert await sent(host, "POST", MAPS, keys(MOST - 50)) == 201
            async with host.ask("a", "GET", f"{MAPS}/big") as answer:
                found = await answer.json()
            assert len(json.dumps(found["metadata"]["managedFields"])) > MOST  # as many again
            return await sent(host, "PUT", f"{MAPS}/big", found)

    assert asyncio.run(live()) == 200


def test_so_many_owners_of_so_many_fields_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "MOST_VALUES", MOST)
    monkeypatch.setattr(cost, "MOST_OWNED", 2 * MOST)

    async def live() -> list[int]:
        async with serving() as host:
            host.create("a")
            codes = []
            for manager in "abc":
                path = f"{MAPS}/big?fieldManager={manager}"
                async with host.ask("a", "PATCH", path, data=json.dumps(keys(MOST - 50)), headers=APPLY) as answer:
                    codes.append(answer.status)
            return codes

    assert asyncio.run(live()) == [201, 200, 413]
