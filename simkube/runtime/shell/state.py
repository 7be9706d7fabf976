"""What a shell knows: variables, functions, options, traps, positional parameters. A subshell gets a copy."""

from __future__ import annotations

from dataclasses import dataclass, field

from simkube.runtime.shell.syntax import Node

MAX_VALUE = 128 * 1024
MAX_TOTAL = 1024 * 1024
MAX_SCOPES = 20


class ShellError(Exception):
    """A failure that ends a script (not an interactive shell): readonly, unset with -u, bad substitution."""

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class State:
    """Copied for subshells by :meth:`copy`; the values are immutable."""

    name: str
    variables: dict[str, str] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)
    readonly: set[str] = field(default_factory=set)
    functions: dict[str, Node] = field(default_factory=dict)
    positional: list[str] = field(default_factory=list)
    options: set[str] = field(default_factory=set)
    traps: dict[int, str] = field(default_factory=dict)
    locals: list[dict[str, str | None]] = field(default_factory=list)
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
            self.status,
            self.last_background,
            self.size,
        )

    def set(self, name: str, value: str) -> None:
        """Set a variable; ShellError when it is read-only or there is no room."""
        if name in self.readonly:
            raise ShellError(f"{name}: is read only")
        if len(value) > MAX_VALUE or self.size + len(value) > MAX_TOTAL:
            raise ShellError("out of memory (variables are limited in this simulation)")
        self.size += len(value) + len(name) - len(self.variables.get(name, ""))
        self.variables[name] = value
        if "a" in self.options:
            self.exported.add(name)

    def unset(self, name: str) -> None:
        """Forget a variable."""
        if name in self.readonly:
            raise ShellError(f"{name}: is read only")
        self.size -= len(self.variables.pop(name, ""))
        self.exported.discard(name)

    def environment(self) -> dict[str, str]:
        """The exported variables."""
        return {name: value for name, value in self.variables.items() if name in self.exported}
