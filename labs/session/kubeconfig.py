"""Small changes to a kubeconfig of ours before a learner gets it."""

from __future__ import annotations

import yaml


def in_namespace(config: str, namespace: str) -> str:
    """The same kubeconfig, its contexts in a lab's namespace."""
    if namespace == "default":
        return config
    parsed = yaml.safe_load(config)
    for context in parsed["contexts"]:
        context["context"]["namespace"] = namespace
    return str(yaml.safe_dump(parsed, sort_keys=False))
