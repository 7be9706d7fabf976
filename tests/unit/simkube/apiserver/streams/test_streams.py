"""Streaming subresources against doubles: no sockets, a scripted container, a WebSocket that is a list."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from simkube.apimachinery.errors import StatusError, not_found
from simkube.apiserver import streams
from simkube.apiserver.streams import channels as wire
from simkube.apiserver.streams import exec as running
from simkube.apiserver.streams import limits, log, proxy, target
from simkube.apiserver.streams.bridge import Outbox
from simkube.client.client import Caller
from simkube.clock.clock import Clock, Future
from simkube.runtime.cri import HTTPRequest, HTTPResponse, LogLine, NetworkError, StartError

NOW = 1_767_225_600.0
ME = Caller("learner", ("system:masters",))


class Log:
    """A log that a test writes."""

    def __init__(self, *texts: str) -> None:
        self.kept = [LogLine(NOW + second, "stdout", text) for second, text in enumerate(texts)]
        self.handlers: list[Callable[[LogLine], None]] = []

    def lines(self) -> list[LogLine]:
        return self.kept

    def follow(self, handler: Callable[[LogLine], None]) -> Callable[[], None]:
        self.handlers.append(handler)
        return lambda: self.handlers.remove(handler)


class Process:
    """A command in a container: ends when told to."""

    def __init__(self, output: Callable[[str, bytes], None]) -> None:
        self.exited: Future[int] = Future()
        self.output = output
        self.typed = b""
        self.closed = False
        self.signals: list[int] = []
        self.sizes: list[tuple[int, int]] = []
        self.stdin = self

    def write(self, data: bytes) -> None:
        self.typed += data
        if data == b"exit\n":
            self.exited.set(7)

    def close(self) -> None:
        self.closed = True

    def signal(self, number: int) -> None:
        self.signals.append(number)

    def resize(self, columns: int, rows: int) -> None:
        self.sizes.append((columns, rows))


class Container:
    """A running container whose commands are :class:`Process`."""

    id = "abc"

    def __init__(self, *texts: str, state: str = "running") -> None:
        self.state = state
        self.log = Log(*texts)
        self.exited: Future[int] = Future()
        self.config = SimpleNamespace(name="web")
        self.process: Process | None = None
        self.commands: list[tuple[str, ...]] = []

    def exec(self, argv: Sequence[str], output: Callable[[str, bytes], None], *, tty: bool = False) -> Process:
        self.commands.append(tuple(argv))
        if argv[0] == "nope":
            raise StartError('exec: "nope": executable file not found in $PATH', 127)
        self.process = Process(output)
        if argv[0] == "echo":
            output("stdout", b"hello\n")
            output("stderr", b"warning\n")
            self.process.exited.set(0)
        if argv[0] == "flood":
            output("stdout", b"x" * (limits.BUFFER + 1))
        return self.process

    def attach(self, output: Callable[[str, bytes], None]) -> Any:
        self.process = Process(output)
        return SimpleNamespace(stdin=self.process, resize=self.process.resize, detach=lambda: self.exited.set(0))


class Channels:
    """A WebSocket whose client says ``says`` and then waits, or goes away."""

    protocol = "v5.channel.k8s.io"

    def __init__(self, *says: tuple[int, bytes], leaves: bool = False) -> None:
        self.says = says
        self.leaves = leaves
        self.sent: list[tuple[int, bytes]] = []
        self.status: dict[str, Any] | None = None
        self.response = web.Response()

    async def send(self, channel: int, data: bytes) -> None:
        self.sent.append((channel, data))

    async def greet(self, channel: int) -> None:
        await self.send(channel, b"")

    async def end(self, status: dict[str, Any]) -> None:
        self.status = status

    async def receive(self) -> AsyncIterator[tuple[int, bytes]]:
        for one in self.says:
            yield one
        if not self.leaves:
            await asyncio.get_running_loop().create_future()


class Objects:
    """The API server's objects."""

    def __init__(self, **kinds: Any) -> None:
        self.kinds = kinds

    def get(self, caller: Caller, resource: str, name: str, namespace: str = "", *, subresource: str = "") -> Any:
        for obj in self.kinds.get(resource, []):
            if obj["metadata"]["name"] == name:
                return obj
        raise not_found(resource, name)


