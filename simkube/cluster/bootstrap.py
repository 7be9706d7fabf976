"""What a cluster has before anyone asks for it: what its API server keeps, and the add-ons of a kind cluster.

Safe to call at every start; what someone changed is left as it is, what is missing is made.
"""

from __future__ import annotations

from simkube.addons.localpath import STANDARD
from simkube.apimachinery.errors import StatusError
from simkube.apiserver.registry.apiregistration import bootstrap as apiregistration
from simkube.client.client import Client, Obj
from simkube.controlplane import system_objects


def bootstrap(client: Client, api_address: str, *, ca: str = "", dns: str = "") -> None:
    """Make what is missing.

    ``api_address`` is where the API server is on the pod network, ``ca`` the certificate of its authority, ``dns`` the
    address pods ask for names ("" for none: a cluster without nodes). The default storage class and the registration of
    the metrics are made once: they may be deleted.
    """
    new = not client.list("namespaces")
    system_objects.make(client, api_address=api_address, ca=ca, born=client.clock.now())
    if dns:
        _ensure(client, "services", _dns_service(dns))
    if dns and new:
        _ensure(client, "storageclasses.storage.k8s.io", STANDARD)
        _ensure(client, apiregistration.RESOURCE, apiregistration.metrics())


def _ensure(client: Client, resource: str, obj: Obj) -> None:
    namespace = obj["metadata"].get("namespace", "")
    try:
        client.get(resource, obj["metadata"]["name"], namespace)
    except StatusError as error:
        if error.reason != "NotFound":
            raise
        client.create(resource, obj, namespace)


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
