"""Images that are not simulated, where the cluster allows stand-ins."""

from __future__ import annotations

import pytest

from simkube.clock.clock import spawn
from simkube.runtime.cri import HTTPRequest, ImageError
from simkube.runtime.engine import Engine
from simkube.runtime.network.network import Network
from tests.doubles.container_node import Bench

IMAGE = "quay.io/somebody/server:1.2"


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.engine = Engine(bench.clock, bench.network, "node-1", stand_ins=True)
    return bench


def test_without_permission_it_is_refused() -> None:
    with pytest.raises(ImageError, match="does not have it"):
        Engine(Bench().clock, Network(Bench().clock), "node-1").pull(IMAGE)


def test_it_says_what_it_is_and_the_node_has_it(bench: Bench) -> None:
    image = bench.engine.pull(IMAGE)
    assert image.stand_in
    assert image.id.startswith("stand-in://quay.io/somebody/server@sha256:")
    assert bench.engine.image(IMAGE) == bench.engine.image(image.id.removeprefix("stand-in://"))
    assert not bench.engine.pull("nginx").stand_in


def test_with_tag_and_digest_the_node_has_it(bench: Bench) -> None:
    full = f"{IMAGE}@sha256:{'a' * 64}"
    bench.engine.pull(full)
    present = bench.engine.image(full)
    assert present is not None
    assert present.id == f"stand-in://quay.io/somebody/server@sha256:{'a' * 64}"


def test_it_listens_where_its_pod_lets_expect_it(bench: Bench) -> None:
    ports = [(8080, "http"), (8443, "https")]
    container = bench.started(IMAGE, expected_ports=ports)
    bench.clock.advance(1)
    line = container.log.lines()[-1].text
    assert line.startswith("this is a stand-in: the image quay.io/somebody/server:1.2 is not simulated")
    assert "on 8080 (http), on 8443 (https)" in line
    ip = container.sandbox.ip
    result = bench.run(f"curl -s http://{ip}:8080/any; curl -sk https://{ip}:8443/", bench.idle("curlimages/curl"))
    assert result.out.count("this is a stand-in") == 2
    container.stop(10)
    bench.clock.advance(1)
    assert (container.state, container.exited.result()) == ("exited", 0)


def test_it_says_that_it_listens_nowhere(bench: Bench) -> None:
    container = bench.started(IMAGE)
    bench.clock.advance(1)
    assert container.log.lines()[-1].text.endswith("is not simulated; it does nothing, and listens on no port")


def test_it_ends_where_its_pod_waits_for_that(bench: Bench) -> None:
    container = bench.started(IMAGE, expected_to_end=True)
    bench.clock.advance(1)
    assert (container.state, container.exited.result()) == ("exited", 0)


def test_a_port_that_is_taken_does_not_end_it(bench: Bench) -> None:
    sandbox = bench.sandbox()
    bench.started(IMAGE, sandbox=sandbox, expected_ports=[(80, "http")])
    other = bench.started("quay.io/somebody/other", sandbox=sandbox, expected_ports=[(80, "http")])
    bench.clock.advance(1)
    assert "not on 80 (address already in use)" in other.log.lines()[-1].text
    assert other.state == "running"


@pytest.mark.parametrize(
    ("command", "words"),
    [(["/bin/server", "--flag"], "this is a stand-in"), (["sh", "-c", "echo mine; sleep 100"], "mine")],
)
def test_the_command_of_its_pod_runs_where_it_has_it(bench: Bench, command: list[str], words: str) -> None:
    container = bench.started(IMAGE, command)
    bench.clock.advance(1)
    assert words in container.log.lines()[0].text
    assert container.state == "running"


def test_a_script_that_wants_a_program_of_the_image_is_stood_in_for(bench: Bench) -> None:
    script = ["sh", "-ec", "echo first; start-server --port=80"]
    container = bench.started(IMAGE, script, expected_ports=[(80, "http")])
    bench.clock.advance(1)
    lines = [line.text for line in container.log.lines()]
    assert lines[0] == "first"
    assert "start-server" in lines[1]
    assert "it does nothing but listen on 80 (http)" in lines[2]
    assert container.state == "running"
    container.stop(5)
    bench.clock.advance(1)
    assert container.exited.result() == 0
    ended = bench.started(IMAGE, ["sh", "-c", "migrate up"], expected_to_end=True)
    bench.clock.advance(1)
    assert ended.exited.result() == 0


def test_a_script_that_fails_fails(bench: Bench) -> None:
    container = bench.started(IMAGE, ["sh", "-c", "exit 3"])
    bench.clock.advance(1)
    assert (container.state, container.exited.result()) == ("exited", 3)


def test_it_comes_back_after_a_restart_of_the_host(bench: Bench) -> None:
    container = bench.started(IMAGE, expected_ports=[(8080, "http")])
    bench.clock.advance(1)
    sandbox = container.sandbox
    again = bench.engine.sandbox(sandbox.config, ip="10.244.0.77", state=dict(sandbox.dump()))
    bench.clock.advance(1)
    assert again.containers[0].image.stand_in

    async def ask() -> int:
        return (await again.http(8080, HTTPRequest())).status

    asking = spawn(ask())
    bench.clock.advance(1)
    assert asking.result() == 200
