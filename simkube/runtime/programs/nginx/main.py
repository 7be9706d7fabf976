"""The nginx program: checks its configuration, listens, reloads at SIGHUP, finishes what is in flight at SIGQUIT."""

from __future__ import annotations

from datetime import UTC, datetime

from simkube.runtime import signals
from simkube.runtime.network.ports import Listener
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.procfs import KERNEL
from simkube.runtime.programs.nginx import certificates, logs, proxying
from simkube.runtime.programs.nginx.configuration import PREFIX, Configuration
from simkube.runtime.programs.nginx.reading import read
from simkube.runtime.programs.nginx.serving import Site
from simkube.runtime.programs.nginx.syntax import Problem
from simkube.runtime.programs.serving import listen, stop_request

_TEMPORARY = ("client_temp", "proxy_temp", "fastcgi_temp", "uwsgi_temp", "scgi_temp")
_SIGNALS = {"stop": signals.TERM, "quit": signals.QUIT, "reload": signals.HUP}
_TRIES, _PAUSE = 5, 0.5
"""How often nginx tries to bind, and the seconds between."""


async def nginx(process: Process) -> int:
    """``nginx [-t|-T] [-c FILE] [-g DIRECTIVES] [-v] [-s stop|quit|reload]``; only in the foreground."""
    options: dict[str, str] = {}
    words = list(process.argv[1:])
    while words:
        word = words.pop(0)
        if word in ("-v", "-V", "-t", "-T"):
            options[word] = ""
        elif word in ("-c", "-g", "-s") and words:
            options[word] = words.pop(0)
        else:
            await process.err(f"nginx: the option {word!r} is not simulated; -t, -T, -c, -g, -s and -v are\n")
            return 1
    if "-v" in options or "-V" in options:
        await process.err(f"nginx version: nginx/{_version(process)}\n")
        return 0
    path, testing = options.get("-c", f"{PREFIX}/nginx.conf"), bool(options.keys() & {"-t", "-T"})
    try:
        configuration = await _prepared(process, path, options.get("-g", ""))
        if "-s" in options:
            return await _send(process, options["-s"])
    except Problem as problem:
        await process.err(f"nginx: [emerg] {problem}\n")
        if testing:
            await process.err(f"nginx: configuration file {path} test failed\n")
        return 1
    if testing:
        await process.err(f"nginx: the configuration file {path} syntax is ok\n")
        await process.err(f"nginx: configuration file {path} test is successful\n")
        for name in configuration.files if "-T" in options else ():
            await process.out(f"# configuration file {name}:\n".encode() + process.container.files.read(name) + b"\n")
        return 0
    if not configuration.foreground:
        await process.err("nginx: running as a daemon is not simulated here; use nginx -g 'daemon off;'\n")
        return 1
    return await _Master(process, configuration, path, options.get("-g", "")).run()


def _version(process: Process) -> str:
    return process.env.get("NGINX_VERSION", "")


async def _prepared(process: Process, path: str, extra: str) -> Configuration:
    """The configuration, with all that nginx checks before it listens; :class:`Problem`."""
    configuration = read(process.container.files, process.resolve(path), extra)
    if process.uid and configuration.user_at:
        text = 'the "user" directive makes sense only if the master process runs with super-user privileges, ignored'
        configuration.warnings.insert(0, f"{text} in {configuration.user_at}")
    certificates.load(process, configuration)
    for lookup in configuration.lookups:
        await proxying.look_up(process, lookup)
    for warning in configuration.warnings:
        await process.err(f"nginx: [warn] {warning}\n")
    _make_directories(process)
    logs.open_all(process, configuration)
    return configuration


def _make_directories(process: Process) -> None:
    files = process.container.files
    for name in _TEMPORARY:
        path = f"/var/cache/nginx/{name}"
        if files.exists(path):
            continue
        try:
            process.check_writable(path)
            files.make_directory(path)
        except FileError as error:
            raise Problem(f'mkdir() "{path}" failed ({error.number}: {error.strerror})') from None


