"""Members whose pods and controllers never rest."""

from __future__ import annotations

import json
import time

from soak.client import MERGE, Api
from soak.members.member import PODS, Member, deployment, pod

BUSY = 10
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


class Busy(Member):
    """Keeps ten pods at work and looks at them now and then."""

    threads = 1
    script = ""

    def prepare(self, api: Api) -> None:
        api("POST", DEPLOYMENTS, deployment("busy", BUSY, "sh", "-c", self.script))

    def act(self, api: Api) -> None:
        api("GET", PODS)
        self.ending.wait(0.3)


class CpuLoops(Busy):
    """keeps ten pods doing nothing, busily"""

    script = "while true; do :; done"


class ForkLoops(Busy):
    """keeps ten pods starting processes that start processes"""

    script = "f() { f | f & }; while true; do f; (sleep 1000 &) ; sh -c 'sleep 1' & done"


class LogFloods(Busy):
    """keeps ten pods writing logs, and reads them"""

    script = "while true; do echo 0123456789012345678901234567890123456789012345678901234567890123456789; done"

    def act(self, api: Api) -> None:
        _, body = api("GET", PODS)
        for one in json.loads(body)["items"]:
            api("GET", f"{PODS}/{one['metadata']['name']}/log")


class HugeTexts(Busy):
    """keeps ten pods growing, splitting and searching ever longer texts"""

    script = """x=ab; while true; do x=$x$x; y=${x//a/bb}
    echo "$x" | grep -c '\\(a*b*\\)*c'; echo "$y" | sed s/b/aa/g | sort | wc; done"""


class ManyReplicas(Member):
    """scales a Deployment to thousands and back"""

    threads = 1

    def prepare(self, api: Api) -> None:
        api("POST", DEPLOYMENTS, deployment("many", 1, "sleep", "1000"))

    def act(self, api: Api) -> None:
        for replicas in (4000, 0):
            api("PATCH", f"{DEPLOYMENTS}/many", {"spec": {"replicas": replicas}}, MERGE)
            self.ending.wait(3)


class ClusterOfServices(Member):
    """makes a thousand Services and policies that select the same pods, and replaces these"""

    threads = 2

    def prepare(self, api: Api) -> None:
        for number in range(60):
            api("POST", PODS, pod(f"behind-{number}", "sleep", "1000"))
        peers = [{"podSelector": {"matchLabels": {"by": "member"}}}]
        for number in range(600):
            spec = {"selector": {"by": "member"}, "ports": [{"port": 80}]}
            api("POST", "/api/v1/namespaces/default/services", {"metadata": {"name": f"s-{number}"}, "spec": spec})
            policy = {"podSelector": {}, "ingress": [{"from": peers}]}
            path = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies"
            api("POST", path, {"metadata": {"name": f"p-{number}"}, "spec": policy})

    def act(self, api: Api) -> None:
        name = f"behind-{time.monotonic_ns() % 60}"
        api("DELETE", f"{PODS}/{name}?gracePeriodSeconds=0")
        api("POST", PODS, pod(name, "sleep", "1000"))


class FastClock(Busy):
    """has their cluster's clock run a thousand times as fast over pods that never rest"""

    script = "while true; do sleep 0.1; done"

    def prepare(self, api: Api) -> None:
        super().prepare(api)
        api("POST", "/simkube/clock", {"speed": 1000})
