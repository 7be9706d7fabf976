"""From a running cluster to a verdict: pytest plugin, observations, faults, evidence, scoring.

It knows a kubeconfig, a lab's ``checks.py`` and its parameters. It knows nothing of the site, the records or how the
cluster came to be, and it never loads credentials that a learner supplied. A ``checks.py`` imports what it needs from
here; everything else is a fixture (``grader.plugin``).
"""

from grader.checks import check, fail
from grader.errors import CheckFailed, GraderError, Ungradable
from grader.load import Phase
from grader.matrix import Source, Target
from grader.text import quoted
from grader.waiting import hold, poll

__all__ = [
    "CheckFailed",
    "GraderError",
    "Phase",
    "Source",
    "Target",
    "Ungradable",
    "check",
    "fail",
    "hold",
    "poll",
    "quoted",
]
