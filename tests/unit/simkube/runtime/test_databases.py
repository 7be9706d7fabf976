"""Databases and their clients, in pods of their own and over the pod network."""

from __future__ import annotations

import time

import pytest

from simkube.runtime.container import SimContainer
from simkube.runtime.cri import Mount
from tests.doubles.container_node import Bench

PASSWORD = {"MYSQL_ROOT_PASSWORD": "pw"}
MYSQL = "mysql -ppw"


def log(container: SimContainer) -> str:
    return "\n".join(line.text for line in container.log.lines())


def server(bench: Bench, image: str, **more: object) -> SimContainer:
    container = bench.started(image, **more)  # type: ignore[arg-type]
    bench.clock.advance(2)
    return container


@pytest.mark.parametrize(
    ("image", "env", "words"),
    [
        ("mysql:8.0", {}, "You need to specify one of the following as an environment variable"),
        ("mysql:5.7", {"MYSQL_PASSWORD": "x"}, "- MYSQL_RANDOM_ROOT_PASSWORD"),
        ("mariadb:11", {}, "- MARIADB_ROOT_PASSWORD"),
        ("postgres:16", {}, "You must specify POSTGRES_PASSWORD to a non-empty value"),
        ("mongo:7", {"MONGO_INITDB_ROOT_USERNAME": "root"}, "both must be specified for a user to be created"),
    ],
)
def test_a_server_ends_without_the_variables_that_its_image_wants(image: str, env: dict[str, str], words: str) -> None:
    container = server(Bench(), image, env=env)
    assert (container.state, container.exited.result()) == ("exited", 1)
    assert words in log(container)


@pytest.mark.parametrize(
    ("image", "env"),
    [
        ("mysql:8.0", {"MYSQL_ALLOW_EMPTY_PASSWORD": "yes"}),
        ("mariadb:10.6", {"MARIADB_RANDOM_ROOT_PASSWORD": "1"}),
        ("mariadb:10.6", PASSWORD),
        ("postgres:16-alpine", {"POSTGRES_HOST_AUTH_METHOD": "trust"}),
        ("mongo:4.4", {}),
        ("memcached:alpine", {}),
    ],
)
def test_a_server_comes_up_with_them(image: str, env: dict[str, str]) -> None:
    container = server(Bench(), image, env=env)
    assert container.state == "running"
    container.stop(10)
    container.clock.advance(1)
    assert container.exited.result() == 0


