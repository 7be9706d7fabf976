"""The pod network of one cluster: addresses, routes to services, and what becomes of a connection.

A connection is refused when its address lives and nobody listens; it finds no answer (until the caller gives up, or
:data:`SYN_TIMEOUT`) when its address is nobody's, or of a node that is stopped; it is reset when the process that
serves it dies. Service addresses and node ports are rules that kube-proxy sets (:meth:`Network.program`) and that
stay when kube-proxy stops; names are answered by whatever DNS add-on runs; a connection that network policies do not
allow finds no answer. TCP is carried, as bytes or as whole HTTP requests; UDP is not, but for names.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from simkube.clock.clock import Clock, Future
from simkube.runtime import httptext
from simkube.runtime.cpu import CPU
from simkube.runtime.cri import (
    CLUSTER_DNS,
    NODE_DNS,
    HTTPRequest,
    HTTPResponse,
    NetworkError,
    PlainServer,
    SandboxConfig,
)
from simkube.runtime.network import http1
from simkube.runtime.network.agents import Agents
from simkube.runtime.network.impairments import Impairments
from simkube.runtime.network.ports import Listener, PortTable
from simkube.runtime.network.sockets import Socket
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

MAX_SOCKETS = 1000
"""Connections of bytes that one cluster may have open at once."""

OUTSIDE = "151.101.2.132"
"""An address outside the cluster, for questions about the way there."""

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


@dataclass(frozen=True, slots=True)
class Rules:
    """The service rules of a node, by protocol."""

    tcp: dict[Target, Rule]
    udp: dict[Target, Rule]


_NO_RULES = Rules({}, {})


@dataclass(slots=True)
class NodeNet:
    """A node on the network; ``reachable`` is False while it is stopped or paused, ``cut`` is True while packets get
    from it to no other node and back.
    """

    name: str
    address: str
    pod_cidr: str
    ports: PortTable = field(default_factory=PortTable)
    reachable: bool = True
    cut: bool = False
    last: int = 1

    def hears(self, other: NodeNet | None) -> bool:
        """Whether packets of another node (None: of nobody in the cluster) get here."""
        return self.reachable and (self is other or not (self.cut or (other is not None and other.cut)))


class Connection:
    """An open TCP connection to a server: for HTTP requests, several after each other, or for bytes.

    Close it when done; it is a no-op when closed.
    """

    __slots__ = ("_address", "_network", "_socket", "listener", "node", "peer")

    def __init__(self, network: Network, listener: Listener, node: NodeNet, peer: str, address: str = "") -> None:
        self._network = network
        self._socket: Socket | None = None
        self.listener = listener
        self.node = node
        self.peer = peer
        self._address = address

    @property
    def ended(self) -> bool:
        """Whether the server has closed it, as its client sees when it looks."""
        return self.listener.process.exited.done or (self._socket is not None and self._socket.ended)

    async def exchange(self, request: HTTPRequest, *, secure: bool = False) -> HTTPResponse:
        """One request, over TLS when ``secure`` (who cares has looked at the certificate).

        NetworkError ``reset`` when the server's process is gone, ``tls`` when it speaks none; never answers on a dead
        node.
        """
        if secure and self.listener.tls is None:
            raise PlainServer
        if self.listener.tls is not None and not secure:
            return httptext.text(400, "Client sent an HTTP request to an HTTPS server.\n")
        if self.listener.accept is None:
            response = await self.listener.exchange(request, self.peer)
            await self._late()
        else:
            response = await http1.ask(await self.stream(), request)
        if not self._network.carries(self.peer, self.node):
            await Future[None]()
        return response

    async def stream(self) -> Socket:
        """The connection as bytes. It waits while the cluster has all the connections it may have."""
        if self._socket is None:
            if not self._network.take_socket():
                await Future[None]()
            try:
                self._socket = await self.listener.open(self.peer)
                self._socket.late = self._late
            except BaseException:
                self._network.sockets -= 1
                raise
        return self._socket

    async def _late(self) -> None:
        """Wait for what the server has said, where the way or the node is slow."""
        if self._network.impairments:
            await self._network.impairments.answered(self.node.name, self.peer, self._address)

    def close(self) -> None:
        """End it; a no-op when closed."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._network.sockets -= 1


class Policy(Protocol):
    """Whatever enforces network policies."""

    def allows(self, source: Place, target: Place, port: int, protocol: str = "TCP") -> bool:
        """Whether a new connection may be made, seen after the translation of service addresses."""


