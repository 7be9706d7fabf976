"""The session service: what the command and the site call. Interface first; see the package for how it works."""

from __future__ import annotations

from collections.abc import Callable

from labs.session.views import AttemptView, HintView, SessionView


class SessionService:
    """Every call checks that ``learner`` (an account's name) owns what it names, else :class:`labs.errors.NotFound`.

    Calls that record something wanted return at once. :meth:`wait` and :meth:`follow` do the work in the caller's
    thread, or follow whoever does it. Trouble is a :class:`labs.errors.KindlingError`.
    """

    def start(self, learner: str, lab: str, provider: str | None = None) -> SessionView:
        """Ask for a lab; returns the session that is already there, if any. ``NotFound``, ``NotPossible``."""
        raise NotImplementedError

    def wait(self, session: str, on_change: Callable[[SessionView], None] | None = None) -> SessionView:
        """Drive a session to what is wanted of it, or follow whoever does; returns when :attr:`SessionView.settled`."""
        raise NotImplementedError

    def view(self, session: str, learner: str) -> SessionView:
        """One session."""
        raise NotImplementedError

    def current(self, learner: str, lab: str) -> SessionView | None:
        """The live session of a lab, if there is one."""
        raise NotImplementedError

    def all(self, learner: str) -> list[SessionView]:
        """Every session, newest first."""
        raise NotImplementedError

    def kubeconfig(self, session: str, learner: str) -> str:
        """The learner's kubeconfig (YAML). ``NotNow`` unless ready."""
        raise NotImplementedError

    def check(self, session: str, learner: str) -> AttemptView:
        """Hand in: record a wanted attempt. While one is not done, the same attempt is returned. ``NotNow``."""
        raise NotImplementedError

    def follow(self, attempt: str, learner: str, on_change: Callable[[AttemptView], None] | None = None) -> AttemptView:
        """Grade an attempt, or follow whoever does, to its end."""
        raise NotImplementedError

    def attempt(self, attempt: str, learner: str) -> AttemptView:
        """One attempt."""
        raise NotImplementedError

    def attempts(self, learner: str, lab: str) -> list[AttemptView]:
        """Every attempt at a lab, newest first."""
        raise NotImplementedError

    def hint(self, session: str, learner: str, check: str | None = None) -> HintView:
        """The next hint of a check (default: of the first check not yet passed); the last one again when all are taken."""
        raise NotImplementedError

    def reset(self, session: str, learner: str) -> SessionView:
        """Ask for the lab's starting state. ``NotNow`` while it is not ready or failed."""
        raise NotImplementedError

    def stop(self, session: str, learner: str) -> SessionView:
        """Ask for the cluster to be removed; also while it is starting."""
        raise NotImplementedError

    def extend(self, session: str, learner: str) -> SessionView:
        """Move the expiry to the full time from now."""
        raise NotImplementedError

    def active(self, learner: str, lab: str, kind: str) -> None:
        """Note that a learner did something (``page``, ``kubectl``, ``shell``...): time spent and last activity."""
        raise NotImplementedError

    def wake(self, session: str) -> None:
        """Have a background thread of this process drive a session (the site, after every call that records something)."""
        raise NotImplementedError

    def reconcile(self) -> None:
        """Bring every session in line: finish, adopt, expire, remove. Called at each start and by the site's loop."""
        raise NotImplementedError
