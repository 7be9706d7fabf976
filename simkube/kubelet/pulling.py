"""Who pulls a pod's images: the credentials in the secrets that the pod names.

Both forms of such secrets are read; a secret that is not there is told in an event, and the pull is tried all the same.
After ``pkg/kubelet/kubelet_pods.go`` (``getPullSecretsForPod``) and ``pkg/credentialprovider``.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from simkube.kubelet.env import text_data
from simkube.kubelet.pod import Pod
from simkube.runtime.cri import Credentials

_KEYS = {"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}


def credentials_of(pod: Pod) -> list[Credentials]:
    """What the pod's ``imagePullSecrets`` hold; complains about those that are missing."""
    found: list[Credentials] = []
    missing = []
    lookup = pod.node.lookup(pod.namespace)
    for reference in pod.spec.get("imagePullSecrets") or []:
        name = str(reference.get("name", ""))
        secret = lookup("secrets", name)
        if secret is None:
            missing.append(name)
        else:
            key = _KEYS.get(str(secret.get("type")), "")
            found += _entries(text_data("secrets", secret).get(key, b""))
    if missing:
        names = ", ".join(missing)
        text = f"Unable to retrieve some image pull secrets ({names}); attempting to pull the image may not succeed."
        pod.event("Warning", "FailedToRetrieveImagePullSecret", text)
    return found


def _entries(raw: bytes) -> list[Credentials]:
    try:
        config: Any = json.loads(raw or b"{}")
    except (ValueError, RecursionError):
        return []
    auths = config.get("auths", config) if isinstance(config, dict) else {}
    if not isinstance(auths, dict):
        return []
    return [_credentials(host, entry) for host, entry in auths.items() if isinstance(entry, dict)]


def _credentials(host: str, entry: dict[str, Any]) -> Credentials:
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if not username and entry.get("auth"):
        try:
            text = base64.b64decode(str(entry["auth"])).decode("utf-8", "replace")
        except binascii.Error:
            text = ""
        username, _, password = text.partition(":")
    return Credentials(host, username, password)
