"""Pods, and what is asked of them through other paths."""

from __future__ import annotations

from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.pods import defaults, preparation, table, validate_part_changes, validation, warnings
from simkube.apiserver.registry.resources import CHANGE, PROXY, REVIEW, Resource, Subresource, status
from simkube.apiserver.registry.strategy import Strategy

KINDS = (
    Kind(Resource("", "v1", "bindings", "binding", "Binding", True, verbs=REVIEW, review=True)),
    Kind(
        Resource(
            "",
            "v1",
            "pods",
            "pod",
            "Pod",
            True,
            short_names=("po",),
            categories=("all",),
            subresources=(
                Subresource(
                    "attach",
                    "PodAttachOptions",
                    (
                        "create",
                        "get",
                    ),
                ),
                Subresource("binding", "Binding", REVIEW),
                Subresource("ephemeralcontainers", "Pod", CHANGE),
                Subresource("eviction", "Eviction", REVIEW, "policy", "v1"),
                Subresource(
                    "exec",
                    "PodExecOptions",
                    (
                        "create",
                        "get",
                    ),
                ),
                Subresource("log", "Pod", ("get",)),
                Subresource(
                    "portforward",
                    "PodPortForwardOptions",
                    (
                        "create",
                        "get",
                    ),
                ),
                Subresource("proxy", "PodProxyOptions", PROXY),
                Subresource("resize", "Pod", CHANGE),
                status("Pod"),
            ),
        ),
        Strategy(
            defaults=defaults.pod,
            validate=validation.pod,
            warnings=warnings.of("pods"),
            prepare_create=preparation.new_pod,
            prepare_update=preparation.changed_pod,
            validate_update=validation.pod_update,
            validate_status=validation.status_update,
            parts={
                "ephemeralcontainers": validate_part_changes.ephemeral_update,
                "resize": validate_part_changes.resize_update,
            },
            generation=True,
            keeps_status=True,
            answers_deleted=True,
        ),
        layout=table.PODS,
    ),
)
