"""A village whose interval is over and metered, and not settled yet."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import xarray as xr

from grid import interval
from grid.operation import agreements, commission, cycle, record
from grid.operation.room import Room
from grid.store import Store, Transaction, books, control, datasets, log, market, series
from meters.vee import Quality
from tests.console import village
from trading.book import Order, Side

FIRST_S = interval.parse("2026-05-27T14:00+04:00")
INTERVALS = 2
AT_S = FIRST_S + 900 * INTERVALS


def make(folder: Path, store_url: str = "") -> None:
    """Begin the village's ledger and store what meters, market and network say."""
    secrets = {record.RECEIPTS_SEED: bytes(range(1, 33))}
    for party in village.SITE.party:
        secrets[f"{record.PARTY_SECRET}{party.id}"] = party.id.encode().ljust(32, b".")
    made = Store(store_url, create=True) if store_url else Store.at(folder, create=True)
    with closing(made) as store, store.write() as tx:
        control.put_secrets(tx, secrets)
        for name, value in (("site_toml", village.TOML), ("first_cycle_s", str(FIRST_S))):
            control.put_meta(tx, name, value)
        record.begin(tx, FIRST_S, village.SIGNER)
        agreements.take(tx, village.SITE)
        _readings(tx)
        for number in range(INTERVALS):
            _trade(tx, FIRST_S + 900 * number, number)
            kw = {"head_import_kw": 4.2, "head_export_kw": 0.0, "losses_kw": 0.2}
            state = xr.Dataset({name: ((), value) for name, value in kw.items()})
            datasets.put_dataset(tx, "network", FIRST_S + 900 * number, state)


def room(folder: Path, store_url: str = "") -> Room:
    """Return the village's control room; it has no field."""
    store = Store(store_url) if store_url else Store.at(folder)
    site, first_s = cycle.facts(folder, store)
    return Room(folder, site, store, None, first_s)


def _readings(tx: Transaction) -> None:
    site = village.SITE
    names = [str(point.id) for point in site.usage_point]
    devices = [str(asset.id) for asset in site.assets]
    devices += [f"{plant.id}{commission.AVAILABLE}" for plant in site.plants]
    every = [*names, *devices, "M-HEAD"]
    dims = ("usage_point", "interval")
    shape = (len(every), INTERVALS)
    taken = np.zeros(shape, np.int64)
    taken[: len(names)] = 200 + 10 * np.arange(len(names))[:, None]
    given = np.zeros(shape, np.int64)
    taken[1], given[1] = 0, 700
    taken[-1] = taken[: len(names)].sum(axis=0) - 700 + 50
    table = {name: (dims, np.zeros(shape, np.int64)) for name in series.REGISTERS}
    table |= {"import_wh": (dims, taken), "export_wh": (dims, given)}
    content = xr.Dataset(
        {**table, "quality": (dims, np.full(shape, Quality.VALID, np.uint16))},
        coords={"usage_point": every, "interval": interval.starts(FIRST_S, INTERVALS, 900)},
    )
    series.put_intervals(tx, content, time_zone=site.time_zone, cycle_s=FIRST_S)


def _trade(tx: Transaction, start_s: int, number: int) -> None:
    orders = [
        Order(f"B-{number}", "P-1", "UP-1", start_s, Side.BUY, 84_000, 150, 2 * number),
        Order(f"S-{number}", "P-2", "UP-2", start_s, Side.SELL, 50_000, 150, 2 * number + 1),
    ]
    books.put_orders(tx, orders, received_s=start_s - 1800)
    trade = {"buy_order": f"B-{number}", "sell_order": f"S-{number}", "buyer": "UP-1"}
    trade |= {"seller": "UP-2", "price": 66_000, "energy_wh": 150}
    facts = {"mechanism": "uniform_price", "price": 66_000, "price_low": 50_000}
    facts |= {"price_high": 84_000, "volume_wh": 150, "summary": "{}"}
    market.put_clearing(tx, start_s, facts, [trade])


def state(store: Store) -> tuple[list[tuple[int, int]], list[bytes], int, int]:
    """Return what is settled, the ledger, how many postings there are and what they sum to."""
    with store.read() as tx:
        settled = [(row["start_s"], row["version"]) for row in market.settlements(tx, 0, 2**40)]
        lines = len(market.postings(tx))
        return settled, list(log.entries(tx)), lines, market.postings_sum(tx)
