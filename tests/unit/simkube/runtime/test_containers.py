"""The life of containers: commands, signals, stopping, freezing, logs, limits, restarts of the host."""

from __future__ import annotations

import json

import pytest

from simkube.runtime import signals
from simkube.runtime.cri import Mount, StartError
from tests.doubles.container_node import START, Bench


def texts(container: object) -> list[str]:
    return [line.text for line in container.log.lines()]  # type: ignore[attr-defined] # a SimContainer


def test_it_runs_its_command_logs_and_ends() -> None:
    bench = Bench()
    container = bench.started(command=["sh", "-c", "echo out; echo err >&2; sleep 2; exit 4"])
    assert container.state == "running"
    assert [(line.stream, line.text) for line in container.log.lines()] == [("stdout", "out"), ("stderr", "err")]
    bench.clock.advance(3)
    assert (container.state, container.exited.result(), container.reason) == ("exited", 4, "Error")
    assert container.finished_at == START + 2


def test_command_and_args_replace_entrypoint_and_cmd_as_kubernetes_says() -> None:
    bench = Bench()
    assert bench.container("nginx").command() == ["/docker-entrypoint.sh", "nginx", "-g", "daemon off;"]
    assert bench.container("nginx", args=["x"]).command() == ["/docker-entrypoint.sh", "x"]
    assert bench.container("nginx", ["a"]).command() == ["a"]
    assert bench.container("nginx", ["a"], args=["b"]).command() == ["a", "b"]


@pytest.mark.parametrize(
    "command", [["sleep", "1000"], ["sh", "-c", "sleep 1000"], ["sh", "-c", "while :; do sleep 1; done"]]
)
def test_the_first_process_ignores_sigterm_without_a_handler(command: list[str]) -> None:
    bench = Bench()
    container = bench.started(command=command)
    container.stop(30)
    bench.clock.advance(29)
    assert container.state == "running"
    bench.clock.advance(2)
    assert container.exited.result() == 137


def test_a_trap_ends_it_in_time() -> None:
    bench = Bench()
    script = "trap 'echo bye; exit 0' TERM; while :; do sleep 1; done"
    container = bench.started(command=["sh", "-c", script])
    bench.clock.advance(0.5)
    container.stop(30)
    bench.clock.advance(1)
    assert container.exited.result() == 0
    assert texts(container) == ["bye"]


def test_wait_is_interrupted_by_a_trap() -> None:
    bench = Bench()
    container = bench.started(command=["sh", "-c", "trap 'exit 9' TERM; sleep 1000 & wait"])
    container.stop(30)
    bench.clock.advance(0.1)
    assert container.exited.result() == 9


def test_children_do_not_ignore_signals_and_end_with_128_plus_n() -> None:
    bench = Bench()
    assert bench.run("sleep 100 & kill $!; wait $!; echo $?").out == "143\n"
    assert bench.run("sleep 100 & kill -9 $!; wait $!; echo $?").out == "137\n"


def test_kill_from_inside_cannot_end_the_first_process() -> None:
    bench = Bench()
    container = bench.idle()
    bench.run("kill -9 1; kill 1; kill -STOP 1", container)
    assert container.state == "running"
    assert not container.processes[1].frozen


def test_sigkill_from_outside_ends_everything() -> None:
    bench = Bench()
    container = bench.started(command=["sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000 & wait"])
    container.signal(signals.KILL)
    assert container.exited.result() == 137
    assert not container.processes


def test_a_stopped_process_stands_still_and_carries_on() -> None:
    bench = Bench()
    container = bench.started(command=["sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 1; done"])
    bench.clock.advance(2.5)
    container.signal(signals.STOP)
    bench.clock.advance(10)
    assert texts(container)[-1] == "3"
    container.signal(signals.CONT)
    bench.clock.advance(1.5)
    assert texts(container)[-1] == "5"


def test_exec_runs_beside_the_first_process() -> None:
    bench = Bench()
    container = bench.idle(env={"COLOUR": "blue"})
    assert bench.exec(["sh", "-c", "echo $COLOUR $HOSTNAME; exit 3"], container) == type(bench.run(""))(
        3, "blue pod\n", ""
    )
    assert bench.exec(["cat"], container, stdin=b"typed").out == "typed"
    with pytest.raises(StartError, match="executable file not found") as caught:
        bench.exec(["nope"], container)
    assert caught.value.exit_code == 127


def test_exec_needs_a_running_container() -> None:
    bench = Bench()
    container = bench.started(command=["true"])
    with pytest.raises(StartError, match="is not running"):
        container.exec(["ls"], lambda name, data: None)


def test_exec_ends_with_the_container() -> None:
    bench = Bench()
    container = bench.idle()
    session = container.exec(["sleep", "1000"], lambda name, data: None)
    container.signal(signals.KILL)
    assert session.exited.result() == 137


def test_attach_hears_what_is_written_from_now_on() -> None:
    bench = Bench()
    container = bench.started(command=["sh", "-c", "echo early; read x; echo got $x; sleep 100"], stdin=True)
    heard: list[tuple[str, bytes]] = []
    attachment = container.attach(lambda name, data: heard.append((name, data)))
    assert attachment.stdin is not None
    attachment.stdin.write(b"word\n")
    assert heard == [("stdout", b"got word\n")]
    attachment.detach()
    assert texts(container) == ["early", "got word"]


