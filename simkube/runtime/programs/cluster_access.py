"""What a program in a pod may do at the API server: no more than the pod's service account."""

from __future__ import annotations

from collections.abc import Iterable

from simkube.apimachinery.errors import StatusError
from simkube.client.client import Caller
from simkube.runtime.process import Process

_ANYBODY = Caller("system:apiserver", ("system:masters",), "")
Need = tuple[str, str]
"""A group and a resource."""


def caller_of(process: Process, agent: str) -> Caller:
    """The service account of the process's pod."""
    config = process.container.sandbox.config
    api = process.container.sandbox.network.api
    account = "default"
    if api is not None:
        try:
            pod = api.server.get(_ANYBODY, "pods", config.name, config.namespace)
            account = str(pod["spec"].get("serviceAccountName") or account)
        except StatusError:
            pass  # it is gone, or nobody can say: the account with the fewest rights
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{config.namespace}", "system:authenticated")
    return Caller(f"system:serviceaccount:{config.namespace}:{account}", groups, agent)


def denied(process: Process, agent: str, needs: Iterable[Need]) -> list[tuple[str, str]]:
    """Of the resources that it wants to list those that it may not, each with the API server's words."""
    api = process.container.sandbox.network.api
    if api is None:
        return []
    caller = caller_of(process, agent)
    found = []
    for group, resource in needs:
        try:
            api.allow(caller, "list", group, resource)
        except StatusError as error:
            found.append((resource, error.message))
    return found
