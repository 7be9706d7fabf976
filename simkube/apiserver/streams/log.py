"""``GET pods/NAME/log``: what a container wrote.

All of ``PodLogOptions``: container, stream, previous, follow, tailLines, sinceSeconds, sinceTime, timestamps and
limitBytes. A container that has not started is refused with the kubelet's words.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from simkube.apimachinery.errors import StatusError, bad_request
from simkube.apiserver.streams.bridge import Outbox, wait
from simkube.apiserver.streams.limits import BUFFER, SEND_SECONDS, buffers, slot
from simkube.apiserver.streams.target import StreamCluster, container_name, find_pod, kubelet_of
from simkube.apiserver.tables.presentation import shift
from simkube.client.client import Obj
from simkube.clock.clock import Clock
from simkube.runtime.cri import Container, LogLine

_TRUE = {"true", "1", "t", "True", "TRUE", "T"}
_STATUSES = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
_WAITING = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


@dataclass(frozen=True)
class Options:
    """``PodLogOptions``; ``since`` is in seconds since the epoch (0.0: everything)."""

    container: str = ""
    previous: bool = False
    follow: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: float = 0.0
    limit: int | None = None
    stream: str = ""
    shift: float = 0.0
    """Seconds that times are moved by for whoever reads (:mod:`simkube.apiserver.http.presentation`)."""


def _invalid(pod: str, text: str, causes: list[Obj]) -> StatusError:
    details = {"name": pod, "kind": "PodLogOptions", "causes": causes}
    return StatusError(422, "Invalid", f'PodLogOptions "{pod}" is invalid: {text}', details)


def _number(query: Mapping[str, str], field: str, least: int, pod: str) -> int | None:
    if field not in query:
        return None
    try:
        value = int(query[field])
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{query[field]}": invalid syntax') from None
    if abs(value) >= 1 << 63:
        raise bad_request(f'strconv.ParseInt: parsing "{query[field]}": value out of range')
    if value < least:
        bound = "greater than 0" if least else "greater than or equal to 0"
        message = f"Invalid value: {value}: must be {bound}"
        cause = {"reason": "FieldValueInvalid", "message": message, "field": field}
        raise _invalid(pod, f"{field}: {message}", [cause])
    return value


def parse(query: Mapping[str, str], now: float, pod: str = "", shift: float = 0.0) -> Options:
    """The options of a query about ``pod``; StatusError 400 or 422 as the API server gives them."""
    since = 0.0
    seconds = _number(query, "sinceSeconds", 1, pod)
    if seconds is not None:
        since = now - seconds
    if "sinceTime" in query:
        if seconds is not None:
            text = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
            raise _invalid(pod, text, [{"reason": "FieldValueForbidden", "message": text, "field": ""}])
        try:
            since = datetime.fromisoformat(query["sinceTime"]).timestamp() - shift
        except ValueError:
            raise bad_request(
                f'parsing time "{query["sinceTime"]}": it must be a time such as 2026-01-02T03:04:05Z'
            ) from None
    stream = query.get("stream", "All")
    if stream not in ("All", "Stdout", "Stderr"):
        message = f'Unsupported value: "{stream}": supported values: "All", "Stderr", "Stdout"'
        cause = {"reason": "FieldValueNotSupported", "message": message, "field": "stream"}
        raise _invalid(pod, f"stream: {message}", [cause])
    if stream != "All" and "tailLines" in query:
        text = "Forbidden: `tailLines` and specific `stream` are mutually exclusive for now"
        raise _invalid(pod, text, [{"reason": "FieldValueForbidden", "message": text, "field": ""}])
    return Options(
        container=query.get("container", ""),
        previous=query.get("previous") in _TRUE,
        follow=query.get("follow") in _TRUE,
        timestamps=query.get("timestamps") in _TRUE,
        tail=_number(query, "tailLines", 0, pod),
        since=since,
        limit=_number(query, "limitBytes", 1, pod),
        stream="" if stream == "All" else stream.lower(),
        shift=shift,
    )


def find_container(cluster: StreamCluster, pod: Obj, options: Options) -> Container | str | None:
    """The container whose log is meant; None for a pod without a node. StatusError 400 when it has no log.

    Of one that is in the pod's status and was removed meanwhile, what the kubelet answers instead of its log.
    """
    name = container_name(pod, options.container)
    if not pod["spec"].get("nodeName"):
        return None
    meta = pod["metadata"]
    kubelet = kubelet_of(cluster, pod, f"/containerLogs/{meta['namespace']}/{meta['name']}/{name}")
    identity = _identity(pod, name, previous=options.previous)
    container = kubelet.container_of(meta["uid"], identity)
    return f"unable to retrieve container logs for {identity}" if container is None else container


def _identity(pod: Obj, name: str, *, previous: bool) -> str:
    """The ``containerID`` whose log is meant, by the pod's status; StatusError 400 when there is none.

    After ``validateContainerLogStatus`` (``pkg/kubelet/kubelet_pods.go``): what ran last when nothing runs, so that
    ``previous`` is the same run while a container is in its back-off.
    """
    status, where = pod.get("status") or {}, f'container "{name}" in pod "{pod["metadata"]["name"]}"'
    found = [one for field in _STATUSES for one in status.get(field) or [] if one["name"] == name]
    if not found:
        raise bad_request(f"{where} is not available")
    state = found[0].get("state") or {}
    last = (found[0].get("lastState") or {}).get("terminated")
    if previous:
        if last is None or not last.get("containerID"):
            raise bad_request(f"previous terminated {where} not found")
        return str(last["containerID"])
    if "running" in state:
        return str(found[0].get("containerID", ""))
    ends = [one for one in (state.get("terminated"), last) if one is not None]
    if ends:
        identities = [str(one["containerID"]) for one in ends if one.get("containerID")]
        if not identities:
            raise bad_request(f"{where} is terminated")
        return identities[0]
    reason = (state.get("waiting") or {}).get("reason")
    if not reason:
        raise bad_request(f"{where} is waiting to start - no logs yet")
    raise bad_request(f"{where} is waiting to start: {_WAITING.get(reason, reason)}")


def _text(line: LogLine, options: Options) -> bytes:
    text = f"{line.text}\n"
    if options.timestamps:
        when = line.when + options.shift
        whole = int(when)
        moment = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        text = f"{moment}.{int((when - whole) * 1e9):09d}Z {text}"
    return text.encode("utf-8", "surrogateescape")


def _wanted(line: LogLine, options: Options) -> bool:
    return options.stream in ("", line.stream)


def written(container: Container, options: Options) -> bytes:
    """What it wrote so far, after ``since``, ``tail`` and ``limit``."""
    lines = [line for line in container.log.lines() if line.when >= options.since and _wanted(line, options)]
    if options.tail is not None:
        lines = lines[len(lines) - min(options.tail, len(lines)) :]
    text = b"".join(_text(line, options) for line in lines)
    return text if options.limit is None else text[: options.limit]


async def serve_log(cluster: StreamCluster, request: web.Request, namespace: str, name: str) -> web.StreamResponse:
    """Answer the request, following until the container ends or the client goes away."""
    pod = find_pod(cluster, namespace, name)
    options = parse(request.query, cluster.clock.now(), name, shift(request.headers, cluster.clock))
    container = find_container(cluster, pod, options)
    if container is None:
        return web.Response(status=204)
    if isinstance(container, str):
        return web.Response(text=container)
    before = written(container, options)
    if not options.follow:
        return web.Response(body=before, content_type="text/plain")
    with slot(cluster, "log"):
        return await _follow(request, cluster, container, options, before)


async def _follow(
    request: web.Request, cluster: StreamCluster, container: Container, options: Options, before: bytes
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    outbox = Outbox(BUFFER, buffers(cluster))
    end = container.log.follow(lambda line: outbox.put(0, _text(line, options)) if _wanted(line, options) else None)
    left = None if options.limit is None else options.limit - len(before)
    closer = asyncio.ensure_future(_close_when_done(cluster.clock, container, outbox))
    try:
        await response.prepare(request)
        if before:
            await response.write(before)
        while (left is None or left > 0) and (piece := await outbox.take()) is not None:
            data = piece[1] if left is None else piece[1][:left]
            left = None if left is None else left - len(data)
            await asyncio.wait_for(response.write(data), SEND_SECONDS)
    except (ConnectionError, TimeoutError):
        pass  # the reader is gone or too slow: there is nobody to tell
    finally:
        end()
        outbox.discard()
        closer.cancel()
    return response


async def _close_when_done(clock: Clock, container: Container, outbox: Outbox) -> None:
    await wait(container.exited, clock)
    outbox.close()
