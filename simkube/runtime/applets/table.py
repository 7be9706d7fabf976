"""Every applet by name."""

from __future__ import annotations

from simkube.runtime.process import Program

APPLETS: dict[str, Program] = {}
