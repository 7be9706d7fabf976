"""What an administrator would give kube-apiserver as flags. Frozen; one per cluster."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """``service_cidr`` is the range of cluster IPs; tolerations are seconds that pods stay on a lost node."""

    service_cidr: str = "10.96.0.0/16"
    node_ports: tuple[int, int] = (30000, 32767)
    not_ready_toleration: int = 300
    unreachable_toleration: int = 300
