"""``python -m simkube up``: a cluster for whoever sits here; ``python -m simkube host``: many, for a program."""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path

MOST_PORT = 65535


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for until it ends; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m simkube", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _host(commands.add_parser("host", help="serve the clusters of a folder, which programs make and remove"))
    _up(commands.add_parser("up", help="serve one cluster in the foreground and write a kubeconfig for it"))
    options = parser.parse_args(arguments)
    if options.command == "host":
        gc.disable()  # loading makes no garbage
        from simkube.host.process import main as host

        return host(options.home.resolve(), options.port)
    from simkube.host.foreground import main as up

    return up(options)


def _host(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, required=True, help="where its clusters, certificates and log are kept")
    _port(parser)


def _up(parser: argparse.ArgumentParser) -> None:
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--nodes", type=int, default=1, metavar="N", help="one control plane and N-1 workers (1)")
    shape.add_argument("--topology", type=Path, metavar="FILE", help="a kind configuration (kind.x-k8s.io/v1alpha4)")
    kubeconfig = Path("simkube.kubeconfig")
    parser.add_argument("--kubeconfig", type=Path, default=kubeconfig, metavar="PATH", help=f"to write ({kubeconfig})")
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="of its clock: 0.1 to 1000 (1)")
    images = ("stand-ins", "strict")
    stands = "what becomes of images that are not simulated: they run as stand-ins, or cannot be pulled (stand-ins)"
    parser.add_argument("--images", choices=images, default=images[0], help=stands)
    parser.add_argument("--name", default="simkube", help="of the cluster (simkube)")
    parser.add_argument("--home", type=Path, metavar="DIR", help="keep the cluster there; it is thrown away otherwise")
    _port(parser)


def _port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port",
        type=_port_number,
        metavar="PORT",
        help="on 127.0.0.1; by default the one it had before, or a free one",
    )


def _port_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= MOST_PORT):
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to {MOST_PORT}, not {text[:40]}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
