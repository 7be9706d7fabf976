"""The rows of flow schemas and priority levels."""

from __future__ import annotations

from typing import Any

from simkube.apiserver.tables.cells import NONE, age_of, name_of
from simkube.apiserver.tables.columns import AGE, NAME, Cells, Column, Layout

Obj = dict[str, Any]


def _schema(obj: Obj, now: float) -> Cells:
    spec = obj.get("spec") or {}
    level = (spec.get("priorityLevelConfiguration") or {}).get("name", "")
    method = (spec.get("distinguisherMethod") or {}).get("type") or NONE
    conditions = (obj.get("status") or {}).get("conditions") or []
    dangling = next((each.get("status", "") for each in conditions if each.get("type") == "Dangling"), "?")
    return [name_of(obj), level, spec.get("matchingPrecedence", 0), method, age_of(obj, now), dangling]


def _level(obj: Obj, now: float) -> Cells:
    spec = obj.get("spec") or {}
    limited = spec.get("limited") or {}
    shares: Any = NONE
    if spec.get("limited") is not None:
        shares = limited.get("nominalConcurrencyShares", 0)
    elif spec.get("exempt") is not None:
        shares = spec["exempt"].get("nominalConcurrencyShares", 0)
    queuing = (limited.get("limitResponse") or {}).get("queuing") or {}
    queues = [queuing.get(name, NONE) for name in ("queues", "handSize", "queueLengthLimit")]
    return [name_of(obj), spec.get("type", ""), shares, *queues, age_of(obj, now)]


_PREFIX = "flowcontrol.v1"
FLOW_SCHEMAS = Layout(
    (
        NAME,
        Column("PriorityLevel", field=f"{_PREFIX}.PriorityLevelConfigurationReference.name"),
        Column("MatchingPrecedence", field=f"{_PREFIX}.FlowSchemaSpec.matchingPrecedence"),
        Column("DistinguisherMethod", field=f"{_PREFIX}.FlowSchemaSpec.distinguisherMethod"),
        AGE,
        Column("MissingPL", "references a broken or non-existent PriorityLevelConfiguration"),
    ),
    _schema,
)
PRIORITY_LEVELS = Layout(
    (
        NAME,
        Column("Type", field=f"{_PREFIX}.PriorityLevelConfigurationSpec.type"),
        Column(
            "NominalConcurrencyShares", field=f"{_PREFIX}.LimitedPriorityLevelConfiguration.nominalConcurrencyShares"
        ),
        Column("Queues", field=f"{_PREFIX}.QueuingConfiguration.queues"),
        Column("HandSize", field=f"{_PREFIX}.QueuingConfiguration.handSize"),
        Column("QueueLengthLimit", field=f"{_PREFIX}.QueuingConfiguration.queueLengthLimit"),
        AGE,
    ),
    _level,
)
