"""The site's code, imported: what is not installed is a sentence, said before anything else is.

Refuses to look further: what the site needs is whatever its modules import.
"""

from __future__ import annotations

import importlib
from typing import Any

from labs.errors import KindlingError

SERVER = "webapp.front.server"
FIX = "pip install --upgrade .   # in the folder with Kindling's code"


def site_server() -> Any:
    """The module that serves the site, with all that it imports; ``KindlingError`` names what is missing."""
    try:
        return importlib.import_module(SERVER)
    except ImportError as error:
        raise KindlingError(f"the site cannot run: {_said(error)}", FIX) from error


def _said(error: ImportError) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"the Python package {error.name} is not installed"
    return str(error)
