"""The tools that courses type, each by what its documentation shows."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from simkube.runtime.container import SimContainer
from tests.doubles.container_node import Bench
from tests.unit.simkube.runtime.test_commands import Names

DEBIAN = "nginx"


def connected() -> Bench:
    """A bench with name servers, without which no mirror could be found."""
    bench = Bench()
    bench.network.resolver = Names()
    return bench


def debian(*packages: str) -> tuple[Bench, SimContainer]:
    """A Debian container in which packages were installed."""
    bench = connected()
    container = bench.idle(DEBIAN)
    script = f"apt-get update >/dev/null && apt-get install -y {' '.join(packages)}"
    assert bench.run(script, container).code == 0
    return bench, container


# -- package managers ---------------------------------------------------------------------------------------------


def test_apt_installs_a_tool_after_an_update_and_not_before() -> None:
    bench = connected()
    container = bench.idle(DEBIAN)
    early = bench.run("apt-get install -y procps", container)
    assert (early.code, early.err) == (100, "E: Unable to locate package procps\n")
    assert bench.run("ps aux", container).code == 127
    done = bench.run("apt-get update && apt-get install -y procps", container)
    assert done.code == 0
    assert "The following NEW packages will be installed:\n  procps\n" in done.out
    assert "Setting up procps (2:4.0.4-9) ...\n" in done.out
    assert bench.run("ps aux", container).out.startswith("USER         PID %CPU %MEM")
    assert "is already the newest version" in bench.run("apt-get install -y procps", container).out
    assert "ii  procps" in bench.run("dpkg -l procps", container).out
    assert bench.run("apt-get remove -y procps && ps", container).code == 127


def test_apt_words_of_what_there_is_not() -> None:
    bench, container = debian("curl")
    missing = bench.run("apt-get install -y nosuch", container)
    assert missing.code == 100
    assert missing.err.splitlines()[0] == "E: Unable to locate package nosuch"
    assert bench.run("apt-get frobnicate", container).err.startswith("E: Invalid operation frobnicate\n")
    unsure = bench.run("apt-get install dnsutils", container)
    assert unsure.code == 1
    assert unsure.out.endswith("Do you want to continue? [Y/n] Abort.\n")
    assert bench.run("echo y | apt-get install dnsutils; command -v dig", container).out.endswith("/usr/bin/dig\n")
    listed = bench.run("apt list --installed 2>/dev/null", container).out
    assert listed.startswith("Listing...\nbind9-dnsutils/stable,now")


def test_nothing_is_installed_where_no_mirror_could_be_reached() -> None:
    bench = Bench()
    container = bench.idle(DEBIAN)
    updated = bench.run("apt-get update", container)
    assert updated.code == 0
    assert "Err:1 http://deb.debian.org/debian trixie InRelease\n  Temporary failure resolving" in updated.out
    assert bench.run("apt-get install -y curl", container).code == 100
    apk = bench.run("apk add curl", bench.idle("alpine", sandbox=bench.sandbox("alpine")))
    assert apk.code == 1
    assert "temporary error (try again later)" in apk.err


def test_apt_needs_root_and_room() -> None:
    bench = connected()
    refused = bench.run("apt-get update", bench.idle(DEBIAN, run_as_user=1000))
    assert refused.code == 100
    assert "Could not open lock file /var/lib/apt/lists/lock - open (13: Permission denied)" in refused.err
    read_only = bench.run("apt-get update", bench.idle(DEBIAN, read_only_root=True))
    assert read_only.code == 100
    assert "Read-only file system" in read_only.err


def test_apk_installs_and_words_what_there_is_not() -> None:
    bench = connected()
    container = bench.idle("alpine")
    done = bench.run("apk add --no-cache curl && curl --version", container)
    assert done.code == 0
    assert "(1/3) Installing ca-certificates" in done.out
    assert "curl 8" in done.out
    missing = bench.run("apk add nosuch", container)
    assert missing.code == 1
    assert (
        "ERROR: unable to select packages:\n  nosuch (no such package):\n    required by: world[nosuch]\n"
        in missing.err
    )
    assert bench.run("apk add bash >/dev/null && bash -c 'a=(1 2); echo ${#a[@]}'", container).out == "2\n"
    assert bench.run("apk del curl && curl", container).code == 127
    assert bench.run("apk info -e bash", container).out == "bash\n"


def test_images_are_made_of_packages_too() -> None:
    bench = connected()
    box = bench.idle("nicolaka/netshoot")
    for name in ("bash", "dig", "ss", "curl", "telnet", "jq", "openssl"):
        assert bench.run(f"command -v {name}", box).code == 0, name
    old = bench.idle("registry.k8s.io/e2e-test-images/jessie-dnsutils:1.3", sandbox=bench.sandbox("old"))
    assert bench.run("dig +short nope.example", old).code == 0
    assert bench.run("nslookup nope.example", old).out.startswith("Server:\t\t10.96.0.10\nAddress:\t10.96.0.10#53\n")


def test_files_of_the_node_are_among_the_mounts() -> None:
    bench = Bench()
    assert "/dev/vda1 on /etc/resolv.conf type ext4" in bench.run("mount").out
    assert bench.run("grep -c /etc/hosts /proc/1/mounts").out == "1\n"


# -- the network ----------------------------------------------------------------------------------------------------


def test_ip_shows_the_address_of_the_pod() -> None:
    bench = Bench()
    container = bench.idle()
    ip = container.sandbox.ip
    shown = bench.run("ip addr", container).out
    assert shown.startswith("1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536")
    assert f"    inet {ip}/24 brd 10.244.0.255 scope global eth0\n" in shown
    assert bench.run("ip -br a", container).out.splitlines()[1].split()[1:] == ["UP", f"{ip}/24"]
    assert bench.run("ip route", container).out.startswith("default via 10.244.0.1 dev eth0\n")
    assert bench.run("ip link show eth0", container).out.count("inet") == 0
    assert bench.run("ip a show eth9", container).err == 'Device "eth9" does not exist.\n'
    assert bench.run("ip link set eth0 down", container).err == "RTNETLINK answers: Operation not permitted\n"
    assert f"inet addr:{ip}  Bcast:10.244.0.255  Mask:255.255.255.0" in bench.run("ifconfig", container).out
    routes = bench.run("route -n", container).out.splitlines()
    assert routes[2].split()[:4] == ["0.0.0.0", "10.244.0.1", "0.0.0.0", "UG"]


def test_who_listens() -> None:
    bench = Bench()
    container = bench.started("busybox", ["sh", "-c", "echo x > /tmp/i; httpd -f -p 8080 -h /tmp"])
    rows = bench.run("netstat -tlnp", container).out.splitlines()
    assert rows[0] == "Active Internet connections (only servers)"
    assert rows[2].split() == ["tcp", "0", "0", "0.0.0.0:8080", "0.0.0.0:*", "LISTEN", "1/httpd"]
    bench2, other = debian("iproute2")
    assert bench2.run("ss -tlnp", other).out.split()[:3] == ["State", "Recv-Q", "Send-Q"]


def test_ping_of_busybox_and_of_iputils() -> None:
    bench, container = debian("iputils-ping", "traceroute")
    ip = container.sandbox.ip
    out = bench.run(f"ping -c 2 {ip}", container).out
    assert f"PING {ip} ({ip}) 56(84) bytes of data.\n64 bytes from {ip}: icmp_seq=1 ttl=63" in out
    assert "2 packets transmitted, 2 received, 0% packet loss, time 1000ms\n" in out
    busybox = bench.run(f"ping -c 1 {ip}", bench.idle(sandbox=bench.sandbox("two"))).out
    assert "1 packets transmitted, 1 packets received, 0% packet loss" in busybox
    traced = bench.run(f"traceroute -n {ip}", container).out
    assert traced.startswith(f"traceroute to {ip} ({ip}), 30 hops max, 60 byte packets\n 1  {ip}  0.050 ms")


# -- texts and files ------------------------------------------------------------------------------------------------


def test_small_tools() -> None:
    bench = Bench()
    container = bench.idle()
    for script, out in (
        ("echo hello | rev", "olleh\n"),
        ("cd /tmp; echo x > f; gzip f; ls f*; zcat f.gz; gunzip f.gz; cat f", "f.gz\nx\nx\n"),
        (
            "cd /tmp; mkdir d; echo 1 > d/f; tar czf d.tgz d; rm -r d; tar xzf d.tgz; cat d/f; tar tzf d.tgz",
            "1\nd\nd/f\n",
        ),
        ("printf 'a\\nb\\n' | less", "a\nb\n"),
        ("sysctl kernel.shm_rmid_forced; sysctl -n net.core.somaxconn", "kernel.shm_rmid_forced = 0\n4096\n"),
        ("sleep 100 & pgrep -f 'sleep 100'; pkill sleep; wait $!; echo $?", None),
        ("busybox echo hi; busybox nosuch; echo $?", "hi\n127\n"),
        ("echo abc > /tmp/s; cd /tmp; sha256sum s > sums; sha256sum -c sums", "s: OK\n"),
    ):
        result = bench.run(script, container)
        assert out is None or result.out == out, (script, result)
    watched = bench.exec(["sh", "-c", "watch -n 1 echo again & sleep 3.5; kill $!"], container)
    assert watched.out.count("again\n") == 4
    assert watched.out.startswith("\x1b[H\x1b[JEvery 1.0s: echo again")


def test_owners_and_groups_can_be_changed_by_root() -> None:
    bench = Bench()
    container = bench.idle()
    script = "mkdir -p /tmp/d/e; touch /tmp/d/e/f; chown -R nobody:www-data /tmp/d; stat -c '%U %g' /tmp/d/e/f"
    assert bench.run(script, container).out == "nobody 33\n"
    assert bench.run("chown 1000:2000 /tmp/d; ls -ldn /tmp/d", container).out.split()[2:4] == ["1000", "2000"]
    assert bench.run("chown nosuch /tmp/d", container).err == "chown: unknown user nosuch\n"
    other = bench.run("touch /tmp/x; chown root /tmp/x", bench.idle(run_as_user=1000, sandbox=bench.sandbox("other")))
    assert (other.code, other.err) == (1, "chown: /tmp/x: Operation not permitted\n")
    assert bench.run("chgrp 5 /tmp/d; stat -c %g /tmp/d", container).out == "5\n"


def test_lines_are_numbered_joined_and_compared() -> None:
    bench = Bench()
    container = bench.idle(DEBIAN)
    for script, out in (
        ("printf 'a\\n\\nb\\n' | nl", "     1\ta\n       \n     2\tb\n"),
        ("seq 3 | paste -sd,", "1,2,3\n"),
        ("echo abcdef | fold -w 4", "abcd\nef\n"),
        ("printf 'a\\nb\\n' > /tmp/1; printf 'b\\nc\\n' > /tmp/2; comm /tmp/1 /tmp/2", "a\n\t\tb\n\tc\n"),
        ("comm -12 /tmp/1 /tmp/2; shuf -i 1-3 | sort | paste -sd ' '", "b\n1 2 3\n"),
        ("getent passwd root", "root:x:0:0:root:/root:/bin/sh\n"),
        ("ls --color=auto /etc/debian_version; cat /proc/1/cgroup", "/etc/debian_version\n0::/\n"),
    ):
        assert bench.run(script, container).out == out, script


def test_an_alias_stands_for_its_text() -> None:
    bench = Bench()
    assert bench.run("alias hi='echo hello; echo'\nhi there\nunalias hi\nhi").out == "hello\nthere\n"
    interactive = bench.exec(["bash", "-i"], bench.idle(DEBIAN), stdin=b"alias ll='ls -d'\nll /tmp\nalias\n")
    assert interactive.out == "/tmp\nalias ll='ls -d'\n"


def test_curl_tries_again_and_puts_data_into_the_address() -> None:
    bench = Bench()
    server = bench.started("hashicorp/http-echo", args=["-text=hi", "-listen=:8080"])
    curl = bench.idle("curlimages/curl", sandbox=bench.sandbox("curl"))
    began = bench.clock.now()
    failed = bench.run(f"curl -s --retry 2 --retry-connrefused {server.sandbox.ip}:81", curl)
    assert failed.code == 7
    assert 3 <= bench.clock.now() - began < 6
    assert bench.run(f"cd /tmp; curl -sG -d a=b -O {server.sandbox.ip}:8080/file; cat file", curl).out == "hi\n"


def test_diff_in_both_forms() -> None:
    make = "cd /tmp; printf '1\\n2\\n3\\n' > a; printf '1\\ntwo\\n3\\n4\\n' > b; diff a b"
    bench = Bench()
    unified = bench.run(make)
    assert (unified.code, unified.out) == (1, "--- a\n+++ b\n@@ -1,3 +1,4 @@\n 1\n-2\n+two\n 3\n+4\n")
    normal = bench.run(make, bench.idle(DEBIAN, sandbox=bench.sandbox("two")))
    assert (normal.code, normal.out) == (1, "2c2\n< 2\n---\n> two\n3a4\n> 4\n")
    assert bench.run("echo a > /tmp/a; diff -q /tmp/a /tmp/a").code == 0


TEXTS = [
    ("", "a\n"),
    ("a\nb\nc\n", "a\nc\n"),
    ("a\nb\n", "x\na\nb\ny\n"),
    ("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\n5\n6\n7\n8\n"),
    ("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "one\n2\n3\n4\n5\n6\n7\n8\nnine\n"),
]


@pytest.mark.skipif(shutil.which("diff") is None, reason="this machine has no diff to compare with")
@pytest.mark.parametrize("options", ["", "-u", "-U1"])
@pytest.mark.parametrize(("one", "two"), TEXTS)
def test_the_same_differences_as_a_real_diff(options: str, one: str, two: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(one)
    (tmp_path / "b").write_text(two)
    command = ["diff", *options.split(), "a", "b"]
    real = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    bench = Bench()
    container = bench.idle(DEBIAN)
    container.files.write("/tmp/a", one.encode())
    container.files.write("/tmp/b", two.encode())
    found = bench.run(f"cd /tmp; diff {options} a b", container)
    assert found.code == real.returncode
    body = [line for line in real.stdout.splitlines() if not line.startswith(("---\t", "--- a", "+++ b"))]
    assert [line for line in found.out.splitlines() if not line.startswith(("--- a", "+++ b"))] == body


def test_envsubst_and_openssl_in_the_nginx_image() -> None:
    bench = Bench()
    container = bench.idle(DEBIAN)
    script = "export A=1 B=2; echo '$A ${B} $C' | envsubst; echo '$A $B' | envsubst '$A'"
    assert bench.run(script, container).out == "1 2 \n1 $B\n"
    assert bench.run("openssl version", container).out.startswith("OpenSSL 3.")
    assert len(bench.run("openssl rand -hex 8", container).out.strip()) == 16
    digest = bench.run("printf a | openssl dgst -sha256", container).out
    assert digest.startswith("SHA2-256(stdin)= ca978112ca1bbdcafac231b39a23dc4d")
    assert "req is not simulated" in bench.run("openssl req -new", container).err


@pytest.mark.parametrize("tool", ["strace", "tcpdump", "nano", "vim", "git"])
def test_what_cannot_be_simulated_is_refused_by_name(tool: str) -> None:
    bench, container = debian(tool)
    result = bench.run(f"{tool} x", container)
    assert (result.code, result.err) == (1, f"{tool}: not simulated here\n")


PODS = '{"items":[{"metadata":{"name":"a","labels":{"app":"x"}},"n":2},{"metadata":{"name":"b"},"n":1}]}'
JQ = [
    (".items[0].metadata.name", '"a"\n'),
    ("-r .items[].metadata.name", "a\nb\n"),
    ("-c '.items[] | select(.n > 1) | {name: .metadata.name, n}'", '{"name":"a","n":2}\n'),
    ("-r '.items | map(.n) | add, length, (.[] | tostring)'", "3\n2\n2\n1\n"),
    ("-c '[.items[] | .metadata.labels.app // \"none\"]'", '["x","none"]\n'),
    ("-r '.items[] | \"\\(.metadata.name)=\\(.n)\"'", "a=2\nb=1\n"),
    ("-c '.items | sort_by(.n) | [.[].n]'", "[1,2]\n"),
    ("-c '.items[0].metadata.labels | to_entries | map(.key)'", '["app"]\n'),
    ("'.items[5].x, .none?'", "null\nnull\n"),
    ("-c '.items[0] | keys, has(\"n\")'", '["metadata","n"]\ntrue\n'),
    ("'if .items then 1 else 2 end'", "1\n"),
]


@pytest.mark.parametrize(("program", "out"), JQ)
def test_jq(program: str, out: str) -> None:
    bench, container = debian("jq")
    assert bench.run(f"echo '{PODS}' | jq {program}", container).out == out


def test_jq_is_bounded() -> None:
    bench, container = debian("jq")
    doubled = "|".join(["[.,.]"] * 30)
    result = bench.run(f"echo 1 | jq -c '{doubled}'", container)
    assert (result.code, "more work than is simulated" in result.err) == (5, True)
    assert bench.run("echo 1 | jq 'reduce .[] as $x (0; .)'", container).code == 3


def test_bytes_are_shown_compared_and_split() -> None:
    bench = Bench()
    container = bench.idle()
    for script, out in (
        ("printf 'abc\\n' | hexdump -C", "00000000  61 62 63 0a" + " " * 39 + "|abc.|\n00000004\n"),
        ("printf 'abc\\n' | xxd", "00000000: 6162 630a" + " " * 32 + "abc.\n"),
        ("printf 'a\\n' | od -c", "0000000   a  \\n\n0000002\n"),
        ("printf 'a\\0text\\0bc' | strings", "text\n"),
        ("cd /tmp; printf 'a\\nb\\n' > 1; printf 'a\\nc\\n' > 2; cmp 1 2", "1 2 differ: char 3, line 2\n"),
        ("cd /tmp; seq 5 | split -l 2 - p; ls p*; cat pac", "paa\npab\npac\n5\n"),
    ):
        assert bench.run(script, container).out == out, script


def test_package_managers_tell_what_is_there() -> None:
    bench, container = debian("curl")
    policy = bench.run("apt-cache policy curl jq", container).out
    assert policy.startswith("curl:\n  Installed: 8.14.1-2\n  Candidate: 8.14.1-2\njq:\n  Installed: (none)\n")
    fedora = bench.idle("fedora", sandbox=bench.sandbox("fedora"))
    assert bench.run("rpm -q jq; dnf install -y jq > /dev/null; rpm -q jq", fedora).out == (
        "package jq is not installed\njq-1.8.1-1.fc43.x86_64\n"
    )
    assert bench.run("dnf -y install nosuch", fedora).err == "Error: Unable to find a match: nosuch\n"
    alpine = bench.idle("alpine", sandbox=bench.sandbox("alpine"))
    assert (
        bench.run("apk add jq > /dev/null; apk list --installed; jq --version", alpine).out == "jq-1.8.1-r0\njq-1.7\n"
    )


def test_servers_go_into_the_background_where_they_are_told_to() -> None:
    bench = Bench()
    container = bench.idle()
    script = "mkdir /www; echo page > /www/index.html; httpd -p 81 -h /www; wget -qO- localhost:81; httpd -p 81 -h /www"
    result = bench.run(script, container)
    assert (result.code, result.out, result.err) == (1, "page\n", "httpd: bind: Address already in use\n")
    redis = bench.idle("redis:7", sandbox=bench.sandbox("redis"))
    assert bench.run("redis-server --daemonize yes; redis-cli ping", redis).out == "PONG\n"


@pytest.mark.parametrize(
    ("image", "tool"),
    [("busybox", "adduser"), ("alpine", "su"), ("nginx", "perl"), ("nginx", "useradd"), ("redis", "redis-benchmark")],
)
def test_what_the_image_has_is_there_and_says_that_it_is_not_simulated(image: str, tool: str) -> None:
    bench = Bench()
    result = bench.run(f"{tool} x", bench.idle(image))
    assert (result.code, result.err) == (1, f"{tool}: not simulated here\n")