def test_a_read_only_root_is_told_before_who_may_write() -> None:
    bench = Bench()
    container = bench.idle(read_only_root=True, run_as_user=1000)
    assert "touch: /x: Read-only file system" in bench.run("touch /x", container).err
    assert "Permission denied" in bench.run("touch /x", bench.idle(run_as_user=1000)).err


def test_volumes_are_shared_and_read_only_ones_cannot_be_written() -> None:
    bench = Bench()
    volume, fixed = bench.engine.volume(), bench.engine.volume()
    fixed.write("dir/key", b"value\n")
    sandbox = bench.sandbox()
    mounts = [Mount(volume, "/data"), Mount(fixed, "/fixed", read_only=True), Mount(fixed, "/one", sub_path="dir/key")]
    one = bench.idle(sandbox=sandbox, mounts=mounts)
    two = bench.idle(sandbox=sandbox, mounts=[Mount(volume, "/other")])
    assert bench.run("echo hello > /data/f; cat /fixed/dir/key /one", one).out == "value\nvalue\n"
    assert bench.run("cat /other/f", two).out == "hello\n"
    assert volume.read("f") == b"hello\n"
    result = bench.run("echo x > /fixed/dir/key; rm /fixed/dir/key; touch /fixed/n", one)
    assert result.err.count("Read-only file system") == 3
    assert fixed.paths() == ["dir/key"]


def test_what_one_container_writes_is_not_in_the_image() -> None:
    bench = Bench()
    one, two = bench.idle(), bench.idle()
    bench.run("echo x > /etc/passwd; rm /etc/group /bin/wget; touch /new", one)
    assert bench.run(
        "grep -c root /etc/passwd; ls /etc/group /bin/wget; ls /new", two
    ).out == "1\n/bin/wget\n/etc/group\n" or (bench.run("ls /etc/group", two).code == 0)
    assert bench.run("cat /etc/passwd; ls /etc/group", one).out == "x\n"
    assert bench.run("ls /new", two).code == 1


def test_a_dump_brings_everything_back() -> None:
    bench = Bench()
    sandbox = bench.sandbox()
    volume = bench.engine.volume()
    volume.label = "shared"
    running = bench.started(
        "kindling/web:1.0", sandbox=sandbox, mounts=[Mount(volume, "/data")], env={"WEB_ROOT": "/data"}
    )
    ended = bench.started(command=["sh", "-c", "echo last words; exit 7"], sandbox=sandbox)
    volume.write("index.html", b"page")
    bench.run("rm /etc/group; echo own > /etc/own", bench.idle(sandbox=sandbox, mounts=[Mount(volume, "/d")]))
    state = json.loads(json.dumps(sandbox.dump()))

    later = Bench()
    again = later.engine.sandbox(sandbox.config, ip=sandbox.ip, state=state)
    assert again.ip == sandbox.ip
    web, old, idle = again.containers
    assert (web.id, web.state, web.started_at) == (running.id, "running", running.started_at)
    assert (old.id, old.state, old.exited.result(), texts(old)) == (ended.id, "exited", 7, ["last words"])
    assert [volume.label for volume in again.volumes()] == ["shared"]
    assert later.run("cat /d/index.html /etc/own; ls /etc/group", idle).out == "pageown\n"
    from simkube.clock.clock import spawn
    from simkube.runtime.cri import HTTPRequest

    assert spawn(again.http(8080, HTTPRequest())).result().body == b"page"


def test_the_version_of_a_sandbox_grows_with_what_a_dump_shows() -> None:
    bench = Bench()
    container = bench.idle()
    seen = [container.sandbox.version]
    for script in ("echo x > /f", "echo y >> /f", "rm /f"):
        bench.run(script, container)
        seen.append(container.sandbox.version)
    container.signal(signals.KILL)
    seen.append(container.sandbox.version)
    assert seen == sorted(set(seen))


def test_a_node_that_is_off_kills_and_one_that_is_paused_freezes() -> None:
    bench = Bench()
    container = bench.started(command=["sh", "-c", "while :; do echo tick; sleep 1; done"])
    bench.clock.advance(2.5)
    bench.engine.pause()
    bench.clock.advance(10)
    assert len(texts(container)) == 3
    bench.engine.resume()
    bench.clock.advance(1)
    assert len(texts(container)) > 3
    bench.engine.power_off()
    assert container.exited.result() == 137


def test_a_terminal_echoes_edits_prompts_and_interrupts() -> None:
    bench = Bench()
    shown = bytearray()
    session = bench.idle().exec(["sh"], lambda name, data: shown.extend(data), tty=True)
    session.stdin.write(b"echo hix\x7f there\r")
    assert bytes(shown) == b"/ # echo hix\x08 \x08 there\r\nhi there\r\n/ # "
    shown.clear()
    session.stdin.write(b"sleep 100\r")
    session.stdin.write(b"\x03")
    session.stdin.write(b"echo $?\r")
    assert b"130\r\n" in shown
    session.stdin.write(b"for i in 1 2\rdo echo $i\rdone\r")
    assert b"> " in shown
    assert b"1\r\n2\r\n" in shown
    session.stdin.write(b"\x04")
    assert session.exited.done
