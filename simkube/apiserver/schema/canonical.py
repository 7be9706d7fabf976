"""Objects as the API server would have read and written them: what a trip through Go's types leaves of JSON.

A null, an empty list or map, and the zero of a scalar that is no pointer are not written (``omitempty``); a field
nobody declares is dropped; a quantity is written in its canonical form. The result shares nothing with the input, so
that the caller may change it. It refuses to judge: what is of the wrong type is kept, and strict decoding (which comes
before it) has told so.
"""

from __future__ import annotations

from typing import Any

from simkube.apimachinery import quantity
from simkube.apiserver.schema.schema import Field, Type, definitions
from simkube.client.client import Obj

_POINTERS = frozenset(
    (
        "activeDeadlineSeconds",
        "allocateLoadBalancerNodePorts",
        "allowPrivilegeEscalation",
        "appProtocol",
        "automountServiceAccountToken",
        "blockOwnerDeletion",
        "collisionCount",
        "containerIDs",
        "controller",
        "defaultMode",
        "deletionGracePeriodSeconds",
        "enableServiceLinks",
        "expirationSeconds",
        "fsGroup",
        "fsGroupChangePolicy",
        "holderIdentity",
        "hostnameOverride",
        "hostUsers",
        "immutable",
        "internalTrafficPolicy",
        "ipFamilyPolicy",
        "leaseDurationSeconds",
        "leaseTransitions",
        "loadBalancerClass",
        "maxSkew",
        "mode",
        "optional",
        "partition",
        "preemptionPolicy",
        "priority",
        "privileged",
        "procMount",
        "progressDeadlineSeconds",
        "ready",
        "readOnlyRootFilesystem",
        "revisionHistoryLimit",
        "runAsGroup",
        "runAsNonRoot",
        "runAsUser",
        "runtimeClassName",
        "serving",
        "service",
        "setHostnameAsFQDN",
        "shareProcessNamespace",
        "sizeLimit",
        "stopSignal",
        "suspend",
        "terminating",
        "terminatingReplicas",
        "terminationGracePeriodSeconds",
        "timeoutSeconds",
        "tolerationSeconds",
    )
)
"""Optional scalars whose Go type is a pointer, so that their zero is a value and is kept."""

