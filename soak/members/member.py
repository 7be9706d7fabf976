"""What a hostile member is: a learner who does one thing that others could feel, again and again.

A member has what a learner has: a kubeconfig of their own cluster, an account of their own at the site. It acts from a
process of its own with the lowest priority, so that what it shares with others is what it attacks, and ends by itself.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from websocket import WebSocketException

from soak.client import Api

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
REFUSED_SECONDS = 0.05
"""How long a member rests who was refused or cut off: an attack tries again."""

TRIES = 5


@dataclass(frozen=True)
class Target:
    """What a member was given: their kubeconfig, the site's address, and the account that they have there."""

    kubeconfig: str = ""
    site: str = ""
    name: str = ""
    password: str = ""

    def api(self) -> Api:
        """One more connection to their cluster."""
        return Api(self.kubeconfig)


class Member:
    """``act`` is called again and again in ``threads`` threads, each with a connection of its own, after ``prepare``.

    The docstring's first line of each says what the learner does.
    """

    threads = 4

    def __init__(self, target: Target) -> None:
        self.target = target
        self.ending = threading.Event()

    def prepare(self, api: Api) -> None:
        """Make what it needs; not measured."""

    def act(self, api: Api) -> None:
        """Do it once more."""
        raise NotImplementedError

    def run(self) -> None:
        """One thread's part, until it ends."""
        while not self.ending.is_set():
            api = self.target.api()
            try:
                while not self.ending.is_set():
                    self.act(api)
            except (OSError, HTTPException, WebSocketException):  # refused or cut off
                self.ending.wait(REFUSED_SECONDS)
            finally:
                api.close()

    def _begin(self) -> None:
        """Prepare, again when it was cut off: others may be at work by now."""
        for left in reversed(range(TRIES)):
            api = self.target.api()
            try:
                self.prepare(api)
                return
            except (OSError, HTTPException):
                if not left:
                    raise
                self.ending.wait(1)
            finally:
                api.close()

    @contextmanager
    def attacking(self) -> Iterator[None]:
        """All threads at work within the block; they are not waited for."""
        if self.target.kubeconfig:
            self._begin()
        for _ in range(self.threads):
            threading.Thread(target=self.run, daemon=True).start()
        try:
            yield
        finally:
            self.ending.set()


def pod(name: str, *command: str, image: str = "busybox:1.35") -> dict[str, Any]:
    """A pod of one container."""
    container = {"name": "c", "image": image, "command": list(command)}
    return {"metadata": {"name": name, "labels": {"by": "member"}}, "spec": {"containers": [container]}}


def deployment(name: str, replicas: int, *command: str) -> dict[str, Any]:
    """As many pods of that kind, in one request."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod("", *command)["spec"]}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": name}, "spec": spec}


def encoded(value: Any) -> bytes:
    """As a request's body."""
    return json.dumps(value).encode()
