"""The host's own certificate authority and its server certificate, made once and kept in its home (0600).

It refuses to be trusted for anything but loopback: the names in the certificate are those.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """``ca`` is the authority's certificate as PEM; ``context`` serves TLS."""

    ca: str
    context: ssl.SSLContext


def load(folder: Path) -> Certificates:
    """The certificates of this folder, made when they are missing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ca, chain, key = folder / "ca.crt", folder / "tls.crt", folder / "tls.key"
    if not all(path.is_file() for path in (ca, chain, key)):
        from simkube.host import authority  # slow to import, and needed only here

        authority.make(ca, chain, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(chain, key)
    context.set_alpn_protocols(["http/1.1"])
    return Certificates(ca.read_text(encoding="ascii"), context)
