"""How the API server's own types print a pod: the JSON that its messages show differences of.

The types inside an API server are not those of the API: they have their own names and order of fields, and fields that
are not set are printed too. A message about a forbidden change shows the difference between two such prints, with line
numbers, so they are written here as the fields of ``pkg/apis/core/types.go`` in order. It refuses to print anything but
pods and what they are made of.

One line a type: ``Name:type``, where ``s`` is text, ``b`` a truth value, ``i`` a number (printed when unset), ``*T`` a
struct (null when unset), ``T`` a struct (printed when unset), ``[T]`` a list of structs, ``=T`` the fields of T in its
place; with none it is printed as it is, or as null.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from typing import Any

from simkube.client.client import Obj

_TYPES = """
PodSpec Volumes:[Volume] InitContainers:[Container] Containers:[Container] EphemeralContainers:[EphemeralContainer]
 RestartPolicy:s TerminationGracePeriodSeconds ActiveDeadlineSeconds DNSPolicy:s NodeSelector ServiceAccountName:s
 AutomountServiceAccountToken NodeName:s SecurityContext:*PodSecurityContext ImagePullSecrets:[Reference] Hostname:s
 Subdomain:s SetHostnameAsFQDN Affinity:*Affinity SchedulerName:s Tolerations:[Toleration] HostAliases:[HostAlias]
 PriorityClassName:s Priority PreemptionPolicy DNSConfig:*DNSConfig ReadinessGates:[ReadinessGate] RuntimeClassName
 Overhead EnableServiceLinks TopologySpreadConstraints:[TopologySpreadConstraint] OS:*OS SchedulingGates:[Gate]
 ResourceClaims:[ResourceClaim] Resources:*Resources HostnameOverride SchedulingGroup:*SchedulingGroup
PodSecurityContext HostNetwork:b HostPID:b HostIPC:b ShareProcessNamespace HostUsers SELinuxOptions:*SELinuxOptions
 WindowsOptions:*WindowsOptions RunAsUser RunAsGroup RunAsNonRoot SupplementalGroups SupplementalGroupsPolicy FSGroup
 FSGroupChangePolicy Sysctls:[Pair] SeccompProfile:*Profile AppArmorProfile:*Profile SELinuxChangePolicy
SecurityContext Capabilities:*Capabilities Privileged SELinuxOptions:*SELinuxOptions WindowsOptions:*WindowsOptions
 RunAsUser RunAsGroup RunAsNonRoot ReadOnlyRootFilesystem AllowPrivilegeEscalation ProcMount SeccompProfile:*Profile
 AppArmorProfile:*Profile
SELinuxOptions User:s Role:s Type:s Level:s
WindowsOptions GMSACredentialSpecName GMSACredentialSpec RunAsUserName HostProcess
Profile Type:s LocalhostProfile
Capabilities Add Drop
Pair Name:s Value:s
Reference Name:s
OS Name:s
Gate Name:s
ReadinessGate ConditionType:s
SchedulingGroup PodGroupName
ResourceClaim Name:s ResourceClaimName ResourceClaimTemplateName
HostAlias IP:s Hostnames
DNSConfig Nameservers Searches Options:[DNSOption]
DNSOption Name:s Value
Toleration Key:s Operator:s Value:s Effect:s TolerationSeconds
TopologySpreadConstraint MaxSkew:i TopologyKey:s WhenUnsatisfiable:s LabelSelector MinDomains NodeAffinityPolicy
 NodeTaintsPolicy MatchLabelKeys
Affinity NodeAffinity:*NodeAffinity PodAffinity:*PodAffinity PodAntiAffinity:*PodAffinity
NodeAffinity RequiredDuringSchedulingIgnoredDuringExecution:*NodeSelector
 PreferredDuringSchedulingIgnoredDuringExecution:[PreferredTerm]
NodeSelector NodeSelectorTerms:[NodeTerm]
NodeTerm MatchExpressions:[NodeRequirement] MatchFields:[NodeRequirement]
NodeRequirement Key:s Operator:s Values
PreferredTerm Weight:i Preference:NodeTerm
PodAffinity RequiredDuringSchedulingIgnoredDuringExecution:[PodTerm]
 PreferredDuringSchedulingIgnoredDuringExecution:[WeightedTerm]
PodTerm LabelSelector Namespaces TopologyKey:s NamespaceSelector MatchLabelKeys MismatchLabelKeys
WeightedTerm Weight:i PodAffinityTerm:PodTerm
Container =Common
EphemeralContainer =Common TargetContainerName:s
Common Name:s Image:s Command Args WorkingDir:s Ports:[Port] EnvFrom:[EnvFrom] Env:[Env] Resources:Resources
 ResizePolicy:[ResizePolicy] RestartPolicy RestartPolicyRules:[RestartRule] VolumeMounts:[Mount] VolumeDevices:[Device]
 LivenessProbe:*Probe ReadinessProbe:*Probe StartupProbe:*Probe Lifecycle:*Lifecycle TerminationMessagePath:s
 TerminationMessagePolicy:s ImagePullPolicy:s SecurityContext:*SecurityContext Stdin:b StdinOnce:b TTY:b
Port Name:s HostPort:i ContainerPort:i Protocol:s HostIP:s
EnvFrom Prefix:s ConfigMapRef:*OptionalReference SecretRef:*OptionalReference
OptionalReference Name:s Optional
Env Name:s Value:s ValueFrom:*EnvSource
EnvSource FieldRef:*FieldRef ResourceFieldRef:*ResourceRef ConfigMapKeyRef:*KeyRef SecretKeyRef:*KeyRef
 FileKeyRef:*FileKeyRef
