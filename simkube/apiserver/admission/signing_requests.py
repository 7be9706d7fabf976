"""What the API server itself decides about certificate signing requests: whose they are, who may approve and sign them.

After ``pkg/registry/certificates`` and the admission plugins CertificateApproval, CertificateSigning and
CertificateSubjectRestriction.
"""

from __future__ import annotations

from simkube.apimachinery.errors import forbidden
from simkube.apiserver.authorization.attributes import Attributes
from simkube.apiserver.authorization.rbac import MASTERS, Authorizer
from simkube.apiserver.registry.certificates.validation import read
from simkube.apiserver.request import Request
from simkube.client.client import Obj

STORAGE = "certificatesigningrequests.certificates.k8s.io"
CLIENT = "kubernetes.io/kube-apiserver-client"
_GROUP = "certificates.k8s.io"
_DECISIONS = frozenset({"Approved", "Denied"})


def stamp(request: Request, obj: Obj) -> None:
    """A new request carries who makes it, whatever it says itself; it has no decision yet."""
    caller, spec = request.caller, obj.setdefault("spec", {})
    for name in ("username", "uid", "groups", "extra"):
        spec.pop(name, None)
    spec["username"] = caller.user
    if caller.uid:
        spec["uid"] = caller.uid
    spec["groups"] = list(caller.groups)
    if caller.extra:
        spec["extra"] = {key: list(values) for key, values in caller.extra}


def restrict(request: Request, obj: Obj) -> None:
    """Nobody becomes a member of ``system:masters`` by a certificate (403)."""
    spec = obj["spec"]
    if spec.get("signerName") != CLIENT:
        return
    from cryptography.x509.oid import NameOID

    subject = read(spec["request"]).subject
    if any(each.value == MASTERS for each in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)):
        why = f"use of {CLIENT} signer with {MASTERS} group is not allowed"
        raise _refused(request, obj, why)


def prepare_update(new: Obj, old: Obj, subresource: str, now: str) -> None:
    """Keep what a request may not change: all but conditions when it approves, the decision when it signs."""
    new["spec"] = dict(old["spec"])
    status, before = dict(new.get("status") or {}), old.get("status") or {}
    if not subresource:
        new["status"] = before
        return
    given, kept = status.get("conditions") or [], before.get("conditions") or []
    if subresource == "approval":
        others = [each for each in kept if each.get("type") not in _DECISIONS]
        status = {**before, "conditions": [*others, *(each for each in given if each.get("type") in _DECISIONS)]}
    else:
        decided = [each for each in kept if each.get("type") in _DECISIONS]
        status["conditions"] = [*decided, *(each for each in given if each.get("type") not in _DECISIONS)]
    status["conditions"] = [_timed(each, kept, now) for each in status["conditions"]]
    if not status["conditions"]:
        del status["conditions"]
    new["status"] = status


def _timed(condition: Obj, before: list[Obj], now: str) -> Obj:
    old = next((each for each in before if each.get("type") == condition.get("type")), None)
    timed = {**condition}
    if not timed.get("lastUpdateTime"):
        timed["lastUpdateTime"] = now
    if old is not None and old.get("status") == condition.get("status"):
        timed["lastTransitionTime"] = old.get("lastTransitionTime", now)
    else:
        timed["lastTransitionTime"] = timed.get("lastTransitionTime") or now
    return timed


def permit(request: Request, authorizer: Authorizer, new: Obj, old: Obj) -> None:
    """403 for whoever may not decide for this signer, or sign in its name."""
    if request.subresource == "approval":
        _permit(request, authorizer, old, "approve")
    elif request.subresource == "status" and _issued(new) != _issued(old):
        _permit(request, authorizer, old, "sign")


def _issued(obj: Obj) -> tuple[object, list[str]]:
    status = obj.get("status") or {}
    failed = [each["type"] for each in status.get("conditions") or () if each.get("type") == "Failed"]
    return status.get("certificate"), failed


def _permit(request: Request, authorizer: Authorizer, obj: Obj, verb: str) -> None:
    signer = obj["spec"]["signerName"]
    for name in (signer, f"{signer.partition('/')[0]}/*"):
        asked = Attributes(verb, _GROUP, "*", "signers", name=name)
        if authorizer.decide(request.caller, asked).allowed:
            return
    raise _refused(request, obj, f'user not permitted to {verb} requests with signerName "{signer}"')


def _refused(request: Request, obj: Obj, why: str) -> Exception:
    return forbidden(request.resource.plural, obj["metadata"].get("name", ""), why, _GROUP)
