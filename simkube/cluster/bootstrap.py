"""What is there before anyone asks for it: the built-in namespaces and the API server's own Service.

Safe to call at every start; what someone changed is left as it is, what is missing is made.
"""

from __future__ import annotations

from simkube.addons.localpath import STANDARD
from simkube.apimachinery.errors import StatusError
from simkube.client.client import Client, Obj

NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "default")
API_SERVICE_IP = "10.96.0.1"
API_PORT = 6443


def bootstrap(client: Client, api_address: str, *, dns: str = "", service_cidr: str = "10.96.0.0/16") -> None:
    """Make what is missing.

    ``api_address`` is where the API server is on the pod network, ``dns`` the address pods ask for names ("" for none:
    a cluster without nodes). The default storage class is made once: it may be deleted.
    """
    new = not client.list("namespaces")
    for name in NAMESPACES:
        _ensure(client, "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    _ensure(client, "servicecidrs.networking.k8s.io", _service_range(service_cidr))
    _ensure(client, "services", _service())
    _ensure(client, "endpoints", _endpoints(api_address))
    _ensure(client, "endpointslices.discovery.k8s.io", _slice(api_address))
    if dns:
        _ensure(client, "services", _dns_service(dns))
    if dns and new:
        _ensure(client, "storageclasses.storage.k8s.io", STANDARD)


def _ensure(client: Client, resource: str, obj: Obj) -> None:
    namespace = obj["metadata"].get("namespace", "")
    try:
        client.get(resource, obj["metadata"]["name"], namespace)
    except StatusError as error:
        if error.reason != "NotFound":
            raise
        client.create(resource, obj, namespace)


def _service_range(cidr: str) -> Obj:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [cidr]},
    }


def _service() -> Obj:
    labels = {"component": "apiserver", "provider": "kubernetes"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": API_SERVICE_IP,
            "ipFamilyPolicy": "SingleStack",
            "sessionAffinity": "None",
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": API_PORT}],
        },
    }


def _dns_service(address: str) -> Obj:
    """It holds the address; names are answered by the add-on itself, so it has no selector and no pods behind it."""
    labels = {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": labels},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": address,
            "clusterIPs": [address],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "sessionAffinity": "None",
            "ports": [
                {"name": "dns", "protocol": "UDP", "port": 53, "targetPort": 53},
                {"name": "dns-tcp", "protocol": "TCP", "port": 53, "targetPort": 53},
            ],
        },
    }


def _endpoints(address: str) -> Obj:
    labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    ports = [{"name": "https", "port": API_PORT, "protocol": "TCP"}]
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "subsets": [{"addresses": [{"ip": address}], "ports": ports}],
    }


def _slice(address: str) -> Obj:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": API_PORT, "protocol": "TCP"}],
    }
