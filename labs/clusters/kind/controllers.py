"""The names of controllers, from those that Kubernetes has today to those that every kube-controller-manager takes.

``--controllers`` has had the names on the left since 1.27; those on the right work before, and as aliases since.
Source: ``cmd/kube-controller-manager/names/controller_names.go`` and ``app/controllermanager.go``
(``ControllersDisabledByDefault``, ``KnownControllers``, ``ControllerAliases``).
"""

from __future__ import annotations

from difflib import get_close_matches

FLAG_NAMES = {
    "bootstrap-signer-controller": "bootstrapsigner",
    "certificatesigningrequest-approving-controller": "csrapproving",
    "certificatesigningrequest-cleaner-controller": "csrcleaner",
    "certificatesigningrequest-signing-controller": "csrsigning",
    "clusterrole-aggregation-controller": "clusterrole-aggregation",
    "cronjob-controller": "cronjob",
    "daemonset-controller": "daemonset",
    "deployment-controller": "deployment",
    "disruption-controller": "disruption",
    "endpoints-controller": "endpoint",
    "endpointslice-controller": "endpointslice",
    "endpointslice-mirroring-controller": "endpointslicemirroring",
    "ephemeral-volume-controller": "ephemeral-volume",
    "garbage-collector-controller": "garbagecollector",
    "horizontal-pod-autoscaler-controller": "horizontalpodautoscaling",
    "job-controller": "job",
    "namespace-controller": "namespace",
    "node-ipam-controller": "nodeipam",
    "node-lifecycle-controller": "nodelifecycle",
    "persistentvolume-attach-detach-controller": "attachdetach",
    "persistentvolume-binder-controller": "persistentvolume-binder",
    "persistentvolume-expander-controller": "persistentvolume-expander",
    "persistentvolume-protection-controller": "pv-protection",
    "persistentvolumeclaim-protection-controller": "pvc-protection",
    "pod-garbage-collector-controller": "podgc",
    "replicaset-controller": "replicaset",
    "replicationcontroller-controller": "replicationcontroller",
    "resourcequota-controller": "resourcequota",
    "root-ca-certificate-publisher-controller": "root-ca-cert-publisher",
    "serviceaccount-controller": "serviceaccount",
    "serviceaccount-token-controller": "serviceaccount-token",
    "statefulset-controller": "statefulset",
    "token-cleaner-controller": "tokencleaner",
    "ttl-after-finished-controller": "ttl-after-finished",
    "ttl-controller": "ttl",
}


def flag_name(controller: str) -> str:
    """The name for ``--controllers``; ``ValueError`` names the nearest ones when there is none such."""
    if controller not in FLAG_NAMES:
        nearest = get_close_matches(controller[:100], FLAG_NAMES, n=3, cutoff=0.0)
        raise ValueError(f"there is no controller {controller[:100]!r}; the nearest: {', '.join(nearest)}")
    return FLAG_NAMES[controller]
