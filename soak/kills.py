"""Processes killed with -9 at random moments while a class starts, checks, resets and stops: nothing may be lost.

Learners work without a pause, each through the command, and the site brings along what a killed command left. One by
one are killed: the site, the host, its zygote, a worker of it, a grading process, a command. Afterwards every lab must
be where its learner wanted it, every hand-in must have its right verdict, and everything that was said to be done must
still be there.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field

from labs.errors import KindlingError
from labs.session import AttemptView, SessionView
from simkube.host import launcher
from soak import processes
from soak.site import KINDLING
from soak.stage import LAB, Stage

KILLS = 70
LEARNERS = 4
EVERY = (0.5, 2.5)
"""Seconds between two kills, at random."""
SEED = 7
SECONDS = 300.0
"""How long something may take to be where it was wanted: many processes are killed meanwhile."""
VICTIMS = ("site", "host", "zygote", "worker", "grader", "command")


@dataclass
class Record:
    """What happened: kills by victim, verdicts, what was lost."""

    kills: dict[str, int] = field(default_factory=dict)
    verdicts: list[str] = field(default_factory=list)
    done: int = 0
    lost: list[str] = field(default_factory=list)
    again: int = 0


class Learner(threading.Thread):
    """One learner's work, in a loop until nobody kills any more; each step is made certain before the next."""

    def __init__(self, stage: Stage, number: int, record: Record, ending: threading.Event) -> None:
        super().__init__(daemon=True)
        self._stage, self._record, self._ending = stage, record, ending
        self.learner = f"learner-{number}"
        self._environment = {
            **os.environ,
            "KINDLING_HOME": str(stage.home),
            "KINDLING_LEARNER": self.learner,
            "NO_COLOR": "1",
        }
        self.command: subprocess.Popen[str] | None = None
        self._judged: set[str] = set()

    def run(self) -> None:
        try:
            while not self._ending.is_set():
                self._work()
        except Exception as error:  # noqa: BLE001 - told at the end, by whoever waits
            self._record.lost.append(f"{self.learner}: {type(error).__name__}: {error}")

    def _work(self) -> None:
        self._kindling("start", LAB, "--on", "simulated")
        session = self._until("ready")
        self._solve(session.id)
        self._hand_in(session.id, "passed")
        self._kindling("reset", LAB)
        session = self._until("ready", after="reset")
        self._kindling("stop", LAB)
        self._until("stopped")
        self._record.done += 1

    def _kindling(self, *arguments: str) -> None:
        """A command that may be killed; what it says must never be a traceback."""
        pipe = subprocess.PIPE
        command = [KINDLING, *arguments]
        with subprocess.Popen(command, env=self._environment, stdout=pipe, stderr=pipe, text=True) as running:
            self.command = running
            said = "\n".join(running.communicate(timeout=SECONDS))
            self.command = None
        if "Traceback" in said:
            self._record.lost.append(f"kindling {' '.join(arguments)} says: {said[-300:]}")

    def _session(self) -> SessionView | None:
        sessions = self._stage.kindling.sessions
        return sessions.last(self.learner, LAB)

    def _until(self, state: str, after: str = "start") -> SessionView:
        """The session once it is so; the command is given again when one was killed before it said what it wants."""
        deadline, asked = time.monotonic() + SECONDS, time.monotonic()
        while time.monotonic() < deadline:
            session = self._session()
            if session is not None and session.state == state:
                return session
            if time.monotonic() - asked > 10 and (session is None or session.settled):
                self._record.again += 1
                arguments = {"ready": (after, LAB), "stopped": ("stop", LAB)}[state]
                self._kindling(*arguments, *(("--on", "simulated") if arguments[0] == "start" else ()))
                asked = time.monotonic()
            time.sleep(0.2)
        raise TimeoutError(f"{LAB} is not {state} after {SECONDS:.0f} s: {session}")

    def _solve(self, session: str) -> None:
        """As a learner does it whose kubectl fails while the host is gone: again."""
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                self._stage.solve(session, self.learner)
                return
            except KindlingError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def _hand_in(self, session: str, wanted: str) -> None:
        """Until a verdict counts; each attempt that was recorded has an end."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            self._kindling("check", LAB)
            attempt = self._verdict(session)
            if attempt is not None:
                self._judged.add(attempt.id)
                self._record.verdicts.append(str(attempt.outcome))
                if attempt.outcome == "failed":
                    self._record.lost.append(f"{self.learner} solved {LAB}, and has failed: {attempt}")
                if attempt.outcome == wanted:
                    return
            self._record.again += 1
        self._record.lost.append(f"{self.learner} never got {wanted} for session {session}")

    def _verdict(self, session: str) -> AttemptView | None:
        """The last attempt once it has ended; None when the command was killed before it had handed in."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            last = self._stage.kindling.sessions.attempts(self.learner, LAB, 1)
            found = [one for one in last if one.session == session and one.id not in self._judged]
            if not found or found[0].state == "done":
                return found[0] if found else None
            time.sleep(0.2)
        raise TimeoutError(f"attempt {found[0].id} has no end after {SECONDS:.0f} s")


