"""What differs from node to node in its file system: its name, and on a control plane the manifests of static pods.

A manifest shows what runs; none of them is acted upon when it changes, which is why they cannot be changed
(:mod:`simkube.runtime.node_files`). Nothing secret is among them.
"""

from __future__ import annotations

import yaml

from simkube.client.client import Obj
from simkube.kubelet.node import NodeSettings
from simkube.kubelet.static_pods import COMPONENTS, NAMESPACE, manifest
from simkube.runtime.cri import NODE_DNS

COMMAND = ("/usr/bin/kubelet", "--config=/var/lib/kubelet/config.yaml", "--kubeconfig=/etc/kubernetes/kubelet.conf")
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_OF_MIRRORS = ("ownerReferences", "annotations")
_OF_SCHEDULING = ("nodeName", "tolerations")


def node_files(name: str, settings: NodeSettings) -> dict[str, str]:
    """Path -> text."""
    found = {
        "/etc/hostname": f"{name}\n",
        "/etc/hosts": f"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{settings.ip}\t{name}\n",
        "/etc/resolv.conf": f"nameserver {NODE_DNS}\n",
    }
    if CONTROL_PLANE in settings.labels:
        for component in COMPONENTS:
            text = yaml.dump(_written(component, name), Dumper=_Dumper, sort_keys=False)
            found[f"/etc/kubernetes/manifests/{component}.yaml"] = text
    return found


def _written(component: str, node: str) -> Obj:
    """The manifest that a mirror pod was made from."""
    pod = manifest(component, {"metadata": {"name": node, "uid": ""}}, "")
    meta = {key: value for key, value in pod["metadata"].items() if key not in _OF_MIRRORS}
    spec = {key: value for key, value in pod["spec"].items() if key not in _OF_SCHEDULING}
    return {**pod, "metadata": {**meta, "name": component, "namespace": NAMESPACE}, "spec": spec}
