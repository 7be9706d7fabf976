"""What differs from kind to kind on the request path, as one table.

After the ``strategy.go`` of each registry in ``pkg/registry``. A kind that is not named here takes the general path; it
refuses to hold behaviour that is the same for all kinds (that is :mod:`simkube.apiserver.writing`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from simkube.apiserver import defaults
from simkube.apiserver.custom import definition
from simkube.apiserver.defaults import admission as admission_defaults
from simkube.apiserver.defaults import devices as device_defaults
from simkube.apiserver.defaults import flowcontrol as flow_defaults
from simkube.apiserver.defaults import policy as policy_defaults
from simkube.apiserver.defaults import rbac as rbac_defaults
from simkube.apiserver.defaults import storage as storage_defaults
from simkube.apiserver.field import Errors
from simkube.apiserver.resources.model import Resource
from simkube.apiserver.validation import admission as admission_rules
from simkube.apiserver.validation import (
    autoscalers,
    core,
    cronjobs,
    endpoints,
    jobs,
    metadata,
    networking,
    nodes,
    pod_parts,
    pods,
    policies,
    scaling,
    services,
    sets,
    storage,
    storage_classes,
    workloads,
)
from simkube.apiserver.validation import certificates as certificate_rules
from simkube.apiserver.validation import devices as device_rules
from simkube.apiserver.validation import flowcontrol as flow_rules
from simkube.apiserver.validation import quotas as quota_rules
from simkube.apiserver.validation import rbac as rbac_rules
from simkube.client import Obj


def _nothing(*_: object) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Kind:
    """The strategy of one kind, by the qualified plural of the resource that stores it.

    ``name`` checks a name; ``parts`` check what a subresource other than status may change; ``generation`` counts
    changes of anything but metadata and status; ``keeps_status`` says that only the status subresource changes it;
    ``status_keeps_labels`` that a status update leaves labels
    alone; ``blind_update`` that a PUT needs no resourceVersion; ``created_by_put``; ``answers_deleted`` that a delete
    answers the object instead of a Status; ``orphans`` that a delete leaves the dependents unless it says otherwise;
    ``drops_status`` that a new object has none; ``counts_status`` that it counts for the generation;
    ``status_keeps_metadata`` that a status update changes nothing of the metadata; ``ratchets`` that
    ``validate_update`` alone looks at a changed object, and only at what changed.
    """

    name: Callable[[str], list[str]] = metadata.subdomain
    defaults: Callable[[Obj], None] = _nothing
    validate: Callable[[Obj, Errors], None] = _nothing
    validate_update: Callable[[Obj, Obj, Errors], None] = _nothing
    validate_status: Callable[[Obj, Obj, Errors], None] = _nothing
    parts: Mapping[str, Callable[[Obj, Obj, Errors], None]] = field(default_factory=dict)
    generation: bool = False
    keeps_status: bool = False
    status_keeps_labels: bool = False
    blind_update: bool = True
    created_by_put: bool = False
    answers_deleted: bool = False
    orphans: bool = False
    drops_status: bool = False
    counts_status: bool = False
    status_keeps_metadata: bool = False
    ratchets: bool = False


GENERAL = Kind()

KINDS: dict[str, Kind] = {
    "certificatesigningrequests.certificates.k8s.io": Kind(
        defaults=policy_defaults.signing_request,
        validate=certificate_rules.signing_request,
        validate_status=certificate_rules.conditions,
        parts={"approval": certificate_rules.conditions},
        ratchets=True,
    ),
    "resourcequotas": Kind(
        defaults=policy_defaults.resource_quota,
        validate=quota_rules.quota,
        validate_update=quota_rules.quota_update,
        validate_status=quota_rules.quota_status,
        keeps_status=True,
        answers_deleted=True,
    ),
    "limitranges": Kind(defaults=policy_defaults.limit_range, validate=quota_rules.limit_range),
    "roles.rbac.authorization.k8s.io": Kind(
        name=rbac_rules.path_segment, defaults=rbac_defaults.role, validate=rbac_rules.role
    ),
    "clusterroles.rbac.authorization.k8s.io": Kind(
        name=rbac_rules.path_segment, defaults=rbac_defaults.role, validate=rbac_rules.cluster_role
    ),
    "rolebindings.rbac.authorization.k8s.io": Kind(
        name=rbac_rules.path_segment,
        defaults=rbac_defaults.binding,
        validate=rbac_rules.role_binding,
        validate_update=rbac_rules.binding_update,
    ),
    "clusterrolebindings.rbac.authorization.k8s.io": Kind(
        name=rbac_rules.path_segment,
        defaults=rbac_defaults.binding,
        validate=rbac_rules.cluster_role_binding,
        validate_update=rbac_rules.binding_update,
    ),
    "configmaps": Kind(validate=core.config_map, validate_update=core.config_map_update),
    "secrets": Kind(defaults=defaults.secret, validate=core.secret, validate_update=core.secret_update),
    "serviceaccounts": Kind(answers_deleted=True),
    "endpoints": Kind(defaults=defaults.endpoints, validate=endpoints.endpoints, created_by_put=True),
    "endpointslices.discovery.k8s.io": Kind(
        defaults=defaults.endpoint_slice,
        validate=endpoints.endpoint_slice,
        validate_update=endpoints.endpoint_slice_update,
        generation=True,
    ),
    "events": Kind(defaults=defaults.event, validate=core.event, created_by_put=True),
    "leases.coordination.k8s.io": Kind(validate=core.lease, blind_update=False, created_by_put=True),
    "controllerrevisions.apps": Kind(
        validate=workloads.controller_revision, validate_update=workloads.controller_revision_update
    ),
    "customresourcedefinitions.apiextensions.k8s.io": Kind(
        defaults=definition.defaults,
        validate=definition.validate,
        validate_update=definition.validate_update,
        validate_status=definition.validate_status,
        generation=True,
        keeps_status=True,
        blind_update=False,
        answers_deleted=True,
    ),
    "namespaces": Kind(
        name=metadata.label,
        defaults=defaults.namespace,
        keeps_status=True,
        answers_deleted=True,
    ),
    "nodes": Kind(defaults=defaults.node, validate=nodes.node, validate_update=nodes.node_update, keeps_status=True),
    "pods": Kind(
        defaults=defaults.pod,
        validate=pods.pod,
        validate_update=pods.pod_update,
        validate_status=pods.status_update,
        parts={"ephemeralcontainers": pod_parts.ephemeral_update, "resize": pod_parts.resize_update},
        generation=True,
        keeps_status=True,
        answers_deleted=True,
    ),
    "services": Kind(
        name=metadata.label,
        defaults=defaults.service,
        validate=services.service,
        validate_update=services.service_update,
        keeps_status=True,
        answers_deleted=True,
    ),
    "ingresses.networking.k8s.io": Kind(
        defaults=defaults.ingress,
        validate=networking.ingress,
        validate_status=networking.ingress_status,
        generation=True,
        keeps_status=True,
    ),
    "ingressclasses.networking.k8s.io": Kind(
        defaults=defaults.ingress_class,
        validate=networking.ingress_class,
        validate_update=networking.ingress_class_update,
        generation=True,
    ),
    "networkpolicies.networking.k8s.io": Kind(
        defaults=defaults.network_policy, validate=policies.network_policy, generation=True
    ),
    "ipaddresses.networking.k8s.io": Kind(
        name=networking.address_name,
        defaults=defaults.with_spec,
        validate=networking.ip_address,
        validate_update=networking.ip_address_update,
    ),
    "servicecidrs.networking.k8s.io": Kind(
        defaults=defaults.with_spec,
        validate=networking.service_cidr,
        validate_update=networking.service_cidr_update,
        keeps_status=True,
    ),
    "deployments.apps": Kind(
        defaults=defaults.deployment,
        validate=workloads.deployment,
        validate_update=workloads.deployment_update,
        validate_status=workloads.deployment_status,
        generation=True,
        keeps_status=True,
        status_keeps_labels=True,
    ),
    "replicasets.apps": Kind(
        defaults=defaults.replica_set,
        validate=workloads.replica_set,
        validate_update=workloads.replica_set_update,
        validate_status=workloads.replica_set_status,
        generation=True,
        keeps_status=True,
    ),
    "statefulsets.apps": Kind(
        name=metadata.dns_label,
        defaults=defaults.stateful_set,
        validate=sets.stateful_set,
        validate_update=sets.stateful_set_update,
        validate_status=sets.stateful_set_status,
        generation=True,
        keeps_status=True,
    ),
    "daemonsets.apps": Kind(
        defaults=defaults.daemon_set,
        validate=sets.daemon_set,
        validate_update=sets.daemon_set_update,
        validate_status=sets.daemon_set_status,
        generation=True,
        keeps_status=True,
    ),
    "replicationcontrollers": Kind(
        defaults=defaults.replication_controller,
        validate=workloads.replication_controller,
        validate_status=workloads.replication_controller_status,
        generation=True,
        keeps_status=True,
        orphans=True,
    ),
    "runtimeclasses.node.k8s.io": Kind(
        validate=device_rules.runtime_class, validate_update=device_rules.runtime_class_update
    ),
    "deviceclasses.resource.k8s.io": Kind(defaults=device_defaults.device_class, generation=True, answers_deleted=True),
    "resourceclaims.resource.k8s.io": Kind(
        defaults=device_defaults.resource_claim,
        validate=device_rules.resource_claim,
        validate_update=device_rules.resource_claim_update,
        keeps_status=True,
        answers_deleted=True,
    ),
    "resourceclaimtemplates.resource.k8s.io": Kind(
        defaults=device_defaults.resource_claim_template,
        validate=device_rules.resource_claim_template,
        validate_update=device_rules.resource_claim_update,
        answers_deleted=True,
    ),
    "validatingadmissionpolicies.admissionregistration.k8s.io": Kind(
        defaults=admission_defaults.policy, validate=admission_rules.policy, generation=True, keeps_status=True
    ),
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": Kind(
        defaults=admission_defaults.binding, validate=admission_rules.binding, generation=True
    ),
    "mutatingadmissionpolicies.admissionregistration.k8s.io": Kind(validate=admission_rules.mutating),
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": Kind(validate=admission_rules.mutating),
    "validatingwebhookconfigurations.admissionregistration.k8s.io": Kind(
        defaults=admission_defaults.webhooks, validate=admission_rules.webhooks, generation=True
    ),
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": Kind(
        defaults=admission_defaults.webhooks, validate=admission_rules.webhooks, generation=True
    ),
    "flowschemas.flowcontrol.apiserver.k8s.io": Kind(
        defaults=flow_defaults.flow_schema, validate=flow_rules.flow_schema, generation=True, keeps_status=True
    ),
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": Kind(
        defaults=flow_defaults.priority_level, validate=flow_rules.priority_level, generation=True, keeps_status=True
    ),
    "podtemplates": Kind(
        defaults=defaults.template, validate=workloads.template, generation=True, answers_deleted=True
    ),
    "jobs.batch": Kind(
        defaults=defaults.job,
        validate=jobs.job,
        validate_update=jobs.job_update,
        validate_status=jobs.job_status,
        generation=True,
        keeps_status=True,
        orphans=True,
    ),
    "cronjobs.batch": Kind(
        defaults=defaults.cron_job,
        validate=cronjobs.cron_job,
        validate_update=cronjobs.cron_job_update,
        generation=True,
        keeps_status=True,
    ),
    "horizontalpodautoscalers.autoscaling": Kind(
        defaults=defaults.autoscaler,
        validate=autoscalers.autoscaler,
        validate_status=autoscalers.autoscaler_status,
        keeps_status=True,
    ),
    "poddisruptionbudgets.policy": Kind(
        defaults=defaults.disruption_budget,
        validate=scaling.disruption_budget,
        validate_status=scaling.disruption_budget_status,
        generation=True,
        keeps_status=True,
    ),
    "priorityclasses.scheduling.k8s.io": Kind(
        defaults=defaults.priority_class,
        validate=scaling.priority_class,
        validate_update=scaling.priority_class_update,
        generation=True,
    ),
    "persistentvolumes": Kind(
        defaults=storage_defaults.persistent_volume,
        validate=storage.persistent_volume,
        validate_update=storage.persistent_volume_update,
        validate_status=storage.persistent_volume_status,
        keeps_status=True,
        answers_deleted=True,
    ),
    "persistentvolumeclaims": Kind(
        defaults=storage_defaults.claim,
        validate=storage.claim,
        validate_update=storage.claim_update,
        validate_status=storage.claim_status,
        keeps_status=True,
        answers_deleted=True,
    ),
    "storageclasses.storage.k8s.io": Kind(
        defaults=storage_defaults.storage_class,
        validate=storage_classes.storage_class,
        validate_update=storage_classes.storage_class_update,
        answers_deleted=True,
    ),
    "volumeattributesclasses.storage.k8s.io": Kind(
        validate=storage_classes.attributes_class,
        validate_update=storage_classes.attributes_class_update,
        answers_deleted=True,
    ),
    "csidrivers.storage.k8s.io": Kind(
        defaults=storage_defaults.csi_driver,
        validate=storage_classes.csi_driver,
        validate_update=storage_classes.csi_driver_update,
        answers_deleted=True,
    ),
    "csinodes.storage.k8s.io": Kind(
        validate=storage_classes.csi_node,
        validate_update=storage_classes.csi_node_update,
        answers_deleted=True,
    ),
    "csistoragecapacities.storage.k8s.io": Kind(
        validate=storage_classes.csi_capacity,
        validate_update=storage_classes.csi_capacity_update,
    ),
    "volumeattachments.storage.k8s.io": Kind(
        defaults=storage_defaults.volume_attachment,
        validate=storage_classes.attachment,
        validate_update=storage_classes.attachment_update,
        keeps_status=True,
        answers_deleted=True,
    ),
}


def strategy_of(resource: Resource) -> Kind:
    """The strategy of a resource, custom ones included."""
    return KINDS.get(resource.storage, GENERAL) if resource.custom is None else resource.custom.strategy


def kind_of(storage: str) -> Kind:
    """The strategy of the kind stored under this name."""
    return KINDS.get(storage, GENERAL)
