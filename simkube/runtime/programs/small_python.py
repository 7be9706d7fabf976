"""As much of Python as the documentation's Jobs need: conditions, loops, arithmetic, the environment, an exit code.

Modules: ``os`` (``environ``, ``getenv``), ``sys`` (``exit``, ``argv``), ``time`` (``sleep``, ``time``), ``socket``
(``gethostname``). Functions, classes, attributes of values and every other module are refused by name. The text is read
by Python's own parser and walked here; nothing of it is ever run by the host, and each step costs the container's
processor.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simkube.runtime.process import Exit, Process

LONGEST = 4096
"""Characters of a program."""
_MOST_TEXT, _MOST_NUMBER, _MOST_RANGE = 8 * 1024, 1 << 63, 8 * 1024
_MODULES = ("os", "sys", "time", "socket")
_OPERATORS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}
_PLAIN: Mapping[str, Callable[..., Any]] = {"int": int, "str": str, "float": float, "len": len, "bool": bool}


class NotSimulated(Exception):
    """A part of Python that is not here; the message names it."""


class Raised(Exception):
    """An exception of the program: the last line of its traceback."""


class _Leave(Exception):
    """``break`` or ``continue``."""

    def __init__(self, again: bool) -> None:
        super().__init__()
        self.again = again


async def run(process: Process, text: str, argv: Sequence[str]) -> int:
    """Run a program; its exit code. :class:`NotSimulated` as soon as it meets what is not here."""
    if len(text) > LONGEST:
        raise NotSimulated(f"programs of more than {LONGEST} characters")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        await process.err(f'  File "<string>", line {getattr(error, "lineno", 1)}\nSyntaxError: {error}\n'[:500])
        return 1
    try:
        await _Program(process, argv).block(tree.body)
    except Raised as error:
        await process.err(f"Traceback (most recent call last):\n{error}\n")
        return 1
    except RecursionError:
        raise NotSimulated("expressions nested as deeply as this one") from None
    return 0


class _Program:
    """One program: its variables, and the walk over its statements."""

    def __init__(self, process: Process, argv: Sequence[str]) -> None:
        self._process = process
        self._argv = list(argv)
        self._names: dict[str, Any] = {}

    async def block(self, body: Sequence[ast.stmt]) -> None:
        """Statements one after the other."""
        for statement in body:
            await self._process.work(2)
            await self._statement(statement)

    async def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Import() | ast.Pass():
                self._import(node)
            case ast.Expr(value=value):
                await self._value(value)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._names[name] = await self._value(value)
            case ast.AugAssign(target=ast.Name(id=name), op=op, value=value):
                self._names[name] = self._apply(op, self._named(name), await self._value(value))
            case ast.If(test=test, body=body, orelse=other):
                await self.block(body if await self._value(test) else other)
            case ast.While(test=test, body=body, orelse=[]):
                while await self._value(test) and await self._turn(body):
                    await self._process.work(2)
            case ast.For(target=ast.Name(id=name), iter=many, body=body, orelse=[]):
                for one in await self._value(many):
                    self._names[name] = one
                    if not await self._turn(body):
                        break
            case ast.Break() | ast.Continue():
                raise _Leave(isinstance(node, ast.Continue))
            case _:
                raise NotSimulated(ast.unparse(node).splitlines()[0][:60])

    def _import(self, node: ast.Import | ast.Pass) -> None:
        for one in node.names if isinstance(node, ast.Import) else ():
            if one.name not in _MODULES or one.asname:
                raise NotSimulated(ast.unparse(node))

    async def _turn(self, body: Sequence[ast.stmt]) -> bool:
        """One turn of a loop; False when it leaves the loop."""
        try:
            await self.block(body)
        except _Leave as leave:
            return leave.again
        return True

    def _named(self, name: str) -> Any:
        if name not in self._names:
            raise Raised(f"NameError: name '{name}' is not defined")
        return self._names[name]

    async def _value(self, node: ast.expr) -> Any:
        await self._process.work(1)
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self._named(name)
            case ast.JoinedStr(values=parts):
                return _held("".join([str(await self._value(part)) for part in parts]))
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                return await self._value(value)
            case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
                return self._apply(op, await self._value(left), await self._value(right))
            case ast.BoolOp(op=op, values=values):
                return await self._either(values, stop=isinstance(op, ast.Or))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not await self._value(operand)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._apply(ast.Sub(), 0, await self._value(operand))
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return [_single(await self._value(part)) for part in parts]
            case ast.Subscript(value=of, slice=key) if ast.unparse(of) in ("os.environ", "sys.argv"):
                return self._item(ast.unparse(of), await self._value(key))
            case ast.Call(func=function, args=words, keywords=options):
                given = [await self._value(word) for word in words]
                named = {str(one.arg): await self._value(one.value) for one in options}
                return await self._call(ast.unparse(function), given, named)
        raise NotSimulated(ast.unparse(node)[:60])

    async def _either(self, values: Sequence[ast.expr], *, stop: bool) -> Any:
        found: Any = None
        for value in values:
            found = await self._value(value)
            if bool(found) == stop:
                return found
        return found

    def _apply(self, op: ast.AST, one: Any, other: Any) -> Any:
        if type(op) not in _OPERATORS:
            raise NotSimulated(f"the operator {type(op).__name__}")
        if isinstance(op, ast.Mod) and isinstance(one, str):
            raise NotSimulated("formatting with %")
        if isinstance(op, ast.Mult) and (isinstance(one, (str, list)) or isinstance(other, (str, list))):
            raise NotSimulated("repeating a string or a list with *")
        try:
            return _held(_OPERATORS[type(op)](one, other))
        except (TypeError, ZeroDivisionError, OverflowError) as error:
            raise Raised(f"{type(error).__name__}: {error}") from None

    def _item(self, of: str, key: Any) -> Any:
        try:
            return self._process.env[key] if of == "os.environ" else self._argv[key]
        except (KeyError, IndexError, TypeError) as error:
            raise Raised(f"{type(error).__name__}: {error}") from None

    async def _call(self, name: str, given: list[Any], named: Mapping[str, Any]) -> Any:
        process = self._process
        if name == "print":
            end = str(named.get("end", "\n"))
            await process.out(str(named.get("sep", " ")).join(map(str, given))[:_MOST_TEXT] + end)
            return None
        if name in ("sys.exit", "exit", "quit"):
            await self._leave(given[0] if given else 0)
        if name == "time.sleep" and given and isinstance(given[0], (int, float)):
            await process.sleep(max(0.0, min(float(given[0]), 1e9)))
            return None
        if name in ("os.environ.get", "os.getenv") and given:
            return process.env.get(str(given[0]), given[1] if len(given) > 1 else None)
        if name == "range" and given and all(isinstance(one, int) for one in given):
            return list(range(*given[:3])[:_MOST_RANGE])
        if name == "time.time":
            return process.container.clock.now()
        if name == "socket.gethostname":
            return process.container.sandbox.config.hostname
        if name in _PLAIN and len(given) <= 1:
            try:
                return _held(_PLAIN[name](*given))
            except (TypeError, ValueError, OverflowError) as error:
                raise Raised(f"{type(error).__name__}: {error}") from None
        raise NotSimulated(f"{name}()")

    async def _leave(self, code: Any) -> None:
        if isinstance(code, str):
            await self._process.err(f"{code}\n")
            raise Exit(1)
        raise Exit(int(code or 0) & 0xFF)


def _single(value: Any) -> Any:
    """A member of a list; :class:`NotSimulated` for a list, since a few of them stand for more than fits anywhere."""
    if isinstance(value, list):
        raise NotSimulated("lists of lists")
    return value


def _held(value: Any) -> Any:
    """A value within bounds; :class:`NotSimulated` for a larger one."""
    large = isinstance(value, int) and abs(value) >= _MOST_NUMBER
    if large or (isinstance(value, (str, list)) and len(value) > _MOST_TEXT):
        raise NotSimulated("values as large as this one")
    return value