class Kubelet:
    """A kubelet with one container, and what was asked of it."""

    def __init__(self, container: Container | None, previous: Container | None = None) -> None:
        self.containers = {False: container, True: previous}
        self.settings = SimpleNamespace(ip="172.18.0.2")
        self.powered, self.paused, self.cut, self.running = True, False, False, True

    def container(self, uid: str, name: str, *, previous: bool = False) -> Container | None:
        return self.containers[previous]

    def container_of(self, uid: str, identity: str) -> Container | None:
        return self.containers[identity == "containerd://old"]


class Network:
    """Answers every request with what it was asked, or fails."""

    control_plane = ""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.asked: list[tuple[str, int, HTTPRequest]] = []

    async def request(
        self, source: str, host: str, port: int, request: HTTPRequest, *, secure: bool = False
    ) -> HTTPResponse:
        assert secure is (port == 8443)
        self.asked.append((host, port, request))
        if self.failure is not None:
            raise self.failure
        headers = {"content-type": "text/plain", "location": "/there", "bad": "a\r\nb: c"}
        return HTTPResponse(202, headers, request.method.encode() + b" " + request.body)


RUNNING = {"name": "web", "state": {"running": {}}, "containerID": "containerd://abc"}


def _pod(**spec: Any) -> dict[str, Any]:
    containers = [{"name": "web", "ports": [{"name": "http", "containerPort": 8080}]}]
    return {
        "metadata": {"name": "web", "namespace": "default", "uid": "u"},
        "spec": {"nodeName": "n1", "containers": containers, **spec},
        "status": {"podIP": "10.244.0.2", "containerStatuses": [RUNNING]},
    }


class Cluster:
    """What streams see of a cluster."""

    def __init__(
        self, container: Container | None = None, *, pod: Any = None, network: Any = None, **objects: Any
    ) -> None:
        self.clock = Clock(NOW + 100)
        self.apiserver: Any = Objects(pods=[pod or _pod()], **objects)
        self.kubelet = Kubelet(container)
        self.kubelets: Any = {"n1": self.kubelet}
        self.network = network or Network()


def _request(path: str, method: str = "GET", headers: dict[str, str] | None = None) -> web.Request:
    return make_mocked_request(method, path, headers=CIMultiDict(headers or {}))


def _ask(cluster: Cluster, path: str, subresource: str, **more: Any) -> web.Response:
    async def ask() -> web.StreamResponse:
        name = more.pop("name", "web")
        rest = more.pop("rest", "")
        resource = more.pop("resource", "pods")
        request = _request(path, **more)
        return await streams.handle(cluster, request, ME, "default", name, subresource, rest, resource)

    response = asyncio.run(ask())
    assert isinstance(response, web.Response)
    return response


def _refused(cluster: Cluster, path: str, subresource: str, **more: Any) -> StatusError:
    with pytest.raises(StatusError) as caught:
        _ask(cluster, path, subresource, **more)
    return caught.value


