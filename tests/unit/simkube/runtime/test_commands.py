"""Commands whose words lessons and graders rely on, as busybox and Debian say them."""

from __future__ import annotations

import pytest

from simkube.runtime.cri import NetworkError
from simkube.runtime.network.network import Place
from tests.doubles.container_node import Bench

BUSYBOX = [
    ("foo", 127, "sh: foo: not found\n"),
    ("cat /nope", 1, "cat: can't open '/nope': No such file or directory\n"),
    ("ls /nope", 1, "ls: /nope: No such file or directory\n"),
    ("cd /nope", 1, "sh: cd: can't cd to /nope: No such file or directory\n"),
    ("rm /nope", 1, "rm: can't remove '/nope': No such file or directory\n"),
    ("echo x > /no/file", 1, "sh: can't create /no/file: nonexistent directory\n"),
    ("wget -q http://nope", 1, "wget: bad address 'nope'\n"),
    ("/etc/passwd", 126, "sh: /etc/passwd: Permission denied\n"),
    ("if", 2, "sh: syntax error: unexpected end of file\n"),
    ("echo 'x", 2, "sh: syntax error: unterminated quoted string\n"),
    ("echo $((1/0))", 2, "sh: divide by zero\n"),
    ("sleep x", 1, "sleep: invalid number 'x'\n"),
    ("grep x /nope", 2, "grep: /nope: No such file or directory\n"),
]
DEBIAN = [
    ("foo", 127, "sh: 1: foo: not found\n"),
    ("cat /nope", 1, "cat: /nope: No such file or directory\n"),
    ("ls /nope", 2, "ls: cannot access '/nope': No such file or directory\n"),
    ("cd /nope", 2, "sh: 1: cd: can't cd to /nope\n"),
    ("echo 'x", 2, "sh: 1: Syntax error: Unterminated quoted string\n"),
]


class Names:
    """A DNS that knows no name."""

    def resolve(self, name: str, searches: object, ndots: int = 5) -> list[str]:
        raise NetworkError("name", name)

    def canonical(self, name: str, searches: object, ndots: int = 5) -> str:
        return name

    def candidates(self, name: str, searches: object, ndots: int = 5) -> list[str]:
        return [name]

    def records(self, name: str, type: str) -> list[object]:
        return []

    def place(self) -> Place:
        return Place("10.244.0.254")


@pytest.mark.parametrize(("script", "code", "words"), BUSYBOX)
def test_busybox_words(script: str, code: int, words: str) -> None:
    bench = Bench()
    bench.network.resolver = Names()
    result = bench.run(script)
    assert (result.code, result.err) == (code, words)


@pytest.mark.parametrize(("script", "code", "words"), DEBIAN)
def test_debian_words(script: str, code: int, words: str) -> None:
    bench = Bench()
    result = bench.run(script, bench.idle("nginx"))
    assert (result.code, result.err) == (code, words)


def test_ps_shows_the_processes_of_the_container() -> None:
    bench = Bench()
    container = bench.started(command=["sh", "-c", "sleep 1000 | cat"])
    rows = bench.run("ps -o pid,args", container).out.splitlines()
    assert rows[0].split() == ["PID", "COMMAND"]
    assert [row.split(None, 1)[1] for row in rows[1:4]] == ["sh -c sleep 1000 | cat", "sleep 1000", "cat"]


def test_the_last_command_of_a_script_replaces_the_shell() -> None:
    bench = Bench()
    container = bench.started(command=["sh", "-c", "echo start; sleep 1000"])
    assert container.processes[1].argv == ["sleep", "1000"]
    trapped = bench.started(command=["sh", "-c", "trap : TERM; sleep 1000"])
    assert trapped.processes[1].argv[0] == "sh"


def test_proc_shows_processes() -> None:
    bench = Bench()
    result = bench.run("cat /proc/1/cmdline | tr '\\0' ' '; grep Pid: /proc/1/status; cat /proc/nope")
    assert result.out == "sleep 1000000 Pid:\t1\nPPid:\t0\n"
    assert result.code == 1


