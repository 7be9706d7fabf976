"""Servers of static files: httpd (Apache), busybox httpd, Python's http.server, and those that are data.

Configuration files are not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from simkube.clock.clock import Future
from simkube.runtime import httptext, signals
from simkube.runtime.cri import HTTPRequest, HTTPResponse
from simkube.runtime.files import FileSystem
from simkube.runtime.nodes import Directory, FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.serving import listen, stop_request


@dataclass(frozen=True, slots=True)
class Site:
    """A folder served: which one, by which server name, and its error page."""

    root: str
    server: str
    error_page: str
    index: tuple[str, ...] = ("index.html",)
    listing: bool = False


async def apache(process: Process) -> int:
    """httpd-foreground: serves /usr/local/apache2/htdocs (or what the image says) on port 80."""
    page = (
        '<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n<title>{0}</title>\n</head><body>\n'
        "<h1>{1}</h1>\n</body></html>\n"
    )
    root = str(process.container.spec.behaviour.get("root", "/usr/local/apache2/htdocs"))
    site = Site(root, f"Apache/{process.env.get('HTTPD_VERSION', '2.4')} (Unix)", page)
    try:
        listen(process, 80, _Serving(process, site).serve)
    except FileError:
        await process.err("(98)Address already in use: AH00072: make_sock: could not bind to address 0.0.0.0:80\n")
        await process.err("no listening sockets available, shutting down\nAH00015: Unable to open logs\n")
        return 1
    ip = process.container.sandbox.ip
    await process.err(
        "AH00558: httpd: Could not reliably determine the server's fully qualified domain name, using "
        f"{ip}. Set the 'ServerName' directive globally to suppress this message\n"
    )
    await stop_request(process, (signals.WINCH, signals.TERM, signals.INT))
    return 0


async def static_site(process: Process) -> int:
    """A server that is data: ``port``, ``root``, ``server`` (its name) and ``says`` of its image's behaviour."""
    data = process.container.spec.behaviour
    port, page = int(data.get("port", 80)), "{0}\n"
    try:
        listen(process, port, _Serving(process, Site(str(data["root"]), str(data.get("server", "")), page)).serve)
    except FileError as error:
        await process.err(f"listen tcp :{port}: bind: {error.strerror.lower()}\n")
        return 1
    await process.err(f"{data.get('says', 'serving')}\n")
    await stop_request(process)
    return 0


async def serve_folder(
    process: Process, port: int, root: str, *, listing: bool = False, logs: bool = False
) -> Future[int]:
    """busybox httpd: a folder on a port, without an access log; the future gets the signal that would end it."""
    page = (
        "<HTML><HEAD><TITLE>{0}</TITLE></HEAD>\n<BODY><H1>{0}</H1>\nThe requested URL was not found\n</BODY></HTML>\n"
    )
    serving = _Serving(process, Site(root, "", page, listing=listing), logs=logs)
    listen(process, port, serving.serve)
    return Future()


class _Serving:
    """Answers the requests to one site."""

    def __init__(self, process: Process, site: Site, *, logs: bool = True) -> None:
        self._process = process
        self._site = site
        self._logs = logs

    async def serve(self, request: HTTPRequest, peer: str) -> HTTPResponse:
        """One request, logged in the combined format."""
        response = self._answer(request)
        if request.method == "HEAD":
            response = HTTPResponse(response.status, response.headers)
        if self._logs:
            when = httptext.log_date(self._process.container.clock.now())
            line = (
                f'{peer} - - [{when}] "{request.method} {request.path} HTTP/1.1" {response.status} {len(response.body)}'
            )
            self._process.container.log.write("stdout", f"{line}\n".encode())
        return response

    def _answer(self, request: HTTPRequest) -> HTTPResponse:
        if request.method not in ("GET", "HEAD"):
            return self._error(405)
        path = httptext.split_path(request.path)[0]
        files = self._process.container.files
        root = self._process.resolve(self._site.root)
        try:
            return self._file(files, root, path)
        except FileError:
            return self._error(404)

    def _file(self, files: FileSystem, root: str, path: str) -> HTTPResponse:
        place = files.find(f"{root}/{path.lstrip('/')}")
        if not (place.path + "/").startswith(files.find(root).path.rstrip("/") + "/"):
            return self._error(404)
        folder = place.node
        if isinstance(folder, Directory):
            if not path.endswith("/"):
                return HTTPResponse(301, {"location": f"{path}/", "content-length": "0"})
            for name in self._site.index:
                if files.exists(f"{place.path}/{name}"):
                    place = files.find(f"{place.path}/{name}")
                    break
            else:
                if self._site.listing:
                    return self._listing(path, sorted(folder.entries))
                return self._error(403 if self._site.server else 404)
        if place.node is None or isinstance(place.node, Directory):
            return self._error(404)
        if not place.node.mode & 0o004 and self._process.uid == 0 and self._site.server:
            return self._error(403)
        content = files.read(place.path)
        headers = {
            "content-type": httptext.content_type(place.path),
            "content-length": str(len(content)),
            "last-modified": httptext.http_date(place.node.mtime),
            "accept-ranges": "bytes",
        }
        return self._named(HTTPResponse(200, headers, content))

    def _listing(self, path: str, names: list[str]) -> HTTPResponse:
        lines = "".join(f'<li><a href="{escape(name)}">{escape(name)}</a></li>\n' for name in names)
        title = f"Directory listing for {escape(path)}"
        head = f"<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n"
        body = f"{head}<ul>\n{lines}</ul>\n</body>\n</html>\n"
        return self._named(httptext.text(200, body, "text/html; charset=utf-8"))

    def _error(self, status: int) -> HTTPResponse:
        reason = httptext.reason(status)
        body = self._site.error_page.format(f"{status} {reason}", reason)
        return self._named(httptext.text(status, body, "text/html"))

    def _named(self, response: HTTPResponse) -> HTTPResponse:
        headers = dict(response.headers)
        headers["date"] = httptext.http_date(self._process.container.clock.now())
        if self._site.server:
            headers["server"] = self._site.server
        return HTTPResponse(response.status, headers, response.body)
