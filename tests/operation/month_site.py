"""A small site that lives through a month in seconds: its readings are drawn, all else is real.

Orders, sealed books, clearing, settlement, finality, late readings, invoices and the ledger are
those of the control room; only the meters and the power flow are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from grid import interval, site_file
from grid.operation import agreements, billing, log_key, market, ordering, record, settling
from grid.operation.commission import _secrets
from grid.operation.resettlement import mark_changed
from grid.operation.room import Room
from grid.operation.signer import FOLDER, LOG_SEED
from grid.operation.terms_entries import tell_terms
from grid.site import Site
from grid.store import Store, control, datasets, series
from meters.vee import Quality
from tests.operation.month_exchange import Exchanged
from trading.ledger import note

STEP_S = 900


def toml(*, zone: str, market_text: str, tariffs: str, households: int, currency: str) -> str:
    """Return the text of a site with so many households on one tariff each, and a community."""
    head = f"""
id = "street"
name = "Street"
time_zone = "{zone}"
currency = "{currency}"
interval_s = 900
[network]
source = "simbench:1-LV-rural1--0-sw"
[field]
kind = "simulated"
[operation]
final_after_intervals = 32
[settlement]
late_until_days = 20
invoice_after_days = 1
{market_text}
[grid]
id = "GRID"
import_limit_kw = 100
co2_g_per_kwh = 412.5
export_limit_kw = 100
[[grid.price]]
from_time = "00:00"
buy = "0.055"
sell = "0.030"
[[grid.price]]
from_time = "17:00"
buy = "0.120"
sell = "0.085"
{tariffs}
[[party]]
id = "community"
name = "Community"
kind = "community"
[[usage_point]]
id = "UP-0"
bus = 1
party = "community"
kind = "community"
tariff = "home"
connection_kw = 50
[[meter]]
id = "M-0"
protocol = "dlms"
profile = "standard"
usage_point = "UP-0"
[[meter]]
id = "M-HEAD"
protocol = "modbus"
profile = "sdm630"
role = "feeder_head"
"""
    for n in range(1, households + 1):
        head += f"""
