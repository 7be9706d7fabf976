"""Disruption budgets and priority classes: who may be disturbed, and who goes first."""

from __future__ import annotations

from simkube.apiserver.registry.kind import Kind
from simkube.apiserver.registry.policy import defaults, tables, validation
from simkube.apiserver.registry.resources import Resource, status
from simkube.apiserver.registry.strategy import Strategy

KINDS = (
    Kind(
        Resource(
            "policy",
            "v1",
            "poddisruptionbudgets",
            "poddisruptionbudget",
            "PodDisruptionBudget",
            True,
            short_names=("pdb",),
            subresources=(status("PodDisruptionBudget"),),
        ),
        Strategy(
            defaults=defaults.disruption_budget,
            validate=validation.disruption_budget,
            validate_status=validation.disruption_budget_status,
            generation=True,
            keeps_status=True,
            first_status={"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
        ),
        layout=tables.DISRUPTION_BUDGETS,
    ),
    Kind(
        Resource(
            "scheduling.k8s.io", "v1", "priorityclasses", "priorityclass", "PriorityClass", False, short_names=("pc",)
        ),
        Strategy(
            defaults=defaults.priority_class,
            validate=validation.priority_class,
            validate_update=validation.priority_class_update,
            generation=True,
        ),
        layout=tables.PRIORITY_CLASSES,
    ),
)
