"""Workers: processes of this machine, or those of a scheduler elsewhere."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from grid.errors import PeerError

if TYPE_CHECKING:
    from distributed import Client

WAIT_S = 20.0
_CONFIG = {
    # A batch that was on this many workers that died, and one more, is what kills them.
    "distributed.scheduler.allowed-failures": 3,
    # Dask listens for HTTP in any case; nothing is served there.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # Without dask's threshold for giving memory back: each piece of a year would be mapped anew.
    "distributed.nanny.pre-spawn-environ": {
        "OMP_NUM_THREADS": 1,
        "MKL_NUM_THREADS": 1,
        "OPENBLAS_NUM_THREADS": 1,
    },
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

    with dask.config.set(_CONFIG), _deaf_to_ctrl_c():
        cluster: Any = LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            security=True,
            memory_limit=memory_limit,
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.ERROR,
        )
    with cluster, Client(cluster) as client:  # type: ignore[no-untyped-call]
        yield client


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Let the threads and processes that are started meanwhile not hear Ctrl-C.

    A terminal sends it to the workers too, which would die of it with a traceback each. They, and
    those that replace them, are started by a thread of the cluster and inherit its mask. What
    comes meanwhile is delivered to this process afterwards.
    """
    from multiprocessing import resource_tracker

    # It would lift the mask of the thread that starts it.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def at(address: str, *, wait_s: float = WAIT_S) -> Iterator[Client]:
    """Yield a client of the scheduler at an address such as ``tls://10.0.0.5:8786``.

    Certificates are those of dask's own configuration.

    Parameters
    ----------
    wait_s : float
        For the scheduler, and then for its first worker.

    Raises
    ------
    PeerError
        When nothing answers there, or it has no worker in time.
    """
    from distributed import Client

    try:
        client = Client(address, timeout=wait_s)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError) as error:
        raise PeerError(f"scheduler {address}: {error}") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=wait_s)
        except TimeoutError as error:
            raise PeerError(f"scheduler {address}: no worker within {wait_s:g} s") from error
        yield client
