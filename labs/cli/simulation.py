"""What only a simulated lab offers: its clock, its components, and the story of what happened in it.

Refused for a lab on a real cluster, with the command that starts it on a simulated one. While a lab is checked its
clock runs as everybody's does, and nothing here changes that.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from labs.cli.context import kindling, learner_name, learner_option, session_of
from labs.cli.output import clean, echo, number, style, table
from labs.clusters.provider import CannotChange, ClusterError
from labs.errors import KindlingError, NotNow

if TYPE_CHECKING:
    from labs.clusters.provider import Controls

FOLLOW_SECONDS = 15
MOST_WAITING = 8
_SECONDS = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@contextlib.contextmanager
def _controls(lab: str | None, learner: str | None, kind: str) -> Iterator[Controls]:
    """The controls of a lab; what its cluster refuses is told as the refusal it is."""
    with kindling() as services:
        name = learner_name(services, learner)
        session = session_of(services, name, lab)
        try:
            yield services.sessions.controls(session.id, name)
            services.sessions.active(name, session.lab, kind)
        except CannotChange as error:
            raise KindlingError(str(error)) from error
        except ClusterError as error:
            raise NotNow(str(error), error.fix) from error


@click.command()
@click.argument("lab", required=False)
@click.option("--speed", type=float, help="So many times as fast as the clock on the wall (0.1 to 1000).")
@click.option("--pause", is_flag=True, help="Stand still: kubectl answers, and nobody acts on what it says.")
@click.option("--resume", is_flag=True, help="Go on.")
@click.option("--step", metavar="STEP", help="Pause, and let happen: one reconcile, or so much time (10s, 5m).")
@click.option("--until-quiet", is_flag=True, help="Pause, and let happen what is to happen at this moment.")
@learner_option
def clock(
    lab: str | None,
    speed: float | None,
    pause: bool,
    resume: bool,
    step: str | None,
    until_quiet: bool,
    learner: str | None,
) -> None:
    """Show the time in LAB, or change how it passes."""
    wishes: list[dict[str, Any]] = []
    if speed is not None:
        wishes.append({"speed": speed})
    if pause:
        wishes.append({"pause": True})
    if resume:
        wishes.append({"resume": True})
    if step is not None:
        wishes.append({"step": step if step == "reconcile" else _seconds(step)})
    if until_quiet:
        wishes.append({"step": "until-quiet"})
    if len(wishes) > 1:
        raise click.UsageError("one of --speed, --pause, --resume, --step and --until-quiet at a time")
    with _controls(lab, learner, "clock") as controls:
        _show_clock(controls.clock(wishes[0] if wishes else None))


def _seconds(text: str) -> float:
    found = _SECONDS.fullmatch(text)
    if found is None:
        raise click.BadParameter("reconcile, or a time such as 10s or 5m", param_hint="--step")
    return float(found[1]) * _UNITS[found[2] or "s"]


def _show_clock(stand: dict[str, Any]) -> None:
    how = "paused" if stand["paused"] else f"running at speed {number(stand['speed'])}"
    if stand["stepping"]:
        how = "on its way to the end of a step"
    if stand["pinned"]:
        how += ", while the lab is checked"
    echo(f"{stand['time']}  {style(how, bold=True)}")
    done = stand.get("reconciled")
    if done:
        echo(f"{done['component']} looked at {clean(done['key'])}" + ("" if stand["changes"] else ": nothing to do"))
    elif "changes" in stand and not stand["changes"] and not stand["stepping"]:
        echo("Nothing happened.")
    for entry in stand.get("changes", ()):
        echo(f"  {clean(entry['text'])}")
    for each in stand["next"][:MOST_WAITING] if stand["paused"] else ():
        echo(f"next: {each['component']} looks at {clean(each['key'])}" + _because(each["because"]))
    if stand["paused"] and stand["waiting"] > MOST_WAITING:
        echo(f"... and {stand['waiting'] - MOST_WAITING} more")
    if stand["paused"] and not stand["waiting"] and stand["timer"] is not None:
        echo(f"Nobody has anything to do now; the next timer is due in {number(stand['timer'])} s.")


def _because(text: str) -> str:
    return f" (because: {clean(text)})" if text else ""


@click.command()
@click.argument("lab", required=False)
@click.option("--follow", "-f", is_flag=True, help="Tell what happens from now on, until Ctrl-C.")
@click.option("--since", type=click.IntRange(min=0), metavar="ID", help="What came after this change.")
@click.option("--of", "root", type=click.IntRange(min=1), metavar="ID", help="A change and what followed from it.")
@learner_option
def trace(lab: str | None, follow: bool, since: int | None, root: int | None, learner: str | None) -> None:
    """Tell who did what in LAB, and in answer to what."""
    if root is not None and (follow or since is not None):
        raise click.UsageError("--of goes with neither --follow nor --since")
    with _controls(lab, learner, "trace") as controls:
        depths: dict[int, int] = {}
        if root is not None:
            _print_entries(controls.trace(of=root), depths)
            return
        start = since or 0 if not follow or since is not None else int(controls.trace()["last"])
        found = controls.trace(start)
        _print_entries(found, depths)
        while follow or int(found["next"]) < int(found["last"]):
            found = controls.trace(int(found["next"]), wait=FOLLOW_SECONDS if follow else 0)
            _print_entries(found, depths)


def _print_entries(found: dict[str, Any], depths: dict[int, int]) -> None:
    """Entries, each indented below what it answers to."""
    for entry in found["entries"]:
        depth = depths.get(entry["cause"], -1) + 1
        depths[entry["id"]] = depth
        indent = "  " * min(depth, 10)
        text = clean(entry["statement" if depth else "text"])  # its cause is above it
        echo(f"{entry['time'][11:23]} {style(str(entry['id']).rjust(5), dim=True)} {indent}{text}")
        for step in entry["journey"]:
            echo(style(f"{' ' * 19}{indent}  - {clean(step)}", dim=True))


@click.command()
@click.argument("lab", required=False)
@click.option("--stop", metavar="NAME", help="Stop a component, a controller, kubelet/NODE or node/NODE.")
@click.option("--start", metavar="NAME", help="Start it again; node/NODE mends all that was done to a node.")
@click.option("--pause", metavar="NODE", help="Freeze a node.")
@click.option("--cut", metavar="NODE", help="Cut a worker off from the network.")
@click.option("--fill", metavar="NODE", help="Take nearly all memory of a node.")
@learner_option
def components(lab: str | None, learner: str | None, **wishes: str | None) -> None:
    """Show what runs in LAB's cluster, or stop and start parts of it and show what that changed."""
    changes = {name: value for name, value in wishes.items() if value}
    if len(changes) > 1:
        raise click.UsageError("one of --stop, --start, --pause, --cut and --fill at a time")
    with _controls(lab, learner, "components") as controls:
        rows = _component_rows(controls.components())
        if changes:
            before, rows = rows, _component_rows(controls.components(changes))
            named = {prefix + name for name in changes.values() for prefix in ("", "node/")}
            rows = {name: state for name, state in rows.items() if name in named or before.get(name) != state}
    echo(table(("component", "state"), rows.items()))


def _component_rows(found: dict[str, Any]) -> dict[str, str]:
    rows = {name: "runs" if runs else "stopped" for name, runs in found["components"].items()}
    return rows | {f"node/{name}": ", ".join(wrong) or "runs" for name, wrong in found["nodes"].items()}
