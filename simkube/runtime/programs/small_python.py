"""As much of Python as the documentation's Jobs and a probe's one-liner need: conditions, loops, arithmetic, the
environment, an HTTP request, an exit code.

Modules: ``os`` (``environ``, ``getenv``), ``sys`` (``exit``, ``argv``), ``time`` (``sleep``, ``time``), ``socket``
(``gethostname``, ``create_connection``), ``urllib.request`` and ``http.client`` (:mod:`.python_http`). Functions,
classes and every other module of the standard library are refused by name;
modules that Python does not have are missing here as well. The text is read by Python's own parser and walked here;
nothing of it is ever run by the host, and each step costs the container's processor.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simkube.runtime.process import Exit, Process
from simkube.runtime.programs import python_http
from simkube.runtime.programs.python_names import FUNCTIONS, Aliases, kinds_of
from simkube.runtime.programs.python_values import MOST_TEXT, NotSimulated, Raised, held, of_text, single

LONGEST = 4096
"""Characters of a program."""
_MOST_RANGE = 8 * 1024
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
        self._aliases = Aliases()

    async def block(self, body: Sequence[ast.stmt]) -> None:
        """Statements one after the other."""
        for statement in body:
            await self._process.work(2)
            await self._statement(statement)

    async def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Pass():
                pass
            case ast.Import() | ast.ImportFrom():
                self._aliases.add(node)
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
            case _:
                await self._flow(node)

    async def _flow(self, node: ast.stmt) -> None:
        """Statements that leave the way from one to the next."""
        match node:
            case ast.Break() | ast.Continue():
                raise _Leave(isinstance(node, ast.Continue))
            case ast.Assert(test=test, msg=message):
                if not await self._value(test):
                    raise Raised(f"AssertionError: {await self._value(message)}" if message else "AssertionError")
            case ast.Raise(exc=ast.expr() as what):
                await self._raise(what)
            case ast.Try(body=body, handlers=handlers, orelse=other, finalbody=last):
                await self._try(body, handlers, other, last)
            case ast.With(
                items=[ast.withitem(context_expr=value, optional_vars=(ast.Name() | None) as name)], body=body
            ):
                found = await self._value(value)
                if name is not None:
                    self._names[name.id] = found
                await self.block(body)
            case _:
                raise NotSimulated(ast.unparse(node).splitlines()[0][:60])

    async def _raise(self, what: ast.expr) -> None:
        name = self._aliases.full(what.func if isinstance(what, ast.Call) else what)
        given = [await self._value(word) for word in what.args] if isinstance(what, ast.Call) else []
        if name == "SystemExit":
            await self._leave(given[0] if given else 0)
        raise Raised(": ".join([name, *map(str, given)]))

    async def _try(
        self,
        body: Sequence[ast.stmt],
        handlers: Sequence[ast.ExceptHandler],
        other: Sequence[ast.stmt],
        last: Sequence[ast.stmt],
    ) -> None:
        try:
            try:
                await self.block(body)
            except (Raised, Exit) as error:
                kinds = kinds_of("SystemExit" if isinstance(error, Exit) else str(error).partition(":")[0])
                found = next((one for one in handlers if self._catches(one, kinds)), None)
                if found is None:
                    raise
                if found.name:
                    self._names[found.name] = str(error).partition(": ")[2]
                await self.block(found.body)
            else:
                await self.block(other)
        finally:
            await self.block(last)

    def _catches(self, handler: ast.ExceptHandler, kinds: Sequence[str]) -> bool:
        if handler.type is None:
            return True
        named = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        return any(self._aliases.full(one).rpartition(".")[2] in kinds for one in named)

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
                return held("".join([str(await self._value(part)) for part in parts]))
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                return await self._value(value)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._apply(ast.Sub(), 0, await self._value(operand))
            case ast.Subscript(value=of, slice=key) if ast.unparse(of) in ("os.environ", "sys.argv"):
                return self._item(ast.unparse(of), await self._value(key))
            case ast.Call(func=function, args=words, keywords=options):
                given = [await self._value(word) for word in words]
                named = {str(one.arg): await self._value(one.value) for one in options}
                return await self._call(function, given, named)
            case ast.Attribute(value=of, attr=name) if self._is_value(of):
                found = await self._value(of)
                if isinstance(found, python_http.Answer):
                    return python_http.attribute(found, name)
        return await self._operation(node)

    def _is_value(self, node: ast.expr) -> bool:
        """Whether it is a value of the program's, and not a module."""
        while isinstance(node, ast.Attribute):
            node = node.value
        return not isinstance(node, ast.Name) or node.id in self._names

    async def _operation(self, node: ast.expr) -> Any:
        match node:
            case ast.BinOp(left=left, op=op, right=right):
                return self._apply(op, await self._value(left), await self._value(right))
            case ast.Compare(left=left, ops=ops, comparators=others):
                return await self._compare(await self._value(left), ops, others)
            case ast.IfExp(test=test, body=body, orelse=other):
                return await self._value(body if await self._value(test) else other)
            case ast.BoolOp(op=op, values=values):
                return await self._either(values, stop=isinstance(op, ast.Or))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not await self._value(operand)
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return [single(await self._value(part)) for part in parts]
        raise NotSimulated(ast.unparse(node)[:60])

    async def _compare(self, left: Any, ops: Sequence[ast.cmpop], others: Sequence[ast.expr]) -> Any:
        found: Any = True
        for op, node in zip(ops, others, strict=True):
            right = await self._value(node)
            found = self._apply(op, left, right)
            if not found:
                break
            left = right
        return found

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
        if isinstance(op, ast.Mod) and isinstance(one, (str, bytes)):
            raise NotSimulated("formatting with %")
        if isinstance(op, ast.Mult) and any(isinstance(value, (str, bytes, list)) for value in (one, other)):
            raise NotSimulated("repeating a string or a list with *")
        try:
            return held(_OPERATORS[type(op)](one, other))
        except (TypeError, ZeroDivisionError, OverflowError) as error:
            raise Raised(f"{type(error).__name__}: {error}") from None

    def _item(self, of: str, key: Any) -> Any:
        try:
            return self._process.env[key] if of == "os.environ" else self._argv[key]
        except (KeyError, IndexError, TypeError) as error:
            raise Raised(f"{type(error).__name__}: {error}") from None

    async def _call(self, function: ast.expr, given: list[Any], named: Mapping[str, Any]) -> Any:
        name = self._aliases.full(function)
        if name in python_http.FUNCTIONS:
            return await python_http.FUNCTIONS[name](self._process, given, named)
        if name in FUNCTIONS or not isinstance(function, ast.Attribute) or not self._is_value(function.value):
            return await self._plain(name, given, named)
        of = await self._value(function.value)
        if isinstance(of, str | bytes):
            return of_text(of, function.attr, given)
        return await python_http.method(self._process, of, function.attr, given)

    async def _plain(self, name: str, given: list[Any], named: Mapping[str, Any]) -> Any:
        process = self._process
        if name == "print":
            end = str(named.get("end", "\n"))
            await process.out(str(named.get("sep", " ")).join(map(str, given))[:MOST_TEXT] + end)
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
                return held(_PLAIN[name](*given))
            except (TypeError, ValueError, OverflowError) as error:
                raise Raised(f"{type(error).__name__}: {error}") from None
        raise NotSimulated(f"{name}()")

    async def _leave(self, code: Any) -> None:
        if isinstance(code, str):
            await self._process.err(f"{code}\n")
            raise Exit(1)
        raise Exit(int(code or 0) & 0xFF)
