"""redis: what its introduction does with it, and what it refuses."""

from __future__ import annotations

import pytest

from simkube.runtime.container import SimContainer
from simkube.runtime.cri import Mount
from simkube.runtime.programs.redis.cli import formatted
from simkube.runtime.programs.redis.commands import run
from simkube.runtime.programs.redis.database import MOST_BYTES, Database, dump_all, load_all
from simkube.runtime.programs.redis.values import Refused
from tests.doubles.container_node import Bench


def served(**more: object) -> tuple[Bench, SimContainer]:
    """A running server."""
    bench = Bench()
    server = bench.started("redis:7", **more)
    bench.clock.advance(1)
    return bench, server


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
        ("EVAL x", "ERR unknown command 'EVAL', with args beginning with: 'x' \n"),
        ("GET", "ERR wrong number of arguments for 'get' command\n"),
        ("KEYS v*", "visits\n"),
    ):
        assert bench.run(f"redis-cli -h {ip} {command}", client).out == out
    bench.clock.advance(10)
    assert bench.run(f"redis-cli -h {ip} GET greeting", client).out == "\n"
    assert bench.run(f"printf 'GET visits\\r\\nQUIT\\r\\n' | nc {ip} 6379", client).out == "$1\r\n2\r\n+OK\r\n"
    assert "Could not connect to Redis at 127.0.0.1:6379: Connection refused" in bench.run("redis-cli PING", client).err


INTRODUCTION = [
    # strings
    ("SET bike:1 Deimos NX", "OK"),
    ("SET bike:1 other NX", None),
    ("SET bike:1 bike XX", "OK"),
    ("GETSET bike:1 new", b"bike"),
    ("MSET a 1 b 2", "OK"),
    ("MGET a b none", [b"1", b"2", None]),
    ("INCRBY a 10", 11),
    ("INCRBYFLOAT b 0.5", b"2.5"),
    ("APPEND a x", 3),
    ("INCR a", "ERR value is not an integer or out of range"),
    ("STRLEN a", 3),
    ("GETRANGE a 0 1", b"11"),
    ("SETRANGE a 1 --", 3),
    ("GETDEL a", b"1--"),
    ("SETNX a 1", 1),
    ("SETEX s 10 v", "OK"),
    ("TTL s", 10),
    ("PTTL s", 10000),
    ("PERSIST s", 1),
    ("TTL s", -1),
    ("TTL none", -2),
    ("EXPIRE s 100 NX", 1),
    ("EXPIRE s 5 GT", 0),
    ("SET s 1 EX 0", "ERR invalid expire time in 'set' command"),
    # keys
    ("EXISTS a b none", 2),
    ("TYPE a", "string"),
    ("TYPE none", "none"),
    ("RENAME a c", "OK"),
    ("GET c", b"1"),
    ("RENAME none x", "ERR no such key"),
    ("COPY c d", 1),
    ("UNLINK d", 1),
    ("OBJECT ENCODING c", b"int"),
    ("DEL c none", 1),
    # lists
    ("LPUSH l 1", 1),
    ("RPUSH l 2 3", 3),
    ("LPUSH l 0 -1", 5),
    ("LRANGE l 0 -1", [b"-1", b"0", b"1", b"2", b"3"]),
    ("LPOP l", b"-1"),
    ("RPOP l 2", [b"3", b"2"]),
    ("LINDEX l -1", b"1"),
    ("LSET l 0 zero", "OK"),
    ("LINSERT l AFTER zero x", 3),
    ("LREM l 0 x", 1),
    ("LMOVE l m LEFT RIGHT", b"zero"),
    ("LTRIM l 1 -1", "OK"),
    ("EXISTS l", 0),
    ("LLEN m", 1),
    ("RPUSHX none x", 0),
    ("LPOS m zero", 0),
    # sets
    ("SADD s1 a b c", 3),
    ("SADD s1 a", 0),
    ("SISMEMBER s1 a", 1),
    ("SMISMEMBER s1 a z", [1, 0]),
    ("SCARD s1", 3),
    ("SADD s2 c d", 2),
    ("SINTER s1 s2", [b"c"]),
    ("SUNION s1 s2", [b"a", b"b", b"c", b"d"]),
    ("SDIFF s1 s2", [b"a", b"b"]),
    ("SREM s1 a z", 1),
    ("SMOVE s1 s2 b", 1),
    ("SMEMBERS s2", [b"b", b"c", b"d"]),
    ("SINTERSTORE s3 s1 s2", 1),
    # hashes
    ("HSET h model Deimos brand Ergonom", 2),
    ("HGET h model", b"Deimos"),
    ("HMGET h model none", [b"Deimos", None]),
    ("HGETALL h", [b"model", b"Deimos", b"brand", b"Ergonom"]),
    ("HINCRBY h price 100", 100),
    ("HINCRBYFLOAT h price 0.5", b"100.5"),
    ("HEXISTS h price", 1),
    ("HDEL h price", 1),
    ("HLEN h", 2),
    ("HKEYS h", [b"model", b"brand"]),
    ("HSETNX h model x", 0),
    ("GET h", "WRONGTYPE Operation against a key holding the wrong kind of value"),
    # sorted sets
    ("ZADD z 10 Norem 12 Castilla 8 Sam", 3),
    ("ZRANGE z 0 -1", [b"Sam", b"Norem", b"Castilla"]),
    ("ZREVRANGE z 0 0 WITHSCORES", [b"Castilla", b"12"]),
    ("ZRANGEBYSCORE z -inf (12", [b"Sam", b"Norem"]),
    ("ZRANK z Norem", 1),
    ("ZREVRANK z Norem", 1),
    ("ZSCORE z Sam", b"8"),
    ("ZINCRBY z 2.5 Sam", b"10.5"),
    ("ZCARD z", 3),
    ("ZCOUNT z 10 11", 2),
    ("ZADD z XX CH 1 Sam", 1),
    ("ZADD z GT 0 Sam", 0),
    ("ZRANGE z 5 20 BYSCORE LIMIT 1 1", [b"Castilla"]),
    ("ZPOPMIN z", [b"Sam", b"1"]),
    ("ZREMRANGEBYSCORE z 0 10", 1),
    ("ZREM z Castilla", 1),
    ("EXISTS z", 0),
    ("TYPE h", "hash"),
]


