"""A demo site, played over real sockets; and a street of meters that take orders."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from grid import interval
from grid.operation import (
    commission,
    demo,
    loss_cases,
    meter_keys,
    meter_order_execution,
    meter_orders,
    metering,
    opening,
)
from grid.operation.demo_site import DEFAULT_DAY, TIME_ZONE, demo_site
from grid.operation.field import link
from grid.operation.meter_orders import Asked
from grid.operation.room import Room
from grid.operation.solver import Solver
from grid.site import Meter, Site
from grid.store import control
from grid.store import meter_orders as stored
from grid.store.meter_orders import MeterOrder, OrderKind
from meters.simulator.dlms import DlmsConnection, DlmsServers
from meters.simulator.points import MeterPoint
from tests.operation.erasure_world import erasable, erased  # noqa: F401  # its fixtures

STREET_S, _ = interval.day_bounds(DEFAULT_DAY, TIME_ZONE)
STREET = demo_site(day=DEFAULT_DAY, seed=1).replace('auth = "lls"', 'auth = "hls-gmac"', 1)

Played = Callable[..., AbstractContextManager[Room]]


@contextmanager
def _played(directory: Path, count: int, *, store_url: str = "", seed: int = 1) -> Iterator[Room]:
    demo.prepare(directory, day=DEFAULT_DAY, seed=seed, store_url=store_url)
    with opening.opened(directory, store_url=store_url) as room:
        demo.play(room, count, lambda text: None)
        yield room


@pytest.fixture(scope="session")
def played() -> Played:
    """Return what yields a control room after `count` cycles from midnight; its field runs on."""
    return _played


@pytest.fixture(scope="session")
def two_cycles(played: Played, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the demo after two cycles, its field gone; nobody writes there."""
    directory = tmp_path_factory.mktemp("two-cycles") / "site"
    with played(directory, 2):
        pass
    return directory


@pytest.fixture(scope="session")
def looked(two_cycles: Path) -> Iterator[Room]:
    """The same, looked at."""
    with closing(commission.open_store(two_cycles)) as store:
        room = loss_cases.looked_at(two_cycles, store)
        with closing(room.solver):
            yield room


@pytest.fixture(scope="module")
def solver() -> Iterator[Solver]:
    """One solver's process for a module."""
    with closing(Solver()) as one:
        yield one


@dataclass(frozen=True)
class Day:
    """The demo's past day as the command played it: its folder and the object it printed."""

    directory: Path
    facts: dict[str, Any]


