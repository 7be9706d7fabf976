"""The kinds of storage beyond the volumes and claims of the core group."""

from simkube.apiserver.resources.model import Resource, status

STORAGE = (
    Resource("storage.k8s.io", "v1", "csidrivers", "csidriver", "CSIDriver", False),
    Resource("storage.k8s.io", "v1", "csinodes", "csinode", "CSINode", False),
    Resource("storage.k8s.io", "v1", "csistoragecapacities", "csistoragecapacity", "CSIStorageCapacity", True),
    Resource("storage.k8s.io", "v1", "storageclasses", "storageclass", "StorageClass", False, short_names=("sc",)),
    Resource(
        "storage.k8s.io",
        "v1",
        "volumeattachments",
        "volumeattachment",
        "VolumeAttachment",
        False,
        subresources=(status("VolumeAttachment"),),
    ),
    Resource(
        "storage.k8s.io",
        "v1",
        "volumeattributesclasses",
        "volumeattributesclass",
        "VolumeAttributesClass",
        False,
        short_names=("vac",),
    ),
)
