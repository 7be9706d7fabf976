"""``kube-controller-manager``: which controllers there are, in the order in which they are started."""

from __future__ import annotations

from simkube.apiserver.registry.kinds import RESOURCES
from simkube.client.client import Informers, Server
from simkube.client.workqueue import WorkLoop
from simkube.controllers import certificates
from simkube.controllers.accounttokens import Sign, TokensController
from simkube.controllers.aggregation import ClusterRoleAggregationController
from simkube.controllers.claimprotection import (
    ClaimProtectionController,
    EphemeralVolumeController,
    VolumeProtectionController,
)
from simkube.controllers.controller import Controller
from simkube.controllers.cronjob import CronJobController
from simkube.controllers.daemonset import DaemonSetController
from simkube.controllers.deployment import DeploymentController
from simkube.controllers.disruption import DisruptionController
from simkube.controllers.endpoints import EndpointsController
from simkube.controllers.endpointslice import EndpointSliceController
from simkube.controllers.garbage import GarbageCollector, Kind
from simkube.controllers.horizontal import HorizontalController
from simkube.controllers.job import JobController
from simkube.controllers.mirroring import EndpointSliceMirroringController
from simkube.controllers.namespace import NamespaceController
from simkube.controllers.nodelifecycle import Heartbeats, NodeLifecycleController
from simkube.controllers.nodettl import NodeTTLController
from simkube.controllers.podgc import PodGarbageCollector
from simkube.controllers.policystatus import PolicyStatusController
from simkube.controllers.replicaset import ReplicaSetController, ReplicationManager
from simkube.controllers.resourcequota import ResourceQuotaController
from simkube.controllers.rootca import RootCAPublisher
from simkube.controllers.serviceaccounts import ServiceAccountsController
from simkube.controllers.servicecidrs import ServiceCIDRController
from simkube.controllers.statefulset import StatefulSetController
from simkube.controllers.tainteviction import TaintEvictionController
from simkube.controllers.ttl import TTLAfterFinishedController
from simkube.controllers.volumeexpansion import VolumeExpansionController
from simkube.controllers.volumes import PersistentVolumeController


class ControllerManager:
    """All controllers together; ``node_lifecycle`` is told when a kubelet is stopped or started."""

    def __init__(
        self,
        server: Server,
        loop: WorkLoop,
        informers: Informers,
        *,
        heartbeats: Heartbeats,
        grace: float,
        ca: str,
        sign: Sign | None = None,
        certify: certificates.Sign | None = None,
    ) -> None:
        stored = [each for each in RESOURCES.values() if not each.review and not each.stored_as and not each.computed]
        namespaced = [each.qualified for each in stored if each.namespaced]
        kinds = {(each.api_version, each.kind): Kind(each.qualified, each.namespaced) for each in stored}
        self.node_lifecycle = NodeLifecycleController(server, loop, informers, heartbeats, grace)
        self.controllers: list[Controller] = [
            ServiceAccountsController(server, loop, informers),
            RootCAPublisher(server, loop, informers, ca),
            TokensController(server, loop, informers, ca, sign),
            ClusterRoleAggregationController(server, loop, informers),
            certificates.SigningController(server, loop, informers, certify),
            certificates.CleanerController(server, loop, informers),
            self.node_lifecycle,
            NodeTTLController(server, loop, informers),
            TaintEvictionController(server, loop, informers),
            ReplicaSetController(
                server, loop, informers
            ),  # hears of a change first: what is to go goes before more comes
            ReplicationManager(server, loop, informers),
            DeploymentController(server, loop, informers),
            StatefulSetController(server, loop, informers),
            DaemonSetController(server, loop, informers),
            JobController(server, loop, informers),
            CronJobController(server, loop, informers),
            HorizontalController(server, loop, informers),
            DisruptionController(server, loop, informers),
            TTLAfterFinishedController(server, loop, informers),
            EndpointsController(server, loop, informers),
            EndpointSliceController(server, loop, informers),
            EndpointSliceMirroringController(server, loop, informers),
            ServiceCIDRController(server, loop, informers),
            PersistentVolumeController(server, loop, informers),
            ClaimProtectionController(server, loop, informers),
            VolumeProtectionController(server, loop, informers),
            EphemeralVolumeController(server, loop, informers),
            VolumeExpansionController(server, loop, informers),
            PolicyStatusController(server, loop, informers),
            ResourceQuotaController(server, loop, informers, namespaced),
            NamespaceController(server, loop, informers, namespaced),
            GarbageCollector(server, loop, informers, kinds),
            PodGarbageCollector(server, loop, informers),
        ]