_POINTERS_OF = {
    "JSONSchemaProps": frozenset(
        (
            "maximum",
            "minimum",
            "maxLength",
            "minLength",
            "maxItems",
            "minItems",
            "multipleOf",
            "maxProperties",
            "minProperties",
            "$ref",
            "x-kubernetes-list-type",
            "x-kubernetes-map-type",
            "x-kubernetes-preserve-unknown-fields",
        )
    ),
    "CustomResourceDefinitionVersion": frozenset({"deprecationWarning"}),
    "DeploymentSpec": frozenset({"replicas"}),
    "ReplicaSetSpec": frozenset({"replicas"}),
    "StatefulSetSpec": frozenset({"replicas"}),
    "StatefulSetStatus": frozenset({"availableReplicas"}),
    "RollingUpdateStatefulSetStrategy": frozenset({"partition"}),
    "ReplicationControllerSpec": frozenset({"replicas"}),
    "JobSpec": frozenset(
        {
            "backoffLimit",
            "backoffLimitPerIndex",
            "completionMode",
            "completions",
            "managedBy",
            "manualSelector",
            "maxFailedIndexes",
            "parallelism",
            "podReplacementPolicy",
            "ttlSecondsAfterFinished",
        }
    ),
    "JobStatus": frozenset({"failedIndexes"}),
    "PodFailurePolicyOnExitCodesRequirement": frozenset({"containerName"}),
    "SuccessPolicyRule": frozenset({"succeededCount", "succeededIndexes"}),
    "CronJobSpec": frozenset(
        {"failedJobsHistoryLimit", "startingDeadlineSeconds", "successfulJobsHistoryLimit", "timeZone"}
    ),
    "HorizontalPodAutoscalerSpec": frozenset({"minReplicas", "targetCPUUtilizationPercentage"}),
    "HorizontalPodAutoscalerStatus": frozenset({"currentCPUUtilizationPercentage", "observedGeneration"}),
    "HPAScalingRules": frozenset({"selectPolicy", "stabilizationWindowSeconds"}),
    "MetricTarget": frozenset({"averageUtilization"}),
    "MetricValueStatus": frozenset({"averageUtilization"}),
    "PodDisruptionBudgetSpec": frozenset({"unhealthyPodEvictionPolicy"}),
    "DeleteOptions": frozenset({"gracePeriodSeconds", "orphanDependents", "propagationPolicy"}),
    "TopologySpreadConstraint": frozenset({"minDomains", "nodeAffinityPolicy", "nodeTaintsPolicy"}),
    "PodDNSConfigOption": frozenset({"value"}),
    "VolumeMount": frozenset({"mountPropagation", "recursiveReadOnly"}),
    "SeccompProfile": frozenset({"localhostProfile"}),
    "AppArmorProfile": frozenset({"localhostProfile"}),
    "PodSecurityContext": frozenset({"seLinuxChangePolicy", "supplementalGroupsPolicy"}),
    "WindowsSecurityContextOptions": frozenset(
        {"gmsaCredentialSpec", "gmsaCredentialSpecName", "hostProcess", "runAsUserName"}
    ),
    "CSIVolumeSource": frozenset({"fsType", "readOnly"}),
    "ISCSIVolumeSource": frozenset({"initiatorName"}),
    "ClusterTrustBundleProjection": frozenset({"name", "signerName"}),
    "PodResourceClaim": frozenset({"resourceClaimName", "resourceClaimTemplateName"}),
    "ContainerStatus": frozenset({"started"}),
    "Container": frozenset({"restartPolicy"}),
    "PersistentVolumeClaimSpec": frozenset({"storageClassName", "volumeMode", "volumeAttributesClassName"}),
    "PersistentVolumeClaimStatus": frozenset({"currentVolumeAttributesClassName"}),
    "PersistentVolumeSpec": frozenset({"volumeMode", "volumeAttributesClassName"}),
    "StorageClass": frozenset({"reclaimPolicy", "allowVolumeExpansion", "volumeBindingMode"}),
    "CSIDriverSpec": frozenset(
        {
            "attachRequired",
            "podInfoOnMount",
            "storageCapacity",
            "fsGroupPolicy",
            "requiresRepublish",
            "seLinuxMount",
            "nodeAllocatableUpdatePeriodSeconds",
            "preventPodSchedulingIfMissing",
            "serviceAccountTokenInSecrets",
        }
    ),
    "VolumeAttachmentSource": frozenset({"persistentVolumeName"}),
    "VolumeNodeResources": frozenset({"count"}),
    "VolumeError": frozenset({"errorCode"}),
    "TypedLocalObjectReference": frozenset({"apiGroup"}),
    "TypedObjectReference": frozenset({"apiGroup", "namespace"}),
    "FCVolumeSource": frozenset({"lun"}),
    "AzureDiskVolumeSource": frozenset({"cachingMode", "fsType", "readOnly", "kind"}),
    "HostPathVolumeSource": frozenset({"type"}),
    "EndpointPort": frozenset({"name"}),
    "HTTPIngressPath": frozenset({"pathType"}),
    "IngressClassParametersReference": frozenset({"apiGroup", "namespace", "scope"}),
    "IngressSpec": frozenset({"ingressClassName"}),
    "NetworkPolicyPort": frozenset({"endPort", "protocol"}),
    "Endpoint": frozenset({"nodeName", "zone", "hostname"}),
    "EndpointAddress": frozenset({"nodeName"}),
    "AzureFilePersistentVolumeSource": frozenset({"secretNamespace"}),
    "CustomResourceSubresourceScale": frozenset({"labelSelectorPath"}),
    "EphemeralContainer": frozenset({"restartPolicy"}),
    "ExemptPriorityLevelConfiguration": frozenset({"lendablePercent", "nominalConcurrencyShares"}),
    "GlusterfsPersistentVolumeSource": frozenset({"endpointsNamespace"}),
    "ISCSIPersistentVolumeSource": frozenset({"initiatorName"}),
    "LeaseSpec": frozenset({"preferredHolder", "strategy"}),
    "LimitedPriorityLevelConfiguration": frozenset(
        {"borrowingLimitPercent", "lendablePercent", "nominalConcurrencyShares"}
    ),
    "LocalVolumeSource": frozenset({"fsType"}),
    "MatchResources": frozenset({"matchPolicy"}),
    "MutatingWebhook": frozenset({"failurePolicy", "matchPolicy", "reinvocationPolicy", "sideEffects"}),
    "NamedRuleWithOperations": frozenset({"scope"}),
    "NodeFeatures": frozenset({"supplementalGroupsPolicy"}),
    "NodeRuntimeHandlerFeatures": frozenset({"recursiveReadOnlyMounts", "userNamespaces"}),
    "NodeSwapStatus": frozenset({"capacity"}),
    "ParamRef": frozenset({"parameterNotFoundAction"}),
    "PodResourceClaimStatus": frozenset({"resourceClaimName"}),
    "PodSchedulingGroup": frozenset({"podGroupName"}),
    "PortStatus": frozenset({"error"}),
    "IngressPortStatus": frozenset({"error"}),
    "RuleWithOperations": frozenset({"scope"}),
    "ServiceReference": frozenset({"path", "port"}),
    "ServiceSpec": frozenset({"trafficDistribution"}),
    "ValidatingAdmissionPolicySpec": frozenset({"failurePolicy"}),
    "ValidatingWebhook": frozenset({"failurePolicy", "matchPolicy", "sideEffects"}),
    "Validation": frozenset({"reason"}),
    "ValidationRule": frozenset({"optionalOldSelf", "reason"}),
    "VolumeMountStatus": frozenset({"recursiveReadOnly"}),
    "WebhookClientConfig": frozenset({"url"}),
    "LoadBalancerIngress": frozenset({"ipMode"}),
    "DeviceClassSpec": frozenset({"extendedResourceName"}),
    "DeviceConstraint": frozenset({"distinctAttribute", "matchAttribute"}),
    "ExactDeviceRequest": frozenset({"adminAccess"}),
    "DeviceRequestAllocationResult": frozenset({"adminAccess", "shareID"}),
    "AllocatedDeviceStatus": frozenset({"shareID"}),
    "ResourceSliceSpec": frozenset({"allNodes", "nodeName", "perDeviceNodeSelection"}),
    "Device": frozenset({"allNodes", "allowMultipleAllocations", "bindsToNode", "nodeName"}),
    "DeviceAttribute": frozenset({"bool", "int", "string", "version"}),
    "NodeAllocatableResourceMapping": frozenset({"capacityKey"}),
}
_CONDITION_TIMES = ("lastTransitionTime",)
_PRESENT: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "PodCondition": (("lastProbeTime", "lastTransitionTime"), ()),
    "NodeCondition": (("lastHeartbeatTime", "lastTransitionTime"), ()),
    "DeploymentCondition": (("lastUpdateTime", "lastTransitionTime"), ()),
    "ReplicaSetCondition": (_CONDITION_TIMES, ()),
    "StatefulSetCondition": (_CONDITION_TIMES, ()),
    "DaemonSetCondition": (_CONDITION_TIMES, ()),
    "ReplicationControllerCondition": (_CONDITION_TIMES, ()),
    "JobCondition": (("lastProbeTime", "lastTransitionTime"), ()),
    "HorizontalPodAutoscalerCondition": (_CONDITION_TIMES, ()),
    "NamespaceCondition": (_CONDITION_TIMES, ()),
    "ContainerStateRunning": (("startedAt",), ()),
    "ContainerStateTerminated": (("startedAt", "finishedAt"), ()),
    "ContainerStatus": ((), ("state", "lastState")),
    "PersistentVolumeClaimCondition": (("lastProbeTime", "lastTransitionTime"), ()),
    "CSINodeSpec": (("drivers",), ()),
    "CSINodeDriver": (("topologyKeys",), ()),
    "VolumeError": (("time",), ()),
}
"""Fields that are written even when they were not given, by definition: times as null, structs as ``{}``."""
_NOT_POINTERS = frozenset(
    {
        ("AWSElasticBlockStoreVolumeSource", "partition"),
        ("CustomResourceColumnDefinition", "priority"),
        ("GCEPersistentDiskVolumeSource", "partition"),
        ("IngressClassSpec", "controller"),
        ("Probe", "timeoutSeconds"),
    }
)
_SCALARS = frozenset({"string", "integer", "number", "boolean", "bytes"})