class TestLog:
    @pytest.mark.parametrize(
        ("query", "text"),
        [
            ("", "one\ntwo\nthree\n"),
            ("tailLines=2", "two\nthree\n"),
            ("tailLines=0", ""),
            ("tailLines=99", "one\ntwo\nthree\n"),
            ("limitBytes=6", "one\ntw"),
            ("sinceSeconds=99", "two\nthree\n"),
            ("sinceTime=2026-01-01T00:00:02Z", "three\n"),
            ("tailLines=1&timestamps=true", "2026-01-01T00:00:02.000000000Z three\n"),
            ("container=web", "one\ntwo\nthree\n"),
        ],
    )
    def test_what_is_shown(self, query: str, text: str) -> None:
        response = _ask(Cluster(Container("one", "two", "three")), f"/log?{query}", "log")
        assert response.text == text
        assert response.content_type == "text/plain"

    def test_the_previous_container(self) -> None:
        pod = _pod()
        cluster = Cluster(Container("new"), pod=pod)
        error = _refused(cluster, "/log?previous=true", "log")
        assert (error.code, error.message) == (400, 'previous terminated container "web" in pod "web" not found')
        last = {"terminated": {"containerID": "containerd://old"}}
        pod["status"]["containerStatuses"] = [{**RUNNING, "lastState": last}]
        assert (
            _ask(cluster, "/log?previous=true", "log").text == "unable to retrieve container logs for containerd://old"
        )
        cluster.kubelet.containers[True] = Container("old", state="exited")
        assert _ask(cluster, "/log?previous=true", "log").text == "old\n"

    @pytest.mark.parametrize(
        ("reason", "words"),
        [
            ("ContainerCreating", "ContainerCreating"),
            ("ImagePullBackOff", "trying and failing to pull image"),
            ("ErrImagePull", "image can't be pulled"),
        ],
    )
    def test_a_container_that_has_not_started(self, reason: str, words: str) -> None:
        pod = _pod()
        pod["status"]["containerStatuses"] = [{"name": "web", "state": {"waiting": {"reason": reason}}}]
        error = _refused(Cluster(None, pod=pod), "/log", "log")
        assert (error.code, error.reason) == (400, "BadRequest")
        assert error.message == f'container "web" in pod "web" is waiting to start: {words}'

    def test_which_container_is_meant(self) -> None:
        pod = _pod(containers=[{"name": "a"}, {"name": "b"}], initContainers=[{"name": "i"}])
        error = _refused(Cluster(Container(), pod=pod), "/log", "log")
        assert error.message == (
            "a container name must be specified for pod web, choose one of: [a b] or one of the init containers: [i]"
        )
        error = _refused(Cluster(Container(), pod=pod), "/log?container=c", "log")
        assert error.message == "container c is not valid for pod web"

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("tailLines=-1", 422),
            ("tailLines=x", 400),
            ("sinceSeconds=0", 422),
            ("limitBytes=0", 422),
            ("sinceTime=now", 400),
            ("sinceSeconds=" + "9" * 400, 400),
        ],
    )
    def test_bad_options(self, query: str, code: int) -> None:
        assert _refused(Cluster(Container()), f"/log?{query}", "log").code == code

    def test_a_pod_without_a_node_has_no_log(self) -> None:
        answer = _ask(Cluster(None, pod=_pod(nodeName="")), "/log", "log")
        assert (answer.status, answer.body) == (204, None)

    @pytest.mark.parametrize(
        ("fault", "words"),
        [("powered", "no route to host"), ("paused", "i/o timeout"), ("running", "connection refused")],
    )
    def test_a_node_that_does_not_answer(self, fault: str, words: str) -> None:
        cluster = Cluster(Container("text"))
        setattr(cluster.kubelet, fault, fault == "paused")
        error = _refused(cluster, "/log", "log")
        assert (error.code, error.reason) == (500, "InternalError")
        assert "https://172.18.0.2:10250/containerLogs/default/web/web" in error.message
        assert error.message.endswith(words)

    def test_undecodable_text_is_sent(self) -> None:
        assert log.written(Container("caf\u00e9"), log.Options()) == "caf\u00e9\n".encode()  # type: ignore[arg-type]


def _run(container: Container, channels: Channels, clock: Clock | None = None, **asked: Any) -> None:
    want = {"stdin": False, "stdout": True, "stderr": True, "tty": False, **asked}
    asyncio.run(
        running._run(clock or Clock(NOW), channels, container, running.Asked(**want), limits.Budget(limits.BUFFERS))
    )  # type: ignore[arg-type]


