"""Settings: from the environment, each wrong one refused by its name."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from labs.errors import SettingsError
from labs.settings import find_kubectl, load

NO_ADDRESSES = [
    "kindling.school.example",
    "http://kindling.school.example",
    "https://",
    "https://kindling.school.example/path",
    "https://user@kindling.school.example",
    "https://name:port",
    "https://[::1",
    "https://name?a=1",
    "javascript:alert(1)",
]


def test_defaults(tmp_path: Path) -> None:
    found = load({"KINDLING_HOME": str(tmp_path)})
    assert found.database_url == f"sqlite:///{tmp_path}/kindling.db"
    assert (found.host, found.port, found.provider, found.session_hours) == ("127.0.0.1", 8000, "simulated", 4)
    assert found.topologies.name == "kind-configs"
    assert found.courses[0].name == "content"
    assert found.catalogs[0].name == "catalog"


def test_further_catalogs(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    found = load({"KINDLING_HOME": str(tmp_path), "KINDLING_CATALOGS": f"{tmp_path / 'a'}:{tmp_path / 'b'}"})
    assert [path.name for path in found.catalogs] == ["catalog", "a", "b"]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("KINDLING_PORT", "http", "expected a whole number from 0 to 65535"),
        ("KINDLING_WORKERS", "0", "expected a whole number from 1 to 64"),
        ("KINDLING_TRUSTED_PROXIES", "127.0.0.1, nginx", "expected addresses or networks"),
        ("KINDLING_TRUSTED_PROXIES", "10.0.0.1/8", "has host bits set"),
        ("KINDLING_PORT", "70000", "expected a whole number from 0 to 65535"),
        ("KINDLING_SESSION_HOURS", "nan", "expected a number from 0.1 to 720"),
        ("KINDLING_CATALOGS", "/nowhere/at/all", "expected a folder that exists"),
        ("KINDLING_TOPOLOGIES", "/nowhere/at/all", "expected a folder that exists"),
        *[("KINDLING_PUBLIC_URL", value, "expected https://NAME") for value in NO_ADDRESSES],
        ("KINDLING_PROVIDER", "cloud", "expected one of simulated, kind"),
    ],
)
def test_wrong_values_are_named(tmp_path: Path, variable: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        load({"KINDLING_HOME": str(tmp_path), variable: value})
    assert variable in str(refused.value)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("", ""),
        ("https://Kindling.School.example/", "https://kindling.school.example"),
        ("https://name:8443", "https://name:8443"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_public_addresses(tmp_path: Path, value: str, wanted: str) -> None:
    assert load({"KINDLING_HOME": str(tmp_path), "KINDLING_PUBLIC_URL": value}).public_url == wanted


def test_secrets_are_not_printed(tmp_path: Path) -> None:
    secrets = {
        "KINDLING_SECRET_KEY": "hush",
        "KINDLING_DATABASE_URL": "postgresql+psycopg://kindling:hush@db.example/kindling",
    }
    assert "hush" not in repr(load({"KINDLING_HOME": str(tmp_path), **secrets}))


def test_kubectl_of_the_system_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert find_kubectl(lambda _: "/usr/bin/kubectl") == "/usr/bin/kubectl"
    (tmp_path / "kubectl").touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert find_kubectl(lambda _: None) == str(tmp_path / "kubectl")
    (tmp_path / "kubectl").unlink()
    assert find_kubectl(lambda _: None) == "kubectl"


def test_graders_are_as_many_as_the_processors_carry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    home = {"KINDLING_HOME": str(tmp_path)}
    assert load(home).graders == 24
    assert load({**home, "KINDLING_GRADERS": "1"}).graders == 1
    with pytest.raises(SettingsError, match="KINDLING_GRADERS is '0': expected a whole number from 1"):
        load({**home, "KINDLING_GRADERS": "0"})


def test_behind_a_proxy(tmp_path: Path) -> None:
    given = {"KINDLING_PUBLIC_URL": "https://kindling.example/", "KINDLING_TRUSTED_PROXIES": "127.0.0.1, fd00::/8"}
    found = load({"KINDLING_HOME": str(tmp_path), **given})
    assert found.public_url == "https://kindling.example"
    assert [str(network) for network in found.trusted_proxies] == ["127.0.0.1/32", "fd00::/8"]
    assert load({"KINDLING_HOME": str(tmp_path)}).trusted_proxies == ()
