"""Connections that stop being HTTP: SPDY as old kubectl speaks it, and WebSockets that name no protocol."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlencode

import pytest
from websocket import WebSocketBadStatusException, create_connection

from simkube.apiserver.streams.spdy import Data, Reader
from simkube.host import launcher
from tests.unit.simkube.apiserver.streams.test_spdy import Client
from tests.unit.simkube.host.test_host import TOPOLOGY, Api, eventually, home

PODS = "/api/v1/namespaces/default/pods"

__all__ = ["home"]


@pytest.fixture
def api(home: Path) -> Api:
    host = launcher.connect(home)
    host.create("a", TOPOLOGY)
    made = Api(host, "a")
    pod = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "a", "image": "kindling/web:1.0"}]}}
    assert made("POST", PODS, pod)[0] == 201
    assert eventually(lambda: made("GET", f"{PODS}/web")[1]["status"].get("phase") == "Running")
    return made


def test_exec_over_spdy(api: Api) -> None:
    query = urlencode([*(("command", word) for word in ("sh", "-c", "cat; exit 3")), ("stdin", "1"), ("stdout", "1")])
    head = (
        f"POST /{api._prefix}{PODS}/web/exec?{query} HTTP/1.1\r\nHost: {api._address}\r\n"
        f"Authorization: Bearer {api._token}\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n"
        "X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n"
    )
    name, _, port = api._address.partition(":")
    raw = socket.create_connection((name, int(port)), timeout=10)
    with api._context.wrap_socket(raw, server_hostname=name) as connection:
        connection.sendall(head.encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101")
        assert b"X-Stream-Protocol-Version: v4.channel.k8s.io" in answer
        client = Client()
        for stream, kind in ((1, "error"), (3, "stdin"), (5, "stdout")):
            connection.sendall(client.open(stream, {"streamtype": kind}))
        hello = b"\0\0\0\3\1" + (5).to_bytes(3) + b"hello"
        connection.sendall(hello)
        said: dict[int, bytes] = {}
        reader = Reader()
        while data := connection.recv(4096):
            for event in reader.feed(data):
                if isinstance(event, Data):
                    said[event.stream] = said.get(event.stream, b"") + event.data
    assert said[5] == b"hello"
    assert b'"reason": "ExitCode", "message": "3"' in said[1]


@pytest.mark.parametrize("what", ["exec?command=id&stdout=1", "attach?stdout=1", "portforward?ports=8080"])
def test_no_page_of_another_origin_opens_a_stream(api: Api, what: str) -> None:
    name, _, port = api._address.partition(":")

    def opened(origin: str | None) -> int:
        with (
            socket.create_connection((name, int(port)), timeout=10) as raw,
            api._context.wrap_socket(raw, server_hostname=name) as connection,  # the library leaves refused ones open
        ):
            try:
                create_connection(
                    f"wss://{api._address}/{api._prefix}{PODS}/web/{what}",
                    timeout=10,
                    socket=connection,
                    origin=origin,
                    suppress_origin=origin is None,
                    header={"Authorization": f"Bearer {api._token}"},
                    subprotocols=["v4.channel.k8s.io"],
                ).close()
            except WebSocketBadStatusException as refused:
                return refused.status_code
        return 101

    assert opened(None) == 101, "kubectl names no origin"
    assert opened(f"https://{api._address}") == 101, "the Python client names where it goes"
    for origin in ("https://evil.example", "null", f"https://{api._address}.evil.example", "https://localhost:1"):
        assert opened(origin) == 403, origin


def test_a_forwarded_port_over_a_websocket_without_protocol(api: Api) -> None:
    url = f"wss://{api._address}/{api._prefix}{PODS}/web/portforward?ports=8080"
    with api.websocket(url) as asked:
        assert [asked.recv(), asked.recv()] == [bytes([each]) + (8080).to_bytes(2, "little") for each in (0, 1)]
        asked.send_binary(b"\0GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        answer = b""
        while b"200 OK" not in answer:
            piece = asked.recv()
            assert isinstance(piece, bytes)
            answer += piece[1:] if piece[0] == 0 else b""
    assert answer.startswith(b"HTTP/1.1 200 OK")