@dataclass(frozen=True, slots=True)
class Place:
    """An end of a connection as policies see it: an address, and the pod (namespace, name) that has it, if any.

    ``node`` is the name of the node it is on; "" for an address that is no node's and no pod's.
    """

    address: str
    pod: tuple[str, str] | None = None
    node: str = ""


@dataclass(frozen=True, slots=True)
class ClusterAPI:
    """The API server for programs in pods that watch it (an ingress controller): the server, views of it, and whether a
    caller may do something (``allow(caller, verb, group, resource[, subresource, namespace])``; StatusError if not).
    """

    server: Any
    informers: Any
    allow: Callable[..., None]


class Resolver(Protocol):
    """The cluster's DNS: a full name or one to be searched for, to addresses."""

    def resolve(self, name: str, searches: Sequence[str], ndots: int = 5) -> list[str]:
        """The addresses; NetworkError ``name`` when there are none."""

    def canonical(self, name: str, searches: Sequence[str], ndots: int = 5) -> str:
        """The full name that has the addresses, or the name itself."""

    def candidates(self, name: str, searches: Sequence[str], ndots: int = 5) -> list[str]:
        """The full names that are tried for a name, in order."""

    def records(self, name: str, type: str) -> Sequence[Any]:
        """The answer to one question (A, SRV, PTR), with ``name``, ``type``, ``data`` and ``port`` each."""

    def place(self) -> Place:
        """Where the name servers are, as network policies see it."""