class TestExec:
    def test_output_and_success(self) -> None:
        channels = Channels()
        _run(Container(), channels, command=("echo", "hello"))
        assert channels.sent == [(1, b""), (1, b"hello\n"), (2, b"warning\n")]
        assert channels.status == {"metadata": {}, "status": "Success"}

    def test_stdin_and_the_exit_code(self) -> None:
        channels = Channels((0, b"ls\n"), (0, b"exit\n"))
        container = Container()
        _run(container, channels, stdin=True, command=("sh",))
        assert container.process is not None
        assert container.process.typed == b"ls\nexit\n"
        assert channels.status is not None
        assert channels.status["reason"] == "NonZeroExitCode"
        assert channels.status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]

    def test_the_terminals_size_and_the_end_of_input(self) -> None:
        says = [(4, b'{"Width":120,"Height":40}'), (4, b"nonsense"), (255, b"\x00"), (0, b"exit\n")]
        container = Container()
        _run(container, Channels(*says), stdin=True, command=("sh",))
        assert container.process is not None
        assert container.process.sizes == [(120, 40)]
        assert container.process.closed is True

    def test_input_that_was_not_asked_for_is_not_passed_on(self) -> None:
        container = Container()
        _run(container, Channels((0, b"exit\n"), leaves=True), command=("sh",))
        assert container.process is not None
        assert (container.process.typed, container.process.closed) == (b"", True)

    def test_a_command_that_is_not_there(self) -> None:
        channels = Channels()
        _run(Container(), channels, command=("nope",))
        assert channels.status is not None
        assert channels.status["status"] == "Failure"
        assert 'exec: "nope": executable file not found in $PATH' in channels.status["message"]

    def test_the_command_of_a_client_that_left_is_ended(self) -> None:
        clock = Clock(NOW)
        container = Container()
        channels = Channels(leaves=True)
        _run(container, channels, clock, stdin=True, command=("sh",))
        assert container.process is not None
        assert container.process.signals == [1]
        clock.advance(10)
        assert container.process.signals == [1, 9]
        assert channels.status is None

    def test_more_output_than_is_read_ends_the_stream(self) -> None:
        channels = Channels()
        container = Container()
        _run(container, channels, command=("flood",))
        assert channels.status is not None
        assert channels.status["status"] == "Failure"
        assert "not read fast enough" in channels.status["message"]
        assert container.process is not None
        assert container.process.signals == [1]

    def test_a_container_that_does_not_run(self) -> None:
        response = _ask(Cluster(Container(state="exited")), "/exec?command=ls&stdout=true", "exec")
        assert (response.status, response.text) == (500, 'container not found ("web")')

    @pytest.mark.parametrize(
        ("query", "headers", "code", "words"),
        [
            ("command=ls", {}, 400, "you must specify at least one of stdin, stdout, stderr"),
            ("stdout=1", {}, 400, "you must specify a command"),
            ("command=ls&stdout=1", {}, 400, "Upgrade request required"),
            ("command=ls&stdout=1", {"Upgrade": "SPDY/3.1"}, 403, "unable to upgrade: unable to negotiate protocol"),
            ("command=ls&stdout=1&container=x", {}, 400, "container x is not valid for pod web"),
        ],
    )
    def test_refusals(self, query: str, headers: dict[str, str], code: int, words: str) -> None:
        error = _refused(Cluster(Container()), f"/exec?{query}", "exec", headers=headers)
        assert error.code == code
        assert error.message.startswith(words)

    def test_so_many_at_once_and_no_more(self) -> None:
        cluster = Cluster(Container())
        held = [limits.slot(cluster, "exec") for _ in range(limits.MOST["exec"])]
        for one in held:
            one.__enter__()
        with pytest.raises(StatusError) as caught, limits.slot(cluster, "exec"):
            pass
        assert caught.value.code == 429
        held.pop().__exit__(None, None, None)
        with limits.slot(cluster, "exec"), limits.slot(Cluster(), "exec"):
            pass


