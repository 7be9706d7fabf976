"""redis' settings: from a file and options of the command line, asked for and changed with ``CONFIG``.

Only some of them do something here: ``port``, ``requirepass``, ``maxmemory`` and its policy, ``dir``, ``dbfilename``,
``save``, ``appendonly`` and ``databases``. The others of redis are kept and shown; a name that redis does not know is
an error, as it is there.
"""

from __future__ import annotations

import re
import shlex

from simkube.runtime.programs.redis.values import Refused

DEFAULTS = {
    "activerehashing": "yes",
    "appenddirname": "appendonlydir",
    "appendfilename": "appendonly.aof",
    "appendfsync": "everysec",
    "appendonly": "no",
    "auto-aof-rewrite-min-size": "67108864",
    "auto-aof-rewrite-percentage": "100",
    "bind": "* -::*",
    "daemonize": "no",
    "databases": "16",
    "dbfilename": "dump.rdb",
    "dir": "/data",
    "hz": "10",
    "io-threads": "1",
    "lazyfree-lazy-eviction": "no",
    "logfile": "",
    "loglevel": "notice",
    "masterauth": "",
    "maxclients": "10000",
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
    "maxmemory-samples": "5",
    "notify-keyspace-events": "",
    "pidfile": "",
    "port": "6379",
    "protected-mode": "no",
    "rdbchecksum": "yes",
    "rdbcompression": "yes",
    "replica-read-only": "yes",
    "requirepass": "",
    "save": "3600 1 300 100 60 10000",
    "slowlog-log-slower-than": "10000",
    "slowlog-max-len": "128",
    "stop-writes-on-bgsave-error": "yes",
    "supervised": "no",
    "tcp-backlog": "511",
    "tcp-keepalive": "300",
    "timeout": "0",
}
POLICIES = (
    "noeviction",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
)
_FIXED = frozenset(["bind", "daemonize", "databases", "port", "supervised", "pidfile", "io-threads", "logfile"])
_SIZES = {"": 1, "b": 1, "k": 1000, "kb": 1024, "m": 1000**2, "mb": 1024**2, "g": 1000**3, "gb": 1024**3}
_NUMBERS = frozenset(["databases", "hz", "maxclients", "port", "timeout", "tcp-backlog", "tcp-keepalive"])
_SWITCHES = frozenset(name for name, value in DEFAULTS.items() if value in ("yes", "no"))


class Wrong(Exception):
    """A setting that is not understood: redis' reason."""


def checked(name: str, words: list[str]) -> str:
    """The value of a setting as ``CONFIG GET`` shows it; :class:`Wrong`."""
    if name not in DEFAULTS or (not words and name != "save"):
        raise Wrong("Bad directive or wrong number of arguments")
    text = " ".join(words)
    if name.endswith("memory") or name == "auto-aof-rewrite-min-size":
        match = re.fullmatch(r"(\d{1,15})([a-z]{0,2})", text.lower())
        if match is None or match[2] not in _SIZES:
            raise Wrong("argument must be a memory value")
        return str(int(match[1]) * _SIZES[match[2]])
    if name == "maxmemory-policy" and text not in POLICIES:
        raise Wrong(f"argument(s) must be one of the following: {', '.join(POLICIES)}")
    if name in _SWITCHES and text not in ("yes", "no"):
        raise Wrong("argument must be 'yes' or 'no'")
    if name in _NUMBERS and not (text.isdecimal() and len(text) < 7):
        raise Wrong("argument couldn't be parsed into an integer")
    return text


def read_file(text: str, settings: dict[str, str]) -> None:
    """The lines of a configuration file into the settings; :class:`Wrong` with the line."""
    saves: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(line, comments=False) if line.strip() and not line.lstrip().startswith("#") else []
        except ValueError:
            raise Wrong(f"{number}\n>>> '{line}'\nUnbalanced quotes in configuration line") from None
        if not words:
            continue
        name = words[0].lower()
        try:
            value = checked(name, words[1:])
        except Wrong as wrong:
            raise Wrong(f"{number}\n>>> '{line.strip()}'\n{wrong}") from None
        if name == "save" and value:
            saves.append(value)
            value = " ".join(saves)
        settings[name] = value


def read_options(words: list[str], settings: dict[str, str]) -> None:
    """``--name value...`` of the command line into the settings; :class:`Wrong`."""
    name, values = "", list[str]()
    for word in [*words, "--"]:
        if not word.startswith("--"):
            values.append(word)
            continue
        if name:
            try:
                settings[name] = checked(name, values)
            except Wrong as wrong:
                raise Wrong(f"2\n>>> '{name} {' '.join(values)}'\n{wrong}") from None
        elif values:
            raise Wrong(f"2\n>>> '{' '.join(values)}'\nBad directive or wrong number of arguments")
        name, values = word[2:].lower(), []


def change(settings: dict[str, str], name: str, value: str) -> None:
    """``CONFIG SET``; :class:`Refused`."""
    if name not in DEFAULTS:
        raise Refused(f"ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
    if name in _FIXED:
        raise Refused(f"ERR CONFIG SET failed (possibly related to argument '{name}') - can't set immutable config")
    try:
        settings[name] = checked(name, value.split() or [""] * (name != "save"))
    except Wrong as wrong:
        raise Refused(f"ERR CONFIG SET failed (possibly related to argument '{name}') - {wrong}") from None
