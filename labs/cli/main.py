"""The command's entry: subcommands loaded when used, and no traceback ever.

Trouble that was foreseen is one sentence, with the command that mends it. Trouble that was not goes to the log file in
full and to the person as one sentence with the file's name.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import signal
import sys
from typing import Any, NoReturn

import click

from labs.cli.output import print_error
from labs.cli.suggestions import work_for
from labs.errors import KindlingError

COMMANDS = {
    "labs": ("labs.cli.catalog:labs", "List the labs, or show one with its instructions."),
    "start": ("labs.cli.lab:start", "Start a lab on a cluster of your own."),
    "predict": ("labs.cli.predict:predict", "Say what will happen in a lab, before you touch anything."),
    "status": ("labs.cli.lab:status", "Show your labs and how they stand."),
    "shell": ("labs.cli.shell:shell", "Open your shell with kubectl set up for a lab."),
    "kubectl": ("labs.cli.shell:kubectl", "Run one kubectl command in a lab."),
    "check": ("labs.cli.check:check", "Hand in: grade how your cluster behaves."),
    "hint": ("labs.cli.lab:hint", "Show the next hint."),
    "reset": ("labs.cli.lab:reset", "Put a lab back to its starting state."),
    "stop": ("labs.cli.lab:stop", "Remove a lab's cluster; what you handed in is kept."),
    "extend": ("labs.cli.lab:extend", "Give a lab its full time again."),
    "clock": ("labs.cli.simulation:clock", "Slow down, speed up, pause or step the time of a simulated lab."),
    "trace": ("labs.cli.simulation:trace", "Tell who did what in a simulated lab, and why."),
    "components": ("labs.cli.simulation:components", "Stop and start parts of a simulated lab's cluster."),
    "report": ("labs.cli.report:report", "What an instructor sees: a class, a learner, a lab."),
    "user": ("labs.cli.user:user", "Accounts: list, sign-in links, reset a password, export, delete."),
    "class": ("labs.cli.school_class:school_class", "Classes: list, join code, take a learner out, delete."),
    "access": ("labs.cli.access:access", "Who beside admins may use providers that give power over this machine."),
    "up": ("labs.cli.site:up", "Start the site on this machine and print a link that signs you in."),
    "doctor": ("labs.cli.doctor:doctor", "Say what is missing, and the command that installs it."),
    "lint": ("labs.cli.authoring:lint", "Check labs for mistakes without a cluster."),
    "replay": ("labs.cli.authoring:replay", "Try a lab: every state against its expected outcomes."),
    "prove": ("labs.cli.proving:prove", "Try what has changed in labs on a real cluster, and keep the proof."),
    "certify": ("labs.cli.certify:certify", "Measure how often a lab's checks are wrong, by hundreds of changes."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run; help needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of a learner's day."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imported here."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list that ``--help`` prints."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kindling", message="%(package)s %(version)s")
def cli() -> None:
    """Learn Kubernetes by doing: labs on clusters of your own, graded by how they behave."""


def main() -> NoReturn:
    """Run the command and leave with its exit code."""
    gc.set_threshold(50_000)  # importing makes many objects and no garbage: do not look for it hundreds of times
    signal.signal(signal.SIGTERM, _terminated)
    logging.raiseExceptions = False  # a log that cannot be written (full disk) adds no traceback to what is shown
    _exit(run(sys.argv[1:]))


def _exit(code: int) -> NoReturn:
    """End now: everything has been given back, and taking the interpreter apart would cost a tenth of a second."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:  # whoever read it has read enough
        pass
    except OSError:
        code = code or 1
    logging.shutdown()
    os._exit(code)


def run(arguments: list[str]) -> int:
    """Run one command; the exit code. Nothing but SystemExit ever comes out."""
    work_for("")
    trouble = 3 if arguments[:1] == ["check"] else 1
    try:
        result: Any = cli.main(args=arguments, prog_name="kindling", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        print_error("Interrupted.")
        return 130
    except KindlingError as error:
        print_error(str(error), error.fix)
        return 2 if arguments[:1] == ["check"] else 1
    except BrokenPipeError:  # such as `kindling labs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception as error:  # noqa: BLE001 -- the one place where a fault of ours becomes a sentence
        return _unforeseen(error, trouble)


def _unforeseen(error: Exception, code: int) -> int:
    from labs.system_errors import as_sentence

    said = as_sentence(error)
    if said is not None:
        print_error(str(said), said.fix)
        return code
    from labs.cli.logfile import log_in_full

    name, where = type(error).__name__, log_in_full(error)
    print_error(f"Something went wrong that should not have ({name}); {where}")
    return code


def _terminated(_number: int, _frame: object) -> NoReturn:
    """SIGTERM ends as Ctrl-C does: what was begun is cleaned up."""
    raise KeyboardInterrupt
