"""Volumes, claims, and the classes and drivers behind them."""

from __future__ import annotations

from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.resources import Resource, status
from simkube.apiserver.registry.storage import defaults, preparation, tables, validate_classes, validate_volumes
from simkube.apiserver.registry.strategy import Strategy

KINDS = (
    Kind(
        Resource(
            "",
            "v1",
            "persistentvolumeclaims",
            "persistentvolumeclaim",
            "PersistentVolumeClaim",
            True,
            short_names=("pvc",),
            subresources=(status("PersistentVolumeClaim"),),
        ),
        Strategy(
            defaults=defaults.claim,
            validate=validate_volumes.claim,
            validate_update=validate_volumes.claim_update,
            validate_status=validate_volumes.claim_status,
            keeps_status=True,
            answers_deleted=True,
            first_status={"phase": "Pending"},
        ),
        layout=tables.CLAIMS,
    ),
    Kind(
        Resource(
            "",
            "v1",
            "persistentvolumes",
            "persistentvolume",
            "PersistentVolume",
            False,
            short_names=("pv",),
            subresources=(status("PersistentVolume"),),
        ),
        Strategy(
            defaults=defaults.persistent_volume,
            validate=validate_volumes.persistent_volume,
            prepare_create=preparation.new_volume,
            prepare_update=preparation.changed_volume,
            validate_update=validate_volumes.persistent_volume_update,
            validate_status=validate_volumes.persistent_volume_status,
            keeps_status=True,
            answers_deleted=True,
            first_status={"phase": "Pending"},
        ),
        layout=tables.PERSISTENT_VOLUMES,
    ),
    Kind(
        Resource("storage.k8s.io", "v1", "csidrivers", "csidriver", "CSIDriver", False),
        Strategy(
            defaults=defaults.csi_driver,
            validate=validate_classes.csi_driver,
            validate_update=validate_classes.csi_driver_update,
            answers_deleted=True,
        ),
        layout=tables.CSI_DRIVERS,
    ),
    Kind(
        Resource("storage.k8s.io", "v1", "csinodes", "csinode", "CSINode", False),
        Strategy(
            validate=validate_classes.csi_node,
            validate_update=validate_classes.csi_node_update,
            answers_deleted=True,
        ),
        layout=tables.CSI_NODES,
    ),
    Kind(
        Resource("storage.k8s.io", "v1", "csistoragecapacities", "csistoragecapacity", "CSIStorageCapacity", True),
        Strategy(
            validate=validate_classes.csi_capacity,
            validate_update=validate_classes.csi_capacity_update,
        ),
        layout=tables.CSI_CAPACITIES,
    ),
    Kind(
        Resource("storage.k8s.io", "v1", "storageclasses", "storageclass", "StorageClass", False, short_names=("sc",)),
        Strategy(
            defaults=defaults.storage_class,
            validate=validate_classes.storage_class,
            validate_update=validate_classes.storage_class_update,
            answers_deleted=True,
        ),
        layout=tables.STORAGE_CLASSES,
    ),
    Kind(
        Resource(
            "storage.k8s.io",
            "v1",
            "volumeattachments",
            "volumeattachment",
            "VolumeAttachment",
            False,
            subresources=(status("VolumeAttachment"),),
        ),
        Strategy(
            defaults=defaults.volume_attachment,
            validate=validate_classes.attachment,
            validate_update=validate_classes.attachment_update,
            validate_status=validate_classes.attachment_status,
            keeps_status=True,
            answers_deleted=True,
            first_status={"attached": False},
        ),
        layout=tables.ATTACHMENTS,
    ),
    Kind(
        Resource(
            "storage.k8s.io",
            "v1",
            "volumeattributesclasses",
            "volumeattributesclass",
            "VolumeAttributesClass",
            False,
            short_names=("vac",),
        ),
        Strategy(
            validate=validate_classes.attributes_class,
            validate_update=validate_classes.attributes_class_update,
            answers_deleted=True,
        ),
        layout=tables.ATTRIBUTES_CLASSES,
    ),
)
