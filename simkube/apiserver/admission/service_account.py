"""The account a pod runs as: it must exist; its token is mounted unless somebody says otherwise."""

from __future__ import annotations

from simkube.apimachinery.errors import forbidden
from simkube.apiserver.admission.attributes import Attributes
from simkube.apiserver.admission.plugin import Plugin
from simkube.apiserver.registry.naming import suffix
from simkube.client.client import Obj

_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105  a path, not a token


class ServiceAccount(Plugin):
    """After ``plugin/pkg/admission/serviceaccount``."""

    name = "ServiceAccount"
    operations = frozenset({"CREATE"})
    handles = frozenset({"pods"})

    def admit(self, attributes: Attributes) -> None:
        """Give a new pod its account, that account's pull secrets, and a token; 403 when the account is not there."""
        request, pod = attributes.request, attributes.new
        spec = pod["spec"]
        if "kubernetes.io/config.mirror" in pod["metadata"].get("annotations", {}):
            return
        name = spec.setdefault("serviceAccountName", "default")
        account = self.store.get("serviceaccounts", request.namespace, name)
        if account is None:
            why = f'error looking up service account {request.namespace}/{name}: serviceaccount "{name}" not found'
            raise forbidden("pods", pod["metadata"].get("name", ""), why)
        spec["serviceAccount"] = name
        if spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True)):
            _mount_token(spec)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(each) for each in account["imagePullSecrets"]]


def _mount_token(spec: Obj) -> None:
    volume = f"kube-api-access-{suffix()}"
    mounted = False
    for container in (*spec.get("initContainers", ()), *spec.get("containers", ())):
        if any(mount.get("mountPath") == _TOKEN_PATH for mount in container.get("volumeMounts", ())):
            continue
        mount = {"name": volume, "readOnly": True, "mountPath": _TOKEN_PATH}
        container.setdefault("volumeMounts", []).append(mount)
        mounted = True
    if mounted:
        spec.setdefault("volumes", []).append({"name": volume, "projected": _token_volume()})


def _token_volume() -> Obj:
    root = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    own = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": root},
            {"downwardAPI": {"items": [own]}},
        ],
        "defaultMode": 0o644,
    }
