"""Many requests at once to one API server after another, real or simulated, from one process."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import yaml


class Api:
    """The API of one cluster as its kubeconfig gives it; connections are kept in the session it shares with others."""

    def __init__(self, session: aiohttp.ClientSession, kubeconfig: str) -> None:
        config = yaml.safe_load(kubeconfig)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._session, self._server = session, cluster["server"]
        self._tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        self._headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        if "client-certificate-data" in user:
            with tempfile.TemporaryDirectory() as folder:
                pem = Path(folder) / "client.pem"
                parts = (user["client-certificate-data"], user["client-key-data"])
                pem.write_bytes(b"\n".join(base64.b64decode(part) for part in parts))
                self._tls.load_cert_chain(pem)

    async def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and decoded body. A body for PATCH is a merge patch."""
        content = "application/merge-patch+json" if method == "PATCH" else "application/json"
        async with self.open(method, path, body, content) as answer:
            return answer.status, json.loads(await answer.read())

    def open(self, method: str, path: str, body: Any = None, content: str = "application/json") -> Any:
        """The request as a context manager whose answer is still to be read."""
        data = None if body is None else json.dumps(body)
        headers = {**self._headers, **({"Content-Type": content} if data else {})}
        return self._session.request(method, self._server + path, data=data, headers=headers, ssl=self._tls)


def session() -> aiohttp.ClientSession:
    """A session without a limit on connections; an answer must come within a minute."""
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None, sock_read=60))


async def until_ready(api: Api, deployment: str, replicas: int, seconds: float = 120) -> None:
    """Return when a deployment of ``default`` has so many ready replicas; it is watched, not asked again and again."""
    path = f"/apis/apps/v1/namespaces/default/deployments?watch=1&fieldSelector=metadata.name={deployment}"
    async with asyncio.timeout(seconds), api.open("GET", path) as events:
        async for line in events.content:
            if json.loads(line)["object"]["status"].get("readyReplicas") == replicas:
                return


async def deploy(api: Api, name: str, replicas: int) -> float:
    """Seconds from the request for a deployment until all of its pods are ready."""
    container = {"name": "web", "image": "kindling/web:1.0", "imagePullPolicy": "IfNotPresent"}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    started = time.perf_counter()
    path = "/apis/apps/v1/namespaces/default/deployments"
    status, answer = await api("POST", path, {"metadata": {"name": name}, "spec": spec})
    if status != 201:
        raise RuntimeError(f"the deployment was refused: {answer}")
    await until_ready(api, name, replicas)
    return time.perf_counter() - started


async def watched(api: Api, watchers: int, changes: int) -> list[float]:
    """Seconds from each change's acknowledgement until the last of the watchers has it; one figure a change."""
    path = "/api/v1/namespaces/default/configmaps"
    await api("POST", path, {"metadata": {"name": "watched"}})
    times: dict[str, list[float]] = {str(number): [] for number in range(changes)}
    ready = asyncio.Semaphore(0)

    async def watch() -> None:
        async with api.open("GET", f"{path}?watch=1&fieldSelector=metadata.name=watched") as events:
            async for line in events.content:
                number = (json.loads(line)["object"].get("data") or {}).get("n")
                if number is None:
                    ready.release()
                    continue
                times[number].append(time.perf_counter())
                if number == str(changes - 1):
                    return

    watching = [asyncio.create_task(watch()) for _ in range(watchers)]
    for _ in range(watchers):
        await ready.acquire()
    figures = []
    for number in range(changes):
        await api("PATCH", f"{path}/watched", {"data": {"n": str(number)}})
        done = time.perf_counter()
        while len(times[str(number)]) < watchers:
            await asyncio.sleep(0.005)
        figures.append(max(times[str(number)]) - done)
    await asyncio.gather(*watching)
    await api("DELETE", f"{path}/watched")
    return figures


async def steady(apis: list[Api], rate: float, seconds: float) -> list[float]:
    """Seconds of each answer while requests are sent at a fixed rate, each to the next cluster: reads and writes.

    Of ten requests, four read one object, two list pods, three create and one changes something. A late answer does not
    delay the next request.
    """
    taken: list[float] = []
    path = "/api/v1/namespaces/default/configmaps"

    async def one(number: int) -> None:
        api, turn = apis[number % len(apis)], (number // len(apis) + number) % 10
        started = time.perf_counter()
        if turn < 4:
            status, _ = await api("GET", "/api/v1/namespaces/default")
        elif turn < 6:
            status, _ = await api("GET", "/api/v1/namespaces/default/pods")
        elif turn < 9:
            status, _ = await api("POST", path, {"metadata": {"generateName": "c-"}, "data": {"k": "v" * 100}})
        else:
            status, _ = await api("PATCH", "/api/v1/namespaces/default", {"metadata": {"labels": {"n": str(number)}}})
        taken.append(time.perf_counter() - started)
        if status not in (200, 201):
            raise RuntimeError(f"request {number} was answered {status}")

    began, running = time.perf_counter(), []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        running.append(asyncio.create_task(one(number)))
    await asyncio.gather(*running)
    return taken
