"""``dig`` and ``host``: questions to the cluster's DNS, with the answers as BIND's tools print them.

Records of the types A, CNAME, SRV and PTR are simulated; others have no answer. Queries go to the pod's own name server
or to ``@SERVER``; transfers, DNSSEC and batch files are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

from simkube.runtime.cri import NetworkError
from simkube.runtime.process import Process

_TYPES = ("A", "AAAA", "ANY", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT")
_TTL = 30
_ENABLED = frozenset(
    [
        "short",
        "search",
        "noall",
        "answer",
        "nocomments",
        "nostats",
        "noquestion",
        "nocmd",
        "tcp",
        "nosearch",
        "recurse",
        "norecurse",
        "all",
        "cmd",
        "stats",
        "comments",
        "question",
        "noauthority",
        "noadditional",
        "time",
        "timeout",
        "tries",
        "retry",
        "ndots",
    ]
)


@dataclass(slots=True)
class _Question:
    name: str = ""
    kind: str = "A"
    server: str = ""
    flags: set[str] = field(default_factory=set)


async def dig(process: Process) -> int:
    """``dig [@SERVER] NAME [TYPE] [-t TYPE] [-x ADDRESS] [+short] [+search] [+noall] [+answer]``"""
    question = _Question()
    words = process.argv[1:]
    while words:
        word = words.pop(0)
        if word.startswith("@"):
            question.server = word[1:]
        elif word.startswith("+"):
            name = word[1:].partition("=")[0]
            if name not in _ENABLED:
                await process.err(f"dig: {word} is not simulated\n")
                return 1
            question.flags.add(name)
        elif word == "-v":
            await process.err("DiG 9.20.11\n")
            return 0
        elif word == "-x" and words:
            question.name, question.kind = _reversed(words.pop(0)), "PTR"
        elif word in ("-t", "-p", "-c", "-q") and words:
            value = words.pop(0)
            question.kind = value.upper() if word == "-t" else question.kind
            question.name = value if word == "-q" else question.name
        elif word.startswith("-") and word != "-4":
            await process.err(f"dig: option {word} is not simulated\n")
            return 1
        elif word.upper() in _TYPES:
            question.kind = word.upper()
        elif word.upper() not in ("IN", "-4"):
            question.name = word
    return await _dig(process, question)


async def _dig(process: Process, question: _Question) -> int:
    sandbox = process.container.sandbox
    resolver, server = await _server(process, question.server)
    if resolver is None:
        lines = f"\n; <<>> DiG 9.20.11 <<>> {' '.join(process.argv[1:])}\n;; global options: +cmd\n"
        await process.out(
            ("" if "short" in question.flags else lines) + ";; connection timed out; no servers could be reached\n"
        )
        return 9
    name = question.name or "."
    names = [name.rstrip(".")]
    if "search" in question.flags and not name.endswith("."):
        names = resolver.candidates(name, sandbox.config.dns_searches, sandbox.config.ndots)
    asked, found = names[-1], []
    for candidate in names:
        found = answers(resolver, candidate, question.kind)
        if found:
            asked = candidate
            break
    if "short" in question.flags:
        await process.out("".join(f"{data(record)}\n" for record in found))
        return 0
    status = "NOERROR" if found or exists(resolver, asked) else "NXDOMAIN"
    await process.out(_report(process, question, asked, found, server, status))
    return 0


def answers(resolver: Any, name: str, kind: str) -> list[Any]:
    """The records of a full name; of a name that is another's name, both."""
    if kind in ("A", "CNAME", "SRV", "PTR"):
        return list(resolver.records(name.rstrip(".").lower(), kind))
    return list(resolver.records(name.rstrip(".").lower(), "A")) if kind == "ANY" else []


def exists(resolver: Any, name: str) -> bool:
    """Whether there is anything of that name."""
    return any(resolver.records(name.rstrip(".").lower(), kind) for kind in ("A", "SRV", "PTR"))


