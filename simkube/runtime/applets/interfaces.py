"""``ip``, ``ifconfig``, ``route`` and ``arp``: what of a pod's network there is to see. Changing it is refused.

A pod has ``lo`` and ``eth0``, an address of its node's range and one way out, as kindnet makes them.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass

from simkube.runtime.applets.options import name_of, parse
from simkube.runtime.process import Process

_ANY = str(ipaddress.IPv4Address(0))
_DENIED = "RTNETLINK answers: Operation not permitted\n"


@dataclass(frozen=True, slots=True)
class Interface:
    """``eth0`` of a pod (or node): addresses as text, ``prefix`` the bits of its network, ``index`` its number."""

    address: str
    prefix: int
    gateway: str
    mac: str
    peer: int
    index: int = 2

    @property
    def network(self) -> ipaddress.IPv4Network:
        """The network that it is in."""
        return ipaddress.ip_network(f"{self.address}/{self.prefix}", strict=False)  # type: ignore[return-value]


def interface_of(process: Process) -> Interface:
    """The interface of the process's pod."""
    sandbox = process.container.sandbox
    digest = hashlib.sha256(sandbox.config.uid.encode()).digest()
    mac = ":".join(f"{byte:02x}" for byte in (digest[0] & 0xFC | 0x02, *digest[1:6]))
    if sandbox.config.host_network:
        network = ipaddress.ip_network(f"{sandbox.ip}/16", strict=False)
        return Interface(sandbox.ip, 16, str(network[1]), mac, digest[6] + 3)
    prefix = ipaddress.ip_network(sandbox.node.pod_cidr).prefixlen
    gateway = str(ipaddress.ip_network(sandbox.node.pod_cidr)[1])
    return Interface(sandbox.ip, prefix, gateway, mac, digest[6] + 3)


_OBJECTS = ("address", "link", "route", "neighbour", "neighbor")
_LOOPBACK = "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN"
_LOOPBACK_LINK = "    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00\n"


async def ip(process: Process) -> int:
    """``ip [-4|-6|-br|-o] address|link|route|neighbour [show|list] [[dev] NAME]``; all else is refused as without
    rights, or by name."""
    words = process.argv[1:]
    flags = [word for word in words if word.startswith("-")]
    words = [word for word in words if not word.startswith("-")]
    if words == [] or words[0] in ("help", "h"):
        await process.err("Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }\n")
        return 255 if not words else 0
    if any(flag not in ("-4", "-6", "-br", "-brief", "-o", "-c", "-s", "-d", "-color=never") for flag in flags):
        await process.err(f"ip: option {flags[-1]} is not simulated\n")
        return 255
    kind = next((name for name in _OBJECTS if name.startswith(words[0])), "neighbour" if words[0] == "n" else "")
    if not kind:
        await process.err(f"ip: {words[0]} is not simulated; address, link, route and neighbour are\n")
        return 255
    command, rest = (words[1], words[2:]) if len(words) > 1 else ("show", [])
    if command in ("add", "del", "delete", "set", "replace", "change", "flush", "append"):
        await process.err(_DENIED)
        return 2
    if kind == "route" and command == "get" and rest:
        return await _route_get(process, rest[0])
    if command not in ("show", "list", "ls", "s", "l", "sh", "lst"):
        rest = words[1:]
    names = [word for word in rest if word not in ("dev", "to", "up", "table", "main", "scope", "global")]
    return await _show(process, kind, set(flags), names)


async def _show(process: Process, kind: str, flags: set[str], names: list[str]) -> int:
    eth = interface_of(process)
    if kind == "route":
        text = "" if "-6" in flags else _routes(eth)
    elif kind.startswith("neigh"):
        text = ""
    else:
        unknown = [name for name in names if name not in ("lo", "eth0")]
        if unknown:
            await process.err(f'Device "{unknown[0]}" does not exist.\n')
            return 1
        wanted = names or ["lo", "eth0"]
        text = _brief(eth, wanted) if flags & {"-br", "-brief"} else _long(eth, wanted, kind, flags)
    await process.out(text)
    return 0


def _routes(eth: Interface) -> str:
    text = f"default via {eth.gateway} dev eth0\n"
    if eth.prefix == 16:
        return text + f"{eth.network} dev eth0 scope link  src {eth.address}\n"
    text += f"{eth.network} via {eth.gateway} dev eth0  src {eth.address}\n"
    return text + f"{eth.gateway} dev eth0 scope link  src {eth.address}\n"


async def _route_get(process: Process, target: str) -> int:
    eth = interface_of(process)
    if target.startswith("127.") or target == eth.address:
        await process.out(f"local {target} dev lo  src {target}\n")
    else:
        await process.out(f"{target} via {eth.gateway} dev eth0  src {eth.address}\n")
    return 0


def _brief(eth: Interface, names: list[str]) -> str:
    rows = {"lo": ("UNKNOWN", "127.0.0.1/8 ::1/128"), f"eth0@if{eth.peer}": ("UP", f"{eth.address}/{eth.prefix}")}
    return "".join(
        f"{name:<16} {state:<14} {addresses} \n"
        for name, (state, addresses) in rows.items()
        if name.partition("@")[0] in names
    )


