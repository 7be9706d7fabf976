"""``etcd`` and ``etcdctl``: keys and values with revisions, prefixes, health; one member.

Leases, transactions, watches, authentication, snapshots and clusters of several members are refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from simkube.clock.clock import TimedOut
from simkube.runtime import httptext
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.databases.line_protocol import Client, converse, why_not_connected
from simkube.runtime.programs.flags import flags
from simkube.runtime.programs.grpc_health import always_serving
from simkube.runtime.programs.serving import listen, stop_request

PORT = 2379
MOST_BYTES = 2 << 20
_MEMBER = "8e9e05c52164694d"


class Keys:
    """Keeps :class:`~simkube.runtime.programs.databases.line_protocol.Dialect`; kept below the data directory."""

    def __init__(self, process: Process, folder: str, name: str) -> None:
        self._process = process
        self._path = f"{folder}/member/keys.json"
        self.name = name
        self.values: dict[str, str] = {}
        self.revision = 1

    def load(self) -> None:
        """Take back what was kept, when there is anything."""
        try:
            kept = json.loads(self._process.container.files.read(self._path))
            self.values = {str(key): str(value) for key, value in kept["values"].items()}
            self.revision = int(kept["revision"])
        except (FileError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return

    def _save(self) -> None:
        files = self._process.container.files
        files.make_directories(self._path.rpartition("/")[0])
        files.write(self._path, json.dumps({"values": self.values, "revision": self.revision}).encode())

    def greet(self, asked: Mapping[str, Any], peer: str) -> dict[str, Any]:
        """Everybody may come in."""
        return {"member": _MEMBER, "name": self.name, "revision": self.revision}

    def answer(self, statement: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """``["put", KEY, VALUE]``, ``["get", KEY, END]``, ``["del", KEY, END]`` as JSON; END is "" or a range's."""
        try:
            words = [str(word) for word in json.loads(statement)]
            if words[0] == "put":
                if sum(len(k) + len(v) for k, v in self.values.items()) + len(words[1]) + len(words[2]) > MOST_BYTES:
                    return {"error": "etcdserver: mvcc: database space exceeded"}
                self.values[words[1]] = words[2]
            found = [key for key in sorted(self.values) if key == words[1] or (words[2] and words[1] <= key < words[2])]
            if words[0] == "get":
                return {"found": [[key, self.values[key]] for key in found]}
            for key in found if words[0] == "del" else ():
                del self.values[key]
            self.revision += 1
            self._save()
        except FileError as error:
            return {"error": f"etcdserver: {error.strerror.lower()}"}
        except (ValueError, TypeError, IndexError, RecursionError):
            return {"error": "etcdserver: request not understood"}
        return {"count": len(found)}


async def etcd(process: Process) -> int:
    """Serve clients on port 2379 (``--listen-client-urls``), and health on the port for metrics, where there is one."""
    given = flags(process.argv[1:])
    setting = {name: given.get(name) or process.env.get(f"ETCD_{name.replace('-', '_').upper()}", "") for name in
               ("name", "data-dir", "listen-client-urls", "listen-metrics-urls")}  # fmt: skip
    name = setting["name"] or "default"
    keys = Keys(process, process.resolve(setting["data-dir"] or f"{name}.etcd"), name)
    keys.load()
    ports = process.container.sandbox.ports
    port = _port_of(setting["listen-client-urls"])

    async def accept(socket: Any) -> None:
        await converse(process, socket, keys)

    async def health(request: HTTPRequest, peer: str) -> HTTPResponse:
        path = httptext.split_path(request.path)[0]
        known = {"/health": '{"health":"true","reason":""}', "/readyz": "ok", "/livez": "ok"}
        return httptext.text(200 if path in known else 404, known.get(path, "404 page not found\n"))

    try:
        ports.listen(process, port, accept=accept, health=always_serving)
        if setting["listen-metrics-urls"]:
            listen(process, _port_of(setting["listen-metrics-urls"]), health)
    except FileError as error:
        await process.err(f'{{"level":"fatal","msg":"listen tcp 0.0.0.0:{port}: bind: {error.strerror.lower()}"}}\n')
        return 1
    stamp = process.container.clock.timestamp()
    await process.err(
        f'{{"level":"info","ts":"{stamp}","msg":"ready to serve client requests (simulated)","port":{port}}}\n'
    )
    await stop_request(process)
    return 0


