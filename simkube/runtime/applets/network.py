"""``nslookup``, ``ping`` and busybox ``httpd``."""

from __future__ import annotations

from typing import Any

from simkube.runtime import signals
from simkube.runtime.applets.options import Options, integer, parse, seconds_of
from simkube.runtime.cri import NetworkError
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.static_site import serve_folder

_TYPES = ("A", "SRV", "PTR", "CNAME")


async def nslookup_of_bind(process: Process) -> int:
    """``nslookup`` of BIND, which shows the server's port otherwise than busybox."""
    return await nslookup(process, mark="#")


async def nslookup(process: Process, mark: str = ":") -> int:
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
            await process.out(f"Server:\t\t{shown}\nAddress:\t{shown}{mark}53\n\n")
            await process.out(f"** server can't find {operands[0]}: NXDOMAIN\n\n")
        return 1
    shown = server or network.dns_address
    await process.out(f"Server:\t\t{shown}\nAddress:\t{shown}{mark}53\n\n")
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
    """``ping [-c N] [-w S] [-W S] [-i S] HOST``: pods and nodes answer; service addresses do not, as with kube-proxy.

    Debian and Fedora have the ping of iputils.
    """
    options = await parse(process, "q46n", "cwWis")
    if not options.operands:
        await process.err("ping: usage error: Destination address required\n" if _iputils(process) else _PING_USAGE)
        return 1
    host = options.operands[0]
    sandbox = process.container.sandbox
    if process.uid != 0 and not _iputils(process):
        await process.err("ping: permission denied (are you root?)\n")
        return 1
    try:
        address = (await sandbox.network.resolve(sandbox.ip, host, sandbox.config))[0]
    except NetworkError as error:
        if not _iputils(process):
            await process.err(f"ping: bad address '{host}'\n")
            return 1
        temporary = "Temporary failure in name resolution"
        await process.err(f"ping: {host}: {temporary if 'Temporary' in str(error) else 'Name or service not known'}\n")
        return 2
    size = "56(84) bytes of data." if _iputils(process) else "56 data bytes"
    await process.out(f"PING {host} ({address}){':' if not _iputils(process) else ''} {size}\n")
    return await _Ping(process, options, host, address).run()


_PING_USAGE = "ping: usage: ping [-c COUNT] HOST\n"


def _iputils(process: Process) -> bool:
    return process.container.spec.flavour != "busybox"


class _Ping:
    """Echo requests to one address, and what came of them."""

    def __init__(self, process: Process, options: Options, host: str, address: str) -> None:
        self._process = process
        self._host, self._address = host, address
        self._count = integer(options.values.get("c", "")) or 1 << 30
        self._deadline = seconds_of(options.values.get("w", "")) or 1e12
        self._pause = max(0.002, seconds_of(options.values.get("i", "")) or 1.0)
        self._patience = seconds_of(options.values.get("W", "")) or 10.0
        self._quiet = "q" in options
        self._began = process.container.clock.now()
        self._sent = self._received = 0

    async def run(self) -> int:
        """Until the count or the deadline is reached; 1 without any answer."""
        process, clock = self._process, self._process.container.clock
        network = process.container.sandbox.network
        process.handlers[signals.INT] = self._interrupted
        while self._sent < self._count and clock.now() - self._began < self._deadline:
            self._sent += 1
            if network.answers_ping(self._address):
                self._received += 1
                if not self._quiet:
                    await process.out(self._answer())
            if self._sent < self._count:
                await process.sleep(self._pause)
            elif not self._received:
                await process.sleep(min(self._patience, self._deadline))
        await process.out(self._summary())
        return int(not self._received)

    def _interrupted(self, _: int) -> None:
        self._process.complain(self._summary().rstrip("\n"))
        self._process.end(int(not self._received))

    def _answer(self) -> str:
        if _iputils(self._process):
            return f"64 bytes from {self._address}: icmp_seq={self._sent} ttl=63 time=0.100 ms\n"
        return f"64 bytes from {self._address}: seq={self._sent - 1} ttl=62 time=0.100 ms\n"

    def _summary(self) -> str:
        sent, received = self._sent, self._received
        lost = 100 - received * 100 // max(1, sent)
        text = f"\n--- {self._host} ping statistics ---\n"
        if not _iputils(self._process):
            text += f"{sent} packets transmitted, {received} packets received, {lost}% packet loss\n"
            return text + ("round-trip min/avg/max = 0.100/0.100/0.100 ms\n" if received else "")
        took = int((self._process.container.clock.now() - self._began) * 1000)
        text += f"{sent} packets transmitted, {received} received, {lost}% packet loss, time {took}ms\n"
        return text + ("rtt min/avg/max/mdev = 0.100/0.100/0.100/0.000 ms\n" if received else "\n")


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
    if "f" not in options and port is not None:
        if port in process.container.sandbox.ports.listeners:
            await process.err("httpd: bind: Address already in use\n")
            return 1
        process.child([process.argv[0], "-f", *process.argv[1:]]).run(httpd)
        await process.sleep(0.01)
        return 0
    try:
        forever = None if port is None else await serve_folder(process, port, process.resolve(root))
    except FileError as error:
        await process.err(f"httpd: bind: {error.strerror}\n")
        return 1
    if forever is None:
        await process.err("httpd: bad port\n")
        return 1
    return await forever
