"""How nginx answers one request: the server and location of it, then ``return``, files or another server.

A request may be redirected inside (``index``, ``try_files``, ``error_page``), at most ten times.
"""

from __future__ import annotations

from urllib.parse import unquote

from simkube.runtime import httptext
from simkube.runtime.cri import HTTPRequest, HTTPResponse
from simkube.runtime.network.ports import Certificate
from simkube.runtime.nodes import Directory, File, FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.nginx import logs, proxying
from simkube.runtime.programs.nginx.configuration import Configuration, Location, Server, Settings
from simkube.runtime.programs.nginx.pages import error_page
from simkube.runtime.programs.nginx.variables import Exchange, expand

MOST_REDIRECTS = 10
_WITH_HEADERS = (200, 201, 204, 206, 301, 302, 303, 304, 307, 308)
_REDIRECTS = (301, 302, 303, 307, 308)


class Internal(Exception):
    """Begin again with another URI, or in the location of that name (``@name``)."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.uri = uri


class Failure(Exception):
    """Answer a status with its page; ``why`` goes to the error log."""

    def __init__(self, status: int, why: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.why = why


class Site:
    """What listens on one port. ``configuration`` is replaced by a reload."""

    def __init__(self, process: Process, configuration: Configuration, port: int, version: str) -> None:
        self._process = process
        self.configuration = configuration
        self._port = port
        self._version = version
        self._turn = 0

    async def serve(self, request: HTTPRequest, peer: str) -> HTTPResponse:
        """One request, answered and logged."""
        process = self._process
        await process.work(4)
        sandbox = process.container.sandbox
        path, _, query = request.path.partition("#")[0].partition("?")
        exchange = Exchange(
            request, peer, unquote(path, errors="surrogateescape"), query, self._port,
            self.configuration.secure(self._port), sandbox.ip, sandbox.config.hostname, self._version,
            process.container.clock.now(), request.method,
        )  # fmt: skip
        server = self.configuration.server(self._port, exchange.host)
        exchange.server_name = server.name
        location, response = await self._answer(server, exchange)
        response = self._finished(response, location.settings, exchange)
        exchange.status, exchange.sent = response.status, len(response.body)
        await logs.access(process, location.settings, exchange)
        return response

    def identify(self, host: str) -> Certificate:
        """What a client is shown that asks for a host over TLS."""
        shown = self.configuration.server(self._port, host).shown
        assert shown is not None  # checked when the configuration was read
        return shown

    # -- finding the answer ----------------------------------------------------------------------------------------

    async def _answer(self, server: Server, exchange: Exchange) -> tuple[Location, HTTPResponse]:
        """The answer and the location it comes from."""
        location, target, failed, forced = server.base, "", 0, 0
        for _ in range(MOST_REDIRECTS + 1):
            try:
                location = self._location(server, exchange, target)
                return location, _with_status(await self._in(server, location, exchange), forced)
            except Internal as inside:
                target = inside.uri
            except Failure as failure:
                if failure.why:
                    await logs.complain(self._process, location.settings, exchange, failure.why)
                page = next((each for each in location.settings.error_pages if each[0] == failure.status), None)
                if page is None or failed:
                    return location, self._page(location.settings, failed or failure.status)
                failed, target = failure.status, expand(page[1], exchange)
                forced = failed if page[2] is None else page[2]
                if target.startswith(("http://", "https://")):
                    return location, self._page(location.settings, 302, target)
                exchange.method = "HEAD" if exchange.method == "HEAD" else "GET"
            exchange.redirected = True
        text = f'rewrite or internal redirection cycle while internally redirecting to "{exchange.uri}"'
        await logs.complain(self._process, location.settings, exchange, text)
        return location, self._page(location.settings, 500)

    def _location(self, server: Server, exchange: Exchange, target: str) -> Location:
        """Where to go on: at ``@name``, at another URI, or (``""``) at the one that was asked for."""
        if target.startswith("@"):
            found = server.named(target)
            if found is None:
                raise Failure(500, f'could not find named location "{target}"')
            return found
        if target:
            exchange.uri, mark, query = target.partition("?")
            exchange.query = query if mark else exchange.query
        exchange.uri = normalized(exchange.uri)
        return server.location(exchange.uri)

    async def _in(self, server: Server, location: Location, exchange: Exchange) -> HTTPResponse:
        """What a location answers; :class:`Failure`, :class:`Internal`."""
        settings = location.settings
        exchange.root = settings.root if location.alias is None else location.alias
        exchange.root = expand(exchange.root, exchange)
        if server.base.returns is not None and not location.path.startswith("@"):
            return self._returned(server.base.returns, settings, exchange)
        if location.returns is not None:
            return self._returned(location.returns, settings, exchange)
        if settings.most_body and len(exchange.request.body) > settings.most_body:
            raise Failure(413, f"client intended to send too large body: {len(exchange.request.body)} bytes")
        if location.try_files:
            self._try_files(location, exchange)
        if location.upstream is not None:
            self._turn += 1
            answer = await proxying.pass_on(self._process, location, exchange, self._turn)
            if isinstance(answer, int):
                raise Failure(answer)
            return answer
        return self._file(location, exchange)

    def _returned(self, returns: tuple[int, str], settings: Settings, exchange: Exchange) -> HTTPResponse:
        status, text = returns[0], expand(returns[1], exchange)
        if status in _REDIRECTS and text:
            return self._page(settings, status, self._absolute(text, exchange))
        if not text and status >= 400:
            raise Failure(status)
        if not text and status >= 300:
            return self._page(settings, status)
        return httptext.text(status, text, self._media(exchange.uri, settings))

    # -- files -----------------------------------------------------------------------------------------------------

    def _where(self, location: Location, exchange: Exchange, uri: str) -> str:
        if location.alias is not None:
            return exchange.root + uri.removeprefix(location.path)
        return exchange.root.rstrip("/") + uri

    def _try_files(self, location: Location, exchange: Exchange) -> None:
        """Go on with the first file there is, or as the last word says."""
        *tried, last = location.try_files
        files = self._process.container.files
        for each in tried:
            uri = expand(each, exchange)
            path = self._where(location, exchange, normalized(uri if uri.startswith("/") else f"/{uri}"))
            if files.is_directory(path.rstrip("/") or "/") if uri.endswith("/") else self._is_file(path):
                exchange.uri = normalized(uri if uri.startswith("/") else f"/{uri}")
                return
        if last.startswith("="):
            raise Failure(int(last[1:]))
        raise Internal(expand(last, exchange))

    def _is_file(self, path: str) -> bool:
        try:
            return isinstance(self._process.container.files.find(path).node, File)
        except FileError:
            return False

    def _file(self, location: Location, exchange: Exchange) -> HTTPResponse:
        files, settings = self._process.container.files, location.settings
        if exchange.method not in ("GET", "HEAD"):
            raise Failure(405)
        path = self._where(location, exchange, exchange.uri)
        if exchange.uri.endswith("/"):
            self._index(location, exchange, path)
        try:
            node = files.find(path).node
            if node is None:
                raise Failure(404, f'open() "{path}" failed (2: No such file or directory)')
            if isinstance(node, Directory):
                return self._page(settings, 301, self._absolute(f"{exchange.uri}/", exchange))
            if not node.mode & 0o004:
                raise Failure(403, f'open() "{path}" failed (13: Permission denied)')
            content = files.read(path)
        except FileError as error:
            status = 404 if error.number in (2, 20, 36) else 403 if error.number == 13 else 500
            raise Failure(status, f'open() "{path}" failed ({error.number}: {error.strerror})') from None
        modified, tag = httptext.http_date(node.mtime), f'"{int(node.mtime):x}-{len(content):x}"'
        headers = {"last-modified": modified, "etag": tag}
        asked = exchange.request.headers
        if asked.get("if-none-match") == tag or (
            "if-none-match" not in asked and asked.get("if-modified-since") == modified
        ):
            return HTTPResponse(304, headers)
        response = httptext.text(200, content, self._media(path, settings))
        return HTTPResponse(200, {**response.headers, **headers, "accept-ranges": "bytes"}, content)

    def _index(self, location: Location, exchange: Exchange, path: str) -> None:
        """Go on with the index file of a directory."""
        for each in location.settings.index:
            name = expand(each, exchange)
            if name.startswith("/"):
                raise Internal(name)
            if self._is_file(path + name):
                raise Internal(exchange.uri + name)
        if self._process.container.files.is_directory(path.rstrip("/") or "/"):
            raise Failure(403, f'directory index of "{path}" is forbidden')
        raise Failure(404, f'"{path}index.html" is not found (2: No such file or directory)')

    # -- the answer's form -----------------------------------------------------------------------------------------

    def _media(self, path: str, settings: Settings) -> str:
        name, dot, extension = path.rpartition("/")[2].rpartition(".")
        return settings.types.get(extension.lower(), settings.default_type) if dot and name else settings.default_type

    def _server(self, settings: Settings) -> str:
        return f"nginx/{self._version}" if settings.tokens else "nginx"

    def _absolute(self, target: str, exchange: Exchange) -> str:
        if not target.startswith("/"):
            return target
        scheme, usual = ("https", 443) if exchange.secure else ("http", 80)
        port = "" if self._port == usual else f":{self._port}"
        return f"{scheme}://{exchange.host or exchange.address}{port}{target}"

    def _page(self, settings: Settings, status: int, location: str = "") -> HTTPResponse:
        response = httptext.text(status, error_page(status, self._server(settings)), "text/html")
        return HTTPResponse(status, {**response.headers, **({"location": location} if location else {})}, response.body)

    def _finished(self, response: HTTPResponse, settings: Settings, exchange: Exchange) -> HTTPResponse:
        headers = dict(response.headers)
        headers["server"] = self._server(settings)
        headers["date"] = httptext.http_date(exchange.now)
        exchange.status = response.status
        for name, value, always in settings.headers:
            text = expand(value, exchange)
            if text and (always or response.status in _WITH_HEADERS):
                headers[name] = f"{headers[name]}, {text}" if name in headers else text
        return HTTPResponse(response.status, headers, b"" if exchange.request.method == "HEAD" else response.body)


def _with_status(response: HTTPResponse, forced: int) -> HTTPResponse:
    """The status of the error whose page this is; 0 keeps the page's own."""
    return HTTPResponse(forced, response.headers, response.body) if forced else response


def normalized(uri: str) -> str:
    """A path without ``.``, ``..`` and doubled slashes; :class:`Failure` 400 when it leads above the root."""
    found: list[str] = []
    if "\0" in uri:
        raise Failure(400)
    for part in uri.split("/")[1:]:
        if part == "..":
            if not found:
                raise Failure(400)
            found.pop()
        elif part not in ("", "."):
            found.append(part)
    ends = uri.endswith(("/", "/.", "/..")) and found
    return "/" + "/".join(found) + ("/" if ends else "")
