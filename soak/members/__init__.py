"""Hostile members of a class, by name."""

from __future__ import annotations

from soak.members import connections, pods, requests, schemas, site
from soak.members.member import Member, Target

OF_CLUSTERS: dict[str, type[Member]] = {
    each.__name__: each
    for each in (
        connections.UnreadListings,
        connections.InflatingBodies,
        connections.IdleConnections,
        connections.HalfHandshakes,
        connections.HalfSentRequests,
        connections.ManyWatches,
        connections.ManyExecs,
        connections.ManyForwards,
        requests.EndlessCreates,
        requests.LargeLists,
        requests.LongSelectors,
        requests.HugeObjects,
        requests.HugePatches,
        requests.CopyingPatches,
        requests.ManyManagers,
        requests.YamlAliases,
        requests.HugeYaml,
        schemas.DeepSchemas,
        schemas.WideSchemas,
        schemas.Alternatives,
        schemas.Patterns,
        schemas.Rules,
        schemas.Defaults,
        schemas.TooLargePatterns,
        schemas.ManyRules,
        schemas.Policies,
        pods.CpuLoops,
        pods.ForkLoops,
        pods.LogFloods,
        pods.HugeTexts,
        pods.ManyReplicas,
        pods.ClusterOfServices,
        pods.FastClock,
    )
}
"""Those who attack the host of simulated clusters."""
OF_SITE: dict[str, type[Member]] = {
    each.__name__: each
    for each in (site.HalfSentPages, site.SlowReaders, site.LivePages, site.SignInGuessing, site.LabRestarts)
}
"""Those who attack the site."""
MEMBERS = OF_CLUSTERS | OF_SITE

__all__ = ["MEMBERS", "OF_CLUSTERS", "OF_SITE", "Member", "Target"]
