"""What no code of ours calls: ways in which text becomes a command, a query, code or an object.

Each way that is taken nevertheless is listed with the reason; one that is listed and not taken any more fails too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("grader", "labs", "simkube", "webapp")
FORBIDDEN = {
    "eval": "code",
    "exec": "code",
    "compile": "code",
    "__import__": "code",
    "os.system": "a shell",
    "os.popen": "a shell",
    "subprocess.getoutput": "a shell",
    "subprocess.getstatusoutput": "a shell",
    "asyncio.create_subprocess_shell": "a shell",
    "pickle.loads": "any object",
    "pickle.load": "any object",
    "marshal.loads": "any object",
    "shelve.open": "any object",
    "yaml.load": "any object",
    "yaml.unsafe_load": "any object",
    "yaml.full_load": "any object",
    "hashlib.md5": "a broken hash",
    "hashlib.sha1": "a broken hash",
    "random.random": "a number that can be guessed",
    "random.choice": "a number that can be guessed",
    "ssl._create_unverified_context": "TLS with anybody",
    "tempfile.mktemp": "a file that somebody else makes first",
    "flask.render_template_string": "a template of anybody's",
    "render_template_string": "a template of anybody's",
}
MODULES = {"pickle", "marshal", "shelve", "xml", "lxml", "telnetlib", "ftplib", "imp"}
QUERIES = {"execute", "executemany", "executescript", "exec_driver_sql", "text", "literal_column"}
TAKEN = {
    "labs/records/database.py: exec_driver_sql of a string that is put together": "a number, from a setting",
    "simkube/apiserver/http/body.py: yaml.load": "with a loader of plain values",
    "simkube/apiserver/http/documents.py: text of a string that is put together": "an answer over HTTP, no query",
    "simkube/apiserver/streams/proxy.py: random.choice": "which pod answers, which is no secret",
    "simkube/runtime/programs/databases/engine.py: execute of a string that is put together": "a simulated database, "
    "in memory and behind an authorizer, whose user types SQL",
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith("labs/images/"):  # runs in pods, not here
                yield name, ast.parse(path.read_text(encoding="utf-8"))


def dotted(node: ast.expr) -> str:
    """``a.b`` of a name or an attribute; "" of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) and dotted(node.value) else ""


def built(node: ast.expr) -> bool:
    """Whether a string is put together of parts that are not all constants."""
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.BinOp):
        return not all(isinstance(side, ast.Constant) for side in (node.left, node.right))
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "join")


def found() -> Iterator[tuple[str, str]]:
    """(where, what) of every dangerous call."""
    for name, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
                for one in names:
                    if one.partition(".")[0] in MODULES and not getattr(node, "level", 0):
                        yield name, f"import {one}"
            if not isinstance(node, ast.Call):
                continue
            called = dotted(node.func)
            if called in FORBIDDEN and not any(word.arg == "usedforsecurity" for word in node.keywords):
                yield name, called
            if any(word.arg == "shell" and not _is_false(word.value) for word in node.keywords):
                yield name, "shell=True"
            if called.rpartition(".")[2] in QUERIES and node.args and built(node.args[0]):
                yield name, f"{called.rpartition('.')[2]} of a string that is put together"


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def test_nothing_dangerous_is_called() -> None:
    calls = sorted({f"{where}: {what}" for where, what in found()})
    assert calls == sorted(TAKEN)


@pytest.mark.parametrize(
    ("code", "dangerous"),
    [
        ("eval(x)", True),
        ("subprocess.run(x, shell=True)", True),
        ("subprocess.run([x])", False),
        ("tx.execute(text(f'SELECT {x}'))", True),
        ("tx.execute(text('SELECT 1'), {'x': x})", False),
        ("cursor.execute('SELECT ' + x)", True),
        ("cursor.execute('SELECT {}'.format(x))", True),
        ("yaml.load(x)", True),
        ("yaml.safe_load(x)", False),
        ("import pickle", True),
        ("hashlib.md5(x)", True),
        ("hashlib.md5(x, usedforsecurity=False)", False),
    ],
)
def test_the_search_finds_what_it_looks_for(code: str, dangerous: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "sources", lambda: iter([("x.py", ast.parse(code))]))
    assert bool(list(found())) is dangerous
