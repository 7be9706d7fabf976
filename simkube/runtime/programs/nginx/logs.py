"""The files nginx writes its logs to, in the formats of its configuration."""

from __future__ import annotations

from datetime import UTC, datetime

from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.nginx.configuration import LEVELS, Configuration, Settings
from simkube.runtime.programs.nginx.syntax import Problem
from simkube.runtime.programs.nginx.variables import Exchange, log_line, plain
from simkube.runtime.streams import BrokenPipe


def open_all(process: Process, configuration: Configuration) -> None:
    """Make every log file; :class:`Problem` when one cannot be written."""
    places = [configuration.main, *(server.base.settings for server in configuration.servers)]
    places += [location.settings for server in configuration.servers for location in server.locations]
    paths = dict.fromkeys(path for settings in places for path, _ in (settings.error_log, *settings.access_logs))
    for path in paths:
        try:
            process.open_write(path, append=True).release()
        except FileError as error:
            raise Problem(f'open() "{path}" failed ({error.number}: {error.strerror})') from None


async def notice(process: Process, settings: Settings, level: str, text: str) -> None:
    """A line of the error log, when the log takes its level."""
    path, least = settings.error_log
    if LEVELS.index(level) >= LEVELS.index(least):
        await _append(process, path, stamp(process, level, text))


def stamp(process: Process, level: str, text: str) -> str:
    """A line as the error log has it."""
    when = datetime.fromtimestamp(process.container.clock.now(), UTC).strftime("%Y/%m/%d %H:%M:%S")
    return f"{when} [{level}] {process.pid}#{process.pid}: {text}\n"


async def complain(process: Process, settings: Settings, exchange: Exchange, text: str, upstream: str = "") -> None:
    """What went wrong with a request, with what nginx says of every request."""
    host = exchange.header("host")
    about = f'client: {exchange.peer}, server: {exchange.server_name}, request: "{exchange.line}"'
    about += f', upstream: "{upstream}"' if upstream else ""
    shown = f'{about}, host: "{host}"' if host else about
    await notice(process, settings, "error", plain(f"*1 {text}, {shown}"))


async def access(process: Process, settings: Settings, exchange: Exchange) -> None:
    """One line in each access log."""
    for path, layout in settings.access_logs:
        await _append(process, path, log_line(layout, exchange) + "\n")


async def _append(process: Process, path: str, line: str) -> None:
    """A log that cannot be written any more (disk full, reader gone) stops no request."""
    try:
        stream = process.open_write(path, append=True)
    except FileError:
        return
    try:
        await stream.write(line.encode("utf-8", "surrogateescape"))
    except (FileError, BrokenPipe):
        return
    finally:
        stream.release()
