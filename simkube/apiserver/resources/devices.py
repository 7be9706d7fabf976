"""Ways to run containers, and devices for them: classes and claims, kept as they are given.

No node here has another runtime than its own or a driver for devices: claims stay unallocated, and a pod that asks for
either is refused by name.
"""

from simkube.apiserver.resources.model import Resource, status

DEVICES = (
    Resource("node.k8s.io", "v1", "runtimeclasses", "runtimeclass", "RuntimeClass", False),
    Resource("resource.k8s.io", "v1", "deviceclasses", "deviceclass", "DeviceClass", False),
    Resource(
        "resource.k8s.io",
        "v1",
        "resourceclaims",
        "resourceclaim",
        "ResourceClaim",
        True,
        subresources=(status("ResourceClaim"),),
    ),
    Resource("resource.k8s.io", "v1", "resourceclaimtemplates", "resourceclaimtemplate", "ResourceClaimTemplate", True),
    Resource("resource.k8s.io", "v1", "resourceslices", "resourceslice", "ResourceSlice", False),
)
