"""Members who hold connections, or have the host hold what they do not read."""

from __future__ import annotations

import gzip
import itertools
import socket
import ssl
import threading
import time
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlencode

from websocket import WebSocket, create_connection

from soak.client import MERGE, Api
from soak.members.member import CONFIG_MAPS, PODS, Member, Target, pod

IDLE = 1500
HALF = 300
UNREAD = 120
WATCHES = 200
STREAMS = 64
OBJECT_BYTES = 900_000
OBJECTS = 60
INFLATED = 2 << 30


class Holding(Member):
    """Opens connections until it has as many as it wants, and again those that were cut."""

    threads = 4
    most = 100

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.held: list[ssl.SSLSocket | socket.socket] = []
        self._holding = threading.Lock()

    def open(self, api: Any) -> ssl.SSLSocket | socket.socket:
        """One more connection, held from now on."""
        raise NotImplementedError

    def act(self, api: Any) -> None:
        opened = self.open(api)
        with self._holding:
            self.held.append(opened)
            gone = self.held[: -self.most]
            self.held = self.held[-self.most :]
        for one in gone:
            one.close()
        if len(self.held) >= self.most:
            self.ending.wait(0.02)


class IdleConnections(Holding):
    """opens connections and asks nothing on them"""

    most = IDLE

    def open(self, api: Any) -> ssl.SSLSocket:
        opened: ssl.SSLSocket = api.socket()
        return opened


class HalfHandshakes(Holding):
    """opens connections and never begins TLS"""

    most = IDLE

    def open(self, api: Any) -> socket.socket:
        host, _, port = api.address.partition(":")
        return socket.create_connection((host, int(port)), 10)


class HalfSentRequests(Holding):
    """begins requests and never ends them: in their heads, in their bodies"""

    most = HALF

    def open(self, api: Any) -> ssl.SSLSocket:
        opened: ssl.SSLSocket = api.socket()
        head = api.head("POST", CONFIG_MAPS, "Content-Type: application/json", "Content-Length: 100000")
        opened.sendall(head if len(self.held) % 2 else head + b"\r\n{")
        return opened


class UnreadListings(Holding):
    """asks for listings of 50 MB and reads none of them"""

    most = UNREAD

    def prepare(self, api: Api) -> None:
        for number in range(OBJECTS):
            api("POST", CONFIG_MAPS, {"metadata": {"name": f"large-{number}"}, "data": {"k": "v" * OBJECT_BYTES}})

    def open(self, api: Any) -> ssl.SSLSocket:
        opened: ssl.SSLSocket = api.socket()
        opened.sendall(api.head("GET", CONFIG_MAPS) + b"\r\n")
        return opened


class InflatingBodies(Member):
    """sends 2 MiB that inflate to 2 GiB, with a token and without one"""

    def prepare(self, api: Api) -> None:
        self._body = gzip.compress(bytes(INFLATED >> 4), 9) * 16

    def act(self, api: Api) -> None:
        api("POST", CONFIG_MAPS, self._body, Content_Encoding="gzip")
        api("POST", CONFIG_MAPS, self._body, Content_Encoding="gzip", Authorization="Bearer nobody")


class ManyWatches(Member):
    """changes an object that two hundred of their connections watch"""

    def prepare(self, api: Api) -> None:
        api("POST", CONFIG_MAPS, {"metadata": {"name": "watched"}})
        query = "watch=1&resourceVersion=0&fieldSelector=metadata.name=watched"
        self._kept = [self.target.api() for _ in range(WATCHES)]
        answers = [one.ask("GET", f"{CONFIG_MAPS}?{query}") for one in self._kept]
        threading.Thread(target=_drain, args=(answers,), daemon=True).start()

    def act(self, api: Api) -> None:
        api("PATCH", f"{CONFIG_MAPS}/watched", {"data": {"k": str(time.time())}}, MERGE)


def _drain(answers: list[HTTPResponse]) -> None:
    for answer in itertools.cycle(answers):
        answer.read1(1 << 20)


class Streaming(Member):
    """Opens streams to a pod and keeps as many as it gets."""

    threads = 4
    most = STREAMS

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.held: list[WebSocket] = []

    def prepare(self, api: Api) -> None:
        api("POST", PODS, pod("streamed", "sh", "-c", "while true; do echo y; sleep 0.01; done"))

    def path(self) -> str:
        """What of the pod is asked for."""
        raise NotImplementedError

    def act(self, api: Api) -> None:
        opened = create_connection(
            f"wss://{api.address}/{api.prefix}{PODS}/streamed/{self.path()}",
            sslopt={"context": api.context},
            subprotocols=["v5.channel.k8s.io", "SPDY/3.1+portforward.k8s.io"],
            header=[f"Authorization: Bearer {api.token}"],
            timeout=10,
        )
        self.held.append(opened)
        while len(self.held) > self.most:
            self.held.pop(0).close()


class ManyExecs(Streaming):
    """opens commands in a pod that write without end, and reads nothing"""

    def path(self) -> str:
        words = [("command", word) for word in ("sh", "-c", "while true; do echo yyyyyyyyyyyyyyyyyyyyyyyy; done")]
        return "exec?" + urlencode([*words, ("stdout", "1")])


class ManyForwards(Streaming):
    """opens forwarded ports without end"""

    def path(self) -> str:
        return "portforward?ports=8080"
