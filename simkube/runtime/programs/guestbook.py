"""The documentation's guestbook: a page, and ``guestbook.php?cmd=set|get&key=...``, kept in redis.

It reads from the leader as well: followers do not replicate here.
"""

from __future__ import annotations

import json

from simkube.runtime import httptext
from simkube.runtime.cri import HTTPRequest, HTTPResponse
from simkube.runtime.process import Process
from simkube.runtime.programs.redis_client import NetworkError, TimedOut, ask
from simkube.runtime.programs.serving import listen, stop_request

_PAGE = "<html>\n  <head>\n    <title>Guestbook</title>\n  </head>\n  <body><h2>Guestbook</h2></body>\n</html>\n"


async def guestbook(process: Process) -> int:
    """Serve on port 80 until SIGTERM."""
    env = process.env
    names = ("redis-leader", "redis-master")
    if env.get("GET_HOSTS_FROM") == "env":
        names = (env.get("REDIS_LEADER_SERVICE_HOST", ""), env.get("REDIS_MASTER_SERVICE_HOST", ""))

    async def redis(*words: str) -> list[str]:
        """Ask the leader, by whichever of its names there is."""
        failed: Exception = NetworkError("name", "no redis leader is named")
        for name in filter(None, names):
            try:
                return await ask(process, name, *words)
            except (NetworkError, TimedOut) as error:
                failed = error
        raise failed

    async def serve(request: HTTPRequest, peer: str) -> HTTPResponse:
        path, query = httptext.split_path(request.path)
        if path != "/guestbook.php":
            known = path in ("/", "/index.html")
            response = httptext.text(200 if known else 404, _PAGE if known else "Not Found\n", "text/html")
        else:
            response = await _answer(query)
        when = httptext.log_date(process.container.clock.now())
        line = (
            f'{peer} - - [{when}] "{request.method} {path} HTTP/1.1" {response.status} {len(response.body)} "-" "-"\n'
        )
        process.container.log.write("stdout", line.encode())
        return response

    async def _answer(query: dict[str, str]) -> HTTPResponse:
        key, setting = query.get("key", "messages"), query.get("cmd") == "set"
        try:
            found = await redis("SET", key, query.get("value", "")) if setting else await redis("GET", key)
        except (NetworkError, TimedOut) as error:
            return httptext.text(500, f"PHP Fatal error: Uncaught Predis\\Connection\\ConnectionException: {error}\n")
        body = '{"message": "Updated"}' if setting else json.dumps({"data": found[0] if found else ""})
        return httptext.text(200, body, "application/json")

    listen(process, 80, serve)
    await process.err("AH00094: Command line: 'apache2 -D FOREGROUND'\n")
    await stop_request(process)
    return 0
