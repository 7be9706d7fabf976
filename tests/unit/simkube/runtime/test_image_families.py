"""Images that are data: each comes up as its family says, and what courses look at is there."""

from __future__ import annotations

import pytest

from simkube.runtime import catalogue, registry
from simkube.runtime.container import SimContainer
from simkube.runtime.programs.described import fill
from simkube.runtime.programs.interpreter import pi
from tests.doubles.container_node import Bench

ENV = {"MYSQL_ROOT_PASSWORD": "x", "POSTGRES_PASSWORD": "x", "REDIS_PASSWORD": "x"}
NEEDS_MORE = ("haproxy", "curl", "kubectl", "ingress-nginx/controller", "coredns", "kube-proxy", "kindest/")
"""Images that end with an error when nobody tells them what to do, as the real ones do."""


def _of_each_repository() -> list[str]:
    return [
        f"{name}:{list(one.tags)[-1]}" for name, one in catalogue.repositories().items() if name != registry.STAND_IN
    ]


@pytest.mark.parametrize("image", _of_each_repository())
def test_it_comes_up_and_ends_when_it_is_told_to(image: str) -> None:
    bench = Bench()
    container = bench.started(image, env=ENV)
    bench.clock.advance(15)
    if container.state == "running":
        container.stop(2)
        bench.clock.advance(3)
        assert container.exited.done
    elif not any(part in image for part in NEEDS_MORE):
        assert container.exited.result() == 0, [line.text for line in container.log.lines()]


def get(bench: Bench, container: SimContainer, port: int, path: str = "/", *options: str) -> str:
    client = bench.idle("curlimages/curl")
    return bench.exec(["curl", "-s", *options, f"http://{container.sandbox.ip}:{port}{path}"], client).out


def up(bench: Bench, image: str, command: list[str] | None = None, **more: object) -> SimContainer:
    container = bench.started(image, command, **more)  # type: ignore[arg-type]
    bench.clock.advance(12)
    return container


@pytest.mark.parametrize(
    ("image", "port", "path", "words"),
    [
        ("gcr.io/google-samples/hello-app:2.0", 8080, "/", "Hello, world!\nVersion: 2.0.0\nHostname: pod\n"),
        ("gcr.io/google-samples/kubernetes-bootcamp:v1", 8080, "/", "Kubernetes bootcamp! | Running on: pod | v=1"),
        ("registry.k8s.io/echoserver:1.10", 8080, "/a?b=c", "real path=/a?b=c"),
        ("kicbase/echo-server:1.0", 8080, "/", "Request served by pod"),
        ("traefik/whoami", 80, "/", "Hostname: pod\nIP: 127.0.0.1\nIP: "),
        ("stefanprodan/podinfo:6.5.0", 9898, "/", '"message": "greetings from podinfo v6.5.0"'),
        ("ghcr.io/stefanprodan/podinfo:6.5.0", 9898, "/readyz", '"status": "OK"'),
        ("gcr.io/kuar-demo/kuard-amd64:blue", 8080, "/healthy", "ok"),
        ("luksa/kubia:v1", 8080, "/", "You've hit pod"),
        ("registry.k8s.io/nginx-slim:0.27", 80, "/", "Welcome to nginx!"),
        ("nginxinc/nginx-unprivileged", 8080, "/", "Welcome to nginx!"),
        ("caddy:2", 80, "/", "Caddy works!"),
        ("tomcat:9.0", 8080, "/", "HTTP Status 404"),
        ("php:8.2-apache", 80, "/", "403 Forbidden"),
        ("elasticsearch:8.11.1", 9200, "/", '"number":"8.11.1"'),
        ("prom/prometheus:v2.45.0", 9090, "/-/ready", "Prometheus Server is Ready."),
        ("grafana/grafana:10.4.1", 3000, "/api/health", '"database": "ok"'),
        ("quay.io/argoproj/argocd:v2.9.3", 8080, "/healthz", "ok"),
        ("kennethreitz/httpbin", 80, "/status/418", "teapot"),
        ("istio/examples-bookinfo-details-v1:1.20.1", 9080, "/details/0", "William Shakespeare"),
        ("gcr.io/google-samples/microservices-demo/frontend:v0.10.1", 8080, "/_healthz", "ok"),
    ],
)  # fmt: skip
def test_what_one_sees_of_it(image: str, port: int, path: str, words: str) -> None:
    bench = Bench()
    assert words in get(bench, up(bench, image), port, path)