@pytest.fixture(scope="session")
def days(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> list[Day]:
    """The same day by two processes at once, each with a hash seed of its own.

    Workers of one test run share it: the first one plays, the others wait.
    """
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    told = shared / "days.json"
    with (shared / "days.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            folders = [shared / f"day-{hash_seed}" for hash_seed in ("1", "2")]
            told.write_text(json.dumps(_played_at_once(folders)))
    return [Day(Path(folder), facts) for folder, facts in json.loads(told.read_text())]


def _played_at_once(folders: list[Path]) -> list[tuple[str, Any]]:
    running = []
    for hash_seed, directory in enumerate(folders, start=1):
        process = subprocess.Popen(
            [sys.executable, "-m", "grid.console.cli"]
            + ["demo", "--once", "--json", "--dir", str(directory)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        )
        running.append((directory, process))
    found = []
    for directory, process in running:
        out, _ = process.communicate(timeout=900)
        assert process.returncode == 0, out
        found.append((str(directory), json.loads(out.strip().splitlines()[-1])))
    return found


class KilledError(Exception):
    """The process ends here."""


@dataclass
class Street:
    """A site whose DLMS meters answer on real sockets, in a thread of their own."""

    room: Room
    points: dict[str, MeterPoint]
    servers: DlmsServers

    def ask(
        self,
        meter: str,
        kind: OrderKind = OrderKind.DISCONNECT,
        by: str = "anna@example.org",
        **more: bool,
    ) -> MeterOrder:
        with self.room.store.write() as tx:
            return meter_orders.ask(
                tx, self.room.site, Asked(kind, meter, "unpaid for a year", by, **more)
            )

    def approve(self, number: int, by: str = "boris@example.org") -> MeterOrder:
        with self.room.store.write() as tx:
            return meter_orders.approve(tx, self.room.site, number, by)

    def ordered(self, meter: str, kind: OrderKind = OrderKind.DISCONNECT) -> int:
        return self.approve(self.ask(meter, kind).id).id

    def cycle(self, number: int = 0) -> None:
        """Run the stages that visit meters, as the cycle does."""
        at_s = STREET_S + 900 * number
        with self.room.store.write() as tx:
            control.put_meta(tx, "clock_s", str(at_s))
            tx.exec_driver_sql("DELETE FROM stage")
        meter_order_execution.resume(self.room, at_s)
        meter_order_execution.execute(self.room, at_s)

    def order(self, number: int) -> MeterOrder:
        with self.room.store.read() as tx:
            return stored.get_order(tx, number)

    def alarms(self) -> list[tuple[str, str]]:
        with self.room.store.read() as tx:
            return [(row["code"], row["subject"]) for row in control.findings(tx)]

    def switched(self, meter: str) -> int:
        """Return how often a meter switched."""
        return len(self.servers.meters[meter].objects.events)

    def dlms(self) -> list[Meter]:
        """Return the meters that take orders."""
        return [meter for meter in self.room.site.meter if meter.protocol == "dlms"]

    def plain(self, count: int = 1) -> list[str]:
        """Return meters of households that let everybody in."""
        return [str(one.id) for one in self.dlms() if one.auth == "none"][:count]

    def ciphered(self) -> str:
        """Return the first meter that has keys."""
        return next(str(one.id) for one in self.dlms() if one.auth == "hls-gmac")

    def key(self, meter: str) -> bytes:
        """Return the key in use for a meter."""
        with self.room.store.read() as tx:
            keys = meter_keys.ciphering(tx, meter)
        assert keys is not None
        return keys.encryption_key

    def stands_at(self, meter: str, **facts: object) -> None:
        """Let the usage point of a meter be another one from now on."""
        site = self.room.site
        point = next(one.usage_point for one in site.meter if one.id == meter)
        points = tuple(replace(p, **facts) if p.id == point else p for p in site.usage_point)
        self.room.site = replace(site, usage_point=points)

    def read(self, meter: str, number: int) -> None:
        """Run the reading of one meter, as the cycle does."""
        site = self.room.site
        nothing = dict.fromkeys(("battery", "solar", "wind", "genset", "shedding"), ())
        only = replace(site, meter=tuple(m for m in site.meter if m.id == meter), **nothing)
        at_s = STREET_S + 900 * number
        with self.room.store.write() as tx:
            control.put_meta(tx, "clock_s", str(at_s))
            tx.exec_driver_sql("DELETE FROM stage")
        metering.read(replace(self.room, site=only), at_s)

    def die(self, *, acted: bool) -> None:
        """Run a cycle that ends when its visits are over, or before any of them."""
        real = meter_order_execution.visit

        async def visit(*arguments: object) -> object:
            if acted:
                await real(*arguments)
            raise KilledError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(meter_order_execution, "visit", visit)
            with pytest.raises(KilledError):
                self.cycle()


@contextmanager
def _street(
    folder: Path, store_url: str = "", connections: dict[str, type[DlmsConnection]] | None = None
) -> Iterator[Street]:
    site = commission.commission(folder, STREET, at_s=STREET_S, seed=1, store_url=store_url)
    store = commission.open_store(folder, store_url)
    access = json.loads((folder / "field-keys.json").read_text())
    setups = meter_keys.setups({name: value.encode() for name, value in access.items()})
    points = {
        m.id: MeterPoint(m.id, STREET_S, [5000] * 4, 230.0)
        for m in (m for m in site.meter if m.protocol == "dlms")
    }
    servers, loop = DlmsServers(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(job: object) -> dict[str, str]:
        return asyncio.run_coroutine_threadsafe(job, loop).result(30)

    urls = run(servers.start(list(points.values()), setups=setups, connections=connections))
    link = SimpleNamespace(meters=urls, devices={}, now_s=lambda: float(STREET_S))
    try:
        yield Street(Room(folder, site, store, link, STREET_S), points, servers)
    finally:
        run(servers.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
        store.close()


@contextmanager
def _field_of(folder: Path, site: Site) -> Iterator[Street]:
    """The site with its simulated field, a process of its own."""
    process = link.start(folder, start_s=STREET_S)
    store = commission.open_store(folder)
    try:
        yield Street(Room(folder, site, store, link.FieldLink(folder), STREET_S), {}, DlmsServers())
    finally:
        store.close()
        process.terminate()
        process.wait(20)


@pytest.fixture
def streets() -> Callable[..., AbstractContextManager[Street]]:
    """Return what makes a street in a folder, of a store and with odd meters where given."""
    return _street


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    """A street whose meters do what they are told."""
    with _street(tmp_path / "site") as found:
        yield found


@pytest.fixture
def field_of() -> Callable[..., AbstractContextManager[Street]]:
    """Return what starts the field of a commissioned site as a process of its own."""
    return _field_of
