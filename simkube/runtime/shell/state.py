"""What a shell knows: variables, functions, options, traps, positional parameters. A subshell gets a copy."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from simkube.runtime.shell.syntax import Node

MAX_VALUE = 128 * 1024
MAX_TOTAL = 1024 * 1024
MAX_SCOPES = 20

OPTION_NAMES = {"errexit": "e", "nounset": "u", "xtrace": "x", "noglob": "f", "allexport": "a", "pipefail": "pipefail",
                "noclobber": "C", "noexec": "n", "verbose": "v"}  # fmt: skip

Array = dict[int | str, str]
"""The elements of an array by number, or by text in a map (``declare -A``)."""


def quote(text: str) -> str:
    """``text`` in single quotes, as the shell could read it again."""
    return "'" + text.replace("'", "'\\''") + "'"


class ShellError(Exception):
    """A failure that ends a script (not an interactive shell): readonly, unset with -u, bad substitution."""

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class State:
    """Copied for subshells by :meth:`copy`; single values are immutable. ``maps`` are the arrays that are indexed by
    text, ``integers``, ``lower`` and ``upper`` the variables with these attributes.
    """

    name: str
    variables: dict[str, str] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)
    readonly: set[str] = field(default_factory=set)
    functions: dict[str, Node] = field(default_factory=dict)
    positional: list[str] = field(default_factory=list)
    options: set[str] = field(default_factory=set)
    traps: dict[int, str] = field(default_factory=dict)
    locals: list[dict[str, str | Array | None]] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    maps: set[str] = field(default_factory=set)
    aliases: dict[str, str] = field(default_factory=dict)
    integers: set[str] = field(default_factory=set)
    lower: set[str] = field(default_factory=set)
    upper: set[str] = field(default_factory=set)
    status: int = 0
    last_background: int | None = None
    size: int = 0

    def copy(self) -> State:
        """For a subshell."""
        return State(
            self.name,
            dict(self.variables),
            set(self.exported),
            set(self.readonly),
            dict(self.functions),
            list(self.positional),
            set(self.options),
            {},
            [dict(scope) for scope in self.locals[-MAX_SCOPES:]],
            {name: dict(array) for name, array in self.arrays.items()},
            set(self.maps),
            dict(self.aliases),
            set(self.integers),
            set(self.lower),
            set(self.upper),
            self.status,
            self.last_background,
            self.size,
        )

    def set(self, name: str, value: str) -> None:
        """Set a variable; ShellError when it is read-only or there is no room."""
        if name.endswith("]") and "[" in name:
            name, _, key = name.partition("[")
            self.set_element(name, key[:-1], value)
            return
        if name in self.arrays:
            self.set_element(name, "0", value)
            return
        value = self._admitted(name, value)
        self.size += len(value) + len(name) - len(self.variables.get(name, ""))
        self.variables[name] = value
        if "a" in self.options:
            self.exported.add(name)

    def _admitted(self, name: str, value: str) -> str:
        if name in self.readonly:
            raise ShellError(f"{name}: is read only")
        if len(value) > MAX_VALUE or self.size + len(value) > MAX_TOTAL:
            raise ShellError("out of memory (variables are limited in this simulation)")
        return value.lower() if name in self.lower else value.upper() if name in self.upper else value

    def array(self, name: str) -> Array:
        """The elements to change of an array; a single value becomes the first of them."""
        if name not in self.arrays:
            first = self.variables.pop(name, None)
            self.arrays[name] = {} if first is None else {"0" if name in self.maps else 0: first}
        return self.arrays[name]

    def set_element(self, name: str, key: str, value: str) -> None:
        """Set one element; ShellError for a subscript that is none."""
        value = self._admitted(name, value)
        array, place = self.array(name), self.place(name, key)
        self.size += len(value) + 8 - len(array.get(place, ""))
        late = name in self.maps or place in array or place >= self.following(name)  # type: ignore[operator] # a number
        array[place] = value
        if not late:
            self.arrays[name] = {number: array[number] for number in sorted(array, key=int)}

    def following(self, name: str) -> int:
        """The number after the last element: the numbers of an array are kept in order."""
        array = self.arrays.get(name)
        return int(next(reversed(array))) + 1 if array else 0

    def clear(self, name: str) -> None:
        """Make an array empty, or a variable an empty array."""
        self.size -= len(self.variables.pop(name, "")) + sum(map(len, self.arrays.get(name, {}).values()))
        self.arrays[name] = {}

    def long_options(self) -> Collection[str]:
        """The names of the options that are set."""
        return {name for name, letter in OPTION_NAMES.items() if letter in self.options}

    def place(self, name: str, key: str) -> int | str:
        """What a subscript stands for: a text in a map, else a number, from the end when negative."""
        if name in self.maps:
            return key
        if not key.lstrip("-").isdecimal() or len(key) > 9:
            raise ShellError(f"{name}[{key}]: bad array subscript", 1)
        number = int(key)
        if number < 0:
            number += self.following(name)
        if number < 0:
            raise ShellError(f"{name}[{key}]: bad array subscript", 1)
        return number

    def elements(self, name: str) -> Array:
        """What ``${name[@]}`` has: of a single value that value, of nothing none."""
        if name in self.arrays:
            return self.arrays[name]
        return {0: self.variables[name]} if name in self.variables else {}

    def unset(self, name: str) -> None:
        """Forget a variable."""
        if name in self.readonly:
            raise ShellError(f"{name}: is read only")
        self.size -= len(self.variables.pop(name, "")) + sum(map(len, self.arrays.pop(name, {}).values()))
        for attribute in (self.exported, self.maps, self.integers, self.lower, self.upper):
            attribute.discard(name)

    def keep(self, name: str) -> str | Array | None:
        """The value of a name for :meth:`put_back`."""
        return dict(self.arrays[name]) if name in self.arrays else self.variables.get(name)

    def put_back(self, name: str, value: str | Array | None) -> None:
        """Give a name a value that it had before."""
        self.variables.pop(name, None)
        self.arrays.pop(name, None)
        if isinstance(value, dict):
            self.arrays[name] = value
        elif value is not None:
            self.variables[name] = value

    def environment(self) -> dict[str, str]:
        """The exported variables."""
        return {name: value for name, value in self.variables.items() if name in self.exported}
