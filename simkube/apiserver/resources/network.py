"""The kinds of the network: what is reached how, and by whom."""

from simkube.apiserver.resources.model import Resource, status

NETWORK = (
    Resource("networking.k8s.io", "v1", "ingressclasses", "ingressclass", "IngressClass", False),
    Resource(
        "networking.k8s.io",
        "v1",
        "ingresses",
        "ingress",
        "Ingress",
        True,
        short_names=("ing",),
        subresources=(status("Ingress"),),
    ),
    Resource("networking.k8s.io", "v1", "ipaddresses", "ipaddress", "IPAddress", False, short_names=("ip",)),
    Resource(
        "networking.k8s.io", "v1", "networkpolicies", "networkpolicy", "NetworkPolicy", True, short_names=("netpol",)
    ),
    Resource(
        "networking.k8s.io",
        "v1",
        "servicecidrs",
        "servicecidr",
        "ServiceCIDR",
        False,
        subresources=(status("ServiceCIDR"),),
    ),
    Resource("discovery.k8s.io", "v1", "endpointslices", "endpointslice", "EndpointSlice", True),
)
