"""Everything about one kind in one version: its names and paths, how it differs, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass

from simkube.apiserver.registry.resources import Resource
from simkube.apiserver.registry.strategy import GENERAL, Strategy
from simkube.apiserver.tables.columns import NAME_AND_AGE, Layout


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind in one version. A version that is ``stored_as`` another has the strategy of that one, unless it has its
    own.
    """

    resource: Resource
    strategy: Strategy = GENERAL
    layout: Layout = NAME_AND_AGE
