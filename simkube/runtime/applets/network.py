"""``nslookup``, ``nc``, ``ping`` and busybox ``httpd``. Raw byte streams are not simulated: ``nc`` checks ports and
speaks HTTP.
"""

from __future__ import annotations

from simkube.clock import Future, TimedOut, within
from simkube.runtime import httptext, signals
from simkube.runtime.applets.fetching import address_of
from simkube.runtime.applets.options import integer, parse, seconds_of
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.static_site import serve_folder


async def nslookup(process: Process) -> int:
    """``nslookup NAME``: asks the cluster's DNS."""
    options = await parse(process, "", "", long={})
    if not options.operands:
        await process.err("nslookup: usage: nslookup HOST\n")
        return 1
    name = options.operands[0]
    network = process.container.sandbox.network
    server = network.dns_address
    if (len(options.operands) > 1 and options.operands[1] != server) or network.resolver is None:
        await process.sleep(10.0)
        await process.out(";; connection timed out; no servers could be reached\n\n")
        return 1
    await process.out(f"Server:\t\t{server}\nAddress:\t{server}:53\n\n")
    sandbox = process.container.sandbox
    try:
        addresses = network.resolver.resolve(name, sandbox.config.dns_searches)
    except NetworkError:
        await process.out(f"** server can't find {name}: NXDOMAIN\n\n")
        return 1
    shown = network.resolver.canonical(name, sandbox.config.dns_searches)
    await process.out("".join(f"Name:\t{shown}\nAddress: {address}\n" for address in addresses) + "\n")
    return 0


async def nc(process: Process) -> int:
    """``nc [-z] [-v] [-w S] HOST PORT``; ``nc -l -p PORT`` answers one HTTP request with its standard input."""
    options = await parse(process, "zvlnk", "wpi")
    if "l" in options:
        return await _nc_listen(process, options.values.get("p") or (options.operands[-1] if options.operands else ""))
    port = integer(options.operands[1]) if len(options.operands) == 2 else None
    if port is None or not 0 < port < 65536:
        await process.err("nc: usage: nc [-zv] [-w SECS] HOST PORT, or nc -l -p PORT\n")
        return 1
    host = options.operands[0]
    network = process.container.sandbox.network
    connecting = network.connect(process.container.sandbox.ip, host, port)
    timeout = seconds_of(options.values.get("w", "")) or 200.0
    try:
        connection = await within(process.container.clock, timeout, connecting)
    except TimedOut:
        await process.err(f"nc: {host} ({host}:{port}): Connection timed out\n")
        return 1
    except NetworkError as error:
        where = f"{await address_of(process, host)}:{port}"
        text = f"bad address '{host}'" if error.kind == "name" else f"{host} ({where}): {error}"
        await process.err(f"nc: {text}\n")
        return 1
    if "z" in options:
        if "v" in options:
            await process.err(f"{host} ({await address_of(process, host)}:{port}) open\n")
        return 0
    data = bytearray()
    while part := await process.read():
        data += part
        if b"\r\n\r\n" in data or b"\n\n" in data:
            break
    request = _parse_request(bytes(data))
    if request is None:
        await process.err("nc: only HTTP requests are simulated\n")
        return 1
    try:
        response = await within(process.container.clock, timeout, connection.exchange(request))
    except (TimedOut, NetworkError):
        return 1
    await process.out(render(response))
    return 0


def _parse_request(data: bytes) -> HTTPRequest | None:
    head, _, body = data.replace(b"\r\n", b"\n").partition(b"\n\n")
    lines = head.decode("utf-8", "replace").split("\n")
    words = lines[0].split()
    if len(words) != 3 or not words[2].startswith("HTTP/") or not words[0].isalpha():
        return None
    pairs = (line.partition(":") for line in lines[1:101] if ":" in line)
    return HTTPRequest(words[0], words[1], {name.strip().lower(): value.strip() for name, _, value in pairs}, body)


def render(response: HTTPResponse) -> bytes:
    """An answer as bytes on the wire."""
    head = f"HTTP/1.1 {response.status} {httptext.reason(response.status)}\r\n"
    head += "".join(f"{name.title()}: {value}\r\n" for name, value in response.headers.items())
    return head.encode() + b"\r\n" + response.body


async def _nc_listen(process: Process, text: str) -> int:
    port = integer(text)
    if port is None:
        await process.err("nc: usage: nc -l -p PORT\n")
        return 1
    answered: Future[None] = Future()
    answer: Future[HTTPResponse] = Future()

    async def serve(request: HTTPRequest, peer: str) -> HTTPResponse:
        head = f"{request.method} {request.path} HTTP/1.1\r\n"
        head += "".join(f"{name.title()}: {value}\r\n" for name, value in request.headers.items())
        await process.out(head.encode() + b"\r\n" + request.body)
        answered.set(None)
        return await answer

    try:
        listener = process.container.sandbox.ports.listen(process, port, serve)
    except FileError as error:
        await process.err(f"nc: bind: {error.strerror}\n")
        return 1
    await answered
    listener.close()
    data = bytearray()
    while (part := await process.read()) and len(data) < 1 << 20:
        data += part
    answer.set(_parse_response(bytes(data)))
    await listener.drained()
    return 0


def _parse_response(data: bytes) -> HTTPResponse:
    head, _, body = data.replace(b"\r\n", b"\n").partition(b"\n\n")
    lines = head.decode("utf-8", "replace").split("\n")
    words = lines[0].split(None, 2)
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdecimal() or len(words[1]) != 3:
        return HTTPResponse(200, {}, data)
    pairs = (line.partition(":") for line in lines[1:101] if ":" in line)
    return HTTPResponse(int(words[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}, body)


async def ping(process: Process) -> int:
    """``ping [-c N] [-w S] [-W S] HOST``: pods and nodes answer; service addresses do not, as with kube-proxy."""
    options = await parse(process, "q46", "cwWis")
    if not options.operands:
        await process.err("ping: usage: ping [-c COUNT] HOST\n")
        return 1
    host = options.operands[0]
    network = process.container.sandbox.network
    if process.uid != 0:
        await process.err("ping: permission denied (are you root?)\n")
        return 1
    try:
        address = (await network.resolve(process.container.sandbox.ip, host))[0]
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
