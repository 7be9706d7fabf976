"""``kube-proxy``, ``kindnetd``, ``local-path-provisioner``: pods by which the cluster does its own work on its nodes.

What they do is done by components of the cluster (:mod:`simkube.proxy.services`, :mod:`simkube.proxy.policies`,
:mod:`simkube.addons.localpath`), on the nodes where these processes run
(:class:`~simkube.runtime.network.agents.Agents`). They read their configuration and need the rights of their service
accounts, as the real ones do.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml

from simkube.runtime import klog
from simkube.runtime.network.agents import ANYWHERE
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.cluster_access import Need, denied
from simkube.runtime.programs.serving import stop_request

RETRY_SECONDS = 30.0
MOST_BYTES = 64 * 1024
GO_INTERRUPTED = 2
"""How a Go program ends that is process 1 and does not listen to SIGTERM."""
_VOLUMES = (
    ("", "nodes"),
    ("", "persistentvolumeclaims"),
    ("", "persistentvolumes"),
    ("storage.k8s.io", "storageclasses"),
)
_MODES = ("", "iptables", "ipvs", "nftables")


async def kube_proxy(process: Process) -> int:
    """``kube-proxy --config=FILE [--hostname-override=NAME]``: programs its node while it runs."""
    flags = _flags(process.argv[1:])
    path = flags.get("config", "")
    problem, config = _configuration(process, path)
    if not problem and config.get("kind") != "KubeProxyConfiguration":
        problem = f'no kind "{config.get("kind", "")}" is registered for version "{config.get("apiVersion", "")}"'
    mode = str(config.get("mode") or "")
    if not problem and mode not in _MODES:
        problem = f'KubeProxyConfiguration.mode: Invalid value: "{mode}": must be iptables,ipvs,nftables or blank'
    if problem:
        _say(process, "run.go:72", klog.quoted("command failed", err=f"failed complete: {problem}"), "E")
        return 1
    sandbox = process.container.sandbox
    _say(process, "server.go:677", klog.quoted("Successfully retrieved node IP(s)", IPs=sandbox.node.address))
    shown = {"": "iptables"}.get(mode, mode)
    _say(process, f"server_linux.go:{len(shown) + 40}", f'"Using {shown} Proxier"')
    needs = (("", "services"), ("", "nodes"), ("discovery.k8s.io", "endpointslices"))
    _work(process, "kube-proxy", sandbox.config.node, needs, "config.go:328")
    await stop_request(process)
    return GO_INTERRUPTED


async def kindnetd(process: Process) -> int:
    """``kindnetd``: has network policies enforced on its node while it runs."""
    sandbox = process.container.sandbox
    for text in (f"connected to apiserver: https://{process.env.get('CONTROL_PLANE_ENDPOINT', '')}",
                 f"hostIP = {sandbox.node.address}", f"podIP = {sandbox.ip}"):  # fmt: skip
        _say(process, "main.go:109", text)
    if not process.env.get("CONTROL_PLANE_ENDPOINT"):
        _say(process, "main.go:62", "CONTROL_PLANE_ENDPOINT is not set", "W")
    needs = (("", "nodes"), ("", "pods"), ("", "namespaces"), ("networking.k8s.io", "networkpolicies"))
    _work(process, "kindnet", sandbox.config.node, needs, "main.go:227")
    await stop_request(process)
    return 0


async def local_path_provisioner(process: Process) -> int:
    """``local-path-provisioner start --config FILE``: makes volumes while it runs."""
    words = [word for word in process.argv[1:] if word != "--debug"]
    if words[:1] != ["start"]:
        await process.err("local-path-provisioner: usage: local-path-provisioner start --config FILE\n")
        return 1
    path = words[words.index("--config") + 1] if "--config" in words[:-1] else ""
    problem = _paths_problem(process, path)
    if problem:
        await process.err(f'time="{_now(process)}" level=fatal msg="Error starting daemon: {problem}"\n')
        return 1
    await process.err(f'time="{_now(process)}" level=debug msg="Applied config: {path}"\n')
    _work(process, "local-path-provisioner", ANYWHERE, _VOLUMES, "reflector.go:200")
    _say(process, "controller.go:824", "Started provisioner controller rancher.io/local-path")
    await stop_request(process)
    return 1


def _paths_problem(process: Process, path: str) -> str:
    try:
        given = json.loads(_read(process, path))
    except FileError as error:
        return f"fail to load config file {path}: open {path}: {error.strerror.lower()}"
    except ValueError as error:
        return f"fail to load config file {path}: {str(error)[:100]}"
    entries = given.get("nodePathMap") if isinstance(given, dict) else None
    if not entries:
        return "invalid empty nodePathMap"
    wanted = [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": ["/var/local-path-provisioner"]}]
    return "" if entries == wanted else "another nodePathMap than kind's is not simulated here"


def _configuration(process: Process, path: str) -> tuple[str, dict[str, Any]]:
    """What is wrong with a file, and what is in it."""
    try:
        found = yaml.safe_load(_read(process, path))
    except FileError as error:
        return f"open {path}: {error.strerror.lower()}", {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return f"couldn't decode {path}: {str(error)[:200]}", {}
    return ("", found) if isinstance(found, dict) else (f"couldn't decode {path}: it is no mapping", {})


def _read(process: Process, path: str) -> str:
    content = process.container.files.read(process.resolve(path))
    if len(content) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES} bytes")
    return content.decode("utf-8", "replace")


def _flags(words: Sequence[str]) -> dict[str, str]:
    return dict(word.lstrip("-").partition("=")[::2] for word in words if word.startswith("-"))


def _say(process: Process, source: str, text: str, severity: str = "I") -> None:
    process.complain(klog.line(process.container.clock.now(), source, text, severity))


def _now(process: Process) -> str:
    return process.container.clock.timestamp()


def _work(process: Process, program: str, node: str, needs: Sequence[Need], source: str) -> None:
    """Begin to work, as soon as it may read what it needs; end with the process."""
    found = denied(process, program, needs)
    if found:
        for resource, why in found:
            text = klog.quoted("Failed to watch", err=f"failed to list {resource}: {why}")
            _say(process, "reflector.go:205", text, "E")
        later = process.container.clock.call_later(
            RETRY_SECONDS, lambda: None if process.exited.done else _work(process, program, node, needs, source)
        )
        process.on_end.append(later.cancel)
        return
    if program == "kube-proxy":
        _say(process, source, klog.quoted("Starting service config controller"))
        _say(process, "shared_informer.go:349", '"Caches are synced" controller="service config"')
    process.on_end.append(process.container.sandbox.network.agents.join(program, node))