def canonical(obj: Obj, gvk: tuple[str, str, str]) -> Obj:
    """A copy of ``obj`` in canonical form; an object of a kind nobody declares is copied as it is."""
    known = definitions().of(gvk)
    copy = _any(obj) if known is None else _struct(obj, known)
    kind = {"kind": gvk[2], "apiVersion": f"{gvk[0]}/{gvk[1]}" if gvk[0] else gvk[1]}
    return {**kind, **copy, **kind}


def of_type(obj: Obj, type: Type) -> Obj:
    """A copy of a struct in canonical form."""
    return _struct(obj, type)


def _any(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _any(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_any(item) for item in value]
    return value


def _struct(value: Obj, type: Type) -> Obj:
    made = {}
    for key, item in value.items():
        field = type.fields.get(key)
        if field is None or item is None:
            continue
        item = _value(item, field.type)
        if item or _kept(type, key, field):
            made[key] = item
    if type.name in _PRESENT:
        times, structs = _PRESENT[type.name]
        for key in times:
            made.setdefault(key, None)
        for key in structs:
            made.setdefault(key, {})
    return made


def _kept(type: Type, key: str, field: Field) -> bool:
    shape = field.type.shape
    if shape in ("list", "map"):
        return field.required and not (shape == "map" or field.present == "null")
    if shape not in _SCALARS or field.required:
        return True
    pointer = key in _POINTERS or key in _POINTERS_OF.get(type.name, ())
    return pointer and (type.name, key) not in _NOT_POINTERS


def _value(value: Any, type: Type) -> Any:
    shape = type.shape
    if shape == "struct":
        return _struct(value, type) if isinstance(value, dict) else value
    if shape == "list" and isinstance(value, list) and type.element is not None:
        element = type.element
        return [_value(item, element) for item in value]
    if shape == "map" and isinstance(value, dict) and type.element is not None:
        element = type.element
        return {key: _value(item, element) for key, item in value.items()}
    if shape == "quantity":
        return _quantity(value)
    return _any(value) if isinstance(value, (dict, list)) else value


def _quantity(value: Any) -> Any:
    try:
        return quantity.canonical(str(value))
    except quantity.QuantityError:
        return value  # strict decoding has refused it, unless a component wrote it
