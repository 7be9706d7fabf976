"""A container in the words of requirements: what it serves and where, how its probes go, how long it drains.

Everything comes from its description and from what is written about the labs' own images. Refuses to guess: what a
program does that nobody has described is ``UNKNOWN``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labs.certify.expressions import number
from labs.certify.unknown import UNKNOWN, Unknown

Obj = Mapping[str, Any]
WEB = re.compile(r"^(docker\.io/)?kindling/web:\S+$")
"""The image whose table of variables is in docs/authoring.md."""
WEB_PORT, GRACE = 8080, 30.0
LEAST_GRACE, LEAST_AFTER_HOOK = 1.0, 2.0
"""What the kubelet gives whoever is to end, whatever is asked for (kubernetes: pkg/kubelet/pod_workers.go,
calculateEffectiveGracePeriod; kuberuntime_manager.go, minimumGracePeriodInSeconds)."""
WEB_PATHS = frozenset({"/", "/healthz", "/readyz", "/info", "/work", "/wait"})
"""What it answers with 200 where it serves no files of its own."""
NOT_IN_WEB = frozenset({"wget", "curl", "nc", "busybox", "httpd", "ping", "nslookup"})
"""Programs that one expects in an image and that this one, Debian with Python alone, does not have."""
_BY_SHELL = (["sh", "-c"], ["/bin/sh", "-c"])
_SLEEP = re.compile(r"^\s*(?:exec\s+)?(?:/bin/)?sleep\s+(\d+(?:\.\d+)?)\s*$")
_ENDLESS = re.compile(r"\bwhile\s+(?:true|:)\s*;?\s*do\b.*?\bsleep\s+(\d+(?:\.\d+)?)", re.DOTALL)
_LOOP = re.compile(r"\b(?:while(?!\s+false\b)|until|for)\b")
_SERVES = re.compile(r"httpd|\bnc\b|socat|listen|serve|python|perl|nginx|\$0|exec\b")
_IDLE = re.compile(r"^(?:sh -c )?(?:while (?:true|:); do )?(?:sleep (?:\d+|infinity)|true)(?:; done)?$")


@dataclass(frozen=True)
class Probe:
    """A probe of a container. ``how``: http, tcp, exec or grpc; ``port``: a number or None; ``program``: the first word
    of its command, or None; ``secure``: by TLS; ``host``: another than its pod; the rest as in the API."""

    how: str
    path: str
    port: int | None
    delay: float
    period: float
    timeout: float
    failures: int
    successes: int
    program: str | None = None
    secure: bool = False
    host: str = ""

    @property
    def passes(self) -> float:
        """Seconds within which it has succeeded often enough once every answer is good."""
        return self.delay + self.period * self.successes

    @property
    def at_best(self) -> float:
        """Seconds that it takes at least: the first try is at once, or anywhere within a period."""
        return self.delay + self.period * (self.successes - 1)

    @property
    def notices(self) -> float:
        """Seconds at most until it has failed often enough when every answer fails to come."""
        return self.period + self.notices_at_best

    @property
    def notices_at_best(self) -> float:
        """Seconds that it takes at least: the first try is at once, or anywhere within a period. The next is not made
        before the one before it has been given up."""
        return (self.failures - 1) * max(self.period, self.timeout) + self.timeout


@dataclass(frozen=True)
class Container:
    """A container of a pod, with its environment resolved."""

    name: str
    spec: Obj = field(repr=False)
    env: Mapping[str, str] = field(repr=False)
    grace: float = GRACE

    @property
    def image(self) -> str:
        """As its pod asks for it, without the name of the usual registry."""
        return str(self.spec.get("image", "")).removeprefix("docker.io/")

    @property
    def words(self) -> list[str]:
        """Its own command and arguments; [] where the image's are used."""
        return [*self.spec.get("command", []), *self.spec.get("args", [])]

    @property
    def script(self) -> str:
        """Its own command and arguments as one text."""
        return " ".join(self.words)

    @property
    def rhythm(self) -> float | Unknown | None:
        """Seconds that its script sleeps each time it comes round; None: it does not come round."""
        found = _ENDLESS.search(self.script)
        if found:
            return float(found[1])
        return UNKNOWN if _LOOP.search(self.script) else None

    @property
    def is_web(self) -> bool:
        """Whether it runs ``kindling/web`` as that is made."""
        return bool(WEB.match(self.image)) and not self.words

    @property
    def listens(self) -> int | Unknown | None:
        """The port on which it serves HTTP; None: on none."""
        if self.is_web:
            return None if self.env.get("CRASH") else _number(self.env.get("PORT") or str(WEB_PORT))
        if "httpd" in self.words and "-p" in self.words[:-1]:
            return _number(self.words[self.words.index("-p") + 1])
        if self.words:
            shell = self.image.startswith("busybox") or self.words[0].rpartition("/")[2] == "sh"
            return None if _IDLE.match(self.script) or (shell and not _SERVES.search(self.script)) else UNKNOWN
        return None if self.image.startswith("busybox") else UNKNOWN

    @property
    def startup_seconds(self) -> float | Unknown:
        """How long its start-up work takes, where it says so."""
        return (number(self.env.get("STARTUP_SECONDS") or "0") or 0.0) if self.is_web else UNKNOWN

    @property
    def root(self) -> str | Unknown | None:
        """The folder whose files it serves; None: it serves none."""
        if self.is_web:
            return self.env.get("WEB_ROOT") or None
        if "httpd" in self.words:
            return str(self.words[self.words.index("-h") + 1]) if "-h" in self.words[:-1] else None
        return UNKNOWN

    @property
    def drain(self) -> float | Unknown:
        """Seconds for which it goes on serving once its pod is to end."""
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        waits, itself = _hook_seconds(hook), self._drains_itself()
        if isinstance(waits, Unknown) or isinstance(itself, Unknown):
            return UNKNOWN
        grace = max(self.grace, LEAST_GRACE)
        waits = min(waits, grace)
        return waits + min(itself, max(grace - waits, LEAST_AFTER_HOOK))

    def _drains_itself(self) -> float | Unknown:
        if not self.is_web:
            return UNKNOWN
        return number(self.env.get("DRAIN_SECONDS") or "0") or 0.0

    @property
    def readiness(self) -> Probe | None:
        """Its readiness probe."""
        return self._probe("readinessProbe")

    @property
    def liveness(self) -> Probe | None:
        """Its liveness probe."""
        return self._probe("livenessProbe")

    @property
    def startup(self) -> Probe | None:
        """Its startup probe."""
        return self._probe("startupProbe")

    def _probe(self, name: str) -> Probe | None:
        spec = self.spec.get(name)
        if not spec:
            return None
        how = next((kind for kind in ("httpGet", "tcpSocket", "exec", "grpc") if kind in spec), "exec")
        asked = spec.get(how) or {}
        return Probe(
            {"httpGet": "http", "tcpSocket": "tcp"}.get(how, how),
            str(asked.get("path") or "/"),
            self.port(asked.get("port")),
            float(spec.get("initialDelaySeconds", 0)),
            float(spec.get("periodSeconds", 10)),
            float(spec.get("timeoutSeconds", 1)),
            int(spec.get("failureThreshold", 3)),
            int(spec.get("successThreshold", 1)),
            next(iter(asked.get("command") or []), None),
            asked.get("scheme") == "HTTPS",
            str(asked.get("host") or ""),
        )

    def lacks(self, program: str | None) -> bool:
        """Whether it is known not to have a program: a probe that runs it has no result, neither good nor bad."""
        return bool(WEB.match(self.image)) and (program or "").rpartition("/")[2] in NOT_IN_WEB

    def answers(self, probe: Probe) -> bool | Unknown:
        """Whether it, which listens on the probe's port, answers it as the probe wants."""
        if not self.is_web or probe.how == "exec":
            return UNKNOWN
        if probe.how != "http" or probe.secure:
            return probe.how == "tcp"
        return probe.path.partition("?")[0] in WEB_PATHS or (UNKNOWN if self.root else False)

    def port(self, named: Any) -> int | None:
        """A port by its number or name."""
        if isinstance(named, int) or named is None:
            return named
        ports = self.spec.get("ports", [])
        return next((port["containerPort"] for port in ports if port.get("name") == named), None)

    def volume_at(self, path: str | None) -> str | None:
        """The volume in which a path lies, or None."""
        mounts = sorted(self.spec.get("volumeMounts", []), key=lambda mount: -len(mount["mountPath"]))
        inside = (one for one in mounts if path and _below(path, one["mountPath"]))
        return next((str(mount["name"]) for mount in inside), None)

    @property
    def volumes(self) -> dict[str, str]:
        """Its volumes by name, with the path of each."""
        return {mount["name"]: mount["mountPath"] for mount in self.spec.get("volumeMounts", [])}


def _below(path: str, folder: str) -> bool:
    return path.rstrip("/") == folder.rstrip("/") or path.startswith(folder.rstrip("/") + "/")


def _number(text: str) -> int | None:
    found = number(text)
    return None if found is None else int(found)


def _hook_seconds(hook: Obj | None) -> float | Unknown:
    """How long a preStop hook waits; unknown when it does anything else."""
    if not hook:
        return 0.0
    if "sleep" in hook:
        return float(hook["sleep"].get("seconds", 0))
    if "exec" not in hook:
        return UNKNOWN
    command = (hook["exec"] or {}).get("command") or []
    if _fails_at_once(command):
        return 0.0
    text = command[2] if command[:2] in _BY_SHELL and len(command) == 3 else " ".join(command)
    found = _SLEEP.match(text)
    return float(found[1]) if found else UNKNOWN


def _fails_at_once(command: list[str]) -> bool:
    """Whether it is a part of a command only: nothing to run, or nothing for it to do."""
    program, *words = command or [""]
    if program in ("sh", "/bin/sh"):
        return words in ([], ["-c"]) or (not words[0].startswith("-") and " " in words[0])
    return not program or program.startswith("-") or program.isdigit() or (not words and program == "sleep")
