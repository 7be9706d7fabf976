"""The host as somebody sees it who has no business there: TLS, credentials, pages of other sites, files."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import stat
from pathlib import Path

import pytest

from simkube.host import certificates, launcher
from tests.unit.simkube.host.serving import serving
from tests.unit.simkube.host.test_host import TOPOLOGY, Api, home

__all__ = ["home"]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, certificates.Certificates]:
    folder = tmp_path_factory.mktemp("host") / "certificates"
    return folder, certificates.load(folder)


def test_only_current_tls(loaded: tuple[Path, certificates.Certificates]) -> None:
    context = loaded[1].context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.maximum_version in (ssl.TLSVersion.MAXIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_3)
    assert not context.options & ssl.OP_NO_TLSv1_3


def test_only_ciphers_with_forward_secrecy_and_authentication(loaded: tuple[Path, certificates.Certificates]) -> None:
    for cipher in loaded[1].context.get_ciphers():
        assert cipher["aead"], cipher["name"]
        assert cipher["protocol"] == "TLSv1.3" or cipher["name"].startswith(("ECDHE-", "DHE-")), cipher["name"]


def test_keys_are_their_owners(loaded: tuple[Path, certificates.Certificates]) -> None:
    folder, _ = loaded
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert files == dict.fromkeys(("ca.crt", "ca.key", "tls.crt", "tls.key"), 0o600)


def test_what_a_running_host_keeps_is_its_owners(home: Path) -> None:
    host = launcher.connect(home)
    host.create("a", TOPOLOGY)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "host.json").stat().st_mode) == 0o600
    api = Api(host, "a")
    assert json.loads((home / "host.json").read_text())["token"] not in (home / "host.log").read_text()
    assert api._token not in (home / "host.log").read_text()
    plain = http.client.HTTPConnection(*api._address.split(":"), timeout=10)  # type: ignore[arg-type]
    plain.request("GET", "/version")
    with pytest.raises(OSError, match=r"."):  # HTTPS is all that is spoken there
        plain.getresponse()
    plain.close()


@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer x", "Basic eDp4", "Bearer \N{SNOWMAN}"])
def test_nothing_is_told_without_a_credential(given: str) -> None:
    asyncio.run(_told_nothing(given))


async def _told_nothing(given: str) -> None:
    async with serving() as host:
        host.create("a")
        headers = {"Authorization": given} if given else {}
        for path in ("/", "/clusters/none/api", "/host/clusters", "/metrics", "/.git/config", "/simkube/clock"):
            async with host.client.get(f"{host.url}{path}", headers=headers) as answer:
                assert answer.status in (401, 403, 404), path
        for path in ("/api/v1/secrets", "/simkube/clock", "/simkube/trace", "/metrics", "/api/v1/nodes"):
            async with host.client.get(f"{host.url}/clusters/a{path}", headers=headers) as answer:
                assert answer.status in (401, 403), path
                assert "access-control-allow-origin" not in {name.lower() for name in answer.headers}


def test_a_token_opens_its_own_cluster_only() -> None:
    asyncio.run(_one_token_two_clusters())


async def _one_token_two_clusters() -> None:
    async with serving() as host:
        host.create("a")
        host.create("b")
        mine = host.tenants.get("a").meta["tokens"]["admin"]
        for path in ("/api/v1/secrets", "/simkube/clock", "/api/v1/namespaces/default/pods/web/exec"):
            async with host.ask("b", "GET", path, token=mine) as answer:
                assert answer.status in (401, 403), path
        async with host.ask("a", "GET", "/api/v1/secrets", token=mine) as answer:
            assert answer.status == 200
