"""A site with witnesses that listen at ports, without cycles that read or send."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from grid import interval
from grid.operation import cycle, record
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE
from grid.operation.room import Room
from grid.operation.witness import Witness
from grid.operation.witness_server import WitnessServer
from grid.store import Store, log
from trading.ledger import note, policy
from trading.ledger.entry import Kind

START_S, _ = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)
STEP_S = 900


@dataclass
class Place:
    """Where one witness of a site listens, while it does, and the logs it knows."""

    key: note.Signer
    logs: list[note.VerifierKey]
    folder: Path
    port: int = 0
    down: list[Callable[[], None]] = field(default_factory=list)

    def up(self) -> None:
        witness = Witness(self.key, self.logs, self.folder, lambda: START_S)
        server = WitnessServer(("127.0.0.1", self.port), witness)
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def down() -> None:
            server.shutdown()
            thread.join()
            server.server_close()
            witness.close()

        self.down.append(down)

    def stop(self) -> None:
        while self.down:
            self.down.pop()()

    @property
    def line(self) -> str:
        return f"witness {self.key.key.name} {self.key.key.encode()} http://127.0.0.1:{self.port}"


def place(folder: Path, name: str) -> Place:
    with closing(Store.at(folder)) as store, store.read() as tx:
        key = record.first_key(tx)
    signer = note.signer(name, name.encode().ljust(32, b"."), note.COSIGNATURE)
    return Place(signer, [key], folder.parent / name)


@contextmanager
def opened(folder: Path, *lines: str) -> Iterator[Room]:
    """The control room of a site with a policy; nothing is read or sent."""
    text = "\n".join([*lines, ""]).encode()
    found = policy.parse(text) if lines else None
    link = SimpleNamespace(meters={}, devices={}, advance=lambda to_s: to_s)
    with closing(Store.at(folder)) as store:
        site, first_s = cycle.facts(folder, store)
        room = Room(folder, site, store, link, first_s, policy=found)
        with closing(room.signer):
            yield room


def one_cycle(room: Room, number: int) -> int:
    """Record and checkpoint as a cycle does; return the size."""
    at_s = START_S + STEP_S * number
    with room.store.write() as tx:
        record.append(tx, Kind.PLAN, at_s, at_s, {"plan": f"{number:064x}"})
    cycle.checkpoint(room, at_s)
    with room.store.read() as tx:
        return log.size(tx)
