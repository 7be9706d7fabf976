"""What would be stored and then do nothing here: refused, or of a workload's template its author is warned.

A program of Python that is not carried out is refused in a template as well: its pods would run, and their probes fail.

No plug-in of Kubernetes: a false success would teach something untrue.
"""

from __future__ import annotations

from simkube.apimachinery.errors import not_simulated
from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.plugin import Plugin
from simkube.apiserver.registry.pods.warnings import TEMPLATES, template_of
from simkube.component_helpers.unsimulated import refusals
from simkube.component_helpers.volumebinding import VOLUMES
from simkube.runtime.programs.python_commands import python_refusals


class Unsimulated(Plugin):
    """501 for a pod that asks for what no kubelet here does, and for a volume that nobody here recycles."""

    name = "Unsimulated"
    operations = frozenset({"CREATE", "UPDATE"})
    handles = frozenset({"pods", VOLUMES, *TEMPLATES})

    def validate(self, attributes: Attributes) -> None:
        """Of what strangers send."""
        request, obj = attributes.request, attributes.new
        if request.resource.storage == VOLUMES:
            if obj["spec"].get("persistentVolumeReclaimPolicy") == "Recycle":
                raise not_simulated("the reclaim policy Recycle")
            return
        if not request.checked or request.subresource:
            return
        template = template_of(request.resource.storage, obj)
        spec = (obj if template is None else template).get("spec", {})
        programs = python_refusals(spec)
        if programs:
            raise not_simulated(", ".join(programs))
        found = refusals(spec)
        if found and request.resource.storage == "pods":
            raise not_simulated(", ".join(found))
        if found:
            request.warnings.append(f"pods of this template will not run: {', '.join(found)} is not simulated here")
