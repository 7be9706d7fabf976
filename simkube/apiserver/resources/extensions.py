"""Kinds that define kinds, and what components lock with."""

from simkube.apiserver.resources.model import Resource, status

EXTENSIONS = (
    Resource("coordination.k8s.io", "v1", "leases", "lease", "Lease", True),
    Resource(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "customresourcedefinition",
        "CustomResourceDefinition",
        False,
        short_names=(
            "crd",
            "crds",
        ),
        categories=("api-extensions",),
        subresources=(status("CustomResourceDefinition"),),
    ),
)
