"""A digest of code changes when, and only when, what can be executed changes."""

from __future__ import annotations

import ast

import pytest

from labs.proofs.reach import Program

PROBE = '''\
"""Requests."""
from grader.text import quoted as q

LIMIT = 5
"""How many."""


class Probe:
    """Sends."""

    kept = LIMIT

    def __init__(self, pod):
        self.pod = pod

    def get(self, url):
        """One request."""
        return q(helper(url))

    def load(self, phases):
        return measured(phases)


def helper(url):
    return url.strip()  # of whatever


def measured(phases):
    return phases
'''
TEXT = "def quoted(text):\n    return text\n\n\ndef shouted(text):\n    return text.upper()\n"
ROOTS = {"Probe", "get"}


def digest(probe: str = PROBE, text: str = TEXT, roots: set[str] = ROOTS, **more: str) -> str:
    sources = {"grader.probe": probe, "grader.text": text, **more}
    return Program({name: ast.parse(source) for name, source in sources.items()}).digest(roots)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 5", "LIMIT = 6"),
        ("url.strip()", "url.rstrip()"),
        ("self.pod = pod", "self.pod = [pod]"),
        ("q(helper(url))", "helper(q(url))"),
        ("class Probe:", "class Probe(Base):"),
        ("    kept = LIMIT\n", "    kept = LIMIT\n    more = 1\n"),
    ],
)
def test_what_is_reached_counts(old: str, new: str) -> None:
    assert old in PROBE
    assert digest(PROBE.replace(old, new)) != digest()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # of whatever", ""),
        ('"""One request."""', '"""One request, and its answer."""'),
        ('"""How many."""', '"""How many at once."""'),
        ("def helper(url):\n    return url.strip()", "def helper(\n    url,\n):\n\n    return (url.strip())"),
        ("return phases\n", "return phases[1:]\n"),
        ("return measured(phases)", "return measured(phases, 2)"),
        ("\n\ndef measured", "\n\ndef another():\n    return Probe\n\n\ndef measured"),
    ],
)
def test_nothing_else_does(old: str, new: str) -> None:
    assert old in PROBE
    assert digest(PROBE.replace(old, new)) == digest()


def test_an_import_under_another_name_is_followed() -> None:
    assert digest(text=TEXT.replace("return text\n", "return text[:9]\n")) != digest()
    assert digest(text=TEXT.replace("text.upper()", "text.title()")) == digest()


def test_a_method_is_reached_when_it_is_asked_for() -> None:
    assert digest(roots={*ROOTS, "load"}) != digest()
    changed = PROBE.replace("return phases\n", "return phases[1:]\n")
    assert digest(changed, roots={*ROOTS, "load"}) != digest(roots={*ROOTS, "load"})


def test_where_something_stands_is_of_no_account() -> None:
    moved = "\n\ndef helper(url):\n    return url.strip()\n"
    whole = PROBE.replace("\n\ndef helper(url):\n    return url.strip()  # of whatever\n", "")
    assert digest(whole, TEXT + moved) == digest()


@pytest.mark.parametrize(
    ("spoken", "reached"),
    [
        ("def root(probe): ...", True),  # pytest finds a fixture by the name of an argument
        ("def root():\n    return {'probe'}", True),
        ("def root():\n    return x.probe", True),
        ("def root():\n    return run('grader.probe')", True),
        ("def root():\n    return f'pro{x}'", False),
        ("def root():\n    return 'the probe that sends'", False),
    ],
)
def test_how_a_name_is_spoken(spoken: str, reached: bool) -> None:
    program = Program({"a": ast.parse(spoken), "b": ast.parse("def probe(): ...\n")})
    assert ("probe" in program.reached({"root"})) is reached


def test_methods_that_somebody_else_calls() -> None:
    source = """\
class Thread(threading.Thread):
    def run(self):
        return called()

class Hooks:
    def pytest_collection(self):
        return hooked()
    def __len__(self):
        return measured()
    def idle(self):
        return never()

class Child(Hooks):
    def other(self):
        return never()

def called(): ...
def hooked(): ...
def measured(): ...
def never(): ...
"""
    reached = Program({"a": ast.parse(source)}).reached({"Thread", "Child"})
    assert reached == {"Thread", "Child", "Hooks", "called", "hooked", "measured"}


def test_what_runs_when_a_module_is_loaded_counts_once_anything_of_it_is_reached() -> None:
    source = "def used(): ...\n\n\nif __name__ == '__main__':\n    main()\n\n\ndef main(): ...\n"
    program = Program({"pkg.a": ast.parse(source), "pkg.b": ast.parse("print(other())\n\n\ndef other(): ...\n")})
    assert program.reached({"used"}) == {"used", "main"}
    assert program.reached({"b"}) == {"other"}
