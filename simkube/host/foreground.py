"""One cluster for whoever sits at this terminal: served until Ctrl-C, with a kubeconfig that is removed at the end.

Refuses to replace a kubeconfig that it did not write (other clusters may be in it) and one whose cluster still answers
(somebody works there), and removes at the end only what it wrote itself.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import binascii
import http.client
import json
import os
import shlex
import shutil
import ssl
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from simkube.apimachinery.errors import HostError, SimkubeError
from simkube.clock.pace import FASTEST, SLOWEST
from simkube.host import settings
from simkube.host.control import Control
from simkube.host.home import Home, check_id, write_private
from simkube.host.launcher import HostClient
from simkube.host.logs import log_to
from simkube.host.process import workers_ready

MOST_NODES = 100
USER = "admin"
ANSWER_SECONDS = 3.0
"""For so long a cluster may take to say that it is still there."""


def main(options: argparse.Namespace) -> int:
    """Serve until a signal comes; ``options`` are those of ``python -m simkube up``."""
    scratch = tempfile.mkdtemp(prefix="simkube-") if options.home is None else None
    try:
        check_id(options.name)
        topology = _topology(options)
        if not SLOWEST <= options.speed <= FASTEST:
            raise HostError(f"a clock's speed is between {SLOWEST:g} and {FASTEST:g}, not {options.speed:g}")
        _refuse_others(options.kubeconfig, options.name)
        home = Home(Path(scratch) if scratch else options.home.resolve())
        home.make()
        with home.lock("host.lock", wait=False) or _in_use(home):
            log_to(home.log)
            chosen = settings.load({settings.WORKERS: "1", **os.environ})
            with workers_ready() as ready:
                return asyncio.run(_serve(Control(home, ready, chosen, options.port), topology, options))
    except (SimkubeError, OSError) as error:
        sys.stderr.write(f"simkube: {error}\n")
        return 1
    finally:
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)


async def _serve(host: Control, topology: dict[str, Any], options: argparse.Namespace) -> int:
    began = time.perf_counter()
    serving = asyncio.ensure_future(host.run())
    config = ""
    try:
        up = asyncio.ensure_future(host.serving.wait())
        await asyncio.wait({serving, up}, return_when=asyncio.FIRST_COMPLETED)
        if not up.done():
            up.cancel()
            return await serving  # ended, or failed, before it served
        config, nodes = await asyncio.to_thread(_made, HostClient(host.info), topology, options)
        write_private(options.kubeconfig, config)
        _greet(options, nodes, time.perf_counter() - began)
        return await serving
    finally:
        if not serving.done():
            serving.cancel()
        _remove_own(options.kubeconfig, config)


def _made(host: HostClient, topology: dict[str, Any], options: argparse.Namespace) -> tuple[str, int]:
    """The cluster that is asked for: its kubeconfig, and how many nodes it has."""
    made = host.create(options.name, topology, images=options.images)
    if host.control(options.name, "clock")["speed"] != options.speed:
        host.control(options.name, "clock", {"speed": options.speed})
    return host.kubeconfig(options.name, USER) or "", len(made["nodes"])


def _remove_own(path: Path, config: str) -> None:
    """Remove the kubeconfig, unless another process has put its own there since."""
    if config and path.exists() and path.read_text(encoding="utf-8", errors="replace") == config:
        path.unlink(missing_ok=True)


def _greet(options: argparse.Namespace, nodes: int, seconds: float) -> None:
    path = shlex.quote(str(options.kubeconfig.resolve()))
    speed = "" if options.speed == 1.0 else f", its clock {options.speed:g} times as fast as yours"
    end = "Ctrl-C ends it and forgets everything in it." if options.home is None else "Ctrl-C ends it."
    sys.stdout.write(
        f"A simulated Kubernetes cluster of {nodes} node{'s' if nodes != 1 else ''} is up ({seconds:.1f} s{speed}).\n"
        f"In another terminal:\n\n    export KUBECONFIG={path}\n    kubectl get nodes\n\n{end}\n"
    )
    sys.stdout.flush()


def _topology(options: argparse.Namespace) -> dict[str, Any]:
    if options.topology is None:
        if not 1 <= options.nodes <= MOST_NODES:
            raise HostError(f"a cluster has 1 to {MOST_NODES} nodes, not {options.nodes}")
        return shape(options.nodes)
    if not options.topology.is_file():
        raise HostError(f"there is no file {options.topology}")
    try:
        found = yaml.safe_load(options.topology.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise HostError(f"{options.topology} is not YAML: {error}") from error
    if not isinstance(found, dict):
        raise HostError(f"{options.topology} is not a kind configuration: expected a mapping")
    return found


def shape(nodes: int) -> dict[str, Any]:
    """The topology of so many nodes: a control plane, which takes pods when it is alone, and workers."""
    return {"nodes": [{"role": "control-plane" if number == 0 else "worker"} for number in range(nodes)]}


def _refuse_others(path: Path, name: str) -> None:
    """HostError for a file at ``path`` that is no kubeconfig of a cluster of this name alone, or of one that is up."""
    if not path.exists():
        return
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        contexts = [each["name"] for each in config["contexts"]]
    except (ValueError, KeyError, TypeError):
        contexts = []
    if contexts != [name]:
        raise HostError(f"{path} exists and is not a kubeconfig of simkube's; name another file with --kubeconfig")
    if _answers(config):
        raise HostError(f"the cluster of {path} is still up; end that one first, or write with --kubeconfig OTHER")


def _answers(config: dict[str, Any]) -> bool:
    """Whether the cluster of a kubeconfig of ours is there: its own certificate, and not that nobody knows it (404)."""
    try:
        cluster = config["clusters"][0]["cluster"]
        server = urlsplit(cluster["server"])
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode("ascii")
        trusted = ssl.create_default_context(cadata=authority)
        connection = http.client.HTTPSConnection(
            str(server.hostname), server.port, timeout=ANSWER_SECONDS, context=trusted
        )
        try:
            connection.request("GET", f"{server.path}/version")
            return connection.getresponse().status != 404
        finally:
            connection.close()
    except (KeyError, IndexError, TypeError, ValueError, binascii.Error, OSError, http.client.HTTPException):
        return False


def _in_use(home: Home) -> Any:
    raise HostError(f"another process serves the clusters of {home.folder}; choose another --home")
