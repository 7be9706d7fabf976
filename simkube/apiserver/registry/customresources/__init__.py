"""Kinds that a cluster's users define, as the request path knows them: versions, rules, columns, scale."""
