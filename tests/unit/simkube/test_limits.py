"""What operators are told of a simulated cluster's limits is what the code has."""

from __future__ import annotations

import re
from pathlib import Path

from simkube.apiserver.admission import custom_resource_limits as definitions
from simkube.apiserver.cel import evaluation
from simkube.apiserver.handlers import cost
from simkube.apiserver.http import body, responses, sending, watch
from simkube.apiserver.http import handler as http
from simkube.apiserver.http import watch_stream as watching
from simkube.apiserver.registry import selectors
from simkube.apiserver.registry.apiextensions import structural
from simkube.apiserver.schema.custom import effort
from simkube.apiserver.streams import limits as streams
from simkube.clock import pace
from simkube.etcd.store import WINDOW, Limits
from simkube.eventloop import fairness as sharing
from simkube.host import connections, controls, settings
from simkube.host.tenants import MOST_CLUSTERS
from simkube.runtime.container import MAX_PROCESSES
from simkube.trace import trace

OPERATING = Path(__file__).resolve().parents[3] / "docs" / "operating.md"
MIB = 2**20

LIMITS = {
    "objects": f"{Limits().objects}",
    "bytes of objects": f"{Limits().bytes / MIB:g} MiB",
    "definitions of kinds": f"{definitions.MOST_DEFINITIONS}",
    "bytes of definitions": f"{definitions.MOST_BYTES / MIB:g} MiB",
    "changes a watch may begin behind": f"{WINDOW}",
    "watches at a time": f"{watching.MOST_WATCHES}",
    "changes a watch may be behind before it is ended": f"{watch.MOST_WAITING}",
    "bytes of one request's body": f"{body.MOST_BYTES / MIB:g} MiB",
    "bytes of one request's body as YAML": f"{body.MOST_YAML_BYTES / MIB:g} MiB",
    "values in one request's body": f"{body.MOST_VALUES}",
    "values of one object": f"{cost.MOST_VALUES}",
    "steps that an object's schema, defaults and patterns may take": f"{effort.MOST_STEPS} each",
    "steps that rules of one object, or policies for one request, may take": f"{evaluation.MOST_STEPS}",
    "steps that a definition of a kind may take": f"{structural.MOST_STEPS}",
    "requirements of one label selector": f"{selectors.MOST_REQUIREMENTS}",
    "values in all requirements of one label selector": f"{selectors.MOST_VALUES}",
    f"large bodies (from {responses.LARGE / 1024:g} KiB) read at a time": f"{http.MOST_LARGE}",
    "bytes that large answers keep until they are read": f"{sending.MOST_BYTES / MIB:g} MiB",
    "seconds in which a large answer must be read": f"{sending.SECONDS:g}",
    "bytes of a list as YAML or pretty": f"{sending.MOST_SHAPED / MIB:g} MiB",
    "connections at a time": f"{connections.MOST_OF_CLUSTER}",
    "requests that wait for their turn": f"{sharing.MOST_WAITING}",
    "exec and attach at a time": f"{streams.MOST['exec']}",
    "followed logs at a time": f"{streams.MOST['log']}",
    "forwarded ports at a time": f"{streams.MOST['portforward']}",
    "proxied requests at a time": f"{streams.MOST['proxy']}",
    "bytes that wait for slow readers of streams": f"{streams.BUFFERS / MIB:g} MiB",
    "processes of one container": f"{MAX_PROCESSES}",
    "loop time at once, before it counts as a flood": f"{sharing.BURST:g} s",
    "part of the loop that floods share while others are active": f"{100 * sharing.DEBTORS:g} %",
    "longest delay of one piece of a flood's work": f"{sharing.MOST_DELAY:g} s",
    "speed of its clock": f"{pace.SLOWEST:g} to {pace.FASTEST:g}",
    "cluster time of one step of its clock": f"{pace.LONGEST_STEP / 86400:g} d",
    "changes its trace keeps": f"{trace.MOST}",
    "requests that wait for news of its trace": f"{controls.MOST_WAITING}",
}


def section() -> str:
    return (
        OPERATING.read_text(encoding="utf-8").partition("## Limits of a simulated cluster\n")[2].partition("\n## ")[0]
    )


def test_the_table_of_limits_is_the_code() -> None:
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", section(), re.MULTILINE))
    rows.pop("limit, per cluster")
    assert rows == LIMITS


def test_the_most_clusters_of_a_host_are_named() -> None:
    assert f"One host holds {MOST_CLUSTERS} clusters." in section()


def test_what_large_answers_of_all_clusters_may_keep_is_a_setting() -> None:
    assert f"`{settings.ANSWERS}` (in MiB, {responses.HOST_BYTES >> 20} where it is not set)" in section()


def test_the_bounds_of_connections_are_named() -> None:
    assert f"{connections.MOST_UNPROVEN} connections of nobody known, {connections.UNPROVEN_SECONDS:g} s" in section()
