"""What runs in place of an image that is not simulated: it listens where its pod lets expect it, and says what it is.

It answers every HTTP request with 200 and the same sentence, takes connections, and ends with 0 when it is told to, or
at once where its pod waits for its end. It does nothing of what the real image does.
"""

from __future__ import annotations

from simkube.runtime import httptext
from simkube.runtime.cri import HTTPRequest, HTTPResponse
from simkube.runtime.nodes import FileError
from simkube.runtime.process import Process
from simkube.runtime.programs.grpc_health import always_serving
from simkube.runtime.programs.serving import listen, own_certificate, stop_request


async def stand_in(process: Process) -> int:
    """Until SIGTERM; 0."""
    config = process.container.config
    what = f"this is a stand-in: the image {process.container.image.reference} is not simulated"
    if config.expected_to_end:
        await process.out(f"{what}; it does nothing and has ended\n")
        return 0

    async def serve(request: HTTPRequest, peer: str) -> HTTPResponse:
        return httptext.text(200, f"{what}\n")

    heard = []
    for port, protocol in config.expected_ports:
        try:
            certificate = own_certificate(process) if protocol == "https" else None
            listen(process, port, serve, tls=certificate, health=always_serving if protocol == "grpc" else None)
        except FileError as error:
            heard.append(f"not on {port} ({error.strerror.lower()})")
        else:
            heard.append(f"on {port} ({protocol})")
    does = f"does nothing but listen {', '.join(heard)}" if heard else "does nothing, and listens on no port"
    await process.out(f"{what}; it {does}\n")
    await stop_request(process)
    return 0