class NameServer(Protocol):
    """A name server in a pod."""

    def asked_by(self, source: str) -> Any:
        """It, as a client at an address has it: a :class:`Resolver` that also has ``answer(name, type)``."""


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
        self.agents = Agents()
        self._names_served = False
        self.resolver: Resolver | None = None
        self._name_servers: dict[str, NameServer] = {}
        self.policy: Policy | None = None
        self.control_plane = ""
        self.api: ClusterAPI | None = None
        self.sockets = 0
        self.dns_address = "10.96.0.10"
        self._pods = ipaddress.ip_network(pod_cidr).subnets(new_prefix=24)
        self._node_addresses = ipaddress.ip_network(node_cidr).hosts()
        next(self._node_addresses)
        self._sandboxes: dict[str, PodSandbox] = {}
        self._by_address: dict[str, NodeNet] = {}
        self._rules: dict[str, Rules] = {}
        self._sticky: dict[tuple[str, Target], tuple[Target, float]] = {}
        self._random = random.Random(seed)  # noqa: S311 - load balancing, not secrets
        self.impairments = Impairments(clock, random.Random(seed))  # noqa: S311 - as above

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

    def program(
        self, rules: Mapping[Target, Rule], udp: Mapping[Target, Rule] | None = None, nodes: Iterable[str] | None = None
    ) -> None:
        """Replace the service rules (cluster IP or node address and port -> endpoints) of ``nodes`` (None: of all), as
        kube-proxy does; ``udp`` are those for UDP."""
        made = Rules(dict(rules), dict(udp or {}))
        for node in self.nodes if nodes is None else nodes:
            self._rules[node] = made
        if nodes is None:
            self._rules[""] = made
        if self._sticky:
            now = self.clock.now()
            self._sticky = {key: kept for key, kept in self._sticky.items() if kept[1] > now and key[1] in made.tcp}

    def programmed(self, node: str) -> bool:
        """Whether a node has rules."""
        return node in self._rules

    def _rules_for(self, own: NodeNet | None, address: str) -> Rules:
        """The rules that packets to an address meet: those of the node they leave from, or that they come to."""
        node = self._by_address.get(address) or own
        return self._rules.get(node.name if node is not None else "") or self._rules.get("") or _NO_RULES

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

    def take_socket(self) -> bool:
        """Count one more connection of bytes; False when the cluster has all it may have."""
        if self.sockets >= MAX_SOCKETS:
            return False
        self.sockets += 1
        return True

    async def resolve(self, source: str, name: str, asker: SandboxConfig | None = None) -> list[str]:
        """The addresses of a name as a process at ``source`` finds them; NetworkError ``name``.

        ``asker`` is the process's pod, for those that have their node's address.
        """
        if name[:1].isdigit() and _is_address(name):
            return [name]
        if name == "localhost":
            return ["127.0.0.1"]
        config = asker or self._config(source)
        if config is None:
            return list((await self.name_server(source)).resolve(name, ()))
        if name and name in (config.hostname, config.fqdn):
            return [source]
        for address, names in config.hosts:
            if name in names:
                return [address]
        return list((await self.name_server(source, "", config)).resolve(name, config.dns_searches, config.ndots))

    def _config(self, address: str) -> SandboxConfig | None:
        sandbox = self._sandboxes.get(address)
        return None if sandbox is None else sandbox.config

    async def name_server(self, source: str, asked: str = "", asker: SandboxConfig | None = None) -> Any:
        """What answers a process at ``source`` that looks up a name, at the server ``asked`` or at its own one.

        NetworkError ``name``: at once from a server that knows no names of the cluster, else after the time it takes to
        find that none answers.
        """
        config = asker or self._config(source)
        servers = (asked,) if asked or config is None else config.dns_servers
        for server in servers[:3]:
            if server == NODE_DNS:
                raise NetworkError("name", "Name or service not known")
            try:
                found = self._name_server_at(source, self.dns_address if server == CLUSTER_DNS else server)
            except NetworkError:
                continue  # refused, which takes no time
            if found is not None:
                return found
            await self.clock.sleep(DNS_TIMEOUT / max(1, len(servers)))
        raise NetworkError("name", "Temporary failure in name resolution")

    def serve_names(self, address: str, server: NameServer | None) -> None:
        """A name server answers at a pod's address from now on, or (None) no more."""
        if server is not None:
            self._name_servers[address] = server
        else:
            self._name_servers.pop(address, None)

    def _name_server_at(self, source: str, address: str) -> Any:
        """What answers at an address; None when packets are lost, NetworkError ``refused``."""
        if self.agents.housed("coredns"):
            try:
                found = self._pods_that_answer(source, address)
            except NetworkError:
                if self._names_served or not self.agents.starting:
                    raise
                found = None
            self._names_served = self._names_served or found is not None
            if found is not None or self._names_served or not self.agents.starting:
                return found
        return self._own_name_server(source, address)

    def _own_name_server(self, source: str, address: str) -> Any:
        """The cluster's own answers to names, until its pods have begun to give them."""
        own = self._node_of(source)
        known = self.resolver is not None and address in (self.dns_address, self.resolver.place().address)
        lost = own is not None and own.cut  # the servers are on other nodes
        if not known or lost or self.resolver is None:
            return None
        allowed = self.policy is None or self.policy.allows(self._place(source), self.resolver.place(), 53, "UDP")
        return self.resolver if allowed else None

    def _pods_that_answer(self, source: str, address: str) -> Any:
        own = self._node_of(source)
        where = (address, 53)
        rule = self._rules_for(own, address).udp.get(where)
        target = where if rule is None else self._choose(source, where, rule, own)
        server = self._name_servers.get(target[0]) if target is not None else None
        if server is None or target is None or self.resolver is None:
            return None
        there = self._node_of(target[0])
        if there is None or not there.hears(own):
            return None
        if self.policy is not None and not self.policy.allows(self._place(source), self._place(target[0]), 53, "UDP"):
            return None
        return server.asked_by(source)

    def answers_names(self, source: str, address: str) -> bool:
        """Whether a question that a pod sends to port 53 of an address is answered; NetworkError ``refused``."""
        return self._name_server_at(source, address) is not None

    def asks(self, source: str, address: str, name: str, kind: str) -> Any:
        """One question of a pod to the name server at an address; None without an answer."""
        try:
            found = self._name_server_at(source, address)
        except NetworkError:
            return None
        return found.answer(name, kind) if hasattr(found, "answer") else None

    def place_of(self, address: str) -> Place:
        """How policies see who has an address."""
        return self._place(address)

    def _place(self, address: str) -> Place:
        sandbox = self._sandboxes.get(address)
        if sandbox is not None and not sandbox.config.host_network:
            return Place(address, (sandbox.config.namespace, sandbox.config.name), sandbox.node.name)
        node = self._by_address.get(address)
        return Place(address, None, node.name if node is not None else "")

    async def connect(self, source: str, host: str, port: int, asker: SandboxConfig | None = None) -> Connection:
        """Open a TCP connection from address ``source`` to a host (address, or DNS name as ``asker`` looks it up).

        What finds no answer is tried again, later each time, as Linux sends its SYN again: to the same endpoint once
        one was chosen. NetworkError ``name``, ``refused``, ``timeout`` (after :data:`SYN_TIMEOUT`).
        """
        where = ((await self.resolve(source, host, asker))[0], port)
        if where[0].startswith("127."):
            return await self.local(source, port)
        target, wait = None, 1.0
        while wait < SYN_TIMEOUT:
            own = self._node_of(source)
            if own is None or own.reachable:
                rule = self._rules_for(own, where[0]).tcp.get(where) if target is None else None
                target = target or (where if rule is None else self._choose(source, where, rule, own))
                lost = target is None or self.impairments.loses(source, target[0])
                listener, node = self._answering(source, target) if target is not None else (None, None)
                if target is not None and listener is not None and node is not None and not lost:
                    await self.impairments.accepted(source, target[0])
                    return await self._open(listener, node, source, target[0])
                if rule is None and where == target:
                    target = None
            await self.clock.sleep(wait)
            wait *= 2
        raise NetworkError("timeout", "Connection timed out")

    def _node_of(self, address: str) -> NodeNet | None:
        sandbox = self._sandboxes.get(address)
        return sandbox.node if sandbox is not None else self._by_address.get(address)

    def _answering(self, source: str, target: Target) -> tuple[Listener | None, NodeNet | None]:
        """Who listens at an address, and where; nobody when packets to it are lost. NetworkError ``refused``."""
        pod, node = self._sandboxes.get(target[0]), self._node_of(target[0])
        if node is None or not node.reachable or not self._allowed(source, target, pod):
            return None, None
        table = pod.ports if pod is not None else node.ports
        return table.find(target[1], loopback=False), node

    def _allowed(self, source: str, target: Target, pod: PodSandbox | None) -> bool:
        if self.policy is None or source == target[0]:
            return True
        place = self._place(target[0]) if pod is not None else Place(target[0], None, self._by_address[target[0]].name)
        return self.policy.allows(self._place(source), place, target[1])

    async def local(self, address: str, port: int) -> Connection:
        """Open a connection from within the pod (or node) that has an address to itself, as the kubelet's port
        forwarding does; NetworkError ``refused``."""
        node, sandbox = self._node_of(address), self._sandboxes.get(address)
        if node is None:
            raise NetworkError("refused", "Connection refused")
        table = sandbox.ports if sandbox is not None else node.ports
        return await self._open(table.find(port, loopback=True), node, "127.0.0.1")

    async def _open(self, listener: Listener, node: NodeNet, peer: str, address: str = "") -> Connection:
        """A server of bytes hears of a connection at once, an HTTP server of its first request."""
        connection = Connection(self, listener, node, peer, address)
        if listener.accept is not None:
            await connection.stream()
        return connection

    def node_of(self, address: str) -> NodeNet | None:
        """The node that an address is of, or that its pod is on."""
        return self._node_of(address)

    def leaves(self, source: str, port: int) -> bool:
        """Whether a process may connect to an address outside the cluster (which answers to nobody here)."""
        return self.policy is None or self.policy.allows(self._place(source), Place(OUTSIDE), port)

    def carries(self, peer: str, node: NodeNet) -> bool:
        """Whether packets still get from a peer to a node."""
        if peer.startswith("127."):
            return node.hears(node)
        pod = self._sandboxes.get(peer)
        return node.hears(pod.node if pod is not None else self._by_address.get(peer))

    def answers_ping(self, address: str) -> bool:
        """Whether an echo request comes back: from pods and nodes that are up, not from service addresses."""
        pod = self._sandboxes.get(address)
        node = pod.node if pod is not None else self._by_address.get(address)
        return address.startswith("127.") or (node is not None and node.reachable and not node.cut)

    async def request(
        self, source: str, host: str, port: int, request: HTTPRequest, *, secure: bool = False
    ) -> HTTPResponse:
        """One HTTP request on a connection of its own, over TLS with whatever certificate when ``secure``.

        It has no deadline but the network's: see ``clock.within``.
        """
        connection = await self.connect(source, host, port)
        try:
            return await connection.exchange(request, secure=secure)
        finally:
            connection.close()


def _is_address(name: str) -> bool:
    parts = name.split(".")
    return len(parts) == 4 and all(part.isdigit() and len(part) < 4 and int(part) < 256 for part in parts)
