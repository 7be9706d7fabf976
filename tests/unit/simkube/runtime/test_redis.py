"""redis: what a first lesson does with it, and what it refuses."""

from __future__ import annotations

import pytest

from simkube.runtime.programs.redis import MOST_BYTES, Database, Refused
from tests.unit.simkube.runtime.bench import Bench


def test_a_client_in_another_pod() -> None:
    bench = Bench()
    server = bench.started("redis:7", sandbox=bench.sandbox("redis"))
    bench.clock.advance(1)
    client = bench.idle("redis:7-alpine", sandbox=bench.sandbox("client"))
    ip = server.sandbox.ip
    for command, out in (
        ("PING", "PONG\n"),
        ("SET greeting hello EX 10", "OK\n"),
        ("GET greeting", "hello\n"),
        ("INCR visits", "1\n"),
        ("INCR visits", "2\n"),
        ("RPUSH list a b c", "3\n"),
        ("LRANGE list 0 -1", "a\nb\nc\n"),
        ("LLEN greeting", "WRONGTYPE Operation against a key holding the wrong kind of value\n"),
        ("EVAL x", "ERR unknown command 'eval', with args beginning with: 'x' \n"),
        ("GET", "ERR wrong number of arguments for 'get' command\n"),
        ("KEYS v*", "visits\n"),
    ):
        assert bench.run(f"redis-cli -h {ip} {command}", client).out == out
    bench.clock.advance(10)
    assert bench.run(f"redis-cli -h {ip} GET greeting", client).out == "\n"
    assert bench.run(f"printf 'GET visits\\r\\nQUIT\\r\\n' | nc {ip} 6379", client).out == "$1\r\n2\r\n+OK\r\n"
    assert "Could not connect to Redis at 127.0.0.1:6379: Connection refused" in bench.run("redis-cli PING", client).err


def test_data_is_saved_at_an_orderly_end() -> None:
    bench = Bench()
    server = bench.started("redis:7")
    bench.clock.advance(1)
    assert bench.run("redis-cli SET a b", server).out == "OK\n"
    server.stop(5)
    bench.clock.advance(1)
    saved = server.files.read("/data/dump.rdb")
    base = Database(bench.clock.now)
    assert base.load(saved)
    assert base.run([b"GET", b"a"]) == b"b"
    assert not base.load(b"something else")


def test_a_password() -> None:
    bench = Bench()
    server = bench.started("redis:7", args=["redis-server", "--requirepass", "secret"])
    bench.clock.advance(1)
    assert bench.run("redis-cli GET a", server).out == "NOAUTH Authentication required.\n"
    assert bench.run("redis-cli -a secret SET a b", server).out == "OK\n"


def test_memory_is_bounded() -> None:
    base = Database(lambda: 0.0)
    base.run([b"SET", b"a", b"x" * (MOST_BYTES - 1)])
    with pytest.raises(Refused, match="OOM"):
        base.run([b"SET", b"b", b"x"])
    base.run([b"DEL", b"a"])
    assert base.size == 0


@pytest.mark.parametrize("sent", ["*9999999\\r\\n", "*1\\r\\n$99999999\\r\\n", "*1\\r\\nhello\\r\\n"])
def test_what_is_not_its_protocol_is_refused(sent: str) -> None:
    bench = Bench()
    server = bench.started("redis:7")
    bench.clock.advance(1)
    assert bench.run(f"printf '{sent}' | nc {server.sandbox.ip} 6379", bench.idle()).out.startswith(
        "-ERR Protocol error"
    )
