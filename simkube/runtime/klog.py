"""Lines of a log as the programs of Kubernetes write them (``k8s.io/klog/v2``)."""

from __future__ import annotations

from datetime import UTC, datetime


def line(now: float, source: str, text: str, severity: str = "I") -> str:
    """One line: severity (I, W, E, F), time, thread, source (``server.go:123``) and text."""
    when = datetime.fromtimestamp(now, UTC)
    return f"{severity}{when:%m%d %H:%M:%S.%f}       1 {source}] {text}"


def quoted(text: str, **values: object) -> str:
    """A structured message: ``"text" key="value"``; numbers and booleans as they are."""
    parts = [f'"{text}"']
    for key, value in values.items():
        shown = str(value).lower() if isinstance(value, bool) else value if isinstance(value, int) else f'"{value}"'
        parts.append(f"{key}={shown}")
    return " ".join(parts)
