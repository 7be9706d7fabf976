"""The site behind the proxies whose configurations we keep: run as they are, but for names, ports and certificates."""

from __future__ import annotations

import datetime
import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests import other_user
from tests.conftest import unavailable
from tests.served import Served, free_port
from webapp import MAX_REQUEST_BYTES

NAME = "kindling.example"
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
START_SECONDS = 60.0
NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/kindling.conf;
}}
"""


class Browser:
    """Talks TLS to a proxy at a port of loopback that has the site's name, and keeps what cookies it is given."""

    def __init__(self, port: int, certificate: Path) -> None:
        self._port, self._context = port, ssl.create_default_context(cafile=certificate)
        self._cookies: dict[str, str] = {}
        self._open: list[http.client.HTTPConnection | http.client.HTTPResponse] = []

    def close(self) -> None:
        """Hang up."""
        for one in self._open:
            one.close()

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPSConnection(NAME, self._port, timeout=60)
        plain = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        connection.sock = self._context.wrap_socket(plain, server_hostname=NAME)
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        given = {
            "Host": NAME,
            "Referer": f"https://{NAME}/",
            "Cookie": cookies,
        } | headers
        if method == "POST":
            given["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        self._open += [answer, connection]
        for line in answer.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer


def certificate(folder: Path) -> Path:
    """A self-signed one for the site's name; its key is beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(
        now + datetime.timedelta(days=1)
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    made, kept = folder / "kindling.pem", folder / "kindling.key"
    made.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    kept.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, none))
    return made


def nginx(folder: Path, port: int, site: int) -> list[str]:
    """Its command, for a configuration written into ``folder``."""
    text = (DEPLOY / "nginx.conf").read_text()
    text = text.replace("listen 443", f"listen 127.0.0.1:{port}").replace("listen 80;", f"listen 127.0.0.1:{port + 1};")
    text = text.replace("/etc/ssl/", f"{folder}/").replace("127.0.0.1:8000", f"127.0.0.1:{site}")
    (folder / "kindling.conf").write_text(text)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]


def caddy(folder: Path, port: int, site: int) -> list[str]:
    """The same of Caddy, which is not to ask anybody for a certificate."""
    text = (DEPLOY / "Caddyfile").read_text()
    text = text.replace("{\n\tservers", "{\n\tadmin off\n\tauto_https off\n\tservers", 1)
    own = f"https://{NAME}:{port} {{\n\tbind 127.0.0.1\n\ttls {folder}/kindling.pem {folder}/kindling.key"
    text = text.replace(f"{NAME} {{", own).replace("127.0.0.1:8000", f"127.0.0.1:{site}")
    (folder / "Caddyfile").write_text(text)
    return ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


@pytest.fixture(params=[nginx, caddy], ids=["nginx", "caddy"])
def proxied(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Served, Browser]]:
    """A site, and somebody who reaches it through a proxy that is nobody's but its own user's."""
    make: Callable[[Path, int, int], list[str]] = request.param
    program = shutil.which(make.__name__, path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        unavailable(f"{make.__name__} is not here; apt-get install nginx-light caddy")
    served = Served(tmp_path / "home", KINDLING_PUBLIC_URL=f"https://{NAME}", KINDLING_TRUSTED_PROXIES="127.0.0.1,::1")
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    made = certificate(folder)
    port = free_port()
    command = make(folder, port, served.port)
    other_user.give(folder, *folder.iterdir())
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with (folder / "said").open("wb") as said:
        command[0] = str(program)
        running = subprocess.Popen(command, env=environment, stdout=said, stderr=said, cwd="/", **other_user.given())
    browser = Browser(port, made)
    try:
        wait_for(port, running, folder)
        yield served, browser
    finally:
        browser.close()
        running.send_signal(signal.SIGTERM)
        running.wait(timeout=60)
        served.close()
        shutil.rmtree(folder)


def wait_for(port: int, running: subprocess.Popen[bytes], folder: Path) -> None:
    """Until it listens."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and running.poll() is None:
        with socket.socket() as tried:
            if not tried.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.05)
    raise AssertionError([path.read_text() for path in folder.glob("*") if path.name in ("said", "error.log")])


def test_a_learner_signs_in_and_works_behind_a_proxy(proxied: tuple[Served, Browser]) -> None:
    served, browser = proxied
    entered = browser.ask("GET", served.link)
    assert entered.status == 302
    assert entered.headers["Strict-Transport-Security"]
    assert "Secure" in entered.headers["Set-Cookie"]
    page = browser.ask("GET", "/profile").read().decode()
    token = re.search(r'name="csrf-token" content="([^"]+)"', page)
    assert token, page
    live = browser.ask("GET", "/labs/pods/events")
    assert live.headers["Content-Type"].startswith("text/event-stream")
    assert live.readline() == b"retry: 2000\n"
    assert b"event: change\n" in (live.readline(), live.readline())  # as it happens: nothing keeps it
    form = {"csrf_token": token[1], "theme": "dark"}
    assert browser.ask("POST", "/theme", urlencode(form)).status == 302
    big = urlencode(form | {"more": "x" * MAX_REQUEST_BYTES})
    assert browser.ask("POST", "/theme", big).status == 413


def test_the_proxys_word_counts_and_not_the_clients(proxied: tuple[Served, Browser]) -> None:
    served, browser = proxied
    lies = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}
    answer = browser.ask("GET", "/sign-in", **lies)
    assert answer.headers["Strict-Transport-Security"]
    page = answer.read().decode()
    token = re.search(r'name="csrf-token" content="([^"]+)"', page)
    assert token, page
    form = urlencode({"csrf_token": token[1], "name": "nobody", "password": "a wrong password"})
    assert browser.ask("POST", "/sign-in", form, **lies).status in (401, 403)
    assert "203.0.113.9" not in (served.home / "kindling.log").read_text()
