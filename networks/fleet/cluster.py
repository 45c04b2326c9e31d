"""Workers: processes of this machine, or those of a scheduler elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from grid.errors import PeerError

if TYPE_CHECKING:
    from distributed import Client

WAIT_S = 60.0
_CONFIG = {
    # A batch that was on this many workers that died, and one more, is what kills them.
    "distributed.scheduler.allowed-failures": 3,
    # Dask listens for HTTP in any case; nothing is served there.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}


@contextmanager
def local(workers: int, *, memory_limit: str = "2GiB") -> Iterator[Client]:
    """Yield a client of `workers` processes of one thread each.

    They speak on the loopback interface, enciphered under keys that only this run has: whoever can
    speak to a scheduler runs code as its user. No dashboard is served.

    Parameters
    ----------
    memory_limit : str
        Beyond which a worker is ended and replaced.
    """
    import dask
    from distributed import Client, LocalCluster

    with (
        dask.config.set(_CONFIG),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            security=True,
            memory_limit=memory_limit,
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.ERROR,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def at(address: str) -> Iterator[Client]:
    """Yield a client of the scheduler at an address such as ``tls://10.0.0.5:8786``.

    Certificates are those of dask's own configuration.

    Raises
    ------
    PeerError
        When nothing answers there, or it has no worker within a minute.
    """
    from distributed import Client

    try:
        client = Client(address, timeout="20s")
    except (OSError, ValueError, TypeError) as error:
        raise PeerError(f"scheduler {address}: {error}") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=WAIT_S)
        except TimeoutError as error:
            raise PeerError(f"scheduler {address}: no worker within {WAIT_S:g} s") from error
        yield client
