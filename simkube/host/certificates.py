"""The host's own certificate authority and its server certificate, made once and kept in its home (0600).

It refuses to be trusted for anything but loopback: the names in the certificate are those. Clients may show a
certificate of the same authority, and TLS refuses one of any other; for which cluster it is, each request is asked.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from simkube.host.signer import Signer

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2, those with forward secrecy and authenticated encryption; of TLS 1.3 all are."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """``ca`` is the authority's certificate as PEM; ``context`` serves TLS; ``signer`` issues client certificates."""

    ca: str
    context: ssl.SSLContext
    signer: Signer


def load(folder: Path) -> Certificates:
    """The certificates of this folder, made when they are missing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ca, ca_key, chain, key = (folder / name for name in ("ca.crt", "ca.key", "tls.crt", "tls.key"))
    if not all(path.is_file() for path in (ca, ca_key, chain, key)):
        from simkube.host import authority  # slow to import, and needed only here

        authority.make(ca, ca_key, chain, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.load_cert_chain(chain, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return Certificates(ca.read_text(encoding="ascii"), context, Signer(ca, ca_key))
