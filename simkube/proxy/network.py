"""The pod network of one cluster: addresses, routes to services, and what becomes of a connection.

A connection is refused when its address lives and nobody listens; it finds no answer (until the caller gives up, or
:data:`SYN_TIMEOUT`) when its address is nobody's, or of a node that is stopped; it is reset when the process that
serves it dies. Service addresses and node ports are rules that kube-proxy sets (:meth:`Network.program`) and that
stay when kube-proxy stops; names are answered by whatever DNS add-on runs. Only HTTP requests and bare TCP
connections are carried; UDP and TLS are not.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from simkube.clock import Clock, Future
from simkube.proxy.ports import Listener, PortTable
from simkube.runtime.cpu import CPU
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from simkube.runtime.nodes import Quota
from simkube.runtime.process import RunQueue

if TYPE_CHECKING:
    from simkube.runtime.sandbox import PodSandbox

SYN_TIMEOUT = 127.0
"""Seconds until Linux gives up connecting to an address that does not answer (tcp_syn_retries = 6)."""

DNS_TIMEOUT = 10.0
"""Seconds until a resolver gives up on a name server that does not answer (2 attempts of 5 s)."""

CLUSTER_STEPS = (4_000.0, 40_000.0)
"""Steps a second and at most at once for all containers of a cluster."""

CLUSTER_BYTES = 64 * 1024 * 1024
"""What all files of a cluster's containers and volumes may take together."""

Target = tuple[str, int]
"""An address and a port."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Where a service port leads: its endpoints, and for how many seconds a client keeps to one (0: not).

    With ``by_node`` only the endpoints on the client's own node count; ``drop``: without endpoints packets vanish
    instead of being refused (traffic policy ``Local``).
    """

    targets: tuple[Target, ...] = ()
    affinity_seconds: float = 0.0
    by_node: Mapping[str, tuple[Target, ...]] | None = None
    drop: bool = False


@dataclass(slots=True)
class NodeNet:
    """A node on the network; ``reachable`` is False while it is stopped or paused."""

    name: str
    address: str
    pod_cidr: str
    ports: PortTable = field(default_factory=PortTable)
    reachable: bool = True
    last: int = 1


@dataclass(slots=True)
class Connection:
    """An open connection to a server; may carry several requests (keep-alive)."""

    network: Network
    listener: Listener
    node: NodeNet
    peer: str

    async def exchange(self, request: HTTPRequest) -> HTTPResponse:
        """One request. NetworkError ``reset`` when the server's process is gone; never answers on a dead node."""
        response = await self.listener.exchange(request, self.peer)
        if not self.node.reachable:
            await Future[None]()
        return response


class Resolver(Protocol):
    """The cluster's DNS: a full name or one to be searched for, to addresses."""

    def resolve(self, name: str, searches: Sequence[str]) -> list[str]:
        """The addresses; NetworkError ``name`` when there are none."""

    def canonical(self, name: str, searches: Sequence[str]) -> str:
        """The full name that has the addresses, or the name itself."""


