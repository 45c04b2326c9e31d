"""A control room on a store, as a process: it writes a line to the ledger for each it is given."""

from __future__ import annotations

import sys

from grid.errors import GridError
from grid.store import Store, control, log


def main() -> None:
    """Hold the store of a URL, and answer."""
    store = Store(sys.argv[1])
    with store.sole():
        print("holds", flush=True)
        for line in sys.stdin:
            try:
                with store.write() as tx:
                    number = log.size(tx)
                    log.append(
                        tx,
                        sequence=number,
                        kind="action",
                        label="",
                        cycle_s=0,
                        content=line.encode(),
                        leaf_hash=bytes(32),
                    )
                    if line.startswith("wait"):
                        print("waits", flush=True)
                        sys.stdin.readline()
                    control.put_meta(tx, "last", line)
                print("done", flush=True)
            except GridError as error:
                with store.read() as tx:
                    size = log.size(tx)
                print(f"{type(error).__name__}: {error}; reads {size}", flush=True)


if __name__ == "__main__":
    main()
