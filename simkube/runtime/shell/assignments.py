"""Assignments: to variables, elements and whole arrays, with ``+=`` and the attributes of ``declare``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simkube.runtime.shell.state import ShellError
from simkube.runtime.shell.syntax import Assignment

if TYPE_CHECKING:
    from simkube.runtime.shell.interpreter import Interpreter


async def assign(shell: Interpreter, wanted: Assignment) -> None:
    """Make an assignment; ShellError when the variable is read-only or a subscript is none."""
    state, name = shell.state, wanted.name
    if wanted.items is not None:
        await _assign_array(shell, wanted)
        return
    value = await shell.expander.text(wanted.value)
    await shell.process.work(len(state.arrays.get(name, ())) / 500)
    place = str(await shell.expander.key(name, wanted.subscript)) if wanted.subscript is not None else None
    assign_text(shell, name, value, place=place, append=wanted.append)
    if "a" in state.options:
        state.exported.add(name)


def assign_text(shell: Interpreter, name: str, value: str, *, place: str | None = None, append: bool = False) -> None:
    """Give a variable (or the element at ``place``) a value, or add to it."""
    state = shell.state
    first = "0" if place is None else place
    old = ""
    if append and (place is not None or name in state.arrays):
        old = state.elements(name).get(state.place(name, first), "")
    elif append:
        old = state.variables.get(name, "")
    if name in state.integers:
        value = str(shell.expander.number(value) + (shell.expander.number(old) if old else 0))
    else:
        value = old + value
    if place is not None:
        state.set_element(name, place, value)
    else:
        state.set(name, value)


async def _assign_array(shell: Interpreter, wanted: Assignment) -> None:
    state, name = shell.state, wanted.name
    assert wanted.items is not None
    values: list[tuple[str | None, str]] = []
    await shell.process.work(len(wanted.items) / 10 + len(state.arrays.get(name, ())) / 500)
    for subscript, word in wanted.items:
        if subscript is None:
            values.extend((None, each) for each in await shell.expander.fields([word]))
        else:
            values.append((await shell.expander.text(subscript), await shell.expander.text(word)))
    if name in state.readonly:
        raise ShellError(f"{name}: is read only", 1)
    if not wanted.append:
        state.clear(name)
    state.array(name)
    if name in state.maps:
        for key, value in _pairs(name, values):
            state.set_element(name, key, value)
        return
    following = state.following(name)
    for place, value in values:
        number = following if place is None else int(state.place(name, str(shell.expander.number(place))))
        state.set_element(name, str(number), value)
        following = number + 1


def _pairs(name: str, values: list[tuple[str | None, str]]) -> list[tuple[str, str]]:
    """Keys and values of a map: ``[key]=value``, or key and value in turn."""
    if all(key is not None for key, _ in values):
        return [(str(key), value) for key, value in values]
    if any(key is not None for key, _ in values):
        raise ShellError(f"{name}: {values[0][1]}: must use subscript when assigning associative array", 1)
    words = [value for _, value in values] + ([""] if len(values) % 2 else [])
    return list(zip(words[::2], words[1::2], strict=True))
