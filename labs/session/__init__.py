"""The life of one learner's lab: provision, ready, check, reset, expire, stop.

The rows are the truth and all work is level-triggered: a call records what is wanted and returns; whoever is there (the
command, or the site's thread) drives it, one worker per session at a time across all processes.
"""

from __future__ import annotations

from labs.session.predictions import Predictions
from labs.session.service import SessionService
from labs.session.stamps import Stamp
from labs.session.timeline import Timeline, timelines
from labs.session.views import AttemptView, CheckView, HintView, PredictionView, SessionView, StepView

__all__ = [
    "AttemptView",
    "CheckView",
    "HintView",
    "PredictionView",
    "Predictions",
    "SessionService",
    "SessionView",
    "Stamp",
    "StepView",
    "Timeline",
    "timelines",
]
