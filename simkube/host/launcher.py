"""From a folder to a host that answers: the one that runs, or a new one, started by whoever comes first.

The host is detached and outlives its starter. Two starters at once make one host: starting is done under a lock, and
the host itself holds another for as long as it lives. A slow host is waited for and never replaced; one of another
version is replaced once nobody has used it for a while, and used until then. Standard library only, quick to import:
every command goes through here.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping
from http.client import HTTPException, HTTPSConnection, RemoteDisconnected
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from simkube.apimachinery.errors import ForkGone, HostError
from simkube.host.home import DAMAGED, NO_SPACE, Home, check_id, fingerprint
from simkube.host.kubeconfig import kubeconfig

START_SECONDS = 60.0
"""How long a host that is starting is waited for, as long as it lives: a busy machine may take its time."""
STOP_SECONDS = 10.0
LISTENS_SECONDS = 1.0
ASK_SECONDS = 30.0
PATIENCE_SECONDS = 60.0
"""How long a host that is there and does not answer is waited for."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 16.0
"""Seconds for the first answer to come; twice as many each time after that, so that askers do not add to the load."""
IDLE_SECONDS = 60.0
"""How long nobody has used a host of another version before it is replaced."""
RESTS = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before a call is made again whose worker ended meanwhile, or is being started again."""
_CUT = (ConnectionResetError, BrokenPipeError, RemoteDisconnected, ssl.SSLEOFError)
_LOOK_EVERY = 0.02


class HostClient:
    """The admin API of a running host. Every call may be made twice; trouble is a :class:`HostError`.

    ``info`` has its ``url``, the ``token`` of its API, and the certificate (PEM) of its authority as ``ca``.
    """

    def __init__(self, info: dict[str, Any]) -> None:
        self.url: str = info["url"]
        self.ca: str = info["ca"]
        self._token: str = info["token"]
        self._context = ssl.create_default_context(cadata=self.ca)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, seconds: float = ASK_SECONDS) -> Any:
        for rest in (*RESTS, None):
            try:
                status, answer = self._exchange(method, path, body, seconds)
            except HostError as error:
                if rest is None or type(error.__cause__) not in _CUT:
                    raise
            else:
                if rest is None or status != 503:
                    break
            time.sleep(rest)
        return self._result(method, status, answer)

    def _result(self, method: str, status: int, answer: Any) -> Any:
        if status == 404 and method == "GET":
            return None
        if status >= 400:
            raise HostError(str(answer.get("error", f"it answered {status}")))
        return answer

    def _exchange(self, method: str, path: str, body: dict[str, Any] | None, seconds: float) -> tuple[int, Any]:
        connection = HTTPSConnection(self.url.removeprefix("https://"), timeout=seconds, context=self._context)
        try:
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
            connection.request(method, f"/host{path}", json.dumps(body) if body is not None else None, headers)
            with connection.getresponse() as response:
                return response.status, json.loads(response.read())
        except (OSError, HTTPException, ValueError) as error:
            raise HostError(f"the host at {self.url} does not answer: {error}") from error
        finally:
            connection.close()

    def health(self, seconds: float = 5.0) -> dict[str, Any]:
        """``{pid, version, url, idle, zygote, workers}``; ``idle``: the seconds since a cluster was last asked for
        something; each worker ``{number, pid, state, clusters, memory, may_have, restarts}``, memory in bytes.
        """
        found: dict[str, Any] = self._ask("GET", "/healthz", seconds=seconds)
        return found

    def clusters(self) -> list[str]:
        """The id of every cluster."""
        found: list[str] = self._ask("GET", "/clusters")["clusters"]
        return found

    def create(
        self,
        id: str,
        topology: dict[str, Any],
        labels: dict[str, str] | None = None,
        *,
        users: dict[str, str] | None = None,
        images: str = "strict",
        owner: str = "",
    ) -> dict[str, Any]:
        """Make a cluster, or return the one of that id; ``users`` as :meth:`simkube.host.tenants.Tenants.create`.

        ``images``: ``strict``, or ``stand-ins`` where public images that are not simulated run all the same, as
        stand-ins. ``owner``: all clusters of one share what the host has for them; each is its own owner when "".
        """
        check_id(id)
        body = {"topology": topology, "labels": labels or {}, "users": users or {}, "images": images}
        path = f"/clusters/{id}" + (f"?owner={quote(owner, safe='')}" if owner else "")
        made: dict[str, Any] = self._ask("PUT", path, body)
        return made

    def status(self, id: str) -> dict[str, Any] | None:
        """What there is to know of a cluster (components, nodes, labels, the id of its ``run``); None when there is
        none of that id."""
        found: dict[str, Any] | None = self._ask("GET", f"/clusters/{id}")
        return found

    def delete(self, id: str) -> None:
        """Remove a cluster."""
        self._ask("DELETE", f"/clusters/{id}")

    def snapshot(self, id: str) -> None:
        """Keep its present state."""
        self._ask("POST", f"/clusters/{id}/snapshot", {})

    def restore(self, id: str) -> None:
        """Back to the snapshot; its credentials stay valid."""
        self._ask("POST", f"/clusters/{id}/restore", {})

    def fork(self, id: str, seconds: float) -> dict[str, Any]:
        """An exact copy of it in virtual time, see :mod:`simkube.host.fork`: there for at most so many wall seconds.

        ``{"url", "ca", "id", "path", "token", "tokens"}``: what a :class:`ForkClient` is made of, which knows it as
        ``id``.
        """
        made: dict[str, Any] = self._ask("POST", f"/clusters/{id}/fork", {"seconds": seconds})
        return {**made, "ca": self.ca}

    def fault(self, id: str, fault: str, target: str) -> None:
        """Break something on purpose (``stop-node``, ``kill-container``, ...)."""
        self._ask("POST", f"/clusters/{id}/faults", {"fault": fault, "target": target})

    def pin(self, id: str, seconds: float, why: str = "") -> None:
        """Have its clock run as the wall clock does, and nobody change that, for at most so long; 0 ends it.

        Whoever tries meanwhile is told ``why``.
        """
        self._ask("POST", f"/clusters/{id}/pin", {"seconds": seconds, "why": why})

    def control(self, id: str, what: str, change: dict[str, Any] | None = None, query: str = "") -> dict[str, Any]:
        """Its ``clock``, ``components`` or ``trace``, after a change if one is given; see ``simkube.host.controls``."""
        method, path = "GET" if change is None else "POST", f"/clusters/{id}/{what}"
        found: dict[str, Any] | None = self._ask(method, f"{path}?{query}" if query else path, change)
        if found is None:
            raise HostError(f"there is no cluster {id!r} here")
        return found

    def audit(self, id: str, after: int = 0, most: int = 500, *, components: bool = False) -> dict[str, Any]:
        """The requests to its API server with a number above ``after``, oldest first, and the ``last`` number shown.

        Each says who asked what, when, and how it ended; ``components`` adds what components wrote.
        """
        found: dict[str, Any] | None = self._ask(
            "GET", f"/clusters/{id}/audit?after={after}&most={most}&components={int(components)}"
        )
        if found is None:
            raise HostError(f"there is no cluster {id!r} here")
        return found

    def heal(self, id: str) -> None:
        """Undo every fault."""
        self._ask("POST", f"/clusters/{id}/heal", {})

    def kubeconfig(self, id: str, who: str = "admin") -> str | None:
        """A kubeconfig (YAML, which JSON is) for one of its users; None when there is no such cluster."""
        found = self.status(id)
        if found is None:
            return None
        token = found["tokens"].get(who)
        if token is None:
            raise HostError(f"the cluster {id} has no user {who!r}; it has {', '.join(found['tokens'])}")
        return kubeconfig(self.url + found["path"], self.ca, id, f"{id}-{who}", token)

    def stop(self) -> None:
        """Tell the host to end."""
        self._ask("POST", "/stop", {})


class ForkClient(HostClient):
    """The host of a copy of a cluster (:meth:`HostClient.fork`); :class:`ForkGone` when it has ended."""

    def __init__(self, copy: Mapping[str, Any]) -> None:
        super().__init__({name: copy[name] for name in ("url", "ca", "token")})

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, seconds: float = ASK_SECONDS) -> Any:
        try:
            status, answer = self._exchange(method, path, body, seconds)
        except HostError as error:
            if not isinstance(error.__cause__, (*_CUT, ConnectionRefusedError)):
                raise
            raise ForkGone("the copy of the cluster has ended") from error
        return self._result(method, status, answer)


def running(folder: Path) -> HostClient | None:
    """The host of this folder when one answers; starts nothing."""
    info = Home(folder).info()
    if info is None:
        return None
    try:
        client = HostClient(info)
        client.health()
    except (HostError, KeyError, ssl.SSLError):
        return None
    return client


def listens(folder: Path) -> bool:
    """Whether anything takes connections where the host of this folder is: a look that costs next to nothing."""
    address = urlsplit(str((Home(folder).info() or {}).get("url", "")))
    if not address.port:
        return False
    try:
        socket.create_connection((address.hostname, address.port), LISTENS_SECONDS).close()
    except ConnectionRefusedError:
        return False
    except OSError:  # such as one too busy to take it: it is there
        return True
    return True


def connect(folder: Path) -> HostClient:
    """The host of this folder, started when none lives there. HostError when one lives and does not answer."""
    home = Home(folder.resolve())
    client = _usable(home)
    if client is not None:
        return client
    home.make()
    try:
        return _connect(home)
    except OSError as error:
        raise _unwritable(home, error.strerror or str(error)) from error


def _connect(home: Home) -> HostClient:
    with home.lock("start.lock", wait=True) or _no_lock():
        client = _usable(home)
        if client is not None:
            return client
        outdated, _ = _listening(home)
        if outdated is not None:
            outdated.stop()
        _wait_for_end(home)
        return _start(home)


def _usable(home: Home) -> HostClient | None:
    """The host that lives here; None when there is none, or an idle one of another version."""
    client, about = _listening(home)
    current = about.get("version") == fingerprint()
    return client if current or about.get("idle", IDLE_SECONDS) < IDLE_SECONDS else None


def _listening(home: Home) -> tuple[HostClient | None, dict[str, Any]]:
    """The host that listens here and what it says of itself; None and nothing when there is none.

    A slow one is waited for. HostError when it never answers.
    """
    info = home.info()
    try:
        client = None if info is None else HostClient(info)
    except (KeyError, ssl.SSLError):
        return None, {}
    if client is None or info is None:
        return None, {}
    wait, deadline = FIRST_WAIT, time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return client, client.health(wait)
        except HostError as error:
            if not isinstance(error.__cause__, TimeoutError):
                return None, {}  # nobody listens there, or somebody else
            if time.monotonic() > deadline:
                raise _too_slow(info) from error
            wait = min(2 * wait, LONGEST_WAIT)


def _too_slow(info: dict[str, Any]) -> HostError:
    pid = info.get("pid", "?")
    return HostError(
        f"it is there (pid {pid}) and has not answered for {PATIENCE_SECONDS:.0f} s, so it must be very busy; try "
        f"again in a minute. If it never answers, end it with: kill -9 {pid} (nothing is lost; it is started again "
        "when it is next needed)"
    )


def _unwritable(home: Home, why: str) -> HostError:
    return HostError(f"cannot write in {home.folder}: {why}; free some space there, or allow writing, and try again")


def _no_lock() -> Any:
    raise HostError("the lock for starting the host cannot be taken")


def _wait_for_end(home: Home) -> None:
    """Until no host lives here: one that was told to stop, or one that is just starting for somebody else."""
    deadline = time.monotonic() + STOP_SECONDS
    while (lock := home.lock("host.lock", wait=False)) is None:
        if time.monotonic() > deadline:
            pid = (home.info() or {}).get("pid", "?")
            raise HostError(f"the host with pid {pid} does not answer and does not end; end it: kill -9 {pid}")
        time.sleep(_LOOK_EVERY)
    lock.close()


def _start(home: Home) -> HostClient:
    package = Path(__file__).resolve().parent.parent.parent
    path = os.pathsep.join(each for each in (str(package), os.environ.get("PYTHONPATH", "")) if each)
    home.info_file.unlink(missing_ok=True)
    with home.log.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  our own interpreter and module
            [sys.executable, "-m", "simkube", "host", "--home", str(home.folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home.folder,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
            close_fds=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        client = running(home.folder)
        if client is not None:
            process.returncode = process.returncode if process.returncode is not None else 0  # it lives on without us
            return client
        if process.poll() is not None:
            break
        time.sleep(_LOOK_EVERY)
    if process.returncode == NO_SPACE:
        raise _unwritable(home, "the disk is full or read-only")
    if process.returncode == DAMAGED:
        raise HostError(
            f"a store of clusters in {home.folder} is damaged, the end of {home.log} says which: put a backup in its "
            "place, or move it away, and make the clusters that were in it anew"
        )
    raise HostError(f"the host did not start; the reason is at the end of {home.log}")


def shutdown(folder: Path) -> None:
    """End the host of this folder and wait until it is gone; a no-op when none runs."""
    home = Home(folder.resolve())
    client = running(home.folder)
    if client is not None:
        client.stop()
        _wait_for_end(home)


__all__ = ["HostClient", "HostError", "connect", "running", "shutdown"]