class TestAttach:
    def _attach(self, container: Container, channels: Channels, **asked: Any) -> None:
        want = {"stdin": True, "stdout": True, "stderr": True, "tty": False, **asked}
        asyncio.run(running._attached(Cluster(), channels, container, running.Asked(**want), once=False))  # type: ignore[arg-type]

    def test_a_client_that_leaves_ends_nothing(self) -> None:
        container = Container()
        self._attach(container, Channels((0, b"text"), leaves=True))
        assert container.process is not None
        assert container.process.typed == b"text"
        assert (container.process.signals, container.process.closed) == ([], False)

    def test_the_end_of_the_container_ends_it(self) -> None:
        container = Container()
        container.exited.set(3)
        channels = Channels()
        self._attach(container, channels)
        assert channels.status == {"metadata": {}, "status": "Success"}


class TestProxy:
    def test_a_pods_first_port(self) -> None:
        cluster = Cluster()
        path = "/api/v1/namespaces/default/pods/web/proxy/work?ms=5"
        response = _ask(cluster, path, "proxy", rest="work", headers={"X-Test": "1", "Authorization": "Bearer t"})
        host, port, request = cluster.network.asked[0]
        assert (host, port, request.method, request.path) == ("10.244.0.2", 8080, "GET", "/work?ms=5")
        assert request.headers["x-test"] == "1"
        assert "authorization" not in request.headers, "the learner's token is not for the program"
        assert (response.status, response.text) == (202, "GET ")
        assert response.headers["location"] == "/api/v1/namespaces/default/pods/web/proxy/there"
        assert "bad" not in response.headers

    @pytest.mark.parametrize(
        ("name", "port"), [("web:9000", 9000), ("http:web:http", 8080), ("web:", 8080), ("https:web:8443", 8443)]
    )
    def test_a_port_by_number_or_name(self, name: str, port: int) -> None:
        cluster = Cluster()
        _ask(cluster, "/proxy/", "proxy", name=name)
        assert cluster.network.asked[0][1] == port

    @pytest.mark.parametrize(
        ("failure", "words"),
        [
            (NetworkError("refused", ""), "dial tcp 10.244.0.2:8080: connect: connection refused"),
            (NetworkError("timeout", ""), "dial tcp 10.244.0.2:8080: i/o timeout"),
        ],
    )
    def test_a_program_that_does_not_answer(self, failure: Exception, words: str) -> None:
        error = _refused(Cluster(network=Network(failure)), "/proxy/", "proxy")
        assert (error.code, error.reason) == (503, "ServiceUnavailable")
        assert error.message == f"error trying to reach service: {words}"

    def test_refusals(self) -> None:
        pod = _pod()
        del pod["status"]["podIP"]
        assert _refused(Cluster(pod=pod), "/proxy/", "proxy").message == "address not allowed"
        assert _refused(Cluster(), "/proxy/", "proxy", name="a:b:c:d").code == 400
        assert _refused(Cluster(), "/proxy/", "proxy", name="gone").code == 404
        assert _refused(Cluster(), "/x", "portforward").message == "Upgrade request required"
        assert _refused(Cluster(), "/x", "proxy", resource="nodes").code == 404

    def _service(self, *addresses: str) -> Cluster:
        ports = [{"name": "http", "port": 80}, {"name": "admin", "port": 90}]
        service = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"ports": ports}}
        subset = {
            "addresses": [{"ip": address} for address in addresses],
            "ports": [{"name": "http", "port": 8080}, {"name": "admin", "port": 9090}],
        }
        endpoints = {"metadata": {"name": "web"}, "subsets": [subset] if addresses else []}
        return Cluster(services=[service], endpoints=[endpoints])

    @pytest.mark.parametrize(("name", "port"), [("web:http", 8080), ("web:80", 8080), ("http:web:admin", 9090)])
    def test_a_services_port(self, name: str, port: int) -> None:
        cluster = self._service("10.244.0.7")
        _ask(cluster, "/proxy/", "proxy", name=name, resource="services")
        assert cluster.network.asked[0][:2] == ("10.244.0.7", port)

    def test_a_service_without_endpoints(self) -> None:
        error = _refused(self._service(), "/proxy/", "proxy", name="web:80", resource="services")
        assert (error.code, error.message) == (503, 'no endpoints available for service "web"')
        error = _refused(self._service("10.0.0.1"), "/proxy/", "proxy", name="web:81", resource="services")
        assert error.message == 'no service port 81 found for service "web"'


