"""What a learner cannot do: block the host, fill its memory, break the simulation."""

from __future__ import annotations

import logging
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simkube.runtime.regex import Regex, RegexError
from simkube.runtime.shell.parser import Parser
from simkube.runtime.shell.patterns import Pattern
from simkube.runtime.shell.syntax import NotSimulated, SyntaxProblem
from tests.doubles.container_node import Bench
from tests.unit.simkube.runtime.scripts import SCRIPTS

HOSTILE = [
    "while :; do :; done",
    "yes",
    "cat /dev/zero > /dev/null",
    "cat /dev/zero | sort",
    "x=a; while :; do x=$x$x; done",
    "x=$(yes)",
    "f() { f | f & }; f",
    "f() { f; }; f",
    "f() { $(f); }; f",
    "while :; do sh -c 'sleep 1000' & done",
    "while :; do yes > /tmp/$RANDOM; done",
    "dd if=/dev/zero of=/tmp/x bs=1M count=10000",
    "tail /dev/zero",
    "read x < /dev/zero; echo ${#x}",
    "yes | xargs echo",
    "seq 1 999999999999",
    "printf '%9999s%9999s' $(seq 1 1000) | wc -c",
    "i=0; while :; do i=$((i+1)); export V$i=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
    "i=0; while :; do i=$((i+1)); mkdir -p /tmp/$i/a/b/c; done",
    "ln -s /tmp/a /tmp/b; ln -s /tmp/b /tmp/a; cat /tmp/a; ls -R /",
    "echo " + "$(" * 200,
    "echo " + "((((" * 200 + "))))" * 200,
    "echo $(( " + "(" * 200 + "1" + ")" * 200 + " ))",
    "(" * 100 + "echo x" + ")" * 100,
    "echo 'sh /tmp/s' > /tmp/s; sh /tmp/s",
    "printf '#!/tmp/a\\n' > /tmp/a; chmod +x /tmp/a; /tmp/a",
    "eval 'eval \"eval : ; eval : \"'; s='eval $s'; eval $s",
    "trap 'kill -TERM $$' TERM; kill -TERM $$; sleep 1",
    "trap 'exit' EXIT; exit",
    "exec 1>&-; echo x; ls; yes",
    "grep -E '((a*)*)*b' /etc/passwd; echo " + "a" * 2000 + " | grep -E '(a|aa)+$|(a?){200}x'",
    "echo " + "a" * 3000 + " | sed -E 's/(a*)*(a*)*b/x/g'",
    "case " + "a" * 3000 + " in " + "*a" * 50 + "b) echo no;; esac",
    "x=" + "a" * 3000 + "; echo ${x%%" + "*a" * 30 + "b}",
    "set -- */*/*/*/*/*; cd /proc/self/cwd/proc/1/root; cat /proc/../../etc/passwd",
    f"cat ../../../../../../../..{__file__} /home/*/.ssh/*",
    "tar cf /tmp/t.tar / ; tar xf /tmp/t.tar -C /proc; tar xf /bin/sh",
    ": > /tmp/f; while read l; do echo $l$l >> /tmp/f; done < /tmp/f",
    "kill -9 -1; kill -STOP $$",
    "wget -qO- http://127.0.0.1:22; wget http://169.254.169.254/; nc 127.0.0.1 22",
]