def test_the_commands_of_the_introduction() -> None:
    base = Database(lambda: 1000.0)
    for line, expected in INTRODUCTION:
        try:
            reply = run(base, line.encode().split())
        except Refused as error:
            reply = str(error)
        assert reply == expected, line


def test_a_conversation_with_the_server_itself() -> None:
    bench, server = served()
    script = (
        "MULTI\nSET a 1\nINCR a\nEXEC\nMULTI\nNOSUCH\nEXEC\nSELECT 1\nDBSIZE\nSET b 2\nSELECT 0\nDBSIZE\nSELECT 16\n"
        "CONFIG GET maxmemory\nCONFIG SET maxmemory-policy allkeys-lru\nCONFIG GET *policy\nCONFIG SET nosuch 1\n"
        "CLIENT SETNAME me\nCLIENT GETNAME\nECHO hi\nFLUSHALL\nDBSIZE\nEXEC\n"
    )
    out = bench.exec(["redis-cli"], server, stdin=script.encode()).out.splitlines()
    assert out == [
        "OK", "QUEUED", "QUEUED", "OK", "2",
        "OK", "ERR unknown command 'NOSUCH', with args beginning with:  ",
        "EXECABORT Transaction discarded because of previous errors.",
        "OK", "0", "OK", "OK", "1", "ERR DB index is out of range",
        "maxmemory", "0", "OK", "maxmemory-policy", "allkeys-lru",
        "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'",
        "OK", "me", "hi", "OK", "0", "ERR EXEC without MULTI",
    ]  # fmt: skip
    info = bench.run("redis-cli INFO memory; redis-cli INFO keyspace", server).out
    assert "used_memory_human:" in info
    assert "maxmemory_policy:allkeys-lru" in info


def test_channels_and_waiting_for_a_list() -> None:
    bench, server = served()
    script = "redis-cli SUBSCRIBE news > /tmp/heard & sleep 1; redis-cli PUBLISH news hello; sleep 1; cat /tmp/heard"
    assert bench.run(script, server).out == "1\nsubscribe\nnews\n1\nmessage\nnews\nhello\n"
    script = "redis-cli BLPOP jobs 10 & sleep 2; redis-cli RPUSH jobs one; wait; redis-cli BLPOP jobs 1; date +%s"
    assert bench.run(script, server).out.splitlines()[:4] in (["jobs", "one", "1", ""], ["1", "jobs", "one", ""])


def test_settings_come_from_a_file_and_from_options() -> None:
    bench = Bench()
    volume = bench.engine.volume()
    volume.write("redis.conf", b"# of a ConfigMap\nmaxmemory 2mb\nmaxmemory-policy allkeys-lru\n\n")
    mounts = [Mount(volume, "/redis-master")]
    server = bench.started("redis:7", ["redis-server", "/redis-master/redis.conf", "--port", "7000"], mounts=mounts)
    bench.clock.advance(1)
    asked = "redis-cli -p 7000 CONFIG GET maxmemory; redis-cli -p 7000 CONFIG GET maxmemory-policy"
    assert bench.run(asked, server).out == "maxmemory\n2097152\nmaxmemory-policy\nallkeys-lru\n"
    volume.write("redis.conf", b"maxmemory 2mb\nnosuch yes\n")
    broken = bench.started("redis:7", ["redis-server", "/redis-master/redis.conf"], mounts=mounts)
    bench.clock.advance(1)
    assert broken.exited.result() == 1
    lines = [line.text for line in broken.log.lines()]
    assert lines[-3:] == [
        "Reading the configuration file, at line 2",
        ">>> 'nosuch yes'",
        "Bad directive or wrong number of arguments",
    ]


