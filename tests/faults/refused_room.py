"""A control room whose store fails, as a process, given a folder and a port."""

from __future__ import annotations

import sys
from pathlib import Path

from grid.console.cli.run import live
from grid.errors import StoreError
from grid.operation import cycle
from grid.operation.room import Room
from grid.site_file import SITE_FILE
from grid.store import control
from tests.console import village
from tests.faults import settled_village


def main() -> None:
    """Serve the village, and let the disk fail in its first cycle."""
    folder = Path(sys.argv[1])
    (folder / SITE_FILE).write_text(village.TOML, encoding="utf-8")
    room = settled_village.room(folder)
    with room.store.write() as tx:
        control.put_secrets(tx, {"console.secret_key": bytes(range(32))})

    def fail(room: Room, at_s: int) -> None:
        print("a cycle", flush=True)
        room.store._refuse("the disk failed")
        raise StoreError("the store failed: disk I/O error")

    cycle.run = fail
    live(room, port=int(sys.argv[2]), pace_s=0.1, progress=lambda text: print(text, flush=True))


if __name__ == "__main__":
    main()
