"""``nslookup``, ``ping`` and busybox ``httpd``."""

from __future__ import annotations

from typing import Any

from simkube.runtime import signals
from simkube.runtime.applets.options import integer, parse, seconds_of
from simkube.runtime.cri import NetworkError
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.static_site import serve_folder

_TYPES = ("A", "SRV", "PTR", "CNAME")


async def nslookup(process: Process) -> int:
    """``nslookup [-type=A|SRV|PTR|CNAME] NAME|ADDRESS [SERVER]``: asks the cluster's DNS."""
    words = process.argv[1:]
    kinds = [word.partition("=")[2].upper() for word in words if word.startswith(("-type=", "-query=", "-q="))]
    operands = [word for word in words if not word.startswith("-")]
    if not operands or len(operands) > 2 or len(kinds) + len(operands) != len(words):
        await process.err("nslookup: usage: nslookup [-type=QUERY_TYPE] HOST [DNS_SERVER]\n")
        return 1
    if kinds and kinds[-1] not in _TYPES:
        await process.err(f"nslookup: records of type {kinds[-1][:20]} are not simulated; {', '.join(_TYPES)} are\n")
        return 1
    sandbox = process.container.sandbox
    network = sandbox.network
    server = operands[1] if len(operands) > 1 else ""
    try:
        if server and not server[:1].isdigit():
            server = (await network.resolve(sandbox.ip, server, sandbox.config))[0]
        resolver = await network.name_server(sandbox.ip, server, sandbox.config)
    except NetworkError as error:
        if "Temporary" in str(error):
            await process.out(";; connection timed out; no servers could be reached\n\n")
        else:
            shown = server or sandbox.config.dns_servers[0]
            await process.out(f"Server:\t\t{shown}\nAddress:\t{shown}:53\n\n")
            await process.out(f"** server can't find {operands[0]}: NXDOMAIN\n\n")
        return 1
    shown = server or network.dns_address
    await process.out(f"Server:\t\t{shown}\nAddress:\t{shown}:53\n\n")
    return await _answer(process, resolver, operands[0], kinds[-1] if kinds else "A")


async def _answer(process: Process, resolver: Any, name: str, kind: str) -> int:
    """Ask for the name as it is searched for; an address is asked for by its reversed name."""
    config = process.container.sandbox.config
    if kind == "A" and name.replace(".", "").isdecimal() and name.count(".") == 3:
        name, kind = ".".join(reversed(name.split("."))) + ".in-addr.arpa", "PTR"
    found: list[Any] = []
    if kind in ("A", "CNAME"):
        try:
            full = resolver.canonical(name, config.dns_searches, config.ndots)
        except NetworkError:
            full = name
        for candidate in dict.fromkeys((full, *resolver.candidates(name, config.dns_searches, config.ndots))):
            found = resolver.records(candidate, "A")
            if found:
                break
    else:
        found = resolver.records(name, kind)
    if not found:
        await process.out(f"** server can't find {name}: NXDOMAIN\n\n")
        return 1
    await process.out("".join(_line(record) for record in found) + "\n")
    return 0


def _line(record: Any) -> str:
    if record.type == "CNAME":
        return f"{record.name}\tcanonical name = {record.data}\n"
    if record.type == "PTR":
        return f"{record.name}\tname = {record.data}\n"
    if record.type == "SRV":
        return f"{record.name}\tservice = 0 100 {record.port} {record.data}\n"
    return f"Name:\t{record.name}\nAddress: {record.data}\n"


async def ping(process: Process) -> int:
    """``ping [-c N] [-w S] [-W S] HOST``: pods and nodes answer; service addresses do not, as with kube-proxy."""
    options = await parse(process, "q46", "cwWis")
    if not options.operands:
        await process.err("ping: usage: ping [-c COUNT] HOST\n")
        return 1
    host = options.operands[0]
    sandbox = process.container.sandbox
    network = sandbox.network
    if process.uid != 0:
        await process.err("ping: permission denied (are you root?)\n")
        return 1
    try:
        address = (await network.resolve(sandbox.ip, host, sandbox.config))[0]
    except NetworkError:
        await process.err(f"ping: bad address '{host}'\n")
        return 1
    await process.out(f"PING {host} ({address}): 56 data bytes\n")
    count = integer(options.values.get("c", "")) or 1 << 30
    deadline = seconds_of(options.values.get("w", "")) or 1e12
    began, sent, received = process.container.clock.now(), 0, 0

    def interrupted(_: int) -> None:
        process.complain(_ping_summary(host, sent, received).rstrip("\n"))
        process.end(int(not received))

    process.handlers[signals.INT] = interrupted
    while sent < count and process.container.clock.now() - began < deadline:
        sent += 1
        if network.answers_ping(address):
            received += 1
            await process.out(f"64 bytes from {address}: seq={sent - 1} ttl=62 time=0.100 ms\n")
        if sent < count:
            await process.sleep(1.0)
        elif not received:
            await process.sleep(min(10.0, deadline))
    await process.out(_ping_summary(host, sent, received))
    return int(not received)


def _ping_summary(host: str, sent: int, received: int) -> str:
    lost = 100 - received * 100 // max(1, sent)
    text = f"\n--- {host} ping statistics ---\n"
    text += f"{sent} packets transmitted, {received} packets received, {lost}% packet loss\n"
    return text + ("round-trip min/avg/max = 0.100/0.100/0.100 ms\n" if received else "")


async def httpd(process: Process) -> int:
    """``httpd [-f] [-p [IP:]PORT] [-h HOME] [-v]``: CGI, authentication and configuration files are not simulated."""
    options = await parse(process, "fvi", "phucrdme")
    if any(letter in options for letter in "iucrdme"):
        await process.err("httpd: only -f, -p, -h and -v are simulated\n")
        return 1
    port = integer(options.values.get("p", "80").rpartition(":")[2])
    root = options.values.get("h", ".")
    if not process.container.files.is_directory(process.resolve(root)):
        await process.err(f"httpd: can't change directory to '{root}': No such file or directory\n")
        return 1
    try:
        forever = None if port is None else await serve_folder(process, port, process.resolve(root))
    except FileError as error:
        await process.err(f"httpd: bind: {error.strerror}\n")
        return 1
    if forever is None:
        await process.err("httpd: bad port\n")
        return 1
    if "f" not in options:
        await process.err("httpd: running in the background is not simulated; use httpd -f\n")
        return 1
    return await forever
