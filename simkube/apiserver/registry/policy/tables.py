"""How disruption budgets and priority classes are shown."""

from __future__ import annotations

from simkube.apiserver.tables.cells import age_of, name_of
from simkube.apiserver.tables.columns import AGE, NAME, Cells, Column, Layout
from simkube.client.client import Obj


def _budget(obj: Obj, now: float) -> Cells:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    limits = [str(spec.get(name, "N/A")) for name in ("minAvailable", "maxUnavailable")]
    return [name_of(obj), *limits, status.get("disruptionsAllowed", 0), age_of(obj, now)]


def _priority_class(obj: Obj, now: float) -> Cells:
    shown = [obj.get("value", 0), bool(obj.get("globalDefault")), age_of(obj, now)]
    return [name_of(obj), *shown, obj.get("preemptionPolicy", "")]


DISRUPTION_BUDGETS = Layout(
    (
        NAME,
        Column("Min Available", "The minimum number of pods that must be available."),
        Column("Max Unavailable", "The maximum number of pods that may be unavailable."),
        Column("Allowed Disruptions", "Calculated number of pods that may be disrupted at this time.", type="integer"),
        AGE,
    ),
    _budget,
)


PRIORITY_CLASSES = Layout(
    (
        NAME,
        Column("Value", field="scheduling.v1.PriorityClass.value", type="integer"),
        Column("Global-Default", field="scheduling.v1.PriorityClass.globalDefault", type="boolean"),
        AGE,
        Column("PreemptionPolicy", field="scheduling.v1.PriorityClass.preemptionPolicy"),
    ),
    _priority_class,
)