def test_variables_and_flags_change_ports_and_texts() -> None:
    bench = Bench()
    hello = up(bench, "gcr.io/google-samples/hello-app:1.0", env={"PORT": "9000"})
    assert "Version: 1.0.0" in get(bench, hello, 9000)
    podinfo = up(bench, "stefanprodan/podinfo:6.5.0", ["./podinfo", "--port=9999", "--level=info"],
                 env={"PODINFO_UI_MESSAGE": "good day"})  # fmt: skip
    assert "good day" in get(bench, podinfo, 9999)
    whoami = up(bench, "traefik/whoami", args=["--port", "2001"])
    assert whoami.log.lines()[0].text.endswith("Starting up on port 2001")


def test_a_port_that_is_taken_ends_it() -> None:
    bench = Bench()
    first = up(bench, "traefik/whoami")
    second = up(bench, "traefik/whoami", sandbox=first.sandbox)
    assert (second.state, second.exited.result()) == ("exited", 1)
    assert "address already in use" in second.log.lines()[-1].text


def test_placeholders_are_filled_in_once() -> None:
    facts = {"a": "${b}", "b": "x", "env": {"N": "", "M": "m"}}
    assert fill("${a} ${b} ${env.M|o} ${env.N|o} ${env.none|p} ${unknown} ${Not}", facts) == "${b} x m o p  ${Not}"
    assert fill('${env.N|in ${b}} ${env.N|{"a": 1}}.', facts) == 'in x {"a": 1}.'


@pytest.mark.parametrize(
    ("image", "command", "out"),
    [
        ("python:3.12", ["python", "--version"], "Python 3.12.12\n"),
        ("python:3.12-slim", ["python3", "-c", "print('hello')"], "hello\n"),
        ("node:20-alpine", ["node", "-e", 'console.log("a\\nb")'], "a\nb\n"),
        ("node:20-alpine", ["node", "-v"], "v20.19.5\n"),
        ("golang:1.22", ["go", "version"], "go version go1.22.12 linux/amd64\n"),
        ("ruby:3.3", ["ruby", "-e", "puts 42"], "42\n"),
        ("php:8.2", ["php", "-r", 'echo "x";'], "x"),
        ("perl:5.34.0", ["perl", "-Mbignum=bpi", "-wle", "print bpi(30)"], "3.14159265358979323846264338328\n"),
        ("ubuntu:22.04", ["bash", "-c", "echo ${BASH_VERSION:+bash}"], "bash\n"),
        ("fedora:40", ["cat", "/etc/os-release"], 'NAME="Fedora Linux"\nID=fedora\n'),
        ("bash:5.2", ["bash", "-c", "echo $((1 + 1))"], "2\n"),
    ],
)
def test_base_systems_and_interpreters(image: str, command: list[str], out: str) -> None:
    bench = Bench()
    result = bench.exec(command, bench.idle(image))
    assert (result.code, result.out[: len(out)]) == (0, out)


@pytest.mark.parametrize(
    ("image", "command", "refused"),
    [
        ("node:20", ["node", "server.js"], "programs of node"),
        ("ruby:3.3", ["ruby", "-e", "loop { sleep 1 }"], "programs of ruby"),
        ("python:3", ["python", "-c", "import subprocess"], "import subprocess"),
        ("python:3", ["python", "-c", "def f(): pass"], "def f():"),
        ("python:3", ["python", "-c", "print(().__class__)"], "().__class__"),
        ("python:3", ["python", "-c", "open('/etc/passwd')"], "open()"),
        ("python:3", ["python", "-c", "import os; os.system('ls')"], "os.system()"),
        ("python:3", ["python", "-c", "x = 'a' * 1000000000"], "repeating a string or a list with *"),
        ("python:3", ["python", "-c", "x = 2 ** 100000"], "the operator Pow"),
        ("python:3", ["python", "-c", "x = 9999999999 * 9999999999"], "values as large as this one"),
        ("python:3", ["python", "-c", "x = [1]\nfor i in range(99):\n  x = [x, x]"], "lists of lists"),
        ("python:3", ["python", "-c", "x = 'abc'\nwhile True:\n  x = x + x"], "values as large as this one"),
        ("python:3", ["python", "-c", "x = 1 " + "# " * 3000], "programs of more than 4096 characters"),
    ],
)
def test_programs_of_interpreters_are_refused_by_name(image: str, command: list[str], refused: str) -> None:
    bench = Bench()
    result = bench.exec(command, bench.idle(image))
    assert result.code == 127
    assert f"{command[0]}: not simulated here: {refused} (--version and " in result.err


