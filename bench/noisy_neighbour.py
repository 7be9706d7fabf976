"""What a quiet cluster's learner feels of a noisy one on the same host: times of small reads, without and with a flood.

The flood comes from a process of its own with the lowest priority, so that the host is what the two share, not the
processor that the clients run on.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from statistics import quantiles
from typing import Any

from bench.table import heading, row
from labs.clusters.provider import Handle, Provider

READS = 100
ROUNDS = 3
PAUSE = 0.005
MAPS = "/api/v1/namespaces/default/configmaps"
MANY = 3000


class Api:
    """One kept connection to a cluster."""

    def __init__(self, kubeconfig: str) -> None:
        config = json.loads(kubeconfig)
        cluster = config["clusters"][0]["cluster"]
        ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
        address, _, self._prefix = cluster["server"].removeprefix("https://").partition("/")
        self._connection = HTTPSConnection(address, timeout=60, context=ssl.create_default_context(cadata=ca))
        self._token = config["users"][0]["user"]["token"]

    def ask(self, method: str, path: str, body: bytes | None = None, content: str = "application/json") -> HTTPResponse:
        """Send a request; its answer is still to be read."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content}
        self._connection.request(method, f"/{self._prefix}{path}", body, headers)
        return self._connection.getresponse()

    def __call__(self, method: str, path: str, body: Any = None, content: str = "application/json") -> bytes:
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask(method, path, raw, content).read()


def creates(api: Api) -> None:
    """Create and delete, as fast as it goes."""
    for _ in range(50):
        api("POST", MAPS, {"metadata": {"generateName": "flood-", "labels": {"flood": "1"}}, "data": {"k": "v" * 100}})
    api("DELETE", f"{MAPS}?labelSelector=flood")


def lists(api: Api) -> None:
    """Read thousands of objects at a time."""
    api("GET", MAPS)


def watches(api: Api) -> None:
    """Change an object that two hundred connections watch."""
    api("PATCH", f"{MAPS}/kept-0", {"data": {"k": str(time.time())}}, "application/merge-patch+json")


def bodies(api: Api) -> None:
    """Bodies as large as they may be."""
    api("POST", MAPS, BODY)


def yaml(api: Api) -> None:
    """Aliases of aliases."""
    api("POST", MAPS, BOMB, "application/yaml")


def loops(api: Api) -> None:
    """Ten pods that do nothing, busily; and a look at them."""
    api("GET", "/api/v1/namespaces/default/pods")
    time.sleep(0.5)


FLOODS: dict[str, Callable[[Api], None]] = {
    each.__name__: each for each in (creates, lists, watches, bodies, yaml, loops)
}
BODY = json.dumps({"metadata": {"name": "big"}, "data": {f"k{n}": "v" * 90 for n in range(24_000)}}).encode()
BOMB = b"a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 9)
)


def prepare(api: Api) -> None:
    """What the floods need in the noisy cluster."""
    for number in range(MANY):
        api("POST", MAPS, {"metadata": {"name": f"kept-{number}"}, "data": {"k": "v" * 500}})
    command = ["sh", "-c", "while true; do :; done"]
    for number in range(10):
        container = {"name": "c", "image": "busybox:1.35", "command": command}
        pod = {"metadata": {"name": f"busy-{number}"}, "spec": {"containers": [container]}}
        if os.environ.get("FLOOD") == "loops":
            api("POST", "/api/v1/namespaces/default/pods", pod)


def flood() -> None:
    """The child: four connections (and the watches) that never rest, until it is killed."""
    os.nice(19)
    name, kubeconfig = os.environ["FLOOD"], sys.stdin.read()
    prepare(Api(kubeconfig))
    if name == "watches":
        kept = [Api(kubeconfig) for _ in range(200)]
        answers = [
            api.ask("GET", f"{MAPS}?watch=1&resourceVersion=0&fieldSelector=metadata.name=kept-0") for api in kept
        ]
        threading.Thread(target=_drain, args=(answers,), daemon=True).start()
    print("flooding", flush=True)
    for _ in range(4):
        threading.Thread(target=_forever, args=(FLOODS[name], kubeconfig), daemon=True).start()
    threading.Event().wait()


def _drain(answers: list[HTTPResponse]) -> None:
    for answer in itertools.cycle(answers):
        answer.read1(1 << 20)


def _forever(work: Callable[[Api], None], kubeconfig: str) -> None:
    while True:
        api = Api(kubeconfig)
        try:
            while True:
                work(api)
        except (OSError, HTTPException):
            time.sleep(0.01)  # refused: a flood tries again


def reads(api: Api) -> list[float]:
    """The seconds that small reads take, one after the other."""
    times = []
    for _ in range(READS):
        started = time.perf_counter()
        api("GET", f"{MAPS}/kube-root-ca.crt")
        times.append(time.perf_counter() - started)
        time.sleep(PAUSE)  # a learner who is not in a hurry
    return times


def neighbours(provider: Provider, make: Callable[[str], Handle]) -> None:
    """One row for each flood: the quiet cluster's reads without and with it, and how many times as long they take."""
    heading("A quiet cluster beside a noisy one: reads in ms, median and 99th percentile, alone and beside it")
    quiet = Api(provider.credentials(make("bench-quiet"), "learner"))
    for name in FLOODS:
        noisy = make(f"bench-noisy-{name}")
        calm, loud = beside(name, provider.credentials(noisy, "learner"), quiet)
        provider.delete(noisy)
        (middle, late), (slower, latest) = (
            (cut[49], cut[98]) for cut in (quantiles(calm, n=100), quantiles(loud, n=100))
        )
        shown = " ".join(f"{1000 * seconds:.1f}" for seconds in (middle, late, slower, latest))
        row(f"{name}: {FLOODS[name].__doc__}", shown, "1.1 1.1", f"{slower / middle:.2f} {latest / late:.2f}")


def beside(name: str, kubeconfig: str, quiet: Api) -> tuple[list[float], list[float]]:
    """Reads while a flood is held and while it goes on, in turns, so that both meet the same machine."""
    command = [sys.executable, "-c", "from bench.noisy_neighbour import flood; flood()"]
    environment = {**os.environ, "FLOOD": name}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, text=True) as child:
        try:
            if child.stdin is None or child.stdout is None:
                raise RuntimeError("the flood has no pipes")
            child.stdin.write(kubeconfig)
            child.stdin.close()
            if not child.stdout.readline():
                raise RuntimeError(f"the flood of {name} did not begin")
            calm: list[float] = []
            loud: list[float] = []
            for _ in range(ROUNDS):
                for number, times in ((signal.SIGSTOP, calm), (signal.SIGCONT, loud)):
                    child.send_signal(number)
                    time.sleep(1.5)  # what the flood left behind is done; what it may use at once is used
                    times += reads(quiet)
            return calm, loud
        finally:
            child.kill()