async def _send(process: Process, name: str) -> int:
    """``nginx -s NAME``: a signal to the one that runs."""
    if name not in _SIGNALS:
        await process.err(f'nginx: invalid option: "-s {name}"\n')
        return 1
    for other in list(process.container.processes.values()):
        if other is not process and other.argv[0].rpartition("/")[2] == "nginx":
            other.signal(_SIGNALS[name])
            if name == "reload":
                when = datetime.fromtimestamp(process.container.clock.now(), UTC)
                await process.err(
                    f"{when:%Y/%m/%d %H:%M:%S} [notice] {process.pid}#{process.pid}: signal process started\n"
                )
            return 0
    raise Problem('open() "/run/nginx.pid" failed (2: No such file or directory)')


class _Master:
    """A running nginx."""

    def __init__(self, process: Process, configuration: Configuration, path: str, extra: str) -> None:
        self._process = process
        self._configuration = configuration
        self._path = path
        self._extra = extra
        self._sites: dict[int, tuple[Site, Listener]] = {}

    async def run(self) -> int:
        """Serve until a signal; the exit code."""
        process = self._process
        process.title = f"nginx: master process {' '.join(process.argv)}"
        try:
            await self._listen(self._configuration)
            self._write_pid()
        except Problem as problem:
            await self._say("emerg", str(problem))
            return 1
        for line in ('using the "epoll" event method', f"nginx/{_version(process)}", f"OS: Linux {KERNEL}"):
            await self._say("notice", line)
        await self._say("notice", "start worker processes")
        asked = stop_request(process, (signals.QUIT, signals.TERM, signals.INT))
        process.handlers[signals.HUP] = self._reload_soon
        number = await asked
        await self._say("notice", f"signal {number} (SIG{signals.NAMES[number]}) received, exiting")
        for _, listener in self._sites.values():
            listener.close()
        if number == signals.QUIT:
            for _, listener in self._sites.values():
                await listener.drained()
        return 0

    async def _listen(self, configuration: Configuration) -> None:
        for port, address in configuration.ports().items():
            if port not in self._sites:
                site = Site(self._process, configuration, port, _version(self._process))
                self._sites[port] = (site, await self._bound(site, port, address))

    async def _bound(self, site: Site, port: int, address: str) -> Listener:
        for attempt in range(_TRIES):
            if attempt:
                await self._process.sleep(_PAUSE)
            try:
                secure = site.identify if site.configuration.secure(port) else None
                return listen(self._process, port, site.serve, address, tls=secure)
            except FileError as error:
                await self._say("emerg", f"bind() to {address}:{port} failed ({error.number}: {error.strerror})")
        raise Problem("still could not bind()")

    def _write_pid(self) -> None:
        path = self._configuration.pid_file
        try:
            self._process.check_writable(path)
            self._process.container.files.write(path, f"{self._process.pid}\n".encode())
        except FileError as error:
            raise Problem(f'open() "{path}" failed ({error.number}: {error.strerror})') from None

    def _reload_soon(self, _: int) -> None:
        self._process.spawn(self._reload())

    async def _reload(self) -> None:
        """SIGHUP: the new configuration, or the old one when the new one is wrong."""
        await self._say("notice", "signal 1 (SIGHUP) received, reconfiguring")
        try:
            configuration = await _prepared(self._process, self._path, self._extra)
            await self._listen(configuration)
        except Problem as problem:
            await self._say("emerg", str(problem))
            return
        self._configuration = configuration
        ports = configuration.ports()
        for port, (site, listener) in list(self._sites.items()):
            site.configuration = configuration
            listener.tls = site.identify if configuration.secure(port) else None
            if port not in ports:
                listener.close()
                del self._sites[port]

    async def _say(self, level: str, text: str) -> None:
        await logs.notice(self._process, self._configuration.main, level, text)
