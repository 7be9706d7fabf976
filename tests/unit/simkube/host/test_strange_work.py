"""What is done for whoever has no valid credential is charged to where they come from, not to a cluster."""

from __future__ import annotations

import asyncio

from tests.unit.simkube.host.serving import MAPS, serving


def test_a_cluster_is_charged_only_for_its_own_users() -> None:
    async def live() -> None:
        async with serving() as host:
            host.create("a")
            share = host.tenants.get("a").frontend.share = host.tenants._shares.open()  # another than its components'
            stranger = share.stranger("127.0.0.1")
            charged: list[str] = []
            share.charge = lambda _: charged.append("a")  # type: ignore[method-assign]
            stranger.charge = lambda _: charged.append("stranger")  # type: ignore[method-assign]
            for token, status in (("wrong", 401), ("", 403)):
                charged.clear()
                for path in (MAPS, "/simkube/clock") if token else (MAPS,):
                    answer = await host.ask("a", "GET", path, token=token)
                    assert answer.status == status
                    await answer.read()
                assert set(charged) == {"stranger"}, token
            charged.clear()
            answer = await host.ask("a", "GET", MAPS)
            assert answer.status == 200
            await answer.read()
            assert set(charged) == {"a"}

    asyncio.run(live())
