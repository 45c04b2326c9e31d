"""Solve a fleet of feeders here, or on the workers of a dask scheduler, into one store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grid.fleet.spread import Progress, Tell, Work, spread
from networks.fleet.fleet import BATCH
from networks.fleet.jobs import refused, solve
from networks.fleet.store import Store

if TYPE_CHECKING:
    from grid.fleet.spread import Client

__all__ = ["Progress", "Tell", "run"]


def run(
    store: Store, *, client: Client | None = None, batch: int = BATCH, tell: Tell | None = None
) -> None:
    """Solve the feeders that the store does not have yet.

    Parameters
    ----------
    store : Store
    client : distributed.Client, optional
        Of the scheduler whose workers solve; this process solves when not given.
    batch : int
        Feeders of a task.
    tell : callable, optional
        Is told of progress after each batch, and each second while none arrives.

    Raises
    ------
    BadInputError
        When a worker's series differ from those of the plan.
    PeerError
        When the scheduler is gone or a worker failed otherwise. What is done stays in the store.
    """
    fleet = store.fleet
    batches = fleet.batches(store.pending.tolist(), size=batch)
    work = Work("feeders", solve, fleet.batch, refused)
    spread(store, work, batches, client=client, tell=tell)
