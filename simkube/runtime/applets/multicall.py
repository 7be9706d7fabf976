"""``busybox APPLET [ARGUMENT]...``: any of its applets by name, whether there is a file of that name or not."""

from __future__ import annotations

from simkube.runtime.process import Process

_NOT_ITS_OWN = frozenset(
    ["bash", "busybox", "curl", "dash", "dig", "envsubst", "host", "jq", "nslookup-bind", "openssl", "refused", "ss"]
)


async def busybox(process: Process) -> int:
    """``busybox [--list] [APPLET...]``"""
    from simkube.runtime.applets.table import APPLETS  # it is one of them

    names = sorted(set(APPLETS) - _NOT_ITS_OWN)
    words = process.argv[1:]
    if words[:1] == ["--list"]:
        await process.out("".join(f"{name}\n" for name in names))
        return 0
    if not words or words[0] == "--help":
        await process.out(
            "BusyBox v1.37.0 (simulated) multi-call binary.\n\nUsage: busybox [function [arguments]...]\n"
        )
        await process.out(f"\nCurrently defined functions:\n\t{', '.join(names)}\n")
        return 0
    if words[0] not in names:
        await process.err(f"{words[0]}: applet not found\n")
        return 127
    process.argv = words
    return await APPLETS[words[0]](process)
