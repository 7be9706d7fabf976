"""What the labs raise on purpose. Every message is for a person and says what to do next.

::

    KindlingError         .fix is a command that mends it, or ""
    ├── SettingsError     a setting has a value that cannot be used
    ├── Malformed         a lab.yaml, roster or state file is not what it should be; .file .line .expected
    ├── NotFound          there is no such lab, session, attempt, class for this learner
    ├── NotNow            it exists, but not in a state in which this can be done
    ├── NotPossible       no provider here can give what was asked for
    ├── Unavailable       the records or this machine cannot take it at this moment: locked, full, read-only; .lasting
    │   └── DiskFull      there is no space left
    ├── TooMany           tried too often; .seconds until the next try
    └── Refused           wrong password, used or expired link, unknown join code
"""

from __future__ import annotations

import math
from pathlib import Path

NOTHING = "nothing of this was kept"
"""What it means that the records could not be written, for whoever asked for it."""


class KindlingError(Exception):
    """The root of what labs raise. ``fix`` is a command that mends it, or ""."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


class SettingsError(KindlingError):
    """A setting has a value that cannot be used; the message names it and what was expected."""


class Malformed(KindlingError):
    """A file is not what it should be."""

    def __init__(self, file: Path | str, line: int, expected: str) -> None:
        super().__init__(f"{file}, line {line}: {expected}")
        self.file, self.line, self.expected = str(file), line, expected


class NotFound(KindlingError):
    """There is no such thing for this learner; whether another has it is not said."""


class NotNow(KindlingError):
    """It exists, but cannot do this in the state it is in."""


class NotPossible(KindlingError):
    """Nothing here can give what was asked for."""


class Unavailable(KindlingError):
    """The records, or what they are kept on, cannot be read or written now; nothing of what was asked has happened.

    The message is for whoever runs this and may name files; ``visitors`` is for anybody. ``lasting``: it will not pass
    by itself, so that there is no use in trying again soon.
    """

    def __init__(self, message: str, fix: str = "", *, visitors: str = "", lasting: bool = False) -> None:
        super().__init__(message, fix)
        self.visitors = (
            visitors or "This site cannot keep or read anything at this moment, so nothing of this was kept."
        )
        self.lasting = lasting

    @property
    def reason(self) -> str:
        """The message without what it means for whoever asked: for the log, where something is tried again."""
        return str(self).partition(f", so {NOTHING}")[0]


class DiskFull(Unavailable):
    """There is no space left for what is to be written. Without a fix, nothing of ours can make some."""


class TooMany(KindlingError):
    """Tried too often. ``seconds`` (a whole number) until the next try, which the message says as well."""

    def __init__(self, message: str, seconds: float) -> None:
        self.seconds = max(1, math.ceil(seconds))
        minutes = math.ceil(self.seconds / 60)
        wait = f"{self.seconds} s" if self.seconds < 90 else f"{minutes} minutes"
        super().__init__(f"{message} Try again in {wait}.")


class Refused(KindlingError):
    """Not allowed in with what was shown."""