class TestMySQL:
    """One server, asked from another pod."""

    @pytest.fixture
    def bench(self) -> Bench:
        return Bench()

    def ask(self, bench: Bench, statements: str, *options: str) -> tuple[int | None, str, str]:
        if not hasattr(self, "server"):
            self.server = server(bench, "mysql:8.0.36", env={**PASSWORD, "MYSQL_DATABASE": "app"})
            self.client = bench.idle("mysql:8.0")
        words = ["mysql", "-h", self.server.sandbox.ip, "-ppw", *options, "-e", statements]
        result = bench.exec(words, self.client)
        return (
            result.code,
            result.out,
            result.err.replace(
                "mysql: [Warning] Using a password on the command line interface can be insecure.\n", ""
            ),
        )

    @pytest.mark.parametrize(
        ("statements", "out"),
        [
            ("select 1", "1\n1\n"),
            ("select version()", "version()\n8.0.36\n"),
            ("select @@hostname", "@@hostname\npod\n"),
            ("show databases", "Database\napp\ninformation_schema\nmysql\nperformance_schema\nsys\n"),
            ("create database shop; use shop; create table t (id int); show tables", "Tables_in_shop\nt\n"),
            ("CREATE DATABASE test; CREATE TABLE test.messages (message VARCHAR(250)); INSERT INTO test.messages VALUES"
             " ('hello;'); SELECT * FROM test.messages", "message\nhello;\n"),
            ("use app; create table t (id int not null auto_increment, n varchar(9), primary key (id)) engine=InnoDB; "
             "insert into t (n) values ('a'), (null); select * from t", "id\tn\n1\ta\n2\tNULL\n"),
            ("show variables like 'max_conn%'", "Variable_name\tValue\nmax_connections\t151\n"),
            ("create user 'anna'@'%' identified by 'x'; grant all on app.* to 'anna'@'%'; flush privileges; "
             "select user, host from mysql.user", "user\thost\nroot\t%\nanna\t%\n"),
            ("select count(*) from app.nothing_here where 1 = 2", ""),
        ],
    )  # fmt: skip
    def test_statements(self, bench: Bench, statements: str, out: str) -> None:
        code, shown, err = self.ask(bench, statements)
        if not out:
            assert (code, err) == (
                1,
                "ERROR 1146 (42S02) at line 1: Table 'app.nothing_here' doesn't exist\n",
            )
        else:
            assert (code, shown, err) == (0, out, "")

    @pytest.mark.parametrize(
        ("statements", "words"),
        [
            ("selct 1", "ERROR 1064 (42000) at line 1: You have an error in your SQL syntax"),
            ("use nope", "ERROR 1049 (42000) at line 1: Unknown database 'nope'"),
            ("create table t (a int)", "ERROR 1046 (3D000) at line 1: No database selected"),
            ("create database app", "ERROR 1007 (HY000) at line 1: Can't create database 'app'; database exists"),
            ("use app; create table t (a int unique); insert into t values (1), (1)", "ERROR 1062 (23000)"),
            ("attach database '/etc/x' as y", "ERROR 1064"),
            ("use app; select load_extension('x')", "ERROR 1064"),
            ("use app; pragma writable_schema=1", "ERROR 1064"),
            ("use app; create virtual table v using fts5(a)", "ERROR 1064"),
            ("use app; with recursive c(x) as (select 1 union all select x+1 from c) select count(*) from c",
             "more than the simulation carries out"),
            ("use app; select hex(randomblob(100000000))", "ERROR"),
        ],
    )  # fmt: skip
    def test_what_is_refused(self, bench: Bench, statements: str, words: str) -> None:
        code, _, err = self.ask(bench, statements)
        assert code == 1
        assert words in err

    def test_boxes(self, bench: Bench) -> None:
        _, out, _ = self.ask(bench, "select 1 as a, 'x' as b", "-t")
        assert out == "+---+---+\n| a | b |\n+---+---+\n| 1 | x |\n+---+---+\n"

    @pytest.mark.parametrize(
        ("words", "error"),
        [
            (["-h", "SERVER", "-pwrong"],
             "ERROR 1045 (28000): Access denied for user 'root'@'CLIENT' (using password: YES)"),
            (["-h", "SERVER", "-ppw", "nope"], "ERROR 1049 (42000): Unknown database 'nope'"),
            (["-h", "SERVER", "-P", "3307", "-ppw"],
             "ERROR 2003 (HY000): Can't connect to MySQL server on 'SERVER:3307' (111)"),
            (["-h", "nowhere", "-ppw"], "ERROR 2005 (HY000): Unknown MySQL server host 'nowhere' (-2)"),
            ([], "ERROR 2002 (HY000): Can't connect to local MySQL server through socket"),
        ],
    )  # fmt: skip
    def test_clients_that_are_not_let_in(self, bench: Bench, words: list[str], error: str) -> None:
        self.ask(bench, "select 1")
        places = {"SERVER": self.server.sandbox.ip, "CLIENT": self.client.sandbox.ip}
        words = [places.get(word, word) for word in words]
        for name, place in places.items():
            error = error.replace(name, place)
        result = bench.exec(["mysql", *words, "-e", "select 1"], self.client)
        assert result.code == 1
        assert error in result.err

    def test_typed_on_a_terminal(self, bench: Bench) -> None:
        self.ask(bench, "select 1")
        shown: list[bytes] = []
        session = self.client.exec(
            ["mysql", "-h", self.server.sandbox.ip, "-ppw"], lambda _, data: shown.append(data), tty=True
        )
        for line in ("use app;", "select 1 +", "1;", "exit"):
            session.stdin.write(f"{line}\n".encode())
            bench.clock.advance(1)
        text = b"".join(shown).decode().replace("\r\n", "\n")
        assert "Database changed\n" in text
        assert "    -> " in text
        assert "1 row in set" in text
        assert text.endswith("Bye\n")
        assert session.exited.result() == 0


