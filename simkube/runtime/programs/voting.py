"""Docker's example voting app: ``vote`` puts votes into redis, ``worker`` takes them to PostgreSQL, ``result`` counts.

As in the original each finds the others by the names ``redis`` and ``db``.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import parse_qs

from simkube.clock.clock import TimedOut
from simkube.runtime import httptext
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from simkube.runtime.process import Process
from simkube.runtime.programs.databases.line_protocol import Client
from simkube.runtime.programs.redis_client import ask
from simkube.runtime.programs.serving import listen, stop_request

_OWNER = {"user": "postgres", "password": "postgres", "database": "postgres"}


async def vote(process: Process) -> int:
    """The page with two buttons on port 80."""
    first, second = process.env.get("OPTION_A", "Cats"), process.env.get("OPTION_B", "Dogs")

    async def serve(request: HTTPRequest, peer: str) -> HTTPResponse:
        chosen = parse_qs(request.body.decode("utf-8", "replace"), max_num_fields=10).get("vote", [""])[0]
        if request.method == "POST" and chosen in ("a", "b"):
            cookie = request.headers.get("cookie", "").partition("voter_id=")[2].partition(";")[0]
            voter = cookie or hashlib.sha256(f"{peer}{process.container.clock.now()}".encode()).hexdigest()[:15]
            try:
                await ask(process, "redis", "RPUSH", "votes", json.dumps({"voter_id": voter, "vote": chosen}))
            except (NetworkError, TimedOut) as error:
                return httptext.text(500, f"Internal Server Error: redis: {error}\n")
            await process.out(f"Received vote for {chosen}\n")
        title = f"{first} vs {second}!"
        page = (
            f"<!DOCTYPE html>\n<html>\n<head><title>{title}</title></head>\n<body>\n<h3>{title}"
            f'</h3>\n<form method="POST"><button name="vote" value="a">{first}</button>'
            f'<button name="vote" value="b">{second}</button></form>\nProcessed by container ID '
            f"{process.container.sandbox.config.hostname}\n</body>\n</html>\n"
        )
        return httptext.text(200, page, "text/html; charset=utf-8")

    listen(process, 80, serve)
    await process.err("[INFO] Listening at: http://0.0.0.0:80 (1)\n")
    await stop_request(process)
    return 0


async def _database(process: Process) -> Client | None:
    """A connection to ``db``; None when there is none yet."""
    client = Client(process, "db", 5432)
    try:
        greeting = await client.greet(_OWNER)
    except (NetworkError, TimedOut):
        client.close()
        return None
    if greeting.get("error"):
        client.close()
        return None
    return client


async def worker(process: Process) -> int:
    """Takes votes from redis to the table ``votes``, one each 0.1 seconds, as long as it runs."""
    stop = stop_request(process)
    client: Client | None = None
    while not stop.done:
        if client is None:
            client = await _database(process)
            if client is None:
                await process.err("Waiting for db\n")
                await process.sleep(1.0)
                continue
            await process.err("Connected to db\n")
            await client.ask(
                "CREATE TABLE IF NOT EXISTS votes (id VARCHAR(255) NOT NULL UNIQUE, vote VARCHAR(255) NOT NULL)"
            )
        try:
            client = await _one_vote(process, client)
        except (NetworkError, TimedOut):
            await process.err("Waiting for redis\n")
            await process.sleep(1.0)
        await process.sleep(0.1)
    return 0


async def _one_vote(process: Process, client: Client) -> Client | None:
    """Moves the first vote, if any; None when the database is gone."""
    found = await ask(process, "redis", "LRANGE", "votes", "0", "0")
    if not found:
        return client
    try:
        given = json.loads(found[0])
        voter, chosen = str(given["voter_id"])[:64].replace("'", "''"), str(given["vote"])[:8].replace("'", "''")
    except (ValueError, KeyError, TypeError, RecursionError):
        voter = chosen = ""
    await process.out(f"Processing vote for '{chosen}' by '{voter}'\n")
    try:
        statement = f"INSERT INTO votes VALUES ('{voter}', '{chosen}') ON CONFLICT(id) DO UPDATE SET vote = '{chosen}'"  # noqa: S608
        await client.ask(statement)
    except NetworkError:
        client.close()
        return None
    await ask(process, "redis", "LPOP", "votes")
    return client


async def result(process: Process) -> int:
    """The page with the counts on port 80 (or ``PORT``)."""

    async def counts() -> dict[str, int]:
        client = await _database(process)
        if client is None:
            return {}
        try:
            answer: dict[str, Any] = await client.ask("SELECT vote, COUNT(id) FROM votes GROUP BY vote")
        except NetworkError:
            return {}
        finally:
            client.close()
        return {str(choice): int(count) for choice, count in answer.get("rows", ())}

    async def serve(request: HTTPRequest, peer: str) -> HTTPResponse:
        found = await counts()
        page = (
            "<!DOCTYPE html>\n<html>\n<head><title>Cats vs Dogs -- Result</title></head>\n<body>\n"
            f"<p>Cats {found.get('a', 0)}</p>\n<p>Dogs {found.get('b', 0)}</p>\n"
            f"<p>{sum(found.values()) or 'No'} votes</p>\n</body>\n</html>\n"
        )
        return httptext.text(200, page, "text/html; charset=utf-8")

    port = process.env.get("PORT", "80")
    number = int(port) if port.isdecimal() and 0 < len(port) < 6 else 80
    listen(process, number, serve)
    await process.out(f"App running on port {number}\n")
    await stop_request(process)
    return 0
