"""``python -m simkube --home DIR``: run the host of a folder in the foreground."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from simkube.host.process import main

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m simkube", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="where its clusters, certificates and log are kept")
    parser.add_argument("--port", type=int, default=None, help="on 127.0.0.1; by default the one it had before")
    options = parser.parse_args()
    sys.exit(main(options.home.resolve(), options.port))