@pytest.mark.parametrize("script", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_scripts_are_bounded(script: str, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    container = bench.idle()
    began = time.perf_counter()
    with caplog.at_level(logging.ERROR):
        result = bench.run(script, container, seconds=5)
    spent = time.perf_counter() - began
    assert not caplog.records
    assert result.code != 70
    assert spent < 5, "a learner's script took more than its share of the machine"
    assert bench.network.storage.used < 20 * 1024 * 1024
    assert len(container.processes) <= 64


def test_a_busy_loop_leaves_others_their_turn() -> None:
    bench = Bench()
    bench.started(command=["sh", "-c", "while :; do :; done"])
    other = bench.started(command=["sh", "-c", "while :; do date +%s; sleep 1; done"])
    bench.clock.advance(5.5)
    assert len(other.log.lines()) == 6


def test_a_full_volume_says_so() -> None:
    bench = Bench()
    result = bench.run("dd if=/dev/zero of=/tmp/x bs=1M count=100; echo status $?")
    assert "No space left on device" in result.err
    assert result.out == "status 1\n"


def test_a_fork_bomb_is_told_that_it_cannot_fork() -> None:
    bench = Bench()
    result = bench.run("i=0; while [ $i -lt 100 ]; do sleep 1000 & i=$((i+1)); done; echo done", seconds=30)
    assert "can't fork: Resource temporarily unavailable" in result.err


def test_too_much_output_drops_the_oldest_lines() -> None:
    bench = Bench()
    container = bench.started(command=["sh", "-c", "seq 1 20000; sleep 1000"])
    bench.clock.advance(60)
    lines = container.log.lines()
    assert len(lines) == 10_000
    assert lines[-1].text == "20000"


PIECES = sorted({piece for script in SCRIPTS for piece in script.replace("\n", " \n ").split(" ")})


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=30).map(" ".join)))
def test_the_parser_ends_with_a_tree_or_a_refusal(source: str) -> None:
    try:
        parser = Parser(source)
        commands = list(iter(parser.next_command, None))
    except (SyntaxProblem, NotSimulated):
        return
    assert all(command.items for command in commands)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(PIECES), max_size=25).map(" ".join))
def test_any_script_ends_or_waits_without_an_error_of_the_simulation(source: str) -> None:
    result = Bench().run(source, seconds=1)
    assert result.code != 70
    assert "internal error" not in result.err


@settings(max_examples=200, deadline=None)
@given(st.text("ab*?[]\\", max_size=12), st.text("ab", max_size=12))
def test_patterns_match_as_fnmatch_does(pattern: str, text: str) -> None:
    import fnmatch

    if "\\" in pattern or "[" in pattern:
        assert Pattern(pattern).matches(text) in (True, False)
    else:
        assert Pattern(pattern).matches(text) == fnmatch.fnmatchcase(text, pattern)


@settings(max_examples=300, deadline=None)
@given(st.text("ab|()*+?.", max_size=10), st.text("abc", max_size=10))
def test_regular_expressions_find_what_pythons_find(pattern: str, text: str) -> None:
    import re
    import warnings

    if re.search(r"[*+?]{2}", pattern):
        return  # lazy and possessive repeats are Python's own
    try:
        found = Regex(pattern, extended=True).search(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = re.search(pattern, text)
    except (RegexError, re.error):
        return
    assert (found is None) == (expected is None)
    if found is not None and expected is not None:
        assert found[0][0] == expected.start()
        assert found[0][1] >= expected.end()


@pytest.mark.parametrize(
    ("script", "named"),
    [("coproc cat", "coproc"), ("declare -n x=y", "-n"), ("shopt -s extglob", "extglob"), ("history", "history")],
)
def test_what_is_not_simulated_of_bash_is_refused_by_name(script: str, named: str) -> None:
    bench = Bench()
    result = bench.exec(["bash", "-c", script], bench.idle("nginx"))
    assert result.code != 0
    assert named in result.err
    assert "not simulated" in result.err


@pytest.mark.parametrize(
    "command",
    ["vi x", "ls --color=always", "sort -o x", "sed -f x", "awk 'BEGIN{getline}'", "ln a b", "find . -perm 1"],
)
def test_a_command_that_is_not_simulated_says_so_and_fails(command: str) -> None:
    result = Bench().run(command)
    assert result.code not in (0, None)
    assert "simulated" in result.err


@pytest.mark.parametrize(
    "script",
    [
        "a=(); for ((i = 20000; i > 0; i--)); do a[i]=x; done",
        'a=({1..4000}); while :; do x="${a[*]}"; done',
        "x=$(printf '%3000s' a); while :; do [[ $x =~ ( *)*b ]]; done",
        "while :; do echo {1..3000} > /dev/null; done",
    ],
)
def test_what_is_dear_in_bash_uses_up_the_budget_of_its_container(script: str) -> None:
    bench = Bench()
    container = bench.idle("nginx")
    container.exec(["bash", "-c", script], lambda name, data: None)
    before = container.cpu.used
    bench.clock.advance(30)
    assert container.cpu.used - before > 10_000


def test_a_pattern_with_a_star_is_not_looked_for_in_a_long_text() -> None:
    bench = Bench()
    result = bench.exec(["bash", "-c", "x=$(printf '%4000s' a); echo ${x//[[:space:]]*b/}"], bench.idle("nginx"))
    assert (result.code, "a limit of this simulation" in result.err) == (1, True)
