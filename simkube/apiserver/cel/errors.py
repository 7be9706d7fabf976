"""How an evaluation ends without a value."""

from __future__ import annotations


class EvaluationError(Exception):
    """An expression that has no value for what it was given; the message is cel-go's."""
