"""Every command on a database by its name, with the least and most arguments that it takes."""

from __future__ import annotations

from collections.abc import Callable

from simkube.runtime.programs.redis import containers, keys, sorted_sets, strings
from simkube.runtime.programs.redis.database import Database
from simkube.runtime.programs.redis.values import Refused, Reply, Words

Command = Callable[[Database, Words], Reply]

COMMANDS: dict[str, tuple[Command, int, int]] = {
    **strings.COMMANDS,
    **keys.COMMANDS,
    **containers.COMMANDS,
    **sorted_sets.COMMANDS,
}


def run(base: Database, words: Words) -> Reply:
    """The reply to one command; :class:`Refused`."""
    command = look_up(words)
    base.expire()
    return command(base, words[1:])


def look_up(words: Words) -> Command:
    """What runs a command; :class:`Refused` when there is none, or with a wrong number of arguments."""
    name = words[0].decode("utf-8", "replace").lower()
    found = COMMANDS.get(name)
    if found is None:
        raise unknown(words)
    command, least, most = found
    if not least <= len(words) - 1 <= most:
        raise Refused(f"ERR wrong number of arguments for '{name}' command")
    return command


def unknown(words: Words) -> Refused:
    """The error for a command that there is not."""
    name = words[0].decode("utf-8", "replace")
    shown = " ".join(f"'{word.decode('utf-8', 'replace')[:128]}'" for word in words[1:4])
    return Refused(f"ERR unknown command '{name[:128]}', with args beginning with: {shown} ")
