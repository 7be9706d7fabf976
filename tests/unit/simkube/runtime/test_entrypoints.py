"""What the entry points of the official images do with what they are given."""

from __future__ import annotations

from simkube.runtime.container import SimContainer
from simkube.runtime.cri import Mount
from tests.doubles.container_node import Bench


def logged(container: SimContainer) -> list[str]:
    """The lines of its log."""
    return [line.text for line in container.log.lines()]


def test_nginx_tells_what_its_entry_point_does() -> None:
    bench = Bench()
    server = bench.started("nginx:1.27")
    bench.clock.advance(2)
    lines = logged(server)
    assert lines[0] == (
        "/docker-entrypoint.sh: /docker-entrypoint.d/ is not empty, will attempt to perform configuration"
    )
    assert "/docker-entrypoint.sh: Launching /docker-entrypoint.d/20-envsubst-on-templates.sh" in lines
    assert "/docker-entrypoint.sh: Configuration complete; ready for start up" in lines
    assert "10-listen-on-ipv6-by-default.sh: info: Enabled listen on IPv6 in /etc/nginx/conf.d/default.conf" in lines
    assert "    listen  [::]:80;\n" in bench.run("cat /etc/nginx/conf.d/default.conf", server).out
    assert "Welcome to nginx!" in bench.run("curl -s localhost", server).out
    quiet = bench.started("nginx:1.27", env={"NGINX_ENTRYPOINT_QUIET_LOGS": "1"}, sandbox=bench.sandbox("quiet"))
    bench.clock.advance(2)
    assert not [line for line in logged(quiet) if "entrypoint" in line]


def test_nginx_fills_templates_and_runs_scripts() -> None:
    bench = Bench()
    templates, scripts = bench.engine.volume(), bench.engine.volume()
    template = b'server { listen ${PORT}; location / { return 200 "hi ${NAME} $host\\n"; } }\n'
    templates.write("default.conf.template", template)
    scripts.write("40-own.sh", b"#!/bin/sh\necho own script\n", mode=0o755)
    scripts.write("50-own.sh", b"#!/bin/sh\necho never\n")
    scripts.write("60.envsh", b"export NAME=sourced\n", mode=0o755)
    mounts = [Mount(templates, "/etc/nginx/templates"), Mount(scripts, "/docker-entrypoint.d")]
    server = bench.started("nginx:1.27", env={"PORT": "8080", "NAME": "me"}, mounts=mounts)
    bench.clock.advance(2)
    lines = logged(server)
    assert "own script" in lines
    assert "never" not in lines
    assert "/docker-entrypoint.sh: Ignoring /docker-entrypoint.d/50-own.sh, not executable" in lines
    alone = bench.started(
        "nginx:1.27", env={"PORT": "8080", "NAME": "me"}, mounts=mounts[:1], sandbox=bench.sandbox("b")
    )
    bench.clock.advance(2)
    running = "20-envsubst-on-templates.sh: Running envsubst on /etc/nginx/templates/default.conf.template to"
    assert f"{running} /etc/nginx/conf.d/default.conf" in logged(alone)
    assert bench.run("curl -s localhost:8080", alone).out == "hi me localhost\n"


def test_nginx_on_a_read_only_root_goes_on_as_it_can() -> None:
    bench = Bench()
    mounts = [Mount(bench.engine.volume(), path) for path in ("/var/cache/nginx", "/var/run", "/run")]
    server = bench.started("nginx:1.27", read_only_root=True, mounts=mounts)
    bench.clock.advance(2)
    can_not = "can not modify /etc/nginx/conf.d/default.conf (read-only file system?)"
    assert f"10-listen-on-ipv6-by-default.sh: info: {can_not}" in logged(server)
    assert server.state == "running"


def test_another_command_skips_the_configuration() -> None:
    bench = Bench()
    other = bench.started("nginx:1.27", args=["echo", "only this"])
    bench.clock.advance(1)
    assert logged(other) == ["only this"]
    option = bench.started("nginx:1.27", args=["-v"], sandbox=bench.sandbox("option"))
    bench.clock.advance(1)
    assert option.exited.result() == 2
    assert logged(option)[0].endswith("exec: Illegal option -v")


def test_the_whole_configuration_and_the_title_of_nginx() -> None:
    bench = Bench()
    server = bench.started("nginx:1.27-alpine")
    bench.clock.advance(2)
    dumped = bench.run("nginx -T 2>/dev/null", server).out
    assert dumped.startswith("# configuration file /etc/nginx/nginx.conf:\nuser  nginx;")
    assert "# configuration file /etc/nginx/conf.d/default.conf:\nserver {" in dumped
    assert "nginx: master process nginx -g daemon off;" in bench.run("ps", server).out
    assert bench.run("nginx -s reload", server).err.endswith("signal process started\n")


def test_node_takes_options_and_files_that_are_no_commands() -> None:
    bench = Bench()
    for args, first in ((["--version"], "v"), (["app.js"], "node: not simulated here: programs of node")):
        node = bench.started("node:20", args=args, sandbox=bench.sandbox(args[0].strip("-.")))
        bench.clock.advance(1)
        assert logged(node)[0].startswith(first)
    shell = bench.started("node:20", args=["sh", "-c", "echo shell"], sandbox=bench.sandbox("shell"))
    bench.clock.advance(1)
    assert logged(shell) == ["shell"]