def data(record: Any) -> str:
    """The right side of a record."""
    if record.type == "SRV":
        return f"0 100 {record.port} {record.data.rstrip('.')}."
    return str(record.data) if record.type == "A" else f"{str(record.data).rstrip('.')}."


def _report(process: Process, question: _Question, name: str, found: list[Any], server: str, status: str) -> str:
    flags, clock = question.flags, process.container.clock
    rows = "".join(f"{record.name.rstrip('.')}.\t{_TTL}\tIN\t{record.type}\t{data(record)}\n" for record in found)
    if "noall" in flags:
        return rows if "answer" in flags else ""
    text = f"\n; <<>> DiG 9.20.11 <<>> {' '.join(process.argv[1:])}\n;; global options: +cmd\n" * ("nocmd" not in flags)
    if "nocomments" not in flags:
        text += (
            f";; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: {status}, id: {crc32(name.encode()) & 0xFFFF}\n"
        )
        text += f";; flags: qr aa rd; QUERY: 1, ANSWER: {len(found)}, AUTHORITY: {int(not found)}, ADDITIONAL: 1\n"
        text += ";; WARNING: recursion requested but not available\n\n"
    if "noquestion" not in flags:
        text += f";; QUESTION SECTION:\n;{name.rstrip('.')}.\t\tIN\t{question.kind}\n\n"
    if rows:
        text += f";; ANSWER SECTION:\n{rows}\n"
    elif "nocomments" not in flags:
        serial = int(clock.now())
        text += ";; AUTHORITY SECTION:\ncluster.local.\t\t30\tIN\tSOA\tns.dns.cluster.local. hostmaster.cluster.local. "
        text += f"{serial} 7200 1800 86400 30\n\n"
    if "nostats" not in flags:
        when = datetime.fromtimestamp(clock.now(), UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
        text += f";; Query time: 0 msec\n;; SERVER: {server}#53({server}) (UDP)\n"
        text += f";; WHEN: {when}\n;; MSG SIZE  rcvd: 129\n\n"
    return text


async def host(process: Process) -> int:
    """``host [-t TYPE] NAME|ADDRESS [SERVER]``; names are searched for as other programs do."""
    words, kind = process.argv[1:], ""
    if words[:1] == ["-t"] and len(words) > 1:
        kind, words = words[1].upper(), words[2:]
    words = [word for word in words if word not in ("-4", "-v", "-a")]
    if not words or len(words) > 2 or words[0].startswith("-"):
        await process.err("Usage: host [-t type] {name} [server]\n")
        return 1
    resolver, _ = await _server(process, words[1] if len(words) > 1 else "")
    if resolver is None:
        await process.out(";; connection timed out; no servers could be reached\n")
        return 1
    config = process.container.sandbox.config
    name = words[0]
    if not kind and name.replace(".", "").isdecimal() and name.count(".") == 3:
        name, kind = _reversed(name), "PTR"
    for candidate in resolver.candidates(name, config.dns_searches, config.ndots) if kind != "PTR" else [name]:
        found = answers(resolver, candidate, kind or "A")
        if found:
            await process.out("".join(_host_line(record) for record in found))
            return 0
        if exists(resolver, candidate):
            await process.out(f"{candidate} has no {kind or 'A'} record\n")
            return 0
    await process.out(f"Host {name} not found: 3(NXDOMAIN)\n")
    return 1


def _host_line(record: Any) -> str:
    name = record.name.rstrip(".")
    words = {"A": "has address", "CNAME": "is an alias for", "SRV": "has SRV record", "PTR": "domain name pointer"}
    return f"{name} {words[record.type]} {data(record)}\n"


async def _server(process: Process, asked: str) -> tuple[Any, str]:
    """The name server and its address as it is shown; None when none answers."""
    sandbox = process.container.sandbox
    network = sandbox.network
    try:
        if asked and not asked[:1].isdigit():
            asked = (await network.resolve(sandbox.ip, asked, sandbox.config))[0]
        resolver = await network.name_server(sandbox.ip, asked, sandbox.config)
    except NetworkError:
        return None, asked
    return resolver, asked or network.dns_address


def _reversed(address: str) -> str:
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"
