"""What scales by itself."""

from __future__ import annotations

from simkube.apiserver.registry.autoscaling import defaults, tables, validation
from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.resources import Resource, status
from simkube.apiserver.registry.strategy import Strategy

KINDS = (
    Kind(
        Resource(
            "autoscaling",
            "v2",
            "horizontalpodautoscalers",
            "horizontalpodautoscaler",
            "HorizontalPodAutoscaler",
            True,
            short_names=("hpa",),
            categories=("all",),
            subresources=(status("HorizontalPodAutoscaler"),),
        ),
        Strategy(
            defaults=defaults.autoscaler,
            validate=validation.autoscaler,
            validate_status=validation.autoscaler_status,
            keeps_status=True,
            first_status={"desiredReplicas": 0, "currentMetrics": None},
        ),
        layout=tables.AUTOSCALERS,
    ),
    Kind(
        Resource(
            "autoscaling",
            "v1",
            "horizontalpodautoscalers",
            "horizontalpodautoscaler",
            "HorizontalPodAutoscaler",
            True,
            short_names=("hpa",),
            categories=("all",),
            subresources=(status("HorizontalPodAutoscaler"),),
            stored_as="horizontalpodautoscalers.autoscaling",
        ),
        layout=tables.AUTOSCALERS,
    ),
)
