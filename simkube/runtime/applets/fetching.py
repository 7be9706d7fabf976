"""``wget`` and ``curl``: HTTP over the simulated network, with the messages and exit codes of the real ones.

TLS is as far as it can be seen: whether the server speaks it, and whether its certificate is believed.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from simkube.clock.clock import TimedOut, within
from simkube.runtime import httptext
from simkube.runtime.applets.options import Options, integer, parse, seconds_of
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from simkube.runtime.network import trust
from simkube.runtime.network.network import Connection
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process

MAX_REDIRECTS = 20
WGET_TIMEOUT = 900.0
CURL_TIMEOUT = 86400.0


@dataclass(slots=True)
class Fetch:
    """One URL to ask, and how. ``trusted`` are the certificates (PEM) that servers are believed by; None: any.
    ``places`` are addresses for ``host:port`` that are not looked up."""

    url: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout: float = WGET_TIMEOUT
    connect_timeout: float | None = None
    trusted: str | None = None
    places: Mapping[str, str] = field(default_factory=dict)


async def exchange(process: Process, fetch: Fetch) -> HTTPResponse:
    """Ask once. NetworkError (``tls`` when there is no secure connection to be had), TimedOut, BadURL."""
    scheme, host, port, path = httptext.parse_url(fetch.url)
    network, clock = process.container.sandbox.network, process.container.clock
    usual = 443 if scheme == "https" else 80
    headers = {"host": host if port == usual else f"{host}:{port}", **fetch.headers}
    request = HTTPRequest(fetch.method, path, headers, fetch.body)
    await process.work(20)
    where, sandbox = fetch.places.get(f"{host}:{port}", host), process.container.sandbox
    connecting = network.connect(sandbox.ip, where, port, sandbox.config)
    limit = fetch.timeout if fetch.connect_timeout is None else min(fetch.timeout, fetch.connect_timeout)
    connection = await within(clock, limit, connecting)
    try:
        if scheme == "https":
            _verify(connection, host, fetch, clock.now())
        return await within(clock, fetch.timeout, connection.exchange(request, secure=scheme == "https"))
    finally:
        connection.close()


def _verify(connection: Connection, host: str, fetch: Fetch, now: float) -> None:
    """The TLS handshake: NetworkError ``tls`` without one, or with a certificate that the client does not believe."""
    identify = connection.listener.tls
    if identify is None:
        raise NetworkError("tls", "wrong version number")
    certificate = identify(host)
    if fetch.trusted is None:
        return
    if certificate.chain:
        why = trust.complaint(certificate.chain, fetch.trusted, now)
    else:
        believed = certificate.issuer.strip() and certificate.issuer.strip() in fetch.trusted
        why = "" if believed else "unable to get local issuer certificate"
    if why:
        raise NetworkError("tls", why)
    if not certificate.covers(host) and (certificate.names or certificate.common_name != host):
        raise NetworkError("tls", f"no alternative certificate subject name matches target host name '{host}'")


async def wget(process: Process) -> int:
    """busybox ``wget [-q] [-S] [-O FILE] [-T SECONDS] [--header H] [--post-data D] [--spider] URL``"""
    long = {"header": "H", "post-data": "D", "spider": "s", "timeout": "T", "quiet": "q", "output-document": "O",
            "tries": "t", "user-agent": "U", "server-response": "S", "no-check-certificate": "n"}  # fmt: skip
    options = await parse(process, "qScnsY", "OTHDPUt", long=long)
    if not options.operands:
        await process.err("wget: missing URL\n")
        return 1
    for url in options.operands:
        status = await _wget_one(process, options, url)
        if status:
            return status
    return 0


async def _wget_one(process: Process, options: Options, url: str) -> int:
    timeout = seconds_of(options.values.get("T", "900")) or WGET_TIMEOUT
    fetch = Fetch(url, headers={"user-agent": options.values.get("U", "Wget"), "connection": "close"}, timeout=timeout)
    if "H" in options:
        name, _, value = options.values["H"].partition(":")
        fetch.headers[name.strip().lower()] = value.strip()
    if "D" in options:
        fetch.method, fetch.body = "POST", options.values["D"].encode()
    for _ in range(MAX_REDIRECTS):
        try:
            scheme, host, port, path = httptext.parse_url(fetch.url)
        except httptext.BadURL:
            await process.err(f"wget: bad address '{fetch.url}'\n")
            return 1
        if scheme not in ("http", "https"):
            await process.err(f"wget: {scheme} is not simulated, only http and https are\n")
            return 1
        if scheme == "https" and "n" not in options:
            await process.err("wget: note: TLS certificate validation not implemented\n")
        response = await _wget_ask(process, fetch, f"{host}:{port}", host, quiet="q" in options)
        if response is None:
            return 1
        if "S" in options:
            await process.err(f"  HTTP/1.1 {response.status} {httptext.reason(response.status)}\n")
            for name, value in response.headers.items():
                await process.err(f"  {name.title()}: {value}\n")
        if response.status in (301, 302, 303, 307, 308) and "location" in response.headers:
            fetch.url = _absolute(response.headers["location"], scheme, host, port)
            continue
        if response.status >= 300 or response.status < 200:
            await process.err(
                f"wget: server returned error: HTTP/1.1 {response.status} {httptext.reason(response.status)}\n"
            )
            return 1
        return await _wget_save(process, options, response, path)
    await process.err("wget: too many redirections\n")
    return 1


async def _wget_ask(process: Process, fetch: Fetch, where: str, host: str, *, quiet: bool) -> HTTPResponse | None:
    """One request; None after saying why there is no answer."""
    sandbox = process.container.sandbox
    try:
        if not quiet:
            address = (await sandbox.network.resolve(sandbox.ip, host, sandbox.config))[0]
            await process.err(f"Connecting to {where} ({address}:{where.rpartition(':')[2]})\n")
        return await exchange(process, fetch)
    except TimedOut:
        await process.err("wget: download timed out\n")
    except NetworkError as error:
        await process.err(f"wget: {_wget_words(error, host, await address_of(process, host))}\n")
    return None


async def address_of(process: Process, host: str) -> str:
    """The first address of a host for messages, or its name when there is none."""
    sandbox = process.container.sandbox
    network = sandbox.network
    if network.resolver is None and not host[:1].isdigit():
        return host
    try:
        return (await network.resolve(sandbox.ip, host, sandbox.config))[0]
    except NetworkError:
        return host


def _wget_words(error: NetworkError, host: str, address: str) -> str:
    if error.kind == "name":
        return f"bad address '{host}'"
    if error.kind in ("reset", "tls"):
        return "error getting response: Connection reset by peer"
    return f"can't connect to remote host ({address}): {error}"


def _absolute(location: str, scheme: str, host: str, port: int) -> str:
    if "://" in location:
        return location
    return f"{scheme}://{host}:{port}/{location.lstrip('/')}"


async def _wget_save(process: Process, options: Options, response: HTTPResponse, path: str) -> int:
    if "s" in options:
        if "q" not in options:
            await process.err("remote file exists\n")
        return 0
    target = options.values.get("O") or path.partition("?")[0].rpartition("/")[2] or "index.html"
    if target == "-":
        await process.out(response.body)
        if "q" not in options:
            await process.err("writing to stdout\nwritten to stdout\n")
        return 0
    try:
        if "O" not in options and process.container.files.exists(process.resolve(target)):
            await process.err(f"wget: can't open '{target}': File exists\n")
            return 1
        stream = process.open_write(target)
    except FileError as error:
        await process.err(f"wget: can't open '{target}': {error.strerror}\n")
        return 1
    await stream.write(response.body)
    stream.release()
    if "q" not in options:
        await process.err(f"saving to '{target}'\n'{target}' saved\n")
    return 0


_CURL_LONG = {
    "silent": "s",
    "show-error": "S",
    "fail": "f",
    "fail-with-body": "f",
    "head": "I",
    "include": "i",
    "location": "L",
    "verbose": "v",
    "request": "X",
    "header": "H",
    "data": "d",
    "data-raw": "d",
    "data-binary": "d",
    "output": "o",
    "max-time": "m",
    "connect-timeout": "T",
    "write-out": "w",
    "user-agent": "A",
    "user": "u",
    "insecure": "k",
    "cacert": "C",
    "resolve": "P",
    "json": "J",
    "retry": "R",
    "retry-delay": "D",
    "retry-connrefused": "c",
    "remote-name": "O",
    "http1.1": "h",
    "compressed": "h",
    "url": "U",
    "no-progress-meter": "s",
    "get": "G",
}


async def curl(process: Process) -> int:
    """``curl [-sSfiILvk] [-X M] [-H H] [-d D] [-o F] [-m S] [--connect-timeout S] [-w FORMAT] [-u U:P] URL...``"""
    if "--version" in process.argv[1:]:
        await process.out("curl 8.14.1 (simulated) \nProtocols: http https\n")
        return 0
    headers = _curl_headers(process)
    options = await parse(process, "sSfiILvkGONch", "XHdomTwAuJRUCePD", long=_CURL_LONG)
    urls = [*options.operands, *([options.values["U"]] if "U" in options else [])]
    if not urls:
        await process.err(
            "curl: (2) no URL specified\ncurl: try 'curl --help' or 'curl --manual' for more information\n"
        )
        return 2
    status = 0
    for url in urls:
        status = await _with_retries(process, options, headers, url)
    return status


async def _with_retries(process: Process, options: Options, headers: dict[str, str], url: str) -> int:
    """``--retry N [--retry-delay S]``: again after what may pass (6, 28, with ``--retry-connrefused`` also 7)."""
    if "G" in options and "d" in options:
        url = f"{url}{'&' if '?' in url else '?'}{options.values['d']}"
    if "O" in options:
        options.values["o"] = httptext.parse_url(url)[3].partition("?")[0].rpartition("/")[2] or "curl_response"
    left, pause = integer(options.values.get("R", "0")) or 0, seconds_of(options.values.get("D", "")) or 0.0
    passing, wait = (6, 28, 7) if "c" in options else (6, 28), 1.0
    while True:
        status = await _Curl(process, options, headers).run(url)
        if left <= 0 or status not in passing:
            return status
        if not {"s"} & options.flags:
            many = f"{left} retr{'ies' if left > 1 else 'y'} left"
            await process.err(f"Warning: Problem: Transient error. Will retry in {pause or wait:g} seconds. {many}.\n")
        await process.sleep(pause or wait)
        left, wait = left - 1, min(600.0, wait * 2)


def _curl_headers(process: Process) -> dict[str, str]:
    """Every ``-H``: the option may be given more than once."""
    found: dict[str, str] = {}
    words = process.argv
    for at, word in enumerate(words[:-1]):
        if word in ("-H", "--header") and ":" in words[at + 1]:
            name, _, value = words[at + 1].partition(":")
            found[name.strip().lower()] = value.strip()
    return found


def _untrusted(why: str) -> str:
    problem = f"SSL: {why}" if why.startswith("no alternative") else f"SSL certificate problem: {why}"
    return (
        f"{problem}\nMore details here: https://curl.se/docs/sslcerts.html\n\n"
        "curl failed to verify the legitimacy of the server and therefore could not\n"
        "establish a secure connection to it. To learn more about this situation and\n"
        "how to fix it, please visit the webpage mentioned above."
    )


class _Curl:
    def __init__(self, process: Process, options: Options, headers: dict[str, str]) -> None:
        self._process = process
        self._options = options
        self._quiet = "s" in options and "S" not in options
        self._headers = {"user-agent": options.values.get("A", "curl/8.14.1"), "accept": "*/*", **headers}
        if "u" in options:
            self._headers["authorization"] = "Basic " + base64.b64encode(options.values["u"].encode()).decode()

    async def run(self, url: str) -> int:
        """Fetch one URL; curl's exit code."""
        options = self._options
        body = (options.values.get("d") or options.values.get("J") or "").encode() if "G" not in options else b""
        posting = ("d" in options and "G" not in options) or "J" in options
        if "J" in options:
            self._headers["content-type"] = "application/json"
        elif posting:
            self._headers.setdefault("content-type", "application/x-www-form-urlencoded")
        method = options.values.get("X") or ("HEAD" if "I" in options else "POST" if posting else "GET")
        timeout = seconds_of(options.values.get("m", "")) or CURL_TIMEOUT
        trusted = self._trusted()
        connecting = seconds_of(options.values.get("T", "")) or 300.0
        fetch = Fetch(url, method, self._headers, body, timeout, connecting, trusted, self._places())
        began = self._process.container.clock.now()
        for _ in range(MAX_REDIRECTS):
            response, code, why = await self._ask(fetch, began)
            if response is None:
                return await self._failed(fetch.url, code, why)
            if "L" in options and response.status in (301, 302, 303, 307, 308) and "location" in response.headers:
                scheme, host, port, _ = httptext.parse_url(fetch.url)
                fetch.url = _absolute(response.headers["location"], scheme, host, port)
                continue
            return await self._show(response, began)
        return await self._failed(fetch.url, 47, "Maximum (50) redirects followed")

    def _places(self) -> dict[str, str]:
        """Every ``--resolve HOST:PORT:ADDRESS``: the option may be given more than once."""
        words = self._process.argv
        given = [after for word, after in pairwise(words) if word == "--resolve"]
        given += [word.partition("=")[2] for word in words if word.startswith("--resolve=")]
        return {":".join(one.split(":")[:2]): one.split(":")[2] for one in given if one.count(":") == 2}

    def _trusted(self) -> str | None:
        """The certificates of ``--cacert``; None with ``-k``, no certificates when the file cannot be read."""
        if "k" in self._options:
            return None
        path = self._options.values.get("C")
        if path is None:
            return ""
        try:
            return self._process.container.files.read(self._process.resolve(path)).decode("utf-8", "replace")
        except FileError:
            return ""

    async def _ask(self, fetch: Fetch, began: float) -> tuple[HTTPResponse | None, int, str]:
        clock = self._process.container.clock
        try:
            scheme, host, port, path = httptext.parse_url(fetch.url)
        except httptext.BadURL:
            return None, 3, "URL rejected: Malformed input to a URL function"
        if scheme not in ("http", "https"):
            return None, 1, f'Protocol "{scheme}" is not simulated, only http and https are'
        if "v" in self._options:
            await self._process.err(f"*   Trying {host}:{port}...\n> {fetch.method} {path} HTTP/1.1\n")
            await self._process.err(
                "".join(f"> {name.title()}: {value}\n" for name, value in fetch.headers.items()) + ">\n"
            )
        try:
            return await exchange(self._process, fetch), 0, ""
        except TimedOut:
            ms = int((clock.now() - began) * 1000)
            connecting = (
                fetch.connect_timeout is not None
                and ms >= fetch.connect_timeout * 1000
                and fetch.timeout > fetch.connect_timeout
            )
            return (
                None,
                28,
                f"Connection timed out after {ms} milliseconds"
                if connecting
                else f"Operation timed out after {ms} milliseconds with 0 bytes received",
            )
        except NetworkError as error:
            ms = int((clock.now() - began) * 1000)
            if error.kind == "name":
                return None, 6, f"Could not resolve host: {host}"
            if error.kind == "tls" and "wrong" in str(error):
                return None, 35, f"TLS connect error: error:0A0000C6:SSL routines::{error}"
            if error.kind == "tls":
                return None, 60, _untrusted(str(error))
            if error.kind == "reset":
                return None, 56, "Recv failure: Connection reset by peer"
            return None, 7, f"Failed to connect to {host} port {port} after {ms} ms: Could not connect to server"

    async def _failed(self, url: str, code: int, why: str) -> int:
        if not self._quiet:
            await self._process.err(f"curl: ({code}) {why}\n")
        await self._write_out(HTTPResponse(0), 0.0)
        return code

    async def _show(self, response: HTTPResponse, began: float) -> int:
        options, process = self._options, self._process
        head = f"HTTP/1.1 {response.status} {httptext.reason(response.status)}\r\n"
        head += "".join(f"{name.title()}: {value}\r\n" for name, value in response.headers.items()) + "\r\n"
        if "v" in options:
            await process.err("".join(f"< {line}\n" for line in head.split("\r\n")[:-1]))
        status = 0
        if "f" in options and response.status >= 400:
            status = 22
            if not self._quiet:
                await process.err(f"curl: (22) The requested URL returned error: {response.status}\n")
        data = (head.encode() if "i" in options or "I" in options else b"") + (b"" if status else response.body)
        target = options.values.get("o")
        if target and target != "-":
            try:
                stream = process.open_write(target)
            except FileError as error:
                await process.err(f"curl: (23) Failed to open the file {target}: {error.strerror}\n")
                return 23
            await stream.write(data)
            stream.release()
        else:
            await process.out(data)
        await self._write_out(response, process.container.clock.now() - began)
        return status

    async def _write_out(self, response: HTTPResponse, seconds: float) -> None:
        template = self._options.values.get("w", "")
        if not template:
            return
        values = {
            "http_code": f"{response.status:03d}",
            "response_code": f"{response.status:03d}",
            "time_total": f"{seconds:.6f}",
            "size_download": str(len(response.body)),
            "content_type": response.headers.get("content-type", ""),
        }
        for name, value in values.items():
            template = template.replace(f"%{{{name}}}", value)
        await self._process.out(template.replace("\\n", "\n").replace("\\t", "\t"))
