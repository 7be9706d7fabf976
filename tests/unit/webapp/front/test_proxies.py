"""Whose word is believed on who asks: a trusted proxy's, and only about what it saw itself."""

from __future__ import annotations

import ipaddress

import pytest

from webapp.front.proxies import Trusted, forwarded

PROXIES = Trusted((ipaddress.ip_network("127.0.0.1"), ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1")))


def asked(peer: str, *headers: tuple[str, str]) -> tuple[str, str]:
    """The client's address and the scheme."""
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    client, scheme = forwarded({"client": (peer, 1), "scheme": "http", "headers": encoded}, PROXIES)
    return client[0], scheme


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9", "203.0.113.9"),  # the client wrote the first
        ("6.6.6.6, 203.0.113.9, 10.1.2.3", "203.0.113.9"),  # two proxies of ours
        ("10.9.9.9, 10.1.2.3", "10.9.9.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("unknown", "127.0.0.1"),
        ("<script>, 10.1.2.3", "10.1.2.3"),
        ("", "127.0.0.1"),
    ],
)
def test_a_trusted_proxy_says_who_asks(said: str, client: str) -> None:
    assert asked("127.0.0.1", ("x-forwarded-for", said))[0] == client


def test_the_header_may_come_in_pieces() -> None:
    pieces = (("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "203.0.113.9"))
    assert asked("10.0.0.1", *pieces)[0] == "203.0.113.9"


@pytest.mark.parametrize("peer", ["203.0.113.9", "2001:db8::1", "", "11.0.0.1"])
def test_nobody_else_is_believed(peer: str) -> None:
    said = (("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "https"))
    assert asked(peer, *said) == (peer, "http")


def test_the_scheme_is_what_the_proxy_was_asked_by() -> None:
    assert asked("::ffff:127.0.0.1", ("x-forwarded-proto", "https"))[1] == "https"
    assert asked("::1", ("x-forwarded-proto", "HTTPS"))[1] == "https"
    assert asked("::1", ("x-forwarded-proto", "gopher"))[1] == "http"
    assert "127.0.0.1" not in Trusted(())
