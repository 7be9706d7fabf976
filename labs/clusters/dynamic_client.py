"""Every object of a cluster, whatever its kind: discovery, list, create, replace, delete as plain JSON.

Providers use it to bring a cluster to a lab's starting state and back. It refuses to know any kind in particular: what
the API server offers is what there is.
"""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import urllib3
import yaml

from labs.clusters.provider import ClusterError

Obj = dict[str, Any]
Key = tuple[str, str, str]
"""(``apiVersion/kind``, namespace, name)."""


def key_of(obj: Mapping[str, Any]) -> Key:
    """What tells an object from every other in its cluster."""
    meta = obj["metadata"]
    return (f"{obj['apiVersion']}/{obj['kind']}", meta.get("namespace", ""), meta["name"])


class APIError(ClusterError):
    """The API server refused; ``status`` is the HTTP status code (0: it could not be reached)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, order=True)
class Resource:
    """A kind of object as the API server serves it: its collection is ``{prefix}/[namespaces/NS/]{plural}``."""

    prefix: str
    plural: str
    kind: str
    namespaced: bool
    verbs: frozenset[str]

    @property
    def api_version(self) -> str:
        """``v1`` or ``group/version``."""
        return self.prefix.removeprefix("/apis/").removeprefix("/api/")

    def path(self, namespace: str = "", name: str = "") -> str:
        """URL path of the collection, or of one object."""
        where = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{self.prefix}{where}/{self.plural}" + (f"/{name}" if name else "")


class DynamicClient:
    """The objects of one cluster, as seen with one kubeconfig (YAML). Close it, or use it in a ``with`` statement."""

    TIMEOUT = 15.0
    """Seconds a single request may take."""

    def __init__(self, kubeconfig: str) -> None:
        self._base, headers, context = _connection(kubeconfig)
        self._headers = {"Accept": "application/json", **headers}
        self._pool = urllib3.PoolManager(maxsize=4, ssl_context=context, retries=False, timeout=self.TIMEOUT)

    def __enter__(self) -> DynamicClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up the connections."""
        self._pool.clear()

    def request(self, method: str, path: str, body: object = None, *, content_type: str = "application/json") -> Obj:
        """One request; the answer's JSON object, {} when it has none. :class:`APIError` for every failure."""
        answer = self._send(method, path, body, content_type)
        return dict(json.loads(answer)) if answer.lstrip()[:1] == b"{" else {}

    def proxied(self, pod: str, path: str, body: object) -> Any:
        """What a server in a pod answers to a POST, as JSON; ``pod`` is its path and the port: ``.../pods/web:8080``.
        :class:`APIError`, also when it answers something else."""
        try:
            return json.loads(self._send("POST", f"{pod}/proxy{path}", body, "application/json"))
        except ValueError as error:
            raise APIError(502, f"{pod} answers no JSON: {error}") from error

    def _send(self, method: str, path: str, body: object, content_type: str) -> bytes:
        headers = self._headers if body is None else {**self._headers, "Content-Type": content_type}
        data = None if body is None else json.dumps(body).encode()
        try:
            answer = self._pool.request(method, self._base + path, body=data, headers=headers)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise APIError(0, f"the API server could not be reached: {error}") from error
        if not 200 <= answer.status < 300:
            raise APIError(answer.status, _message(answer.data))
        return answer.data

    def resources(self) -> list[Resource]:
        """Every kind that can be listed, each once, in the version the API server prefers."""
        groups = self.request("GET", "/apis").get("groups", [])
        prefixes = ["/api/v1", *("/apis/" + group["preferredVersion"]["groupVersion"] for group in groups)]
        found: list[Resource] = []
        for prefix in prefixes:
            try:
                answer = self.request("GET", prefix)
            except APIError as error:
                if error.status == 0:
                    raise
                continue  # an aggregated API without its server: it has no objects of this cluster
            for entry in answer.get("resources", []):
                if "/" not in entry["name"] and "list" in entry["verbs"]:
                    verbs = frozenset(entry["verbs"])
                    found.append(Resource(prefix, entry["name"], entry["kind"], entry["namespaced"], verbs))
        return found

    def all_of(self, resource: Resource) -> list[Obj]:
        """All objects of a kind, each with its ``apiVersion`` and ``kind``."""
        answer = self.request("GET", resource.path())
        filled = {"apiVersion": resource.api_version, "kind": resource.kind}
        return [{**filled, **item} for item in answer.get("items") or []]

    def get(self, resource: Resource, namespace: str, name: str) -> Obj | None:
        """One object, or None."""
        try:
            return self.request("GET", resource.path(namespace, name))
        except APIError as error:
            if error.status == 404:
                return None
            raise

    def create(self, resource: Resource, obj: Mapping[str, Any]) -> Obj:
        """Create an object; one that is already there is left as it is."""
        meta = obj["metadata"]
        try:
            return self.request("POST", resource.path(meta.get("namespace", "")), dict(obj))
        except APIError as error:
            if error.status == 409 and (there := self.get(resource, meta.get("namespace", ""), meta["name"])):
                return there
            raise

    def replace(self, resource: Resource, obj: Mapping[str, Any]) -> Obj:
        """Put an object in place of the one of its name."""
        meta = obj["metadata"]
        return self.request("PUT", resource.path(meta.get("namespace", ""), meta["name"]), dict(obj))

    def delete(self, resource: Resource, namespace: str, name: str, *, now: bool = False) -> None:
        """Delete an object and what it owns; ``now`` without a grace period. One that is gone is a success."""
        options: Obj = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if now:
            options["gracePeriodSeconds"] = 0
        try:
            self.request("DELETE", resource.path(namespace, name), options)
        except APIError as error:
            if error.status != 404:
                raise

    def observed(self, key: Key) -> bool:
        """Whether the controller of this object, if it has one that says so, has seen its latest generation."""
        api_version, _, kind = key[0].rpartition("/")
        if api_version != "apps/v1":
            return True
        resource = Resource("/apis/apps/v1", f"{kind.lower()}s", kind, namespaced=True, verbs=frozenset())
        found = self.get(resource, key[1], key[2]) or {}
        seen = found.get("status", {}).get("observedGeneration", 0)
        return bool(seen >= found.get("metadata", {}).get("generation", 0))

    def create_all(self, manifests: Iterable[Mapping[str, Any]], namespace: str = "default") -> list[Key]:
        """Create manifests in order; those of a namespaced kind that name none go to ``namespace``. Their keys."""
        made: list[Key] = []
        by_kind = {(r.api_version, r.kind): r for r in self.resources()}
        for manifest in manifests:
            resource = by_kind.get((manifest.get("apiVersion", ""), manifest.get("kind", "")))
            if resource is None:
                what = f"{manifest.get('apiVersion')}/{manifest.get('kind')}"
                raise ClusterError(f"the cluster does not serve {what}, which the lab's starting state needs")
            meta = dict(manifest.get("metadata") or {})
            if resource.namespaced:
                meta.setdefault("namespace", namespace)
            obj = {**manifest, "metadata": meta}
            self.create(resource, obj)
            made.append(key_of(obj))
        return made


def _message(body: object) -> str:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:300] or "no reason given"


def _connection(kubeconfig: str) -> tuple[str, dict[str, str], ssl.SSLContext]:
    """Base URL, headers and TLS context of a kubeconfig whose certificates, keys and tokens are inline."""
    document = yaml.safe_load(kubeconfig)
    context = {c["name"]: c["context"] for c in document["contexts"]}[document["current-context"]]
    cluster = {c["name"]: c["cluster"] for c in document["clusters"]}[context["cluster"]]
    user = {u["name"]: u["user"] for u in document["users"]}[context["user"]]
    tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    if "client-certificate-data" in user:
        with tempfile.NamedTemporaryFile(prefix="kindling-") as pem:  # the ssl module reads keys from files only
            pem.write(base64.b64decode(user["client-certificate-data"]) + b"\n")
            pem.write(base64.b64decode(user["client-key-data"]))
            pem.flush()
            tls.load_cert_chain(pem.name)
    headers = {"Authorization": "Bearer " + user["token"]} if "token" in user else {}
    return cluster["server"].rstrip("/"), headers, tls