def test_a_volume_keeps_databases_and_scripts_run_once() -> None:
    bench = Bench()
    data, scripts = bench.engine.volume(), bench.engine.volume()
    scripts.write("init.sql", b"create table app.t (n int); insert into app.t values (7);")
    mounts = [Mount(data, "/var/lib/mysql"), Mount(scripts, "/docker-entrypoint-initdb.d")]
    first = server(bench, "mysql:8.0", env={**PASSWORD, "MYSQL_DATABASE": "app"}, mounts=mounts)
    assert bench.run(f"{MYSQL} app -Ne 'insert into t values (8)'", first).code == 0
    first.signal(9)
    bench.clock.advance(1)
    again = server(bench, "mysql:8.0", mounts=mounts)
    assert bench.run(f"{MYSQL} app -Ne 'select n from t'", again).out == "7\n8\n"


def test_mysqladmin_and_mariadb_healthcheck() -> None:
    bench = Bench()
    mysql = server(bench, "mysql:8.0", env=PASSWORD)
    assert bench.exec(["mysqladmin", "ping", "-h", "localhost"], mysql).out == "mysqld is alive\n"
    maria = server(bench, "mariadb", env=PASSWORD)
    assert bench.exec(["healthcheck.sh", "--connect", "--innodb_initialized"], maria).code == 0
    assert bench.exec(["mysqladmin", "ping"], bench.idle("mysql")).code == 1
    assert bench.run("mariadb -ppw -Ne 'select version()'", maria).out == "12.1.2-MariaDB\n"


def test_more_databases_than_are_simulated_are_refused() -> None:
    bench = Bench()
    mysql = server(bench, "mysql:8.0", env=PASSWORD)
    script = "; ".join(f"create database d{number}" for number in range(9))
    assert "at most 8 databases" in bench.run(f"{MYSQL} -e '{script}'", mysql).err


class TestPostgres:
    @pytest.fixture
    def bench(self) -> Bench:
        return Bench()

    @pytest.fixture
    def postgres(self, bench: Bench) -> SimContainer:
        return server(bench, "postgres:16.4", env={"POSTGRES_PASSWORD": "pw"})

    @pytest.mark.parametrize(
        ("options", "out"),
        [
            (["-c", "select 1"], " ?column? \n----------\n        1\n(1 row)\n\n"),
            (["-tAc", "select 1"], "1\n"),
            (["-c", "create database shop", "-tAc", "select datname from pg_database"],
             "CREATE DATABASE\npostgres\nshop\ntemplate0\ntemplate1\n"),
            (["-c", "create table t (id serial primary key, n text); insert into t (n) values ('a'), ('b')", "-Ac",
              "select * from t"], "CREATE TABLE\nINSERT 0 2\nid|n\n1|a\n2|b\n(2 rows)\n"),
            (["-tAc", "show server_version"], "16.4\n"),
            (["-c", "\\dt"], "Did not find any relations.\n"),
            (["-qc", "create user anna with password 'x'"], ""),
        ],
    )  # fmt: skip
    def test_statements(self, bench: Bench, postgres: SimContainer, options: list[str], out: str) -> None:
        # what psql shows when -t and -A come late holds for all of its commands
        result = bench.exec(["psql", "-U", "postgres", *options], postgres)
        assert (result.code, result.out) == (0, out)

    def test_over_the_network_a_password_is_wanted(self, bench: Bench, postgres: SimContainer) -> None:
        client, ip = bench.idle("postgres:16-alpine"), postgres.sandbox.ip
        ask = f"psql -h {ip} -U postgres -tAc 'select 1'"
        assert "no password supplied" in bench.run(ask, client).err
        assert 'password authentication failed for user "postgres"' in bench.run(f"PGPASSWORD=x {ask}", client).err
        assert bench.run(f"PGPASSWORD=pw {ask}", client).out == "1\n"
        url = f"psql postgresql://postgres:pw@{ip}:5432/nope -c 'select 1'"
        assert 'FATAL:  database "nope" does not exist' in bench.run(url, client).err
        assert bench.run(f"pg_isready -h {ip}", client).out == f"{ip}:5432 - accepting connections\n"

    @pytest.mark.parametrize(
        ("statement", "error"),
        [
            ("select * from nope", 'ERROR:  relation "nope" does not exist'),
            ("selct 1", 'ERROR:  syntax error at or near "selct"'),
            ("create database postgres", 'ERROR:  database "postgres" already exists'),
        ],
    )
    def test_errors(self, bench: Bench, postgres: SimContainer, statement: str, error: str) -> None:
        result = bench.exec(["psql", "-U", "postgres", "-c", statement], postgres)
        assert result.code == 1
        assert error in result.err

    def test_without_a_server(self, bench: Bench) -> None:
        client = bench.idle("postgres:16")
        result = bench.run("psql -U postgres -c 'select 1'; pg_isready", client)
        assert "Is the server running locally" in result.err
        assert (result.code, result.out) == (2, "/var/run/postgresql:5432 - no response\n")