def _long(eth: Interface, names: list[str], kind: str, flags: set[str]) -> str:
    addresses = kind == "address"
    text = ""
    if "lo" in names:
        text += f"{_LOOPBACK}{' group default' if addresses else ' mode DEFAULT group default'} qlen 1000\n"
        text += "" if flags & {"-4", "-6"} and addresses else _LOOPBACK_LINK
        if addresses and "-6" not in flags:
            text += "    inet 127.0.0.1/8 scope host lo\n       valid_lft forever preferred_lft forever\n"
        if addresses and "-4" not in flags:
            text += "    inet6 ::1/128 scope host \n       valid_lft forever preferred_lft forever\n"
    if "eth0" in names and not ("-6" in flags and addresses):
        text += f"{eth.index}: eth0@if{eth.peer}: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP"
        text += f"{' group default' if addresses else ' mode DEFAULT group default'} qlen 1000\n"
        if not (flags & {"-4"} and addresses):
            text += f"    link/ether {eth.mac} brd ff:ff:ff:ff:ff:ff link-netnsid 0\n"
        if addresses:
            text += f"    inet {eth.address}/{eth.prefix} brd {eth.network.broadcast_address} scope global eth0\n"
            text += "       valid_lft forever preferred_lft forever\n"
    return text


async def ifconfig(process: Process) -> int:
    """``ifconfig [-a] [lo|eth0]``, as busybox or (in Debian) net-tools show it."""
    options = await parse(process, "a")
    unknown = [name for name in options.operands[:1] if name not in ("lo", "eth0")]
    if unknown:
        gnu = process.container.spec.flavour == "debian"
        why = "error fetching interface information: Device not found"
        await process.err(f"{unknown[0]}: {why}\n" if gnu else f"ifconfig: {unknown[0]}: {why}\n")
        return 1
    if len(options.operands) > 1:
        await process.err("ifconfig: SIOCSIFADDR: Operation not permitted\n")
        return 1
    names = options.operands or ["eth0", "lo"]
    eth = interface_of(process)
    shown = _net_tools if process.container.spec.flavour == "debian" else _busybox
    await process.out("".join(shown(eth, name) for name in names))
    return 0


def _busybox(eth: Interface, name: str) -> str:
    counts = (
        "          RX packets:0 errors:0 dropped:0 overruns:0 frame:0\n"
        "          TX packets:0 errors:0 dropped:0 overruns:0 carrier:0\n"
        "          collisions:0 txqueuelen:{} \n          RX bytes:0 (0.0 B)  TX bytes:0 (0.0 B)\n\n"
    )
    if name == "lo":
        return (
            "lo        Link encap:Local Loopback  \n          inet addr:127.0.0.1  Mask:255.0.0.0\n"
            "          UP LOOPBACK RUNNING  MTU:65536  Metric:1\n" + counts.format(1000)
        )
    return (
        f"eth0      Link encap:Ethernet  HWaddr {eth.mac.upper()}  \n          inet addr:{eth.address}  "
        f"Bcast:{eth.network.broadcast_address}  Mask:{eth.network.netmask}\n"
        "          UP BROADCAST RUNNING MULTICAST  MTU:1500  Metric:1\n" + counts.format(1000)
    )


def _net_tools(eth: Interface, name: str) -> str:
    counts = (
        "        RX packets 0  bytes 0 (0.0 B)\n        RX errors 0  dropped 0  overruns 0  frame 0\n"
        "        TX packets 0  bytes 0 (0.0 B)\n"
        "        TX errors 0  dropped 0 overruns 0  carrier 0  collisions 0\n\n"
    )
    if name == "lo":
        return (
            "lo: flags=73<UP,LOOPBACK,RUNNING>  mtu 65536\n        inet 127.0.0.1  netmask 255.0.0.0\n"
            "        loop  txqueuelen 1000  (Local Loopback)\n" + counts
        )
    return (
        f"eth0: flags=4163<UP,BROADCAST,RUNNING,MULTICAST>  mtu 1500\n        inet {eth.address}  "
        f"netmask {eth.network.netmask}  broadcast {eth.network.broadcast_address}\n"
        f"        ether {eth.mac}  txqueuelen 1000  (Ethernet)\n" + counts
    )


async def route(process: Process) -> int:
    """``route [-n]``: the kernel's table; changing it is refused as without rights."""
    options = await parse(process, "ne")
    if options.operands:
        await process.err("SIOCADDRT: Operation not permitted\n")
        return 1
    eth = interface_of(process)
    titles = ("Destination", "Gateway", "Genmask", "Flags", "Metric", "Ref", "   Use", "Iface")
    any_, none = (_ANY, _ANY) if "n" in options else ("default", "*")
    rows = [(any_, eth.gateway, _ANY, "UG")]
    if eth.prefix == 16:
        rows.append((str(eth.network.network_address), none, str(eth.network.netmask), "U"))
    else:
        rows.append((str(eth.network.network_address), eth.gateway, str(eth.network.netmask), "UG"))
        rows.append((eth.gateway, none, "255.255.255.255", "UH"))
    layout = "{:<15} {:<15} {:<15} {:<5} {:<6} {:<3} {:>6} {}\n"
    await process.out("Kernel IP routing table\n" + layout.format(*titles))
    await process.out("".join(layout.format(*row, "0", "0", "0", "eth0") for row in rows))
    return 0


async def arp(process: Process) -> int:
    """``arp [-n] [-a]``: neighbours are not simulated, and none are known."""
    options = await parse(process, "anv")
    if options.operands:
        await process.err(f"{name_of(process)}: {options.operands[0]} ({options.operands[0]}) -- no entry\n")
        return 1
    return 0
