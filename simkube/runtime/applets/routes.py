"""``traceroute``: the nodes between two pods, as far as the simulated network has them."""

from __future__ import annotations

from simkube.runtime.applets.interfaces import interface_of
from simkube.runtime.applets.options import integer, name_of, parse, seconds_of
from simkube.runtime.cri import NetworkError
from simkube.runtime.process import Process


async def traceroute(process: Process) -> int:
    """``traceroute [-n] [-m HOPS] [-w SECONDS] [-q PROBES] HOST``; service addresses answer to nobody."""
    options = await parse(process, "nIT4", "mwqp")
    if not options.operands:
        await process.err("Usage: traceroute [-n] [-m HOPS] [-w SECONDS] [-q PROBES] HOST\n")
        return 2
    host, sandbox = options.operands[0], process.container.sandbox
    try:
        address = (await sandbox.network.resolve(sandbox.ip, host, sandbox.config))[0]
    except NetworkError:
        busybox = process.container.spec.flavour == "busybox"
        words = f"bad address '{host}'" if busybox else f"{host}: Name or service not known"
        await process.err(
            f"{name_of(process)}: {words}\n" if busybox else f'{words}\nCannot handle "host" cmdline arg `{host}\'\n'
        )
        return 1 if busybox else 2
    most = max(1, min(64, integer(options.values.get("m", "30")) or 30))
    probes = max(1, min(10, integer(options.values.get("q", "3")) or 3))
    wait = min(10.0, seconds_of(options.values.get("w", "5")) or 5.0)
    size = 46 if process.container.spec.flavour == "busybox" else 60
    await process.out(f"traceroute to {host} ({address}), {most} hops max, {size} byte packets\n")
    for number, hop in enumerate(hops(process, address)[:most], 1):
        shown = hop if "n" in options else f"{hop} ({hop})"
        await process.out(f"{number:2d}  {shown}" + "  0.050 ms" * probes + "\n")
    if not sandbox.network.answers_ping(address):
        for number in range(len(hops(process, address)) + 1, most + 1):
            await process.sleep(wait * probes)
            await process.out(f"{number:2d} " + " *" * probes + "\n")
    return 0


def hops(process: Process, address: str) -> list[str]:
    """Who answers on the way to an address."""
    sandbox = process.container.sandbox
    network, eth = sandbox.network, interface_of(process)
    if address in (sandbox.ip, "127.0.0.1"):
        return [address]
    way = [] if sandbox.config.host_network else [eth.gateway]
    node = network.node_of(address)
    if node is not None and node is not sandbox.node and address != node.address:
        way.append(node.address)
    return [*way, address] if network.answers_ping(address) else way
