"""Everything that can be set, read once from the environment into one frozen object.

It refuses a value it does not understand with the variable's name and what was expected; nothing reads the environment
after this, and nothing here connects to anything.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from labs.errors import SettingsError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_PACKAGE = Path(__file__).resolve().parent
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
GRADERS = 8
"""For each processor: a grader mostly waits for what it is to see; a third of a second of each is work."""
MOST_WORKERS = 4
"""Processes of the site, unless more are asked for."""


@dataclass(frozen=True)
class Settings:
    """How this installation is set up. Each field names the environment variable that sets it.

    ``home`` KINDLING_HOME: where all state lives (default: the platform's data directory).
    ``database_url`` KINDLING_DATABASE_URL: SQLAlchemy URL (default: SQLite in ``home``).
    ``catalogs`` KINDLING_CATALOGS: further folders of labs, separated as PATH is; the shipped one comes first.
    ``courses`` KINDLING_COURSES: further folders of courses; the shipped ``content`` comes first.
    ``topologies`` KINDLING_TOPOLOGIES: the folder of cluster topologies.
    ``provider`` KINDLING_PROVIDER: where a lab starts when nothing else is said.
    ``providers`` KINDLING_PROVIDERS: names that may be used, separated by commas.
    ``host`` KINDLING_HOST, ``port`` KINDLING_PORT: where the site listens.
    ``public_url`` KINDLING_PUBLIC_URL: the address that learners type ("": the one the site listens on).
    ``workers`` KINDLING_WORKERS: processes that answer requests (default: one for each processor, at most four).
    ``trusted_proxies`` KINDLING_TRUSTED_PROXIES: addresses and networks, separated by commas, whose X-Forwarded-For
    and X-Forwarded-Proto are believed (default: none).
    ``secret_key`` KINDLING_SECRET_KEY: signs the site's cookies ("": one is made and kept in ``home``).
    ``idle_hours`` KINDLING_IDLE_HOURS: after how long without a request one is signed out.
    ``signed_in_days`` KINDLING_SIGNED_IN_DAYS: how long one stays signed in at the most.
    ``smtp_url`` KINDLING_SMTP_URL, ``mail_from`` KINDLING_MAIL_FROM: how mail is sent ("": none is).
    ``session_hours`` KINDLING_SESSION_HOURS: how long a lab's cluster is kept without being extended.
    ``attempt_seconds`` KINDLING_ATTEMPT_SECONDS: the longest grading run any lab may ask for.
    ``graders`` KINDLING_GRADERS: how many attempts are graded at once (default: eight for each processor).
    ``kind_clusters`` KINDLING_KIND_CLUSTERS, ``kind_per_learner`` KINDLING_KIND_PER_LEARNER: how many real clusters
    at once, in all and of one learner who is no admin.
    ``kind_binary`` KIND_BINARY, ``kubectl`` KINDLING_KUBECTL: programs ("" or a path; default: found on PATH).
    ``kind_node_image`` KIND_NODE_IMAGE: node image ("": kind's own default).
    ``web_image_base`` KINDLING_WEB_IMAGE_BASE: base image the labs' own web image is built from.
    """

    home: Path
    database_url: str = field(repr=False)  # it may hold a password
    catalogs: tuple[Path, ...]
    courses: tuple[Path, ...]
    topologies: Path
    provider: str = "simulated"
    providers: tuple[str, ...] = ("simulated", "kind")
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = ""
    workers: int = 1
    trusted_proxies: tuple[Network, ...] = ()
    secret_key: str = field(default="", repr=False)
    smtp_url: str = field(default="", repr=False)
    mail_from: str = ""
    idle_hours: float = 72.0
    signed_in_days: float = 14.0
    session_hours: float = 4.0
    attempt_seconds: float = 900.0
    graders: int = 1
    kind_clusters: int = 4
    kind_per_learner: int = 1
    kind_binary: str = "kind"
    kubectl: str = "kubectl"
    kind_node_image: str = ""
    web_image_base: str = "python:3.13-slim"

    @property
    def locks(self) -> Path:
        """Where processes lock sessions against each other."""
        return self.home / "locks"

    @property
    def grader_locks(self) -> Path:
        """Where the places of graders are, one file each."""
        return self.locks / "graders"

    @property
    def marks(self) -> Path:
        """Where each grading process marks that it is there, and whether it has something to put back."""
        return self.locks / "attempts"

    @property
    def sessions(self) -> Path:
        """Where the command keeps each session's kubeconfig for the shells it opens."""
        return self.home / "sessions"

    @property
    def log_file(self) -> Path:
        """Where unexpected trouble is written in full."""
        return self.home / "kindling.log"

    @property
    def images(self) -> Path:
        """The sources of the labs' own images."""
        return _PACKAGE / "images"

    def node_image(self, provider: str) -> str:
        """What a provider makes nodes from, as this machine calls it."""
        return (self.kind_node_image or "kind's own") if provider == "kind" else ""


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process; :class:`SettingsError` names the variable at fault."""
    env = os.environ if environ is None else environ
    home = Path(env.get("KINDLING_HOME") or _default_home()).expanduser().absolute()
    providers = tuple(
        name.strip() for name in env.get("KINDLING_PROVIDERS", "simulated,kind").split(",") if name.strip()
    )
    provider = env.get("KINDLING_PROVIDER") or "simulated"
    if provider not in providers:
        raise SettingsError(
            f"KINDLING_PROVIDER is {provider!r}: expected one of {', '.join(providers) or 'KINDLING_PROVIDERS'}"
        )
    return Settings(
        home=home,
        database_url=env.get("KINDLING_DATABASE_URL") or f"sqlite:///{home / 'kindling.db'}",
        catalogs=(_PACKAGE / "catalog", *_folders(env, "KINDLING_CATALOGS")),
        courses=(_shipped("content"), *_folders(env, "KINDLING_COURSES")),
        topologies=_folder(env, "KINDLING_TOPOLOGIES") or _shipped("kind-configs"),
        provider=provider,
        providers=providers,
        host=env.get("KINDLING_HOST") or "127.0.0.1",
        port=int(_number(env, "KINDLING_PORT", 8000, 0, 65535, whole=True)),
        public_url=_address(env, "KINDLING_PUBLIC_URL"),
        workers=int(_number(env, "KINDLING_WORKERS", min(MOST_WORKERS, processors()), 1, 64, whole=True)),
        trusted_proxies=_networks(env, "KINDLING_TRUSTED_PROXIES"),
        secret_key=env.get("KINDLING_SECRET_KEY", ""),
        smtp_url=_mail_server(env),
        mail_from=env.get("KINDLING_MAIL_FROM", "").strip(),
        idle_hours=_number(env, "KINDLING_IDLE_HOURS", 72.0, 0.1, 8760),
        signed_in_days=_number(env, "KINDLING_SIGNED_IN_DAYS", 14.0, 0.01, 366),
        session_hours=_number(env, "KINDLING_SESSION_HOURS", 4.0, 0.1, 720),
        attempt_seconds=_number(env, "KINDLING_ATTEMPT_SECONDS", 900.0, 5, 7200),
        graders=int(_number(env, "KINDLING_GRADERS", GRADERS * processors(), 1, 1000, whole=True)),
        kind_clusters=int(_number(env, "KINDLING_KIND_CLUSTERS", 4, 0, 1000, whole=True)),
        kind_per_learner=int(_number(env, "KINDLING_KIND_PER_LEARNER", 1, 0, 1000, whole=True)),
        kind_binary=env.get("KIND_BINARY") or "kind",
        kubectl=env.get("KINDLING_KUBECTL") or find_kubectl(),
        kind_node_image=env.get("KIND_NODE_IMAGE", ""),
        web_image_base=env.get("KINDLING_WEB_IMAGE_BASE") or "python:3.13-slim",
    )


def is_loopback(host: str) -> bool:
    """Whether a site listening on ``host`` can be reached from this machine only."""
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def must_be_named(settings: Settings) -> None:
    """``SettingsError`` for a site that others can reach and that does not know its own name.

    It could tell neither its own requests from those that were led here under another name, nor write links; and what
    goes over a network goes through HTTPS, which the public address says.
    """
    if not settings.public_url and not is_loopback(settings.host):
        raise SettingsError(
            f"a site on {settings.host} can be reached by others: set KINDLING_PUBLIC_URL to the address they type",
            f"KINDLING_PUBLIC_URL=https://NAME kindling up --host {settings.host}",
        )


def processors() -> int:
    """How many processors this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # not everywhere
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def find_kubectl(which: Callable[[str], str | None] = shutil.which) -> str:
    """The system's kubectl, else the one pip installed beside this interpreter, else the bare name."""
    beside = Path(sys.executable).parent / ("kubectl.exe" if os.name == "nt" else "kubectl")
    return which("kubectl") or (str(beside) if beside.is_file() else "kubectl")


def _default_home() -> str:
    import platformdirs  # only needed where KINDLING_HOME is not set

    return platformdirs.user_data_dir("kindling", appauthor=False)


def _shipped(name: str) -> Path:
    """A folder that a wheel carries inside this package and a checkout has at its top."""
    packaged = _PACKAGE / "_shipped" / name
    return packaged if packaged.is_dir() else _PACKAGE.parent / name


def _folders(env: Mapping[str, str], variable: str) -> tuple[Path, ...]:
    parts = [part for part in env.get(variable, "").split(os.pathsep) if part.strip()]
    return tuple(_existing(variable, part) for part in parts)


def _folder(env: Mapping[str, str], variable: str) -> Path | None:
    value = env.get(variable, "").strip()
    return _existing(variable, value) if value else None


def _existing(variable: str, value: str) -> Path:
    path = Path(value).expanduser().absolute()
    if not path.is_dir():
        raise SettingsError(f"{variable} names {value!r}: expected a folder that exists")
    return path


def _address(env: Mapping[str, str], variable: str) -> str:
    """``https://NAME[:PORT]``, or http for a name of this machine: what goes over a network is encrypted."""
    value = env.get(variable, "").strip().rstrip("/")
    if not value:
        return ""
    try:
        parts = urlsplit(value)
        scheme, name, port = parts.scheme, parts.hostname or "", parts.port
    except ValueError:  # a port that is none, brackets that do not close
        scheme = name = ""
        port = None
    encrypted = scheme == "https" or (scheme == "http" and name in LOOPBACK_NAMES)
    shown = f"[{name}]" if ":" in name else name
    if not name or not encrypted or value.lower() != f"{scheme}://{shown}{f':{port}' if port is not None else ''}":
        raise SettingsError(
            f"{variable} is {value!r}: expected https://NAME, with a port where it is not 443 and without a path "
            "(http://localhost:PORT for this machine only)"
        )
    return value.lower()


def _networks(env: Mapping[str, str], variable: str) -> tuple[Network, ...]:
    named = [part.strip() for part in env.get(variable, "").split(",") if part.strip()]
    try:
        return tuple(ipaddress.ip_network(part) for part in named)
    except ValueError as error:
        raise SettingsError(f"{variable}: {error}; expected addresses or networks, as 127.0.0.1,10.0.0.0/8") from error


def _mail_server(env: Mapping[str, str]) -> str:
    """What mails need: a server, whom they are from, and the site's own name for the links in them."""
    url = env.get("KINDLING_SMTP_URL", "").strip()
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("smtp", "smtps") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise SettingsError("KINDLING_SMTP_URL: expected smtps://USER:PASSWORD@HOST:PORT, or smtp:// for STARTTLS")
    for variable in ("KINDLING_MAIL_FROM", "KINDLING_PUBLIC_URL"):
        if not env.get(variable, "").strip():
            raise SettingsError(f"KINDLING_SMTP_URL needs {variable} as well: mails name a sender and link to the site")
    return url


def _number(
    env: Mapping[str, str], variable: str, default: float, low: float, high: float, *, whole: bool = False
) -> float:
    value = env.get(variable, "").strip()
    if not value:
        return default
    what = "a whole number" if whole else "a number"
    try:
        number = int(value) if whole else float(value)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise SettingsError(f"{variable} is {value!r}: expected {what} from {low:g} to {high:g}")
    return number
