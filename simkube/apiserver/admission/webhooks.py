"""Admission webhooks, which nothing in a simulated cluster can answer: each call fails as it would, and its failure
policy decides.

After ``apiserver/pkg/admission/plugin/webhook``. It refuses to call anybody: the programs that pods run here speak no
TLS, and nothing outside the cluster can be reached.
"""

from __future__ import annotations

from simkube.apimachinery.errors import StatusError, bad_request
from simkube.apiserver.admission import expressions
from simkube.apiserver.admission.matching import concerns
from simkube.apiserver.cel.evaluation import Budget
from simkube.apiserver.request import Request
from simkube.client.client import Obj
from simkube.etcd.store import Store

MUTATING = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
VALIDATING = "validatingwebhookconfigurations.admissionregistration.k8s.io"


def call(kind: str, request: Request, new: Obj | None, old: Obj | None, store: Store) -> None:
    """Call the webhooks of one kind that a request concerns: refuse it unless they may be ignored."""
    for configuration in store.objects(kind):
        for hook in configuration.get("webhooks", ()):
            if not concerns(hook, hook.get("rules", ()), request, new, old, store):
                continue
            strict = hook.get("failurePolicy", "Fail") == "Fail"
            if not _wanted(hook, request, new, old, store, strict=strict):
                continue
            if request.options.dry_run and hook.get("sideEffects") not in ("None", "NoneOnDryRun"):
                raise bad_request(f'admission webhook "{hook["name"]}" does not support dry run')
            if strict:
                raise _failed(hook["name"], f"failed to call webhook: {_unreachable(hook, store)}")


def _wanted(hook: Obj, request: Request, new: Obj | None, old: Obj | None, store: Store, *, strict: bool) -> bool:
    given = hook.get("matchConditions", ())
    if not given:
        return True
    try:
        return expressions.conditions(given, expressions.names_for(request, new, old, store), Budget())
    except expressions.Wrong as error:
        if strict:
            raise _failed(hook["name"], f"failed to evaluate match conditions: {error}") from None
        return False


def _failed(name: str, why: str) -> StatusError:
    text = f'failed calling webhook "{name}": {why}'
    return StatusError(500, "InternalError", f"Internal error occurred: {text}", {"causes": [{"message": text}]})


def _unreachable(hook: Obj, store: Store) -> str:
    """Why nobody answers, as Go's HTTP client says it."""
    config, seconds = hook.get("clientConfig", {}), hook.get("timeoutSeconds", 10)
    service = config.get("service")
    if service is None:
        url = config.get("url", "")
        host = url.partition("://")[2].partition("/")[0].partition(":")[0]
        return f'Post "{url}?timeout={seconds}s": dial tcp: lookup {host}: no such host'
    name, where = service.get("name", ""), service.get("namespace", "")
    port, path = service.get("port", 443), service.get("path") or "/"
    shown = f'Post "https://{name}.{where}.svc:{port}{path}?timeout={seconds}s"'
    there = store.get("services", where, name)
    if there is None:
        return f'{shown}: service "{name}" not found'
    if not any(each.get("port") == port for each in there["spec"].get("ports", ())):
        return f'{shown}: no service port {port} found for service "{name}"'
    address = there["spec"].get("clusterIP", "")
    ready = store.get("endpoints", where, name)
    if not any(subset.get("addresses") for subset in (ready or {}).get("subsets", ())):
        return f"{shown}: dial tcp {address}:{port}: connect: connection refused"
    return f"{shown}: http: server gave HTTP response to HTTPS client"
