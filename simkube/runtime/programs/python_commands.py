"""Programs of Python in a pod's commands that are not carried out here, seen where they are written down.

A probe or hook whose program is not simulated would fail here and work on a real cluster: it is refused when it is
applied. Looked at are ``python -c PROGRAM``, by itself and in a script of ``sh -c``; a program in a file says what it
lacks when it runs.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from simkube.runtime.programs.python_names import unsimulated

_PYTHON = re.compile(r"(?:.*/)?python3?(?:\.\d+)?")
_SHELL = re.compile(r"(?:.*/)?(?:sh|bash|ash|dash)")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS = ("postStart", "preStop")


def python_refusals(spec: Mapping[str, Any]) -> list[str]:
    """What the commands of a pod's spec hold that is not simulated, as phrases."""
    found = [what for command in _commands(spec) for program in _programs(command) if (what := unsimulated(program))]
    return sorted({f"the Python program with {what}" for what in found})


def _commands(spec: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        yield [*(container.get("command") or []), *(container.get("args") or [])]
        hooks = container.get("lifecycle") or {}
        for handler in [*(container.get(name) for name in _PROBES), *(hooks.get(name) for name in _HOOKS)]:
            yield ((handler or {}).get("exec") or {}).get("command") or []


def _programs(command: Sequence[str]) -> Iterator[str]:
    if command and _SHELL.fullmatch(command[0]):
        text = next((after for word, after in pairwise(command) if re.fullmatch(r"-[a-z]*c", word)), "")
        try:
            words = shlex.split(text, comments=True)
        except ValueError:
            return
    else:
        words = list(command)
    python = False
    for word, after in pairwise(words):
        python = python or _PYTHON.fullmatch(word) is not None
        if python and word == "-c":
            yield after
            python = False
