"""Variables out of files: their form, and what a container is told when there is no such variable."""

from __future__ import annotations

from typing import Any

import pytest

from simkube.kubelet import env_files
from tests.doubles.kubelet import Node, Script

TEXT = """# settings
ADDRESS='one two'
  EMPTY=''   # nothing

LINES='first
second'
ADDRESS='three'"""


def test_a_file_has_values_in_single_quotes() -> None:
    assert env_files.parse(TEXT) == {"ADDRESS": "three", "EMPTY": "", "LINES": "first\nsecond"}


@pytest.mark.parametrize("line", ["A=1", 'A="1"', "A = '1'", "A='1", "A='1'x", "export A='1'", "1A='x'"])
def test_anything_else_is_a_mistake_of_a_line(line: str) -> None:
    with pytest.raises(env_files.EnvFileError, match="at line 2"):
        env_files.parse(f"B=''\n{line}\n")


def started(content: bytes | None, **reference: Any) -> Node:
    node = Node({"web": Script(), "writer": Script()})
    wanted = {"volumeName": "v", "path": "app.env", "key": "ADDRESS", **reference}
    env = [{"name": "WHERE", "valueFrom": {"fileKeyRef": wanted}}]
    first = {"name": "writer", "image": "writer", "volumeMounts": [{"name": "v", "mountPath": "/data"}]}
    second = {"name": "web", "image": "web", "env": env}
    node.run({"initContainers": [first], "containers": [second], "volumes": [{"name": "v", "emptyDir": {}}]})
    if content is not None:
        node.runtime.started[0].config.mounts[0].volume.write("app.env", content)
    node.runtime.started[0].end(0)
    node.advance(2)
    return node


def test_it_is_read_when_the_container_starts_that_wants_it() -> None:
    assert dict(started(TEXT.encode()).runtime.started[-1].config.env) == {"WHERE": "three"}


@pytest.mark.parametrize("content", [None, b"B='1'"])
def test_what_may_be_missing_is_left_out(content: bytes | None) -> None:
    assert dict(started(content, optional=True).runtime.started[-1].config.env) == {}


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "failed to open file 'app.env'"), (b"B='1'", "'ADDRESS' is not in file"), (b"B=1", "format at line 1")],
)
def test_a_container_without_its_variable_does_not_start(content: bytes | None, words: str) -> None:
    waiting = started(content).container()["state"]["waiting"]
    assert waiting["reason"] == "CreateContainerConfigError"
    assert words in waiting["message"]