def run(stage: Stage, kills: int = KILLS, learners: int = LEARNERS, every: tuple[float, float] = EVERY) -> None:
    """Kill so many processes while so many learners work; then look what there is."""
    report, record, ending = stage.report, Record(), threading.Event()
    report.part(f"{kills} processes killed with -9 while {learners} learners work")
    for number in range(learners):
        stage.kindling.accounts.ensure(f"learner-{number}")
    stage.site.start()
    stage.host()
    working = [Learner(stage, number, record, ending) for number in range(learners)]
    for each in working:
        each.start()
    chance = random.Random(SEED)
    while sum(record.kills.values()) < kills and any(each.is_alive() for each in working):
        time.sleep(chance.uniform(*every))
        victim = chance.choice(VICTIMS)
        if _kill(stage, victim, working, chance):
            record.kills[victim] = record.kills.get(victim, 0) + 1
    ending.set()
    stage.expected.append("WorkerEnded: it ended with signal 9")  # said by its host, of those that were killed
    for each in working:
        each.join(2 * SECONDS)
        report.invariant(f"{each.learner} can go on to the end", not each.is_alive(), "still waiting")
    _look(stage, record)


def _kill(stage: Stage, victim: str, working: list[Learner], chance: random.Random) -> bool:
    """Whether there was one to kill."""
    if victim == "site":
        stage.site.kill()
        stage.site.start()
        return True
    pids = _pids(stage, victim, working)
    if not pids:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(chance.choice(sorted(pids)), signal.SIGKILL)
    return True


def _pids(stage: Stage, victim: str, working: list[Learner]) -> list[int]:
    """The processes of that kind that there are at this moment."""
    commands = [each.command.pid for each in working if each.command is not None]
    if victim == "command":
        return commands
    if victim == "grader":
        starters = commands + ([stage.site.process.pid] if stage.site.process is not None else [])
        found = {pid for starter in starters for pid in processes.below(starter)}
        return [pid for pid in found if "grader.zygote" in processes.command_line(pid)]
    host = launcher.running(stage.host_home)
    about = host.health() if host is not None else {}
    if victim == "worker":
        return [worker["pid"] for worker in about.get("workers", ()) if worker["pid"]]
    return [about[name] for name in ({"host": "pid"}.get(victim, victim),) if about.get(name)]


def _look(stage: Stage, record: Record) -> None:
    """What must be there afterwards."""
    report = stage.report
    killed = ", ".join(f"{number} {victim}" for victim, number in sorted(record.kills.items()))
    verdicts = ", ".join(f"{record.verdicts.count(one)} {one}" for one in sorted(set(record.verdicts)))
    what = f"{sum(record.kills.values())} killed ({killed})"
    now = f"{len(record.lost)} lost; {verdicts}; {record.done} labs to their ends"
    report.row(what, now, reach="0 lost, every verdict right", before="70 without a loss", good=not record.lost)
    report.row("... what had to be asked for again", str(record.again))
    report.invariant("nothing is lost by kill -9", not record.lost, record.lost[:5])
    names = [account.name for account in stage.kindling.accounts.all() if account.name.startswith("learner-")]
    kept = sum(len(stage.kindling.sessions.attempts(name, LAB)) for name in names)
    every = len(record.verdicts)
    report.invariant("every verdict stays on record", kept >= every, f"{kept} of {every}")
    left = launcher.connect(stage.host_home).clusters()
    report.invariant("no cluster is left", not left, left)
