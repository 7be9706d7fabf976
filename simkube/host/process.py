"""The host as a process: started for a folder, alone in it, until told to stop.

Steps in order: take the lock, load everything, fork the zygote, then control and its workers. Killed at any moment it
leaves nothing that the next one could not take over; its workers keep its lock until the last of them has ended.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simkube.apimachinery.errors import HostError, StoreDamaged, StoreError
from simkube.apiserver.schema.schema import definitions
from simkube.host import settings, worker, zygote
from simkube.host.connections import raise_file_limit
from simkube.host.control import Control
from simkube.host.home import DAMAGED, NO_SPACE, Home
from simkube.host.logs import log_to
from simkube.host.zygote import Zygote

log = logging.getLogger(__name__)


@contextmanager
def workers_ready() -> Iterator[Zygote]:
    """A zygote with everything loaded; to be used before this process has a loop or a thread."""
    raise_file_limit()
    definitions()
    gc.collect()
    gc.freeze()  # what is loaded by now stays for good, here and in workers: no collection need look at it
    made = zygote.fork(worker.main)
    gc.enable()
    try:
        yield made
    finally:
        made.close()


def main(folder: Path, port: int | None = None) -> int:
    """Run the host of ``folder`` until it is told to stop; 0 also when another one runs already."""
    home = Home(folder)
    home.make()
    log_to(home.log)
    lock = home.lock("host.lock", wait=False)
    if lock is None:
        log.info("another host serves %s", folder)
        return 0
    try:
        chosen = settings.load()
        with workers_ready() as ready:
            return asyncio.run(_main(home, ready, chosen, port))
    except HostError as error:
        log.error("%s", error)
        return 1
    except StoreDamaged as error:
        log.error("%s", error)
        return DAMAGED
    except (StoreError, OSError) as error:
        log.error("%s", error)
        return NO_SPACE
    except Exception:
        log.exception("the host failed")  # nobody else is there to see it
        return 1
    finally:
        lock.close()


async def _main(home: Home, ready: Zygote, chosen: settings.Settings, port: int | None) -> int:
    return await Control(home, ready, chosen, port).run()