def _port_of(urls: str) -> int:
    text = urls.split(",", maxsplit=1)[0].rpartition(":")[2].rstrip("/")
    return int(text) if text.isdecimal() and 0 < len(text) < 6 else PORT


_SWITCHES = ("prefix", "keys-only", "print-value-only", "from-key", "cluster", "hex", "insecure-skip-tls-verify")


async def etcdctl(process: Process) -> int:
    """``etcdctl put | get | del | endpoint health | endpoint status | member list | version``."""
    options: dict[str, str] = {}
    words: list[str] = []
    left = process.argv[1:]
    while left:
        word = left.pop(0)
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or word == "-":
            words.append(word)
        elif name in _SWITCHES or equals:
            options[name] = value
        else:
            options[{"w": "write-out"}.get(name, name)] = left.pop(0) if left else ""
    if words[:1] == ["version"]:
        await process.out(f"etcdctl version: {process.container.spec.version.lstrip('v')}\nAPI version: 3.5\n")
        return 0
    first = options.get("endpoints", process.env.get("ETCDCTL_ENDPOINTS", "127.0.0.1:2379")).split(",")[0]
    host, _, port = first.rpartition("://")[2].rpartition(":")
    if not (host and port.isdecimal() and len(port) < 6):
        await process.err(f"Error: endpoint {first!r} is not HOST:PORT\n")
        return 1
    client = Client(process, host, int(port))
    try:
        greeting = await client.greet({})
        return await _carry_out(process, client, words, options, (first, greeting))
    except (NetworkError, TimedOut) as error:
        why = {"refused": "connection refused", "name": f"lookup {host}: no such host"}.get(
            why_not_connected(error), "i/o timeout"
        )
        await process.err(
            '{"level":"warn","msg":"retrying of unary invoker failed","error":"rpc error: code = DeadlineExceeded '
            f'desc = latest balancer error: dial tcp {host}:{port}: {why}"}}\nError: context deadline exceeded\n'
        )
        return 1
    finally:
        client.close()


async def _carry_out(
    process: Process,
    client: Client,
    words: Sequence[str],
    options: Mapping[str, str],
    where: tuple[str, Mapping[str, Any]],
) -> int:
    endpoint, greeting = where
    match list(words):
        case ["put", key, value]:
            return await _ask(process, client, ["put", key, value], options)
        case ["put", key]:
            value = (await process.read()).decode("utf-8", "replace")
            return await _ask(process, client, ["put", key, value], options)
        case [("get" | "del") as what, key, *end]:
            until = (
                end[0] if end else _after(key) if "prefix" in options else "\U0010ffff" if "from-key" in options else ""
            )
            return await _ask(process, client, [what, key, until], options)
        case ["endpoint", "health"]:
            await process.out(f"{endpoint} is healthy: successfully committed proposal: took = 1.2ms\n")
            return 0
        case ["endpoint", "status"]:
            version = process.container.spec.version.lstrip("v")
            revision = greeting.get("revision")
            await process.out(f"{endpoint}, {_MEMBER}, {version}, 20 kB, true, false, 2, {revision}, {revision}, \n")
            return 0
        case ["member", "list"]:
            await process.out(
                f"{_MEMBER}, started, {greeting.get('name')}, http://localhost:2380, http://{endpoint}, false\n"
            )
            return 0
    await process.err(f"Error: {' '.join(words[:2])} is not simulated; put, get, del, endpoint and member list are\n")
    return 1


def _after(prefix: str) -> str:
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else "\U0010ffff"


async def _ask(process: Process, client: Client, words: Sequence[str], options: Mapping[str, str]) -> int:
    answer = await client.ask(json.dumps(words))
    if answer.get("error"):
        await process.err(f"Error: {answer['error']}\n")
        return 1
    if words[0] == "put":
        await process.out("OK\n")
    elif words[0] == "del":
        await process.out(f"{answer.get('count')}\n")
    for key, value in answer.get("found", ()):
        if "print-value-only" not in options:
            await process.out(f"{key}\n")
        if "keys-only" not in options:
            await process.out(f"{value}\n")
        else:
            await process.out("\n")
    return 0
