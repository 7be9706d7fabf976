"""How requests for certificates are shown."""

from __future__ import annotations

from simkube.apiserver.tables.ages import human
from simkube.apiserver.tables.cells import age_of, name_of
from simkube.apiserver.tables.columns import AGE, NAME, Cells, Column, Layout
from simkube.client.client import Obj

_CSR = "certificates.v1.CertificateSigningRequestSpec"


_SIGNER = (
    "Requested signer for the request. It is a qualified name in the form: `scope-hostname.io/name`. If empty, it will "
    "be defaulted:\n 1. If it's a kubelet client certificate, it is assigned\n"
    '    "kubernetes.io/kube-apiserver-client-kubelet".\n'
    " 2. If it's a kubelet serving certificate, it is assigned\n"
    '    "kubernetes.io/kubelet-serving".\n'
    ' 3. Otherwise, it is assigned "kubernetes.io/legacy-unknown".\n'
    "Distribution of trust for signers happens out of band. You can select on this field using `spec.signerName`."
)


def _signing_request(obj: Obj, now: float) -> Cells:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    seconds = spec.get("expirationSeconds")
    asked = "<none>" if seconds is None else human(seconds)
    return [
        name_of(obj),
        age_of(obj, now),
        spec.get("signerName", ""),
        spec.get("username", ""),
        asked,
        _signing_status(status),
    ]


def _signing_status(status: Obj) -> str:
    types = [each.get("type") for each in status.get("conditions") or ()]
    words = ["Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"]
    if "Failed" in types:
        words.append("Failed")
    if status.get("certificate"):
        words.append("Issued")
    return ",".join(words)


SIGNING_REQUESTS = Layout(
    (
        NAME,
        AGE,
        Column("SignerName", _SIGNER),
        Column("Requestor", "Base64-encoded PKCS#10 CSR data"),
        Column("RequestedDuration", field=f"{_CSR}.expirationSeconds"),
        Column("Condition", "Conditions applied to the request, such as approval or denial."),
    ),
    _signing_request,
)
