"""An account's data as a file for the browser to save."""

from __future__ import annotations

import io
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import IO

from flask import Response

from webapp.site import kindling

PIECE = 64 * 1024


def exported(name: str) -> Response:
    """The document, written whole before any of it is sent: a slow reader holds up no transaction."""
    file = TemporaryFile()  # noqa: SIM115 -- closed when it has been sent
    text = io.TextIOWrapper(file, encoding="utf-8")
    kindling().export.write(name, text)
    text.detach()
    file.seek(0)
    answer = Response(_pieces(file), mimetype="application/json")
    answer.headers["Content-Disposition"] = 'attachment; filename="kindling-data.json"'
    answer.call_on_close(file.close)
    return answer


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE):
            yield piece