def typed(bench: Bench, container: SimContainer, command: list[str], *lines: str) -> tuple[str, int]:
    """What a session on a terminal shows, and its exit code."""
    shown: list[bytes] = []
    session = container.exec(command, lambda _, data: shown.append(data), tty=True)
    for line in lines:
        session.stdin.write(f"{line}\n".encode())
        bench.clock.advance(1)
    return b"".join(shown).decode().replace("\r\n", "\n"), session.exited.result()


def test_psql_typed_on_a_terminal() -> None:
    bench = Bench()
    postgres = server(bench, "postgres:16.4", env={"POSTGRES_PASSWORD": "pw"})
    text, code = typed(bench, postgres, ["psql", "-U", "postgres"], "create database shop;", "\\c shop", "select", "1;",
                       "nonsense;", "\\q")  # fmt: skip
    assert "postgres=# create database shop;\nCREATE DATABASE\n" in text
    assert (
        'You are now connected to database "shop" as user "postgres".\nshop=# select\nshop-# 1;\n ?column? \n' in text
    )
    assert 'ERROR:  syntax error at or near "nonsense"' in text
    assert code == 0


def test_mongosh_typed_on_a_terminal() -> None:
    bench = Bench()
    text, code = typed(bench, server(bench, "mongo:7"), ["mongosh"], "use shop", "db.t.insertOne({_id: 1})", "exit")
    assert "test> use shop\nswitched to db shop\nshop> " in text
    assert "{ acknowledged: true, insertedId: 1 }" in text
    assert code == 0


def test_mysql_reads_a_file_of_statements() -> None:
    bench = Bench()
    mysql = server(bench, "mysql:8.0", env={**PASSWORD, "MYSQL_DATABASE": "app"})
    lines = ["create table t (a int);", "insert into t values (1);", "-- a comment; here", "select * from t;"]
    mysql.files.write("/a.sql", "\n".join(lines).encode())
    assert bench.run(f"{MYSQL} app < /a.sql", mysql).out == "a\n1\n"
    refused = bench.exec(["mysql", "-ppw", "-e", "x" * 300_000], mysql)
    assert (refused.code, "characters at once are not simulated" in refused.err) == (1, True)


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("db.adminCommand('ping')", "{ ok: 1 }\n"),
        ("db.runCommand({ping: 1}).ok", "1\n"),
        ("db.cats.insertMany([{n: 1}, {n: 2}]).acknowledged", None),
        ("db.c.insertMany([{_id: 1, n: 1}, {_id: 2, n: 2}]); db.c.find({n: {$gt: 1}})", "[\n  { _id: 2, n: 2 }\n]\n"),
        ("db.cats.insertOne({_id: 7}); db.cats.find().count(); db.cats.deleteOne({}); db.cats.countDocuments()", "1\n"),
        ("use shop; db.t.insertOne({a: 'x'}); show dbs", "shop     40.00 KiB\n"),
        ("db.t.insertOne({_id: 1}); db.t.updateOne({_id: 1}, {$set: {a: 'b'}, $inc: {n: 2}}); db.t.findOne()",
         "{ _id: 1, a: 'b', n: 2 }\n"),
    ],
)  # fmt: skip
def test_mongosh(text: str, out: str | None) -> None:
    bench = Bench()
    mongo = server(bench, "mongo:7")
    result = bench.exec(["mongosh", "--quiet", "--eval", text], mongo)
    if out is None:
        assert (result.code, "not simulated" in result.err) == (1, True)
    else:
        assert (result.code, out in result.out) == (0, True), result


