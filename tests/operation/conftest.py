"""A demo site folder, played for a few cycles over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grid.operation import cycle, demo
from grid.operation.demo_site import DEFAULT_DAY
from grid.operation.room import Room


@contextmanager
def played(directory: Path, count: int, *, store_url: str = "", seed: int = 1) -> Iterator[Room]:
    """Yield the control room after `count` cycles from midnight; its field still runs."""
    demo.prepare(directory, day=DEFAULT_DAY, seed=seed, store_url=store_url)
    with demo.opened(directory, store_url=store_url) as room:
        run(room, count)
        yield room


def run(room: Room, count: int) -> None:
    """Run the next `count` cycles."""
    for _ in range(count):
        cycle.run(room, cycle.clock(room))
