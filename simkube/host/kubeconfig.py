"""Kubeconfigs for the clusters of a host. Standard library only: the launcher must be quick to import."""

from __future__ import annotations

import base64
import json


def kubeconfig(server: str, ca: str, cluster: str, user: str, token: str) -> str:
    """A kubeconfig (YAML, which JSON is) with one context named after the cluster.

    ``server`` is the URL of its API, ``ca`` the certificate (PEM) of the authority that signed the server's, ``token``
    the bearer token that says who asks.
    """
    authority = base64.b64encode(ca.encode()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user, "namespace": "default"}}],
        "current-context": cluster,
    }
    return json.dumps(config, indent=2) + "\n"
