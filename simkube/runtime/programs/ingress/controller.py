"""``/nginx-ingress-controller``: watches, serves on ports 80 and 443, says its address in the status of what it serves.

Flags: ``--controller-class``, ``--ingress-class``, ``--watch-ingress-without-class``, ``--watch-namespace``,
``--publish-service``, ``--publish-status-address``, ``--http-port``, ``--https-port``; others are let pass, for they do
not change what can be seen here (elections, metrics, validating webhooks). It goes straight to endpoints, as the real
one does. Without permission to read what it needs it ends with an error, as the real one does.
"""

from __future__ import annotations

from typing import Any

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Caller, Client, Event
from simkube.client.events import Recorder
from simkube.clock.clock import TimedOut, within
from simkube.runtime import httptext
from simkube.runtime.cri import HTTPRequest, HTTPResponse, NetworkError
from simkube.runtime.executables import which
from simkube.runtime.network.ports import Certificate
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process, Replace
from simkube.runtime.programs.ingress import routes
from simkube.runtime.programs.ingress.certificates import fake, of_secret
from simkube.runtime.programs.nginx.pages import error_page
from simkube.runtime.programs.serving import listen, stop_request

Obj = dict[str, Any]
INGRESSES, CLASSES = "ingresses.networking.k8s.io", "ingressclasses.networking.k8s.io"
SLICES = "endpointslices.discovery.k8s.io"
CONTROLLER = "k8s.io/ingress-nginx"
READ = (("networking.k8s.io", "ingresses"), ("networking.k8s.io", "ingressclasses"), ("", "services"), ("", "secrets"),
        ("discovery.k8s.io", "endpointslices"))  # fmt: skip
CONNECT_SECONDS, READ_SECONDS = 5.0, 60.0
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "te"})


async def dumb_init(process: Process) -> int:
    """``dumb-init [--] COMMAND...``: becomes the command."""
    words = process.argv[2:] if process.argv[1:2] == ["--"] else process.argv[1:]
    if not words:
        await process.err("Usage: dumb-init [option] program [args]\n")
        return 1
    path = which(process.container.files, words[0], process.env, process.cwd)
    program, process.argv = process.container.load(path, words, process.env)
    raise Replace(program)


async def ingress_controller(process: Process) -> int:
    """Serve until told to stop; the exit code."""
    api = process.container.sandbox.network.api
    if api is None:
        await process.err("F0000 main.go: the API server of this cluster is out of reach\n")
        return 255
    controller = Controller(process, api)
    refusal = controller.forbidden()
    if refusal:
        await process.err(f"E0000 reflector.go: {refusal}\n")
        return 255
    try:
        controller.listen()
    except FileError as error:
        await process.err(f"F0000 main.go: {error.strerror}\n")
        return 255
    controller.watch()
    await process.err("NGINX Ingress controller (simulated)\nI0000 nginx.go: Starting NGINX Ingress controller\n")
    await stop_request(process)
    controller.close()
    return 0