class Network:
    """One cluster's network. ``seed`` makes the choice among endpoints repeatable."""

    def __init__(
        self, clock: Clock, pod_cidr: str = "10.244.0.0/16", node_cidr: str = "172.18.0.0/16", seed: int = 0
    ) -> None:
        self.clock = clock
        self.queue = RunQueue()
        self.cpu = CPU(clock, *CLUSTER_STEPS)
        self.storage = Quota(CLUSTER_BYTES)
        self.nodes: dict[str, NodeNet] = {}
        self.resolver: Resolver | None = None
        self.dns_address = "10.96.0.10"
        self._pods = ipaddress.ip_network(pod_cidr).subnets(new_prefix=24)
        self._node_addresses = ipaddress.ip_network(node_cidr).hosts()
        next(self._node_addresses)
        self._sandboxes: dict[str, PodSandbox] = {}
        self._by_address: dict[str, NodeNet] = {}
        self._rules: dict[Target, Rule] = {}
        self._sticky: dict[tuple[str, Target], tuple[Target, float]] = {}
        self._random = random.Random(seed)  # noqa: S311 - load balancing, not secrets

    # -- addresses -------------------------------------------------------------------------------------------------

    def node(self, name: str, address: str = "", pod_cidr: str = "") -> NodeNet:
        """The node's place on the network, made at the first call; address and pod range are chosen when not given."""
        if name not in self.nodes:
            chosen = NodeNet(name, address or str(next(self._node_addresses)), pod_cidr or str(next(self._pods)))
            self.nodes[name] = chosen
            self._by_address[chosen.address] = chosen
        return self.nodes[name]

    def attach(self, sandbox: PodSandbox, node: NodeNet, ip: str = "") -> str:
        """Give a sandbox an address of its node's range (``ip`` when it had one) and make it reachable."""
        address = ip if ip and ip not in self._sandboxes else self._free_address(node)
        self._sandboxes[address] = sandbox
        return address

    def _free_address(self, node: NodeNet) -> str:
        network = ipaddress.ip_network(node.pod_cidr)
        size = network.num_addresses - 2
        for _ in range(size):
            node.last = node.last % size + 1
            address = str(network[node.last])
            if node.last > 1 and address not in self._sandboxes:
                return address
        raise NetworkError(
            "no-route", f"failed to allocate for range 0: no IP addresses available in range set: {node.pod_cidr}"
        )

    def detach(self, sandbox: PodSandbox) -> None:
        """Give a sandbox's address back; a no-op when it has none."""
        if self._sandboxes.get(sandbox.ip) is sandbox:
            del self._sandboxes[sandbox.ip]

    # -- services --------------------------------------------------------------------------------------------------

    def program(self, rules: Mapping[Target, Rule]) -> None:
        """Replace every service rule (cluster IP or node address and port -> endpoints), as kube-proxy does."""
        self._rules = dict(rules)
        if self._sticky:
            now = self.clock.now()
            self._sticky = {key: kept for key, kept in self._sticky.items() if kept[1] > now and key[1] in self._rules}

    def _choose(self, source: str, where: Target, rule: Rule, own: NodeNet | None) -> Target | None:
        """An endpoint for a new connection; None when packets vanish, NetworkError ``refused`` without endpoints."""
        targets = rule.targets
        if rule.by_node is not None:
            targets = rule.by_node.get(own.name if own is not None else "", ())
        if not targets:
            if rule.drop or (rule.by_node is not None and rule.targets):
                return None
            raise NetworkError("refused", "Connection refused")
        if not rule.affinity_seconds:
            return targets[int(self._random.random() * len(targets))]
        now = self.clock.now()
        kept = self._sticky.get((source, where))
        target = kept[0] if kept is not None and kept[1] > now and kept[0] in targets else None
        if target is None:
            target = self._random.choice(targets)
        self._sticky[(source, where)] = (target, now + rule.affinity_seconds)
        return target

    # -- connections -----------------------------------------------------------------------------------------------

    async def resolve(self, source: str, name: str) -> list[str]:
        """The addresses of a name as a process at ``source`` finds them; NetworkError ``name``."""
        if name[:1].isdigit() and _is_address(name):
            return [name]
        if name == "localhost":
            return ["127.0.0.1"]
        sandbox = self._sandboxes.get(source)
        if sandbox is not None and name == sandbox.config.hostname:
            return [sandbox.ip]
        if self.resolver is None:
            await self.clock.sleep(DNS_TIMEOUT)
            raise NetworkError("name", "Temporary failure in name resolution")
        return self.resolver.resolve(name, sandbox.config.dns_searches if sandbox is not None else ())

    async def connect(self, source: str, host: str, port: int) -> Connection:
        """Open a TCP connection from address ``source`` to a host (address or DNS name).

        NetworkError ``name``, ``refused``, ``timeout`` (after :data:`SYN_TIMEOUT`).
        """
        where = ((await self.resolve(source, host))[0], port)
        sandbox = self._sandboxes.get(source)
        own = sandbox.node if sandbox is not None else self._by_address.get(source)
        if own is not None and not own.reachable:
            await self._black_hole()
        if where[0].startswith("127."):
            if sandbox is None or own is None:
                raise NetworkError("refused", "Connection refused")
            return Connection(self, sandbox.ports.find(port, loopback=True), own, "127.0.0.1")
        rule = self._rules.get(where)
        target = where if rule is None else self._choose(source, where, rule, own)
        if target is None:
            return await self._black_hole()
        pod = self._sandboxes.get(target[0])
        node = pod.node if pod is not None else self._by_address.get(target[0])
        if node is None or not node.reachable:
            return await self._black_hole()
        table = pod.ports if pod is not None else node.ports
        return Connection(self, table.find(target[1], loopback=False), node, source)

    async def _black_hole(self) -> Connection:
        await self.clock.sleep(SYN_TIMEOUT)
        raise NetworkError("timeout", "Connection timed out")

    def answers_ping(self, address: str) -> bool:
        """Whether an echo request comes back: from pods and nodes that are up, not from service addresses."""
        pod = self._sandboxes.get(address)
        node = pod.node if pod is not None else self._by_address.get(address)
        return address.startswith("127.") or (node is not None and node.reachable)

    async def request(self, source: str, host: str, port: int, request: HTTPRequest) -> HTTPResponse:
        """One HTTP request on a connection of its own. It has no deadline but the network's: see ``clock.within``."""
        return await (await self.connect(source, host, port)).exchange(request)


def _is_address(name: str) -> bool:
    parts = name.split(".")
    return len(parts) == 4 and all(part.isdigit() and len(part) < 4 and int(part) < 256 for part in parts)
