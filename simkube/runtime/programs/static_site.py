"""Servers of static files: nginx, httpd (Apache), busybox httpd. Configuration files beyond ``listen`` and ``root``
are not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from simkube.clock import Future
from simkube.proxy.ports import Listener
from simkube.runtime import httptext, signals
from simkube.runtime.cri import HTTPRequest, HTTPResponse
from simkube.runtime.files import Directory, FileError, FileSystem
from simkube.runtime.process import Process
from simkube.runtime.procfs import KERNEL
from simkube.runtime.programs.serving import listen, stop_request


@dataclass(frozen=True, slots=True)
class Site:
    """A folder served: which one, by which server name, and its error page."""

    root: str
    server: str
    error_page: str
    index: tuple[str, ...] = ("index.html",)


async def nginx(process: Process) -> int:
    """nginx in the foreground: serves each ``server`` of conf.d with its ``listen`` and ``root``."""
    arguments = process.argv[1:]
    version = process.env.get("NGINX_VERSION", "")
    if arguments in (["-v"], ["-V"]):
        await process.err(f"nginx version: nginx/{version}\n")
        return 0
    text = " ".join(arguments)
    if "daemon off" not in text:
        if arguments[:1] == ["-t"]:
            return await _configuration_test(process)
        if arguments:
            await process.err(f"nginx: the arguments {text!r} are not simulated; use -g 'daemon off;', -t or -v\n")
            return 1
    listeners = []
    for site, ports in _nginx_sites(process, version):
        for port in ports:
            try:
                listeners.append(listen(process, port, _Serving(process, site).serve))
            except FileError as error:
                await _notice(process, "emerg", f"bind() to 0.0.0.0:{port} failed (98: {error.strerror})")
                return 1
    for line in ('using the "epoll" event method', f"nginx/{version}", f"OS: Linux {KERNEL}", "start worker processes"):
        await _notice(process, "notice", line)
    asked = stop_request(process, (signals.QUIT, signals.TERM, signals.INT))
    process.handlers[signals.HUP] = None
    number = await asked
    await _notice(process, "notice", f"signal {number} (SIG{signals.NAMES[number]}) received, exiting")
    for listener in listeners:
        listener.close()
    if number == signals.QUIT:
        await _all_drained(listeners)
    return 0


async def _all_drained(listeners: list[Listener]) -> None:
    for listener in listeners:
        await listener.drained()


async def _notice(process: Process, level: str, text: str) -> None:
    when = datetime.fromtimestamp(process.container.clock.now(), UTC).strftime("%Y/%m/%d %H:%M:%S")
    await process.err(f"{when} [{level}] {process.pid}#{process.pid}: {text}\n")


async def _configuration_test(process: Process) -> int:
    await process.err("nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\n")
    await process.err("nginx: configuration file /etc/nginx/nginx.conf test is successful\n")
    return 0


def _nginx_sites(process: Process, version: str) -> list[tuple[Site, list[int]]]:
    files = process.container.files
    page = (
        "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
        f"<hr><center>nginx/{version}</center>\r\n</body>\r\n</html>\r\n"
    )
    found = []
    try:
        names = [name for name in files.entries("/etc/nginx/conf.d") if name.endswith(".conf")]
    except FileError:
        names = []
    for name in names:
        text = re.sub(r"#[^\n]*", "", files.read(f"/etc/nginx/conf.d/{name}").decode("utf-8", "replace"))[:65536]
        for block in text.split("server {")[1:]:
            ports = [int(port) for port in re.findall(r"\blisten\s+(?:[\d.]+:)?(\d{1,5})\b", block)]
            roots = re.findall(r"\broot\s+([^\s;]+)", block)
            site = Site(roots[0] if roots else "/usr/share/nginx/html", f"nginx/{version}", page)
            found.append((site, sorted(set(ports)) or [80]))
    return found


async def apache(process: Process) -> int:
    """httpd-foreground: serves /usr/local/apache2/htdocs on port 80."""
    page = (
        '<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n<title>{0}</title>\n</head><body>\n'
        "<h1>{1}</h1>\n</body></html>\n"
    )
    site = Site("/usr/local/apache2/htdocs", f"Apache/{process.env.get('HTTPD_VERSION', '2.4')} (Unix)", page)
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


async def serve_folder(process: Process, port: int, root: str) -> Future[int]:
    """busybox httpd: a folder on a port, without an access log; the future gets the signal that would end it."""
    page = (
        "<HTML><HEAD><TITLE>{0}</TITLE></HEAD>\n<BODY><H1>{0}</H1>\nThe requested URL was not found\n</BODY></HTML>\n"
    )
    serving = _Serving(process, Site(root, "", page), logs=False)
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
            agent = request.headers.get("user-agent", "-").replace('"', "\\x22")
            when = httptext.log_date(self._process.container.clock.now())
            line = (
                f'{peer} - - [{when}] "{request.method} {request.path} HTTP/1.1" {response.status} {len(response.body)}'
            )
            tail = f' "-" "{agent}" "-"\n' if self._site.server.startswith("nginx") else "\n"
            self._process.container.log.write("stdout", (line + tail).encode())
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
        if isinstance(place.node, Directory):
            if not path.endswith("/"):
                return HTTPResponse(301, {"location": f"{path}/", "content-length": "0"})
            for name in self._site.index:
                if files.exists(f"{place.path}/{name}"):
                    place = files.find(f"{place.path}/{name}")
                    break
            else:
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
