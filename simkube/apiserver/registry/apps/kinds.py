"""The kinds that run pods for somebody."""

from __future__ import annotations

from simkube.apiserver.registry.apps import defaults, preparation, tables, validate_sets, validation
from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.pods import warnings as pod_warnings
from simkube.apiserver.registry.resources import SCALE, Resource, status
from simkube.apiserver.registry.strategy import Strategy
from simkube.apiserver.validation import metadata

KINDS = (
    Kind(
        Resource("", "v1", "podtemplates", "podtemplate", "PodTemplate", True),
        Strategy(
            defaults=defaults.template,
            validate=validation.template,
            warnings=pod_warnings.of("podtemplates"),
            generation=True,
            answers_deleted=True,
        ),
        layout=tables.POD_TEMPLATES,
    ),
    Kind(
        Resource(
            "",
            "v1",
            "replicationcontrollers",
            "replicationcontroller",
            "ReplicationController",
            True,
            short_names=("rc",),
            categories=("all",),
            subresources=(
                SCALE,
                status("ReplicationController"),
            ),
        ),
        Strategy(
            defaults=defaults.replication_controller,
            validate=validation.replication_controller,
            warnings=pod_warnings.of("replicationcontrollers"),
            validate_status=validation.replication_controller_status,
            generation=True,
            keeps_status=True,
            orphans=True,
            first_status={"replicas": 0},
        ),
        layout=tables.REPLICATION_CONTROLLERS,
    ),
    Kind(
        Resource("apps", "v1", "controllerrevisions", "controllerrevision", "ControllerRevision", True),
        Strategy(validate=validation.controller_revision, validate_update=validation.controller_revision_update),
        layout=tables.CONTROLLER_REVISIONS,
    ),
    Kind(
        Resource(
            "apps",
            "v1",
            "daemonsets",
            "daemonset",
            "DaemonSet",
            True,
            short_names=("ds",),
            categories=("all",),
            subresources=(status("DaemonSet"),),
        ),
        Strategy(
            defaults=defaults.daemon_set,
            validate=validate_sets.daemon_set,
            warnings=pod_warnings.of("daemonsets.apps"),
            prepare_create=preparation.new_daemon_set,
            prepare_update=preparation.changed_daemon_set,
            validate_update=validate_sets.daemon_set_update,
            validate_status=validate_sets.daemon_set_status,
            generation=True,
            keeps_status=True,
            first_status={
                "currentNumberScheduled": 0,
                "numberMisscheduled": 0,
                "desiredNumberScheduled": 0,
                "numberReady": 0,
            },
        ),
        layout=tables.DAEMON_SETS,
    ),
    Kind(
        Resource(
            "apps",
            "v1",
            "deployments",
            "deployment",
            "Deployment",
            True,
            short_names=("deploy",),
            categories=("all",),
            subresources=(
                SCALE,
                status("Deployment"),
            ),
        ),
        Strategy(
            defaults=defaults.deployment,
            validate=validation.deployment,
            warnings=pod_warnings.of("deployments.apps"),
            counts_annotations=True,
            validate_update=validation.deployment_update,
            validate_status=validation.deployment_status,
            generation=True,
            keeps_status=True,
            status_keeps_labels=True,
            first_status={},
        ),
        layout=tables.DEPLOYMENTS,
    ),
    Kind(
        Resource(
            "apps",
            "v1",
            "replicasets",
            "replicaset",
            "ReplicaSet",
            True,
            short_names=("rs",),
            categories=("all",),
            subresources=(
                SCALE,
                status("ReplicaSet"),
            ),
        ),
        Strategy(
            defaults=defaults.replica_set,
            validate=validation.replica_set,
            warnings=pod_warnings.of("replicasets.apps"),
            validate_update=validation.replica_set_update,
            validate_status=validation.replica_set_status,
            generation=True,
            keeps_status=True,
            first_status={"replicas": 0},
        ),
        layout=tables.REPLICA_SETS,
    ),
    Kind(
        Resource(
            "apps",
            "v1",
            "statefulsets",
            "statefulset",
            "StatefulSet",
            True,
            short_names=("sts",),
            categories=("all",),
            subresources=(
                SCALE,
                status("StatefulSet"),
            ),
        ),
        Strategy(
            name=metadata.dns_label,
            defaults=defaults.stateful_set,
            validate=validate_sets.stateful_set,
            warnings=pod_warnings.of("statefulsets.apps"),
            validate_update=validate_sets.stateful_set_update,
            validate_status=validate_sets.stateful_set_status,
            generation=True,
            keeps_status=True,
            first_status={"replicas": 0, "availableReplicas": 0},
        ),
        layout=tables.STATEFUL_SETS,
    ),
)