class Socket:
    """Enough of a WebSocketResponse for :class:`wire.Channels`."""

    def __init__(self) -> None:
        self.sent: list[bytes | str] = []
        self.closed = False

    async def send_bytes(self, data: bytes) -> None:
        self.sent.append(data)

    async def send_str(self, data: str) -> None:
        self.sent.append(data)

    async def close(self) -> None:
        self.closed = True


class TestChannels:
    @pytest.mark.parametrize(
        ("protocol", "sent"), [("v4.channel.k8s.io", b"\x01hi"), ("v4.base64.channel.k8s.io", "1aGk=")]
    )
    def test_a_piece_on_the_wire(self, protocol: str, sent: bytes | str) -> None:
        socket = Socket()
        asyncio.run(wire.Channels(socket, protocol).send(1, b"hi"))  # type: ignore[arg-type]
        assert socket.sent == [sent]

    def test_the_status_ends_it(self) -> None:
        socket = Socket()
        asyncio.run(wire.Channels(socket, "v5.channel.k8s.io").end(wire.exited(2)))  # type: ignore[arg-type]
        last = socket.sent[-1]
        assert isinstance(last, bytes)
        assert (last[0], socket.closed) == (3, True)
        assert json.loads(last[1:])["message"] == "command terminated with non-zero exit code: exit status 2"

    def test_no_shared_protocol(self) -> None:
        request = _request("/exec", headers={"Upgrade": "websocket", "Sec-WebSocket-Protocol": "chat"})
        with pytest.raises(StatusError) as caught:
            asyncio.run(wire.Channels.accept(request))
        assert caught.value.code == 400

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"{}",
            b"[]",
            b'{"Width":0,"Height":5}',
            b'{"Width":"a","Height":5}',
            b'{"Width":1e9,"Height":5}',
            b'{"Width":1e999,"Height":5}',
            b"[" * 100_000,
        ],
    )
    def test_sizes_that_are_none(self, data: bytes) -> None:
        assert wire.size_of(data) is None


@pytest.mark.parametrize(
    ("given", "parsed"),
    [("web", ("", "web", "")), ("web:80", ("", "web", "80")), ("http:web:", ("http", "web", ""))],
)
def test_names_with_scheme_and_port(given: str, parsed: tuple[str, str, str]) -> None:
    assert proxy.parse_name(given) == parsed


def test_a_pod_on_a_node_that_is_not_there() -> None:
    with pytest.raises(StatusError) as caught:
        target.kubelet_of(Cluster(), _pod(nodeName="n9"), "/x")
    assert caught.value.code == 404


def test_the_buffers_of_a_cluster_are_bounded_together() -> None:
    budget = limits.Budget(10)
    first, second = Outbox(8, budget), Outbox(8, budget)
    first.put(1, b"12345678")
    second.put(1, b"123")
    assert (first.overflowed, second.overflowed) == (False, True)
    first.discard()
    third = Outbox(8, budget)
    third.put(1, b"12345678")
    assert third.overflowed is False
    third.put(1, b"9")
    assert third.overflowed is True


@pytest.mark.parametrize("port", ["\u00b2", "123456", "x"])
def test_ports_that_are_none(port: str) -> None:
    assert _refused(Cluster(), "/proxy/", "proxy", name=f"web:{port}").code == 400