FieldRef APIVersion:s FieldPath:s
ResourceRef ContainerName:s Resource:s Divisor:q
KeyRef Name:s Key:s Optional
FileKeyRef VolumeName:s Path:s Key:s Optional
Resources Limits Requests Claims
ResizePolicy ResourceName:s RestartPolicy:s
RestartRule Action:s ExitCodes
Mount Name:s ReadOnly:b RecursiveReadOnly MountPath:s SubPath:s MountPropagation SubPathExpr:s
Device Name:s DevicePath:s
Probe =Handler InitialDelaySeconds:i TimeoutSeconds:i PeriodSeconds:i SuccessThreshold:i FailureThreshold:i
 TerminationGracePeriodSeconds
Handler Exec:*Exec HTTPGet:*HTTPGet TCPSocket:*TCPSocket GRPC:*GRPC
Exec Command
HTTPGet Path:s Port:i Host:s Scheme:s HTTPHeaders:[Pair]
TCPSocket Port:i Host:s
GRPC Port:i Service
Sleep Seconds:i
Lifecycle PostStart:*Hook PreStop:*Hook StopSignal
Hook Exec:*Exec HTTPGet:*HTTPGet TCPSocket:*TCPSocket Sleep:*Sleep
Volume Name:s HostPath:*HostPath EmptyDir:*EmptyDir GCEPersistentDisk AWSElasticBlockStore GitRepo Secret:*SecretVolume
 NFS ISCSI Glusterfs PersistentVolumeClaim:*ClaimVolume RBD Quobyte FlexVolume Cinder CephFS Flocker
 DownwardAPI:*DownwardVolume FC AzureFile ConfigMap:*ConfigVolume VsphereVolume AzureDisk PhotonPersistentDisk
 Projected:*Projected PortworxVolume ScaleIO StorageOS CSI Ephemeral Image
HostPath Path:s Type
EmptyDir Medium:s SizeLimit
SecretVolume SecretName:s Items:[KeyToPath] DefaultMode Optional
ClaimVolume ClaimName:s ReadOnly:b
DownwardVolume Items:[DownwardFile] DefaultMode
ConfigVolume Name:s Items:[KeyToPath] DefaultMode Optional
KeyToPath Key:s Path:s Mode
DownwardFile Path:s FieldRef:*FieldRef ResourceFieldRef:*ResourceRef Mode
Projected Sources:[Projection] DefaultMode
Projection Secret:*Items DownwardAPI:*Downward ConfigMap:*Items ServiceAccountToken:*Token ClusterTrustBundle
 PodCertificate
Items Name:s Items:[KeyToPath] Optional
Downward Items:[DownwardFile]
Token Audience:s ExpirationSeconds:i Path:s
"""
_NAMES = {"CephFS": "cephfs", "StorageOS": "storageos", "SELinuxOptions": "seLinuxOptions"}
_ON_POD = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")
"""Fields of a pod's spec that the type inside keeps with the security context."""
_ZEROS: dict[str, Any] = {"s": "", "b": False, "i": 0, "q": "0"}


@functools.cache
def _types() -> dict[str, tuple[tuple[str, str, str], ...]]:
    """By type its fields: ``(printed name, JSON name, what)``."""
    lines = _TYPES.strip().replace("\n ", " ").split("\n")
    found: dict[str, tuple[tuple[str, str, str], ...]] = {}
    for line in reversed(lines):
        name, *fields = line.split(" ")
        made: list[tuple[str, str, str]] = []
        for field in fields:
            if field.startswith("="):
                made.extend(found[field[1:]])
                continue
            printed, _, what = field.partition(":")
            made.append((printed, _json_name(printed), what))
        found[name] = tuple(made)
    return found


def _json_name(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    initial = re.match(r"[A-Z]+(?=[A-Z][a-z]|$)|[A-Z]", name)
    length = initial.end() if initial else 1
    return name[:length].lower() + name[length:]


def printed(value: Obj, name: str) -> Obj:
    """A value of the API as the type of that name (``PodSpec``, ``EphemeralContainer``) prints it."""
    if name == "PodSpec":
        moved = {key: value[key] for key in _ON_POD if key in value}
        value = {**value, "securityContext": {**(value.get("securityContext") or {}), **moved}}
    return {shown: _value(value.get(key), what) for shown, key, what in _types()[name]}


def _value(value: Any, what: str) -> Any:
    if what in _ZEROS:
        return _ZEROS[what] if value is None else value
    if value is None:
        return printed({}, what) if what and what[0] not in "*[" else None
    if not what:
        return value
    if what[0] == "[":
        return [printed(each, what[1:-1]) for each in value]
    return printed(value, what.removeprefix("*"))


def difference(before: Obj, now: Obj, name: str, *, most: int = 400) -> str:
    """A unified difference of two prints, three lines around each change, at most so many lines (``diff.Diff``)."""
    sides = (json.dumps(printed(each, name), indent=1, ensure_ascii=False) for each in (before, now))
    one, other = (side.splitlines() for side in sides)
    lines = list(difflib.unified_diff(one, other, n=3, lineterm=""))[2:]
    return "\n".join(lines[:most]) + "\n"