def test_tail_follows_a_file_that_grows() -> None:
    bench = Bench()
    container = bench.started(command=["sh", "-c", "touch /tmp/log; tail -f /tmp/log"])
    bench.run("echo one >> /tmp/log", container)
    bench.clock.advance(2)
    bench.run("echo two >> /tmp/log", container)
    bench.clock.advance(2)
    assert [line.text for line in container.log.lines()] == ["one", "two"]


def test_tail_waits_for_a_file_that_is_not_there_yet() -> None:
    bench = Bench()
    container = bench.started(command=["sh", "-c", "tail -F /tmp/log"])
    bench.clock.advance(3)
    bench.run("echo one >> /tmp/log", container)
    bench.clock.advance(2)
    told = [line.text for line in container.log.lines()]
    assert told[0].endswith("No such file or directory")
    assert told[1:] == ["tail: /tmp/log has appeared; following end of new file", "one"]
    assert bench.run("tail -f /tmp/nothing").code == 1


def test_a_tar_goes_out_and_comes_back() -> None:
    bench = Bench()
    one, two = bench.idle(), bench.idle()
    bench.run("mkdir -p /tmp/d/e; echo a > /tmp/d/f; echo b > /tmp/d/e/g; ln -s f /tmp/d/l", one)
    packed: list[bytes] = []
    one.exec(["tar", "cf", "-", "-C", "/tmp", "d"], lambda name, data: packed.append(data))
    bench.clock.advance(1)
    assert bench.exec(["tar", "xmf", "-", "-C", "/root"], two, stdin=b"".join(packed)).code == 0
    assert bench.run("cd /root; find d | sort; cat d/l d/e/g", two).out == "d\nd/e\nd/e/g\nd/f\nd/l\na\nb\n"


def test_a_user_that_is_not_root_may_not_write_everywhere() -> None:
    bench = Bench()
    container = bench.idle("kindling/web:1.0")
    result = bench.run("id -u; echo x > /etc/x; echo y > /tmp/y && cat /tmp/y", container)
    assert result.out == "10001\ny\n"
    assert "Permission denied" in result.err
    assert bench.run("id -u", bench.idle("kindling/web:1.0", run_as_user=0)).out == "0\n"


def test_users_and_groups_are_those_of_the_pod() -> None:
    bench = Bench()
    assert bench.run("whoami; id", bench.idle()).out == "root\nuid=0(root) gid=0(root) groups=0(root)\n"
    plain = bench.run("id; whoami", bench.idle(run_as_user=1000))
    assert plain.out == "uid=1000 gid=0(root) groups=0(root)\n"
    assert plain.err == "whoami: unknown uid 1000\n"
    full = bench.idle(run_as_user=65534, run_as_group=3000, groups=[2000, 4000])
    assert bench.run("id", full).out == "uid=65534(nobody) gid=3000 groups=2000,3000,4000\n"
    assert bench.run("id -un; id -g; id -G", full).out == "nobody\n3000\n2000 3000 4000\n"
    curl = bench.idle("curlimages/curl")
    assert bench.run("whoami; id", curl).out == (
        "curl_user\nuid=100(curl_user) gid=101(curl_group) groups=101(curl_group)\n"
    )


def test_busybox_httpd_serves_a_folder() -> None:
    bench = Bench()
    container = bench.started(command=["sh", "-c", "mkdir /www; echo page > /www/index.html; httpd -f -p 8000 -h /www"])
    assert bench.run("wget -qO- http://127.0.0.1:8000; wget -qO- http://127.0.0.1:8000/no", container).out == "page\n"


def test_nc_answers_one_request() -> None:
    bench = Bench()
    script = "while true; do printf 'HTTP/1.1 200 OK\\r\\n\\r\\nfrom nc' | nc -l -p 8080; done"
    container = bench.started(command=["sh", "-c", script])
    for _ in range(3):
        assert bench.run("wget -qO- http://localhost:8080", container).out == "from nc"
        bench.clock.advance(1)
