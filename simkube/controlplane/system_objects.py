"""Which objects the API server keeps, and by which of its loops: the Service ``kubernetes``, system namespaces, ...

Also what there is before anyone asks for it (:func:`make`): the same objects, at the first start of a cluster. System
priority classes are not here: nobody may delete them. Sources: ``pkg/controlplane/controller/{kubernetesservice,
systemnamespaces,defaultservicecidr,clusterauthenticationtrust,legacytokentracking}``,
``pkg/controlplane/reconcilers``, ``pkg/registry/flowcontrol/{rest,ensurer}``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache

from simkube.apimachinery.errors import StatusError
from simkube.apiserver.registry.flowcontrol import bootstrap as flowcontrol
from simkube.client.client import Client, Informers, Obj, Server, copy_of
from simkube.client.workqueue import WorkLoop
from simkube.controlplane.keeper import Keeper, Kept, Mend

NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "default")
API_SERVICE_IP = "10.96.0.1"
API_PORT = 6443
RANGE = "10.96.0.0/16"
ENDPOINTS_SECONDS, MINUTE = 10.0, 60.0
_MANDATORY = ("exempt", "catch-all")
_AUTOUPDATE = "apf.kubernetes.io/autoupdate-spec"


def keepers(
    server: Server, loop: WorkLoop, informers: Informers, *, api_address: str, ca: str, born: float
) -> list[Keeper]:
    """The loops. ``api_address`` is where the API server is on the pod network, ``ca`` signs clients' certificates."""
    return [
        Keeper(name, every, kept, server, loop, informers)
        for name, every, kept in (
            ("system-namespaces-controller", MINUTE, _namespaces()),
            ("kubernetes-service-cidr-controller", ENDPOINTS_SECONDS, _range()),
            ("kubernetes-service-controller", ENDPOINTS_SECONDS, _service(api_address)),
            ("priority-and-fairness-config-producer", MINUTE, flow_control()),
            ("cluster-authentication-trust-controller", 0.0, _authentication(ca)),
            ("legacy-token-tracking-controller", 0.0, _tracking(born)),
        )
    ]


def make(client: Client, *, api_address: str, ca: str, born: float) -> None:
    """Make what is missing; what somebody changed is left as it is."""
    for each in (*_namespaces(), *_range(), *_service(api_address), *_authentication(ca), *_tracking(born)):
        meta = each.wanted["metadata"]
        namespace = meta.get("namespace", "")
        try:
            client.get(each.resource, meta["name"], namespace)
        except StatusError as error:
            if error.reason != "NotFound":
                raise
            client.create(each.resource, copy_of(each.wanted), namespace)


def _namespaces() -> Iterator[Kept]:
    for name in NAMESPACES:
        yield Kept("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def _range() -> Iterator[Kept]:
    meta = {"name": "kubernetes"}
    made = {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": meta, "spec": {"cidrs": [RANGE]}}
    yield Kept("servicecidrs.networking.k8s.io", made)


def _service(address: str) -> Iterator[Kept]:
    meta = {"name": "kubernetes", "namespace": "default"}
    port = {"name": "https", "protocol": "TCP", "port": 443, "targetPort": API_PORT}
    spec: Obj = {
        "type": "ClusterIP",
        "clusterIP": API_SERVICE_IP,
        "ipFamilyPolicy": "SingleStack",
        "sessionAffinity": "None",
        "ports": [port],
    }
    labels = {"component": "apiserver", "provider": "kubernetes"}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {**meta, "labels": labels}, "spec": spec}
    yield Kept("services", service, _with("spec", "type", "ports"))
    ports = [{"name": "https", "port": API_PORT, "protocol": "TCP"}]
    labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    endpoints: Obj = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {**meta, "labels": labels}}
    endpoints["subsets"] = [{"addresses": [{"ip": address}], "ports": ports}]
    yield Kept("endpoints", endpoints, _with("", "subsets"))
    labels = {"kubernetes.io/service-name": "kubernetes"}
    slice_: Obj = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {**meta, "labels": labels}}
    slice_ |= {"addressType": "IPv4", "endpoints": [{"addresses": [address], "conditions": {"ready": True}}]}
    yield Kept("endpointslices.discovery.k8s.io", {**slice_, "ports": ports}, _with("", "endpoints", "ports"))


def _with(part: str, *names: str) -> Mend:
    def mend(current: Obj, wanted: Obj) -> Obj | None:
        there, right = (current.get(part, {}), wanted[part]) if part else (current, wanted)
        if all(there.get(name) == right[name] for name in names):
            return None
        made = copy_of(current)
        target = made.setdefault(part, {}) if part else made
        target |= copy_of({name: right[name] for name in names})
        return made

    return mend


@cache
def flow_control() -> tuple[Kept, ...]:
    """Priority levels and flow schemas, shared by all clusters."""
    return tuple(Kept(resource, obj, _updated) for resource, obj in flowcontrol.bootstrap())


def _updated(current: Obj, wanted: Obj) -> Obj | None:
    """Those without which no request could be sorted are put right always, others while they are to be updated."""
    meta = current["metadata"]
    noted = (meta.get("annotations") or {}).get(_AUTOUPDATE)
    updates = noted == "true" if noted in ("true", "false") else meta.get("generation") == 1
    if current["spec"] == wanted["spec"] or not (updates or meta["name"] in _MANDATORY):
        return None
    return {**copy_of(current), "spec": copy_of(wanted["spec"])}


def _authentication(ca: str) -> Iterator[Kept]:
    """How servers behind the API server know its requests and its clients; one authority signs for both here."""
    data = {
        "client-ca-file": ca,
        "requestheader-allowed-names": '["front-proxy-client"]',
        "requestheader-client-ca-file": ca,
        "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
        "requestheader-group-headers": '["X-Remote-Group"]',
        "requestheader-username-headers": '["X-Remote-User"]',
    }
    yield Kept("configmaps", _map("extension-apiserver-authentication", data), _complete)


def _complete(current: Obj, wanted: Obj) -> Obj | None:
    """What is there stays beside what must be there."""
    data = {**(current.get("data") or {}), **wanted["data"]}
    return None if data == current.get("data") else {**copy_of(current), "data": data}


def _tracking(born: float) -> Iterator[Kept]:
    since = datetime.fromtimestamp(born, UTC).strftime("%Y-%m-%d")
    yield Kept("configmaps", _map("kube-apiserver-legacy-service-account-token-tracking", {"since": since}), _dated)


def _dated(current: Obj, wanted: Obj) -> Obj | None:
    try:
        datetime.strptime((current.get("data") or {}).get("since", ""), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return {**copy_of(current), "data": dict(wanted["data"])}
    return None


def _map(name: str, data: dict[str, str]) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "kube-system"},
        "data": data,
    }
