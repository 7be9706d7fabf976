"""What learners read: courses of lessons in Markdown with a quiz each, read from folders, shown as safe HTML.

Refuses to let one malformed file take the others with it: a :class:`~webapp.content.errors.Problem` names file, line
and what was expected, and everything else still loads.
"""

from __future__ import annotations

from webapp.content.errors import Problem
from webapp.content.library import Library
from webapp.content.models import Course, Lesson, Question

__all__ = ["Course", "Lesson", "Library", "Problem", "Question"]
