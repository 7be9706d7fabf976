"""Core kinds without a folder of their own: from config maps and nodes to quotas and accounts."""