def test_mongo_with_a_user() -> None:
    bench = Bench()
    mongo = server(bench, "mongo:7", env={"MONGO_INITDB_ROOT_USERNAME": "root", "MONGO_INITDB_ROOT_PASSWORD": "pw"})
    client, ip = bench.idle("mongo:7"), mongo.sandbox.ip
    assert "requires authentication" in bench.run(f"mongosh --host {ip} --eval 'db.t.find()'", client).err
    assert "Authentication failed" in bench.run(f"mongosh mongodb://root:no@{ip}:27017 --eval 'db'", client).err
    assert bench.run(f"mongosh mongodb://root:pw@{ip}:27017/shop --eval db", client).out == "shop\n"
    assert "connect ECONNREFUSED" in bench.run("mongosh --eval db", client).err


def test_memcached_over_nc() -> None:
    bench = Bench()
    memcached = server(bench, "memcached:1.6", args=["-m", "64"])
    script = r"printf 'set a 0 0 3\r\nabc\r\nadd a 0 0 1\r\nx\r\nget a\r\nincr a 1\r\nversion\r\nnope\r\nquit\r\n'"
    result = bench.run(f"{script} | nc {memcached.sandbox.ip} 11211")
    assert result.out.replace("\r", "").splitlines() == [
        "STORED", "NOT_STORED", "VALUE a 0 3", "abc", "END",
        "CLIENT_ERROR cannot increment or decrement non-numeric value", "VERSION 1.6.39", "ERROR",
    ]  # fmt: skip


def test_etcdctl() -> None:
    bench = Bench()
    etcd = server(bench, "quay.io/coreos/etcd:v3.5.9")

    def ctl(*words: str) -> str:
        result = bench.exec(["etcdctl", *words], etcd)
        return result.out + result.err

    assert ctl("put", "a", "1") == ctl("put", "ab", "2") == "OK\n"
    assert ctl("get", "a") == "a\n1\n"
    assert ctl("get", "--prefix", "a", "--keys-only") == "a\n\nab\n\n"
    assert ctl("get", "ab", "--print-value-only") == "2\n"
    assert ctl("endpoint", "health").startswith("127.0.0.1:2379 is healthy")
    assert ctl("del", "--prefix", "a") == "2\n"
    assert ctl("get", "a") == ""
    assert "lease grant is not simulated" in ctl("lease", "grant", "10")
    assert "connection refused" in ctl("--endpoints=127.0.0.1:9999", "get", "a")


@pytest.mark.parametrize(
    "text",
    [
        "select " + "'\\" * 60_000,
        "select " + "/*" * 60_000,
        "create user a " + "identified by " * 1_300,
        "create table app.t (a int) engine" + " " * 19_000 + "(",
        "select instr(printf('%.4000c', 'a'), printf('%.2000cb', 'a')) from "
        + ", ".join(f"app.t t{n}" for n in range(9)),
        "select a from app.t where a like '" + "%a" * 45 + "b'",
    ],
)
def test_no_text_takes_the_host_long(text: str) -> None:
    bench = Bench()
    mysql = server(bench, "mysql:8.0", env={**PASSWORD, "MYSQL_DATABASE": "app"})
    filled = "use app; create table t (a text); " + "; ".join(
        "insert into t values (printf('%.4000c', 'a'))" for _ in range(20)
    )
    bench.exec(["mysql", "-ppw", "-e", filled], mysql)
    began = time.perf_counter()
    bench.exec(["mysql", "-ppw", "-e", text], mysql)
    assert time.perf_counter() - began < 2.0


def test_no_text_takes_the_mongo_shell_long() -> None:
    bench = Bench()
    mongo = server(bench, "mongo:7")
    began = time.perf_counter()
    for text in (
        'db.t.find({"' + '\\"' * 8_000,
        "db.t.find(" + ")" * 16_000 + " " * 300,
        "db.t.insertOne(" + "[" * 7_000,
    ):
        assert bench.exec(["mongosh", "--eval", text], mongo).code == 1
    assert time.perf_counter() - began < 2.0
