"""``python -m labs.demo``: a class of five goes through every lab, some of it wrong; then the instructor's report.

Each learner really works: sessions are started on the simulated provider, the steps of a lab's states are carried out
with the real kubectl, and everything is handed in and graded. It keeps a home of its own, beside nobody's work.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from labs.bootstrap import Kindling, bootstrap
from labs.cli.logfile import open_log
from labs.cli.output import clean, echo, outcome, print_error
from labs.cli.report import show
from labs.definition import Lab, State
from labs.errors import KindlingError
from labs.replay import carry_out
from labs.settings import Settings, load

LEARNERS = (
    ("ada", "Ada Byron"),
    ("bram", "Bram Okafor"),
    ("chen", "Chen Wei"),
    ("dina", "Dina Haddad"),
    ("eli", "Eli Sato"),
)
INSTRUCTOR = "prof"
AT_ONCE = 3


def main() -> int:
    """Run the demo; 0 when everybody could be graded."""
    settings = load()
    settings = dataclasses.replace(
        settings, home=settings.home / "demo", database_url=f"sqlite:///{settings.home / 'demo' / 'kindling.db'}"
    )
    open_log(settings)
    services = bootstrap(settings)
    try:
        return _run(services, settings)
    except KindlingError as error:
        print_error(str(error), error.fix)
        return 1
    except KeyboardInterrupt:
        print_error("Interrupted.")
        return 130
    finally:
        services.close()


def _run(services: Kindling, settings: Settings) -> int:
    began = time.monotonic()
    class_id = _enrol(services)
    labs = services.labs.all()
    echo(f"{len(LEARNERS)} learners, {len(labs)} labs: {', '.join(lab.name for lab in labs)}")
    ungradable = _Count()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        turns = [
            pool.submit(_learn, services, settings, name, number, lab, ungradable)
            for lab in labs
            for number, (name, _) in enumerate(LEARNERS)
        ]
        for turn in turns:
            turn.result()
    echo(f"\nDone in {time.monotonic() - began:.0f} s. What their instructor sees:\n")
    show(services.reports.class_report(INSTRUCTOR, class_id))
    for lab in labs:
        echo()
        show(services.reports.lab_report(INSTRUCTOR, lab.name, class_id))
    echo(f"\nThe same as pages: KINDLING_HOME={settings.home} kindling up")
    return 1 if ungradable.value else 0


def plan(lab: Lab, number: int) -> Sequence[State]:
    """What the learner of this number tries: some get it at once, some after a mistake, one gives up."""
    by_kind = {
        kind: [state for state in lab.states if state.kind == kind] for kind in ("solved", "alternative", "broken")
    }
    right = [*by_kind["solved"], *by_kind["alternative"]]
    wrong = by_kind["broken"]
    good = right[number % len(right)]
    if number in (0, 2):
        return [good]
    mistake = wrong[number % len(wrong)]
    return [mistake] if number == 4 else [mistake, good]


def _enrol(services: Kindling) -> str:
    accounts, classes = services.accounts, services.classes
    accounts.ensure(INSTRUCTOR, role="instructor")
    taught = classes.taught_by(INSTRUCTOR)
    school = taught[0] if taught else classes.create_class("Kubernetes, first term", INSTRUCTOR)
    lines = "\n".join(f"{name},{name}@example.org,{shown}" for name, shown in LEARNERS)
    classes.import_roster(school.id, INSTRUCTOR, f"name,email,display_name\n{lines}\n")
    return school.id


def _learn(services: Kindling, settings: Settings, name: str, number: int, lab: Lab, ungradable: _Count) -> None:
    """One learner's turn at one lab: start, work, hand in, and start over after a mistake."""
    sessions = services.sessions
    session = sessions.wait(sessions.start(name, lab.name, "simulated").id)
    try:
        for turn, state in enumerate(plan(lab, number)):
            if turn:
                sessions.reset(session.id, name)
            session = sessions.wait(session.id)
            if session.state != "ready":
                raise KindlingError(f"{name}: {lab.name} is {session.state}: {session.detail}", session.fix)
            carry_out(lab, state, session.parameters, sessions.kubeconfig(session.id, name), settings.kubectl)
            attempt = sessions.follow(sessions.check(session.id, name).id, name)
            ungradable.add(attempt.outcome == "ungradable")
            score = f"{attempt.score:g} of {attempt.max_score:g}, {attempt.seconds:.1f} s"
            echo(f"{name:5} {lab.name:13} {clean(state.name):32} {outcome(attempt.outcome)}  {score}")
    finally:
        sessions.wait(sessions.stop(session.id, name).id)


class _Count:
    """A number that threads add to."""

    def __init__(self) -> None:
        self.value, self._lock = 0, threading.Lock()

    def add(self, more: int) -> None:
        with self._lock:
            self.value += more


if __name__ == "__main__":
    sys.exit(main())
