"""Where a shell is."""

from __future__ import annotations

from simkube.runtime.files import join, normal
from simkube.runtime.nodes import Directory, FileError
from simkube.runtime.shell.error_messages import no_directory
from simkube.runtime.shell.interpreter import Interpreter


async def change_directory(shell: Interpreter, target: str) -> int:
    """Go to a directory, or say why not."""
    path = normal(join(shell.process.cwd, target or "."))
    try:
        node = shell.process.container.files.node(path)
    except FileError as error:
        node, problem = None, error.strerror
    else:
        problem = "Not a directory"
    if not isinstance(node, Directory):
        await shell.complain(no_directory(shell.dialect, target, problem))
        return 1 if shell.dialect.extended else 2
    shell.state.set("OLDPWD", shell.process.cwd)
    shell.process.cwd = path
    shell.state.set("PWD", path)
    return 0
