"""Servers: the labs' web application, its probe mode, nginx, agnhost."""

from __future__ import annotations

import json

import pytest

from simkube.clock.clock import Task, spawn
from simkube.runtime.container import SimContainer
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from tests.doubles.container_node import START, Bench


def ask(
    container: SimContainer, path: str = "/", method: str = "GET", port: int = 8080, body: bytes = b""
) -> Task[HTTPResponse]:
    return spawn(container.sandbox.http(port, HTTPRequest(method, path, {}, body)))


def text(container: SimContainer, path: str = "/", **more: object) -> tuple[int, str]:
    response = ask(container, path, **more).result()  # type: ignore[arg-type] # passed through
    return response.status, response.body.decode()


def test_the_web_application_answers_as_its_contract_says() -> None:
    web = Bench().started("kindling/web:2.0", env={"MESSAGE": "Hej"})
    assert text(web) == (200, "Hej from pod, version 2.0\n")
    assert text(web, "/healthz") == (200, "ok\n")
    assert text(web, "/readyz") == (200, "ready\n")
    assert text(web, "/nope") == (404, "not found\n")
    assert text(web, "/", method="PUT") == (405, "method not allowed\n")
    info = json.loads(text(web, "/info")[1])
    settings = {"hostname": "pod", "version": "2.0", "message": "Hej", "startup_seconds": 0.0}
    assert info == {**settings, "started": START, "requests": 6, "pid": 1}
    lines = [line.text.partition(" to ") for line in web.log.lines()]
    assert [one[0] for one in lines][:2] == ["GET / 200", "GET /healthz 200"]
    assert lines[0][2]


def test_starting_crashing_and_settings_that_are_wrong() -> None:
    bench = Bench()
    slow = bench.started("kindling/web:1.0", env={"STARTUP_SECONDS": "5"})
    assert text(slow, "/readyz") == (503, "starting\n")
    bench.clock.advance(5)
    assert text(slow, "/readyz") == (200, "ready\n")
    for env, line in (
        ({"CRASH": "no database"}, "fatal: no database"),
        ({"PORT": "x"}, "fatal: invalid literal for int() with base 10: 'x'"),
        ({"STARTUP_SECONDS": "x"}, "fatal: STARTUP_SECONDS must be a number, not 'x'"),
    ):
        broken = bench.started("kindling/web:1.0", env=env)
        assert broken.exited.result() == 1
        assert broken.log.lines()[-1].text == line


def test_it_serves_files_of_its_root() -> None:
    bench = Bench()
    web = bench.started("kindling/web:1.0", env={"WEB_ROOT": "/tmp"})
    assert text(web) == (404, "not found\n")
    bench.run("echo page > /tmp/index.html", web)
    assert text(web) == (200, "page\n")
    assert text(web, "/../etc/passwd") == (404, "not found\n")


def test_hang_work_and_exit() -> None:
    bench = Bench()
    web = bench.started("kindling/web:1.0")
    working = ask(web, "/work?ms=300")
    assert not working.done
    bench.clock.advance(0.3)
    assert working.result().body == b"worked 300 ms\n"
    assert text(web, "/hang", method="POST")[0] == 202
    hanging = ask(web, "/healthz")
    bench.clock.advance(60)
    assert not hanging.done
    web.stop(30)
    assert web.exited.result() == 0
    with pytest.raises(NetworkError, match="reset"):
        hanging.result()
    other = bench.started("kindling/web:1.0")
    assert text(other, "/exit?code=3", method="POST")[0] == 202
    bench.clock.advance(0)
    assert other.exited.result() == 3


def test_it_stays_hanging_when_the_host_was_restarted() -> None:
    bench = Bench()
    web = bench.started("kindling/web:1.0")
    text(web, "/hang", method="POST")
    later = Bench()
    sandbox = later.engine.sandbox(web.sandbox.config, ip=web.sandbox.ip, state=web.sandbox.dump())
    assert not spawn(sandbox.http(8080, HTTPRequest())).done


def test_sigterm_drains_and_finishes_what_is_in_flight() -> None:
    bench = Bench()
    web = bench.started("kindling/web:1.0", env={"DRAIN_SECONDS": "3"})
    web.stop(30)
    bench.clock.advance(2.9)
    working = ask(web, "/work?ms=500")
    bench.clock.advance(0.2)
    with pytest.raises(NetworkError, match="refused"):
        ask(web).result()
    assert web.state == "running"
    bench.clock.advance(0.5)
    assert working.result().status == 200
    assert web.exited.result() == 0