@pytest.mark.parametrize(
    ("program", "code", "out"),
    [
        ('import os, sys\nif os.environ.get("INDEX") == "2":\n  sys.exit(0)\nelse:\n  sys.exit(1)', 0, ""),
        ('import os, sys\nprint("Hello")\nif int(os.environ.get("INDEX")) % 2 == 0:\n  sys.exit(3)', 3, "Hello\n"),
        ("import time\nfor i in range(3):\n  print(f'{i}: {i * 2}')\n  time.sleep(1)", 0, "0: 0\n1: 2\n2: 4\n"),
        ("n = 5\nwhile True:\n  n -= 1\n  if n == 3: continue\n  if n < 2: break\n  print(n, end=' ')", 0, "4 2 "),
        ("import socket, sys\nprint(socket.gethostname(), sys.argv[0], not 0 and 1 in [1])", 0, "pod -c True\n"),
        ("import sys; sys.exit('failed')", 1, ""),
        ("print(1 / 0)", 1, ""),
        ("print(nobody)", 1, ""),
        ("print('x'", 1, ""),
        ("print(" + "-" * 900 + "1)", 0, "1\n"),
        ("-" * 3000 + "1", 1, ""),
    ],
)
def test_small_programs_of_python(program: str, code: int, out: str) -> None:
    bench = Bench()
    result = bench.exec(["python3", "-c", program], bench.idle("python", env={"INDEX": "2"}))
    assert (result.code, result.out) == (code, out)


def test_a_program_of_python_that_never_ends_is_bounded() -> None:
    bench = Bench()
    result = bench.exec(["python3", "-c", "while True: pass"], bench.idle("python"), seconds=30)
    assert result.code is None


def test_a_script_of_python() -> None:
    bench = Bench()
    script = "echo 'import sys; print(sys.argv[1])' > /a.py; python3 /a.py x; python3 /none.py"
    result = bench.run(script, bench.idle("python"))
    assert (result.code, result.out) == (2, "x\n")
    assert "can't open file '/none.py'" in result.err


def test_the_job_that_computes_pi_takes_its_time() -> None:
    bench = Bench()
    container = bench.started("perl:5.34.0", ["perl", "-Mbignum=bpi", "-wle", "print bpi(2000)"])
    bench.clock.advance(0.5)
    assert container.state == "running"
    bench.clock.advance(10)
    (line,) = container.log.lines()
    assert len(line.text) == 2001
    assert line.text.startswith(pi(100)[:-1])


def test_python_serves_a_folder() -> None:
    bench = Bench()
    container = bench.started(
        "python:3.12", ["sh", "-c", "mkdir /w; cd /w; echo hi > a.txt; exec python -m http.server 8080"]
    )
    bench.clock.advance(1)
    assert '<li><a href="a.txt">a.txt</a></li>' in get(bench, container, 8080)
    assert get(bench, container, 8080, "/a.txt") == "hi\n"
    assert "Serving HTTP on 0.0.0.0 port 8080" in container.log.lines()[0].text


def test_a_server_that_needs_another_says_so_until_that_is_there() -> None:
    bench = Bench()
    database = bench.idle("mysql:8.0")
    wordpress = up(bench, "wordpress:6.4-apache", env={"WORDPRESS_DB_HOST": f"{database.sandbox.ip}:3306"})
    assert "Error establishing a database connection" in get(bench, wordpress, 80)
    bench.started("mysql:8.0", env=ENV, sandbox=database.sandbox)
    bench.clock.advance(5)
    assert "Installation" in get(bench, wordpress, 80, "/", "-L")


def test_liveness_of_agnhost_fails_after_ten_seconds() -> None:
    bench = Bench()
    container = bench.started("registry.k8s.io/e2e-test-images/agnhost:2.40", args=["liveness"])
    bench.clock.advance(1)
    assert get(bench, container, 8080, "/healthz") == "ok"
    bench.clock.advance(12)
    assert get(bench, container, 8080, "/healthz").startswith("error: ")


def test_grpc_health_probe() -> None:
    bench = Bench()
    server = up(bench, "gcr.io/google-samples/microservices-demo/emailservice:v0.2.0", env={"PORT": "8081"})
    assert bench.exec(["/bin/grpc_health_probe", "-addr=:8081"], server).code == 0
    assert bench.exec(["/bin/grpc_health_probe", "-addr=:8080"], server).code == 2