def test_data_outlives_the_container_where_a_volume_is_mounted() -> None:
    bench = Bench()
    mounts = [Mount(bench.engine.volume(), "/data")]
    server = bench.started("redis:7", mounts=mounts)
    bench.clock.advance(1)
    assert bench.run("redis-cli SET a b; redis-cli HSET h f v; redis-cli ZADD z 1 m", server).out == "OK\n1\n1\n"
    server.stop(5)
    bench.clock.advance(1)
    again = bench.started("redis:7", mounts=mounts)
    bench.clock.advance(1)
    assert (
        bench.run("redis-cli GET a; redis-cli HGETALL h; redis-cli ZRANGE z 0 -1 WITHSCORES", again).out
        == "b\nf\nv\nm\n1\n"
    )


def test_a_kill_loses_what_was_not_saved_and_an_append_only_file_keeps_it() -> None:
    for options, left in (([], "\n"), (["--appendonly", "yes"], "b\n")):
        bench = Bench()
        mounts = [Mount(bench.engine.volume(), "/data")]
        server = bench.started("redis:7", args=["redis-server", *options], mounts=mounts)
        bench.clock.advance(1)
        bench.run("redis-cli SET a b; sleep 2", server)
        server.signal(9)
        bench.clock.advance(1)
        again = bench.started("redis:7", args=["redis-server", *options], mounts=mounts)
        bench.clock.advance(1)
        assert bench.run("redis-cli GET a", again).out == left


def test_the_entrypoint_gives_options_and_files_to_the_server() -> None:
    bench, server = served(args=["--requirepass", "secret"])
    assert server.processes[1].argv[:2] == ["redis-server", "--requirepass"]
    assert bench.run("redis-cli GET a", server).out == "NOAUTH Authentication required.\n"
    told = bench.run("redis-cli -a secret SET a b", server)
    assert told.out == "OK\n"
    assert told.err.startswith("Warning: Using a password with '-a'")
    assert bench.run("redis-cli -a wrong --no-auth-warning GET a", server).err == (
        "AUTH failed: WRONGPASS invalid username-password pair or user is disabled.\n"
    )
    assert bench.run("redis-cli -u redis://:secret@localhost:6379/0 GET a 2>/dev/null", server).out == "b\n"
    assert bench.run("REDISCLI_AUTH=secret redis-cli GET a", server).out == "b\n"
    version = bench.started("redis:7.4.2", args=["--version"])
    bench.clock.advance(1)
    assert next(line.text for line in version.log.lines()).startswith("Redis server v=7.4.2 ")


def test_memory_is_bounded() -> None:
    base = Database(lambda: 0.0)
    run(base, [b"SET", b"a", b"x" * (MOST_BYTES - 1)])
    with pytest.raises(Refused, match="OOM"):
        run(base, [b"SET", b"b", b"x"])
    run(base, [b"DEL", b"a"])
    assert base.size == 0
    base.limit, base.policy = 100, "allkeys-lru"
    for number in range(50):
        run(base, [b"SET", str(number).encode(), b"0123456789"])
    assert base.size <= 100
    assert b"49" in base.values
    assert not load_all(b"something else", lambda _: base)
    assert load_all(dump_all({0: base}), lambda _: Database(lambda: 0.0))


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (7, "(integer) 7"),
        (None, "(nil)"),
        (b'say "hi"\n', '"say \\"hi\\"\\n"'),
        ([], "(empty array)"),
        ([b"a", [1, b"b"]], '1) "a"\n2) 1) (integer) 1\n   2) "b"'),
        (Refused("ERR no"), "(error) ERR no"),
    ],
)
def test_how_a_terminal_shows_replies(reply: object, shown: str) -> None:
    assert formatted(reply) == shown


@pytest.mark.parametrize("sent", ["*9999999\\r\\n", "*1\\r\\n$99999999\\r\\n", "*1\\r\\nhello\\r\\n"])
def test_what_is_not_its_protocol_is_refused(sent: str) -> None:
    bench, server = served()
    answer = bench.run(f"printf '{sent}' | nc {server.sandbox.ip} 6379", bench.idle())
    assert answer.out.startswith("-ERR Protocol error")