def test_a_killed_process_resets_its_connections_and_refuses_new_ones() -> None:
    bench = Bench()
    web = bench.started("kindling/web:1.0")
    working = ask(web, "/work?ms=500")
    web.signal(9)
    with pytest.raises(NetworkError) as caught:
        working.result()
    assert caught.value.kind == "reset"
    with pytest.raises(NetworkError) as caught:
        ask(web).result()
    assert caught.value.kind == "refused"


def test_two_servers_of_one_pod_cannot_have_the_same_port() -> None:
    bench = Bench()
    sandbox = bench.sandbox()
    bench.started("kindling/web:1.0", sandbox=sandbox)
    second = bench.started("kindling/web:1.0", sandbox=sandbox)
    assert second.exited.result() == 1
    assert "Address already in use" in second.log.lines()[-1].text


def started_probe(bench: Bench) -> SimContainer:
    return bench.started("kindling/web:1.0", args=["probe"], sandbox=bench.sandbox("probe"))


def post(container: SimContainer, path: str, fields: dict[str, object]) -> Task[HTTPResponse]:
    return ask(container, path, "POST", body=json.dumps(fields).encode())


def test_the_probe_keeps_traffic_flowing_and_records_every_request() -> None:
    bench = Bench()
    web, probe = bench.started("kindling/web:1.0"), started_probe(bench)
    url = f"http://{web.sandbox.ip}:8080/"
    answer = post(probe, "/traffic", {"url": url, "interval_ms": 100, "timeout_ms": 500}).result()
    assert answer.status == 201
    path = f"/traffic/{json.loads(answer.body)['id']}"
    bench.clock.advance(1)
    web.signal(9)
    bench.clock.advance(1)
    seen = json.loads(text(probe, path)[1])
    words = [record["error"] for record in seen["records"]]
    assert seen["running"]
    assert words.count("") in (10, 11)
    assert words[-5:] == ["refused"] * 5
    assert seen["records"][0] == {
        "t": START,
        "ms": 0.0,
        "status": 200,
        "error": "",
        "body": "Hello from pod, version 1.0\n",
        "digest": "cb26d31418fba341",
    }
    ended = json.loads(text(probe, path, method="DELETE")[1])
    assert not ended["running"]
    assert text(probe, path)[0] == 404


def test_the_probe_tells_apart_what_can_go_wrong() -> None:
    bench = Bench()
    web, probe = bench.started("kindling/web:1.0"), started_probe(bench)
    text(web, "/hang", method="POST")

    def error_of(url: str) -> str:
        asked = post(probe, "/request", {"url": url, "timeout_ms": 200})
        bench.clock.advance(1)
        return str(json.loads(asked.result().body)[0]["error"])

    assert error_of(f"http://{web.sandbox.ip}:8080/") == "timeout"
    assert error_of(f"http://{web.sandbox.ip}:81/") == "refused"
    assert error_of("http://10.244.0.200/") == "timeout"
    assert error_of("https://x/") == "bad url"
    assert post(probe, "/request", {"url": 1}).result().status == 400
    assert post(probe, "/traffic", {"url": "http://x/", "interval_ms": 1}).result().status == 400
    assert ask(probe, "/traffic", "POST", body=b"[" * 100_000).result().status == 400


def test_nginx_welcomes_logs_and_answers_errors() -> None:
    bench = Bench()
    nginx = bench.started("nginx:1.25")
    bench.clock.advance(1)
    status, body = text(nginx, port=80)
    assert (status, "Welcome to nginx!" in body) == (200, True)
    assert text(nginx, "/nope", port=80)[0] == 404
    bench.run("echo mine > /usr/share/nginx/html/index.html", nginx)
    assert text(nginx, port=80) == (200, "mine\n")
    assert any('"GET /nope HTTP/1.1" 404' in line.text for line in nginx.log.lines())
    nginx.stop(30)
    bench.clock.advance(0.1)
    assert nginx.exited.result() == 0


def test_agnhost_netexec_answers_and_ends_as_go_programs_do() -> None:
    bench = Bench()
    server = bench.started("registry.k8s.io/e2e-test-images/agnhost:2.39", args=["netexec"])
    assert text(server, "/hostname") == (200, "pod")
    assert text(server, "/echo?msg=hi&code=404") == (404, "hi")
    assert text(server, "/shell?cmd=ls")[0] == 501
    server.stop(30)
    assert server.exited.result() == 2
