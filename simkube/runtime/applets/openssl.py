"""``openssl``: version, random bytes, digests, base64, and a look at the certificate of a server. Keys, requests and
ciphers are refused.
"""

from __future__ import annotations

import base64
import hashlib
import secrets

from simkube.clock.clock import TimedOut, within
from simkube.runtime.applets.options import integer
from simkube.runtime.applets.reading import content, open_operand
from simkube.runtime.cri import NetworkError
from simkube.runtime.process import Process

_DIGESTS = ("md5", "sha1", "sha256", "sha384", "sha512")


async def openssl(process: Process) -> int:
    """``openssl version | rand [-hex|-base64] N | dgst -sha256 [FILE] | base64 [-d] | s_client -connect HOST:PORT``"""
    words = process.argv[1:]
    command = words[0] if words else ""
    if command == "version":
        await process.out("OpenSSL 3.5.4 30 Sep 2025 (Library: OpenSSL 3.5.4 30 Sep 2025)\n")
        return 0
    if command == "rand":
        return await _rand(process, words[1:])
    if command == "dgst" or command in _DIGESTS:
        return await _digest(process, words)
    if command == "base64" or words[:2] == ["enc", "-base64"]:
        return await _base64(process, words[1:])
    if command == "s_client":
        return await _client(process, words[1:])
    shown = ", ".join(("version", "rand", "dgst", "base64", "s_client"))
    await process.err(f"openssl: {command or 'a shell of its own'} is not simulated; {shown} are\n")
    return 1


async def _rand(process: Process, words: list[str]) -> int:
    size = integer(words[-1]) if words else None
    if size is None or not 0 <= size <= 1 << 16 or any(word not in ("-hex", "-base64") for word in words[:-1]):
        await process.err("rand: Use -help for summary.\n")
        return 1
    data = secrets.token_bytes(size)
    if "-hex" in words:
        await process.out(data.hex() + "\n")
    elif "-base64" in words:
        await process.out(base64.encodebytes(data))
    else:
        await process.out(data)
    return 0


async def _digest(process: Process, words: list[str]) -> int:
    chosen = next((word.lstrip("-") for word in words if word.lstrip("-") in _DIGESTS), "sha256")
    paths = [word for word in words[1:] if not word.startswith("-")]
    for path in paths or ["-"]:
        stream = await open_operand(process, path, verb="")
        if stream is None:
            return 1
        digest = hashlib.new(chosen, await content(process, stream), usedforsecurity=False).hexdigest()
        shown = "stdin" if path == "-" else path
        label = chosen.upper() if chosen in ("md5", "sha1") else chosen.upper().replace("SHA", "SHA2-")
        await process.out(f"{digest} *{shown}\n" if "-r" in words else f"{label}({shown})= {digest}\n")
    return 0


async def _base64(process: Process, words: list[str]) -> int:
    path = words[words.index("-in") + 1] if "-in" in words[:-1] else "-"
    stream = await open_operand(process, path, verb="")
    if stream is None:
        return 1
    data = await content(process, stream)
    if "-d" in words:
        try:
            await process.out(base64.b64decode(b"".join(data.split())))
        except ValueError:
            return 1
    else:
        text = base64.encodebytes(data) if "-A" not in words else base64.b64encode(data)
        await process.out(text)
    return 0


async def _client(process: Process, words: list[str]) -> int:
    """The certificate of a server that speaks TLS; nothing more can be said over it."""
    where = words[words.index("-connect") + 1] if "-connect" in words[:-1] else ""
    name = words[words.index("-servername") + 1] if "-servername" in words[:-1] else where.rpartition(":")[0]
    host, _, port = where.rpartition(":")
    number = integer(port)
    if not host or number is None or not 0 < number < 65536:
        await process.err("s_client: -connect HOST:PORT is needed\n")
        return 1
    sandbox, clock = process.container.sandbox, process.container.clock
    try:
        connection = await within(clock, 130.0, sandbox.network.connect(sandbox.ip, host, number, sandbox.config))
    except (NetworkError, TimedOut) as error:
        why = "Connection timed out" if isinstance(error, TimedOut) else str(error)
        await process.err(f"connect:errno=111\nconnect: {why}\n" if why.endswith("refused") else f"{why}\n")
        return 1
    connection.close()
    await process.out("CONNECTED(00000003)\n")
    if connection.listener.tls is None:
        await process.out("---\nno peer certificate available\n---\n")
        await process.err("error:0A00010B:SSL routines:ssl3_get_record:wrong version number\n")
        return 1
    certificate = connection.listener.tls(name)
    names = ", ".join(f"DNS:{each}" for each in certificate.names)
    await process.out(f"---\nCertificate chain\n 0 s:CN = {certificate.names[0] if certificate.names else ''}\n")
    await process.out(f"   names: {names}\n---\nissued by\n{certificate.issuer.strip()}\n---\n")
    return 0