[[party]]
id = "P-{n}"
name = "Household {n}"
kind = "household"
[[usage_point]]
id = "UP-{n}"
bus = {n + 1}
party = "P-{n}"
kind = "household"
tariff = "home"
connection_kw = 20
[[meter]]
id = "M-{n}"
protocol = "dlms"
profile = "standard"
usage_point = "UP-{n}"
"""
    return head


@dataclass
class Month:
    """A site and what its meters truly count; `told` may differ from it until corrected.

    Attributes
    ----------
    truth : array of int64, shape (usage_point, interval, 2)
        Import and export of each interval from the first, in Wh.
    later : dict
        Cycle → what is corrected then: (usage point, interval) pairs.
    at : dict
        Cycle → something else to do then.
    exchanged : Exchanged or None
        A meter that is read by its registers for some days and exchanged in them.
    """

    room: Room
    truth: np.ndarray
    told: np.ndarray
    later: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    at: dict[int, Callable[[Month], None]] = field(default_factory=dict)
    exchanged: Exchanged | None = None

    @property
    def site(self) -> Site:
        """The site."""
        return self.room.site

    def cycle(self, at_s: int) -> None:
        """Run what a cycle does of trading: read, correct, seal, clear, settle, bill, sign."""
        room = self.room
        with room.store.write() as tx:
            control.put_meta(tx, "clock_s", str(at_s))
        if at_s in self.at:
            self.at.pop(at_s)(self)
        self._read(at_s)
        for stage in (market.seal, market.clear, settling.settle_intervals, billing.bill):
            stage(room, at_s)
        with room.store.write() as tx:
            record.checkpoint(tx, room.signer.sign, at_s)

    def _read(self, at_s: int) -> None:
        """Store the interval that ended, and what came late for others."""
        first_s = self.room.first_cycle_s
        place = (at_s - first_s) // STEP_S - 1
        slots = [place] if place >= 0 else []
        changed = set()
        for point, slot in self.later.pop(at_s, []):
            self.told[point, slot] = self.truth[point, slot]
            slots.append(slot)
            changed.add(first_s + STEP_S * slot)
        with self.room.store.write() as tx:
            one, waiting = self.exchanged, set()
            if one is not None:
                waiting = one.missing
                first = (one.from_s - first_s) // STEP_S
                one.read(self.room, tx, at_s, self.truth[one.point, first:])
            for slot in slots:
                self._store(tx, first_s + STEP_S * slot, slot)
            known = waiting | {first_s + STEP_S * slot for slot in slots}
            self._keep_states(tx, known - (one.missing if one is not None else set()))
            mark_changed(tx, changed)

    def _store(self, tx, start_s: int, slot: int) -> None:
        names = np.array([*self.room.points, self.room.head])
        # The head meter is right from the start.
        net = self.truth[:, slot, 0].sum() - self.truth[:, slot, 1].sum()
        head = [[max(net, 0), max(-net, 0)]]
        values = np.concatenate([self.told[:, slot], head]).T[:, :, None]
        zero = np.zeros_like(values[0])
        dims = ("usage_point", "interval")
        registers = {"import_wh": values[0], "export_wh": values[1]}
        registers |= {"import_varh": zero, "export_varh": zero}
        told = xr.Dataset(
            {name: (dims, array.astype(np.int64)) for name, array in registers.items()}
            | {"quality": (dims, np.full(zero.shape, Quality.VALID, np.uint16))},
            coords={"usage_point": names, "interval": interval.starts(start_s, 1, STEP_S)},
        )
        if self.exchanged is not None and self.exchanged.reads_of(start_s):
            told = told.isel(usage_point=np.arange(len(names)) != self.exchanged.point)
        series.put_intervals(tx, told, time_zone=self.site.time_zone, cycle_s=start_s + STEP_S)

    @staticmethod
    def _keep_states(tx, starts: set[int]) -> None:
        """Keep the network's state of complete intervals, once."""
        for start_s in sorted(starts):
            if start_s not in datasets.instants(tx, "network", start_s, start_s + 1):
                state = {"head_import_kw": 0.0, "head_export_kw": 0.0, "losses_kw": 0.0}
                datasets.put_dataset(tx, "network", start_s, xr.Dataset(state))

    def order(self, party: str, at_s: int, start_s: int, side: str, price: str, wh: int) -> None:
        """Place an order by hand."""
        fields = {
            "usage_point": f"UP-{party.removeprefix('P-')}",
            "start": interval.label(start_s),
            "side": side,
            "price": price,
            "energy_wh": wh,
        }
        name = f"{party}-{start_s}"
        with self.room.store.write() as tx:
            ordering.place(tx, self.site, fields, party=party, at_s=at_s, order_id=name)


def begin(
    folder: Path, text: str, first_s: int, count: int, seed: int, store_url: str = ""
) -> Month:
    """Make a site of a text whose first cycle is at `first_s`, with `count` intervals drawn.

    Its store is in the folder, unless another one is named.
    """
    site = site_file.parse(text)
    store = Store(store_url, create=True) if store_url else Store.at(folder, create=True)
    secrets = _secrets(site, 1)
    signer = note.signer(record.origin(site), secrets.pop(LOG_SEED))
    with store.write() as tx:
        control.put_secrets(tx, secrets)
        control.put_meta(tx, "site_toml", text)
        control.put_meta(tx, "first_cycle_s", str(first_s))
        control.put_meta(tx, "clock_s", str(first_s))
        signed = record.begin(tx, first_s, signer)
        agreements.begin_all(tx, site, first_s)
        tell_terms(tx, site, first_s)
    log_key.begin(folder / FOLDER, signer.key.name, _secrets(site, 1)[LOG_SEED], signed)
    room = Room(folder, site, store, None, first_s)
    draw = np.random.default_rng(seed)
    points = len(site.usage_point)
    hours = (np.arange(count) / 4 + 4) % 24
    sun = np.clip(np.sin((hours - 6) / 12 * np.pi), 0, None)
    load = draw.integers(20, 400, (points, count))
    made = (draw.integers(0, 700, (points, count)) * sun).astype(np.int64)
    made[::2] = 0  # every second household has no roof
    net = load - made
    truth = np.stack([np.maximum(net, 0), np.maximum(-net, 0)], axis=2).astype(np.int64)
    return Month(room, truth, truth.copy())
