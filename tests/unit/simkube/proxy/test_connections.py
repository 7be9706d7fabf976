"""Bytes over the pod network: what ``nc`` sees of servers, what servers of bytes see of HTTP clients."""

from __future__ import annotations

import pytest

from simkube.clock.clock import spawn
from simkube.runtime.cri import HTTPRequest, NetworkError
from simkube.runtime.network.network import MAX_SOCKETS
from simkube.runtime.network.sockets import BUFFER, Socket, pair
from tests.doubles.container_node import Bench


def test_an_echo_server_serves_several_at_once() -> None:
    bench = Bench()
    server = bench.started(command=["sh", "-c", "nc -lk -p 9000 -e cat"])
    bench.clock.advance(1)
    ip = server.sandbox.ip
    result = bench.run(f"(sleep 1; echo slow) | nc {ip} 9000 & echo fast | nc {ip} 9000; wait")
    assert (result.code, result.out) == (0, "fast\nslow\n")


def test_two_ncs_talk_both_ways_and_the_listener_ends() -> None:
    bench = Bench()
    server = bench.idle(sandbox=bench.sandbox("server"))
    listening = spawn_run(bench, server, "echo from server | nc -l -p 7000; echo ended $?")
    result = bench.run(f"echo from client | nc {server.sandbox.ip} 7000", bench.idle())
    assert result.out == "from server\n"
    bench.clock.advance(1)
    assert b"".join(listening) == b"from client\nended 0\n"
    again = bench.run(f"nc -z {server.sandbox.ip} 7000", bench.idle())
    assert (again.code, again.err) == (1, f"nc: {server.sandbox.ip} ({server.sandbox.ip}:7000): Connection refused\n")


def spawn_run(bench: Bench, container: object, script: str) -> list[bytes]:
    parts: list[bytes] = []
    container.exec(["sh", "-c", script], lambda _, data: parts.append(data))  # type: ignore[attr-defined]
    bench.clock.advance(0.1)
    return parts


def test_http_as_bytes_keeps_the_connection_alive() -> None:
    bench = Bench()
    web = bench.started("nginx:1.27")
    bench.clock.advance(1)
    one = "HEAD / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"
    last = "GET /nothing HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n"
    result = bench.run(f"printf '{one}{one}{last}' | nc {web.sandbox.ip} 80", bench.idle())
    lines = [line for line in result.out.split("\r\n") if line.startswith("HTTP/")]
    assert lines == ["HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found"]
    assert result.out.count("Welcome to nginx") == 0


def test_what_is_no_http_gets_a_bad_request() -> None:
    bench = Bench()
    web = bench.started("nginx:1.27")
    bench.clock.advance(1)
    result = bench.run(f"echo hello | nc {web.sandbox.ip} 80", bench.idle())
    assert result.out.startswith("HTTP/1.1 400 Bad Request\r\n")


def test_a_killed_server_ends_its_connections() -> None:
    bench = Bench()
    server = bench.started(command=["sh", "-c", "nc -lk -p 9000 -e cat"])
    bench.clock.advance(1)
    connecting = spawn(bench.network.connect("10.0.0.9", server.sandbox.ip, 9000))
    socket = result_of(spawn(connecting.result().stream()))
    assert isinstance(socket, Socket)
    reading = spawn(socket.read())
    server.signal(9)
    assert reading.result() == b""
    with pytest.raises(NetworkError, match="refused"):
        result_of(spawn(bench.network.connect("10.0.0.9", server.sandbox.ip, 9000)))


def result_of(task: object) -> object:
    return task.result()  # type: ignore[attr-defined]


def test_loopback_listeners_are_reached_from_inside_only() -> None:
    bench = Bench()
    server = bench.idle()
    ports = server.sandbox.ports

    async def accept(socket: Socket) -> None:
        await socket.write(b"here")

    ports.listen(server.processes[1], 8000, accept=accept, address="127.0.0.1")
    assert result_of(spawn(bench.network.local(server.sandbox.ip, 8000))) is not None
    assert result_of(spawn(bench.network.connect(server.sandbox.ip, "localhost", 8000))) is not None
    for source in ("10.0.0.9", server.sandbox.ip):
        with pytest.raises(NetworkError, match="refused"):
            result_of(spawn(bench.network.connect(source, server.sandbox.ip, 8000)))


def test_connections_of_bytes_are_bounded() -> None:
    bench = Bench()
    server = bench.idle()

    async def accept(socket: Socket) -> None:
        await socket.read()

    server.sandbox.ports.listen(server.processes[1], 8000, accept=accept)
    bench.network.sockets = MAX_SOCKETS - 1
    first = spawn(bench.network.connect("10.0.0.9", server.sandbox.ip, 8000)).result()
    waiting = spawn(bench.network.connect("10.0.0.9", server.sandbox.ip, 8000))
    bench.clock.advance(300)
    assert not waiting.done
    first.close()
    assert bench.network.sockets == MAX_SOCKETS - 1


def test_a_connection_that_finds_no_answer_is_tried_again() -> None:
    bench = Bench()
    server = bench.started("nginx:1.27")
    bench.clock.advance(1)
    bench.engine.node.reachable = False
    asked = spawn(bench.network.request("10.0.0.9", server.sandbox.ip, 80, HTTPRequest()))
    bench.clock.advance(4)
    bench.engine.node.reachable = True
    assert not asked.done
    bench.clock.advance(4)
    assert asked.result().status == 200


def test_writes_wait_for_room_and_resets_break_both_directions() -> None:
    client, server = pair("10.0.0.1:40000", "10.0.0.2:80")
    writing = spawn(client.write(b"x" * (BUFFER + 1)))
    assert not writing.done
    assert len(spawn(server.read(BUFFER)).result()) == BUFFER
    assert writing.done
    server.abandon()  # a byte waits unread: the kernel resets
    for work in (client.read(), client.write(b"y")):
        with pytest.raises(NetworkError, match="reset"):
            spawn(work).result()


def test_agnhost_says_why_there_is_no_connection() -> None:
    bench = Bench()
    server = bench.started("nginx:1.27")
    client = bench.started("registry.k8s.io/e2e-test-images/agnhost:2.53")
    bench.clock.advance(1)
    ip = server.sandbox.ip
    assert bench.exec(["/agnhost", "connect", f"{ip}:80", "--timeout=1s"], client).code == 0
    for target, words in ((f"{ip}:81", "REFUSED\n"), ("10.9.9.9:80", "TIMEOUT\n")):
        result = bench.exec(["/agnhost", "connect", target, "--timeout=1s"], client)
        assert (result.code, result.err) == (1, words)


def test_curl_is_told_an_address() -> None:
    bench = Bench()
    server = bench.started("nginx:1.27")
    client = bench.idle("curlimages/curl:latest")
    bench.clock.advance(1)
    asked = (
        f"curl -s -o /dev/null -w '%{{http_code}}' --resolve a.example.org:80:{server.sandbox.ip} http://a.example.org/"
    )
    assert bench.run(asked, client).out == "200"
