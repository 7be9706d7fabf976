"""``busybox APPLET [ARGUMENT]...``: any of its applets by name, whether there is a file of that name or not."""

from __future__ import annotations

from collections.abc import Mapping

from simkube.runtime.process import Process, Program

_NOT_ITS_OWN = frozenset(
    ["bash", "busybox", "curl", "dash", "dig", "envsubst", "host", "jq", "nslookup-bind", "openssl", "refused", "ss"]
)


def busybox_of(applets: Mapping[str, Program]) -> Program:
    """The program ``busybox``, which is any of these and one of them itself."""

    async def busybox(process: Process) -> int:
        """``busybox [--list] [APPLET...]``"""
        names = sorted(set(applets) - _NOT_ITS_OWN)
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
        return await applets[words[0]](process)

    return busybox
