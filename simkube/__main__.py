"""``python -m simkube --home DIR``: run the host of a folder in the foreground."""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path

gc.disable()  # loading makes no garbage; the host looks for some once its clusters are back

from simkube.host.process import main  # noqa: E402 - after that

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m simkube", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="where its clusters, certificates and log are kept")
    parser.add_argument("--port", type=int, default=None, help="on 127.0.0.1; by default the one it had before")
    options = parser.parse_args()
    sys.exit(main(options.home.resolve(), options.port))