class Controller:
    """One controller; ``api`` is the :class:`~simkube.runtime.network.network.ClusterAPI` that pods that watch have."""

    def __init__(self, process: Process, api: Any) -> None:
        self._process = process
        self._api = api
        config = process.container.sandbox.config
        self._namespace = config.namespace
        pod = api.server.get(Caller("system:apiserver", ("system:masters",), ""), "pods", config.name, config.namespace)
        account = pod["spec"].get("serviceAccountName") or "default"
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{config.namespace}", "system:authenticated")
        user = f"system:serviceaccount:{config.namespace}:{account}"
        self.caller = Caller(user, groups, "nginx-ingress-controller")
        clock = process.container.clock
        self._client = Client(api.server, "nginx-ingress-controller", clock, informers=api.informers)
        self._client.caller = self.caller
        self._flags = _flags(process.argv[1:], process.env)
        self._table = routes.Table()
        self._turn = 0
        self._due = False
        self._told: dict[str, object] = {}
        self._recorder = Recorder(self._client, "nginx-ingress-controller")
        process.on_end.append(self.close)

    def forbidden(self) -> str:
        """What it may not read, in the API server's words; "" when it may read all it needs."""
        for group, resource in READ:
            try:
                self._api.allow(self.caller, "list", group, resource)
            except StatusError as error:
                return f"failed to list {resource}: {error.message}"
        return ""

    def listen(self) -> None:
        """Listen on both ports; FileError."""
        sandbox = self._process.container.sandbox
        listen(self._process, int(self._flags.get("http-port", "80")), self._plain)
        sandbox.ports.listen(
            self._process, int(self._flags.get("https-port", "443")), self._secure, tls=self._certificate
        )
        listen(self._process, 10254, _health)

    # -- what it watches -------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Follow what routes are made of."""
        client = self._client
        self._services, self._slices = client.informer("services"), client.informer(SLICES)
        self._secrets, self._nodes = client.informer("secrets"), client.informer("nodes")
        self._classes = client.observe(CLASSES, self._changed)
        self._ingresses = client.observe(INGRESSES, self._changed)
        client.observe("services", self._service_changed)

    def close(self) -> None:
        """Follow nothing more; a no-op when closed."""
        self._client.close()

    def _changed(self, event: Event) -> None:
        if event.type == "MODIFIED" and event.old is not None and event.old.get("spec") == event.obj.get("spec"):
            before, after = event.old["metadata"].get("annotations"), event.obj["metadata"].get("annotations")
            if before == after:
                return
        self._soon()

    def _service_changed(self, event: Event) -> None:
        meta = event.obj["metadata"]
        if f"{meta['namespace']}/{meta['name']}" == self._flags.get("publish-service"):
            self._soon()

    def _soon(self) -> None:
        """Read everything again, once, however many changes there were."""
        if not self._due:
            self._due = True
            self._process.container.clock.call_later(0.0, self._sync)

    def _sync(self) -> None:
        self._due = False
        if self._process.exited.done:
            return
        own = [one for one in self._ingresses.list() if self._mine(one)]
        self._table = routes.table(own)
        status = self._addresses()
        alive = {one["metadata"]["uid"] for one in own}
        self._told = {uid: told for uid, told in self._told.items() if uid in alive}
        for one in own:
            self._tell(one)
            if status and (one.get("status") or {}).get("loadBalancer", {}).get("ingress") != status:
                self._publish(one, status)

    def _tell(self, ingress: Obj) -> None:
        """An event for an Ingress that is new or has changed, and one for what of it is not simulated."""
        meta = ingress["metadata"]
        if self._told.get(meta["uid"]) == (ingress["spec"], meta.get("annotations")):
            return
        self._told[meta["uid"]] = (ingress["spec"], meta.get("annotations"))
        try:
            self._api.allow(self.caller, "create", "", "events", "", meta["namespace"])
            self._recorder.event(ingress, "Normal", "Sync", "Scheduled for sync")
            refused = routes.unknown(ingress)
            if refused:
                text = f"annotations that are not simulated here: {', '.join(refused)}; requests are answered with 501"
                self._recorder.event(ingress, "Warning", "NotSimulated", text)
        except StatusError as error:
            self._process.complain(f"E0000 event.go: {error.message}")

    def _mine(self, ingress: Obj) -> bool:
        namespace = self._flags.get("watch-namespace")
        if namespace and ingress["metadata"]["namespace"] != namespace:
            return False
        annotated = (ingress["metadata"].get("annotations") or {}).get("kubernetes.io/ingress.class")
        name = ingress["spec"].get("ingressClassName")
        if name is None and annotated is None:
            return self._flags.get("watch-ingress-without-class") == "true"
        if name is None:
            return bool(annotated == self._flags.get("ingress-class", "nginx"))
        found = self._classes.get("", name)
        return found is not None and found["spec"].get("controller") == self._flags.get("controller-class", CONTROLLER)

    def _publish(self, ingress: Obj, status: list[Obj]) -> None:
        meta = ingress["metadata"]
        patch = {"status": {"loadBalancer": {"ingress": status}}}
        try:
            self._api.allow(self.caller, "update", "networking.k8s.io", "ingresses", "status", meta["namespace"])
            self._client.patch(INGRESSES, meta["name"], patch, meta["namespace"], subresource="status")
        except StatusError as error:
            self._process.complain(f"E0000 status.go: error updating ingress {meta['name']}: {error.message}")

    def _addresses(self) -> list[Obj]:
        """What the status of an Ingress says."""
        fixed = self._flags.get("publish-status-address", "")
        if fixed:
            return [{"ip": one} if one[:1].isdigit() else {"hostname": one} for one in fixed.split(",")]
        namespace, _, name = self._flags.get("publish-service", "").partition("/")
        service = self._services.get(namespace, name) if name else None
        if service is None:
            return [] if name else [{"ip": self._process.container.sandbox.node.address}]
        spec = service["spec"]
        if spec.get("type") == "LoadBalancer":
            given = (service.get("status") or {}).get("loadBalancer", {}).get("ingress") or []
            return [{key: one[key] for key in ("ip", "hostname") if key in one} for one in given]
        return [{"ip": one} for one in spec.get("externalIPs") or [spec["clusterIP"]] if one != "None"]

    # -- requests --------------------------------------------------------------------------------------------------

    def _certificate(self, host: str) -> Certificate:
        where = self._table.secret(host)
        secret = self._secrets.get(*where) if where is not None else None
        return (of_secret(secret) if secret is not None else None) or fake()

    async def _plain(self, request: HTTPRequest, peer: str) -> HTTPResponse:
        return await self._logged(request, peer, secure=False)

    async def _secure(self, request: HTTPRequest, peer: str) -> HTTPResponse:
        return await self._logged(request, peer, secure=True)

    async def _logged(self, request: HTTPRequest, peer: str, *, secure: bool) -> HTTPResponse:
        await self._process.work(4)
        answer, upstream = await self._answer(request, peer, secure=secure)
        line = f'{peer} - - [{httptext.log_date(self._process.container.clock.now())}] "{request.method} '
        line += f'{request.path[:200]} HTTP/1.1" {answer.status} {len(answer.body)} [{upstream}]'
        shown = "".join(char if char.isprintable() else "?" for char in line)
        self._process.container.log.write("stdout", f"{shown}\n".encode())
        return HTTPResponse(answer.status, answer.headers) if request.method == "HEAD" else answer

    async def _answer(self, request: HTTPRequest, peer: str, *, secure: bool) -> tuple[HTTPResponse, str]:
        host = request.headers.get("host", "").partition(":")[0].lower()
        path, mark, query = request.path.partition("?")
        found = self._table.find(host, path)
        if found is None:
            return _page(404), "upstream-default-backend"
        route, groups = found
        if route.refused:
            text = f"this Ingress uses what is not simulated here: {', '.join(route.refused)}\n"
            return httptext.text(501, text), "-"
        if route.redirect:
            return _redirect(301, route.redirect), "-"
        if route.secure and not secure:
            return _redirect(308, f"https://{host}{request.path}"), "-"
        if route.backend is None:
            return _page(503), "-"
        name = f"{route.backend.namespace}-{route.backend.service}-{route.backend.port}"
        headers = {key: value for key, value in request.headers.items() if key not in _HOP}
        scheme = "https" if secure else "http"
        headers |= {"x-real-ip": peer, "x-forwarded-for": peer, "x-forwarded-host": host, "x-forwarded-proto": scheme,
                    "x-forwarded-port": "443" if secure else "80", "x-scheme": scheme}  # fmt: skip
        passed = HTTPRequest(
            request.method, routes.rewritten(route, path, groups) + mark + query, headers, request.body
        )
        return await self._pass_on(route.backend, passed), name

    async def _pass_on(self, backend: routes.Backend, request: HTTPRequest) -> HTTPResponse:
        targets = self._targets(backend)
        if not targets:
            return _page(503)
        sandbox, clock = self._process.container.sandbox, self._process.container.clock
        status = 502
        for _ in range(min(len(targets), 3)):
            self._turn += 1
            address, port = targets[self._turn % len(targets)]
            connection = None
            try:
                connecting = sandbox.network.connect(sandbox.ip, address, port)
                connection = await within(clock, CONNECT_SECONDS, connecting)
                answer = await within(clock, READ_SECONDS, connection.exchange(request))
                return HTTPResponse(
                    answer.status, {k: v for k, v in answer.headers.items() if k not in (*_HOP, "server")}, answer.body
                )
            except (TimedOut, NetworkError) as error:
                status = 504 if isinstance(error, TimedOut) or error.kind == "timeout" else 502
            finally:
                if connection is not None:
                    connection.close()
        return _page(status)

    def _targets(self, backend: routes.Backend) -> list[tuple[str, int]]:
        """Ready endpoints of a service's port, or the name that an ExternalName service stands for."""
        service = self._services.get(backend.namespace, backend.service)
        ports = (service or {}).get("spec", {}).get("ports") or []
        if service is not None and service["spec"].get("type") == "ExternalName":
            numbers = [p["port"] for p in ports if backend.port in (p.get("name"), p["port"])] or [backend.port]
            return [(service["spec"].get("externalName", ""), number) for number in numbers if isinstance(number, int)]
        chosen = next((port for port in ports if backend.port in (port.get("name"), port["port"])), None)
        if chosen is None:
            return []
        return [
            (address, port["port"])
            for slice_ in self._slices.list(backend.namespace)
            if (slice_["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == backend.service
            for port in slice_.get("ports") or []
            if (port.get("name") or "") == (chosen.get("name") or "") and port.get("port")
            for endpoint in slice_.get("endpoints") or []
            if (endpoint.get("conditions") or {}).get("ready", True) is not False
            for address in endpoint["addresses"][:1]
        ]


def _flags(words: list[str], env: dict[str, str]) -> dict[str, str]:
    found = {}
    for word in words:
        name, equals, value = word.lstrip("-").partition("=")
        for variable in ("POD_NAMESPACE", "POD_NAME"):
            value = value.replace(f"$({variable})", env.get(variable, ""))
        if word.startswith("--"):
            found[name] = value if equals else "true"
    return found


def _page(status: int) -> HTTPResponse:
    return httptext.text(status, error_page(status, "nginx"), "text/html")


def _redirect(status: int, where: str) -> HTTPResponse:
    page = error_page(status, "nginx")
    safe = "".join(char for char in where if char.isprintable())
    return HTTPResponse(status, {"content-type": "text/html", "content-length": str(len(page)), "location": safe}, page)


async def _health(request: HTTPRequest, peer: str) -> HTTPResponse:
    path = request.path.partition("?")[0]
    return httptext.text(200, "ok") if path in ("/healthz", "/readyz") else httptext.text(404, "404 page not found\n")
