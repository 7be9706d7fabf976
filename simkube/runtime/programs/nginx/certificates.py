"""The certificates of nginx's servers, read when its configuration is.

Source: ``src/http/modules/ngx_http_ssl_module.c``, ``src/event/ngx_event_openssl.c``.
"""

from __future__ import annotations

from simkube.runtime.network.ports import Certificate
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.nginx.configuration import Configuration, Settings
from simkube.runtime.programs.nginx.syntax import Problem
from simkube.runtime.programs.tls import NO_CERTIFICATE, NO_KEY, NoKeyPair, of_pem

_NO_CERTIFICATE = "PEM_read_bio_X509_AUX() failed (SSL: error:0480006C:PEM routines::no start line"
_NO_KEY = "PEM_read_bio_PrivateKey() failed (SSL: error:1E08010C:DECODER routines::unsupported)"
_NO_MATCH = "failed (SSL: error:05800074:x509 certificate routines::key values mismatch)"


def load(process: Process, configuration: Configuration) -> None:
    """What every server shows; :class:`Problem` when one has to show something and cannot."""
    for server in configuration.servers:
        if server.base.settings.certificate:
            server.shown = _pair(process, server.base.settings)
    for server in configuration.servers:
        if server.shown is None and any(configuration.secure(port) for port in server.ports):
            text = 'no "ssl_certificate" is defined for the "listen ... ssl" directive'
            raise Problem(f"{text} in {server.place}")


def _pair(process: Process, settings: Settings) -> Certificate:
    certificate, key = settings.certificate, settings.certificate_key
    if not key:
        raise Problem(f'no "ssl_certificate_key" is defined for certificate "{certificate}"')
    chain = _text(process, "certificate", certificate)
    try:
        of_pem(chain)
        return of_pem(chain, _text(process, "certificate key", key))
    except NoKeyPair as error:
        if str(error) == NO_CERTIFICATE:
            why = f"{_NO_CERTIFICATE}:Expecting: TRUSTED CERTIFICATE)"
            raise Problem(f'cannot load certificate "{certificate}": {why}') from None
        if str(error) == NO_KEY:
            raise Problem(f'cannot load certificate key "{key}": {_NO_KEY}') from None
        raise Problem(f'SSL_CTX_use_PrivateKey("{key}") {_NO_MATCH}') from None


def _text(process: Process, what: str, path: str) -> str:
    try:
        return process.container.files.read(path).decode("ascii", "replace")
    except FileError as error:
        library = f"error:{0x80000000 | error.number:08X}:system library::{error.strerror}:calling fopen({path}, r)"
        more = (
            "error:10000080:BIO routines::no such file"
            if error.number == 2
            else "error:10080002:BIO routines::system lib"
        )
        raise Problem(f'cannot load {what} "{path}": BIO_new_file() failed (SSL: {library} {more})') from None
