"""What an interval is settled from: meters, trades, and what devices did on instruction."""

from __future__ import annotations

import numpy as np
import xarray as xr

from grid import interval
from grid.operation import agreements, topology_entries
from grid.operation.commission import AVAILABLE
from grid.operation.market import law_at, prices_at
from grid.operation.room import Room
from grid.operation.tariffs import in_force
from grid.site import UsageKind
from grid.store import Transaction, batteries, datasets, series
from grid.store import field as field_store
from grid.store import market as store
from meters.vee import Quality
from meters.vee.quality import READ
from trading.agreement_months import MonthAccounts, fee_due, opening_banks
from trading.battery_accounts import traded as traded_by_point
from trading.book import Side
from trading.regulation import Regulation
from trading.settlement_facts import (
    NOTHING_TRADED,
    Leg,
    MonthAccount,
    SettlementInput,
    Traded,
    UsagePointInput,
    members,
)
from trading.tariffs.clock import segment_at

METERED = READ | {Quality.SCALED, Quality.EDITED}
"""Qualities in which the feeder head is billed as metered; otherwise the model stands in."""


def head_is_metered(room: Room, tx: Transaction, start_s: int) -> bool:
    """Return whether the feeder head was metered in an interval."""
    end_s = start_s + room.site.interval_s
    zone = room.site.time_zone
    quality = series.get_quality(tx, [room.head], start_s, end_s, time_zone=zone)
    return int(quality[0, 0]) in METERED


def settlement_input(
    room: Room, tx: Transaction, start_s: int, accounts: MonthAccounts
) -> tuple[SettlementInput, xr.Dataset]:
    """Return what an interval is settled from, and the readings it comes from.

    Parameters
    ----------
    accounts : MonthAccounts
        Of the interval's month, as of now.
    """
    site = room.site
    end_s = start_s + site.interval_s
    zone = site.time_zone
    count = len(room.points)
    devices = [str(asset.id) for asset in site.assets]
    devices += [f"{plant.id}{AVAILABLE}" for plant in site.plants]
    names = [*room.points, *devices, room.head]
    known = series.get_intervals(tx, names, start_s, end_s, time_zone=zone)
    readings = known.isel(usage_point=slice(0, count))
    instructed = _instructed(room, known.isel(usage_point=slice(count, -1)))
    _add_shed(room, tx, end_s, readings, instructed)
    regulation = law_at(site, start_s)
    banks = _banks(room, tx, start_s, regulation)
    traded = _traded(tx, start_s, end_s)
    topology = topology_entries.told(tx)
    buy_price, sell_price = prices_at(room, start_s)
    tariffs = {tariff.id: tariff for tariff in in_force(tx, site)}
    prices = {"grid.buy": buy_price, "grid.sell": sell_price}
    standing = agreements.standing(tx, start_s)
    # A tariff that is yet to begin has no price, and nobody is on it.
    chosen = {one.terms_at(start_s).tariff for one in standing.values()}
    segments = {name: segment_at(tariffs[name], start_s, zone, prices) for name in sorted(chosen)}
    points = []
    for number, point in enumerate(site.usage_point):
        agreement = standing[str(point.id)]
        terms = agreement.terms_at(start_s)
        account = accounts.get(
            (agreement.id, str(terms.tariff)),
            MonthAccount(bank_wh=banks.get(agreement.id, 0)),
        )
        fee = 0
        if point.kind is not UsageKind.COMMUNITY:
            fee = fee_due(tariffs[terms.tariff], agreement, start_s, account, zone)
        points.append(
            UsagePointInput(
                usage_point=point.id,
                agreement=agreement.id,
                party=agreement.party,
                tariff=terms.tariff,
                segment=segments[terms.tariff],
                import_wh=int(readings["import_wh"].values[number, 0]),
                export_wh=int(readings["export_wh"].values[number, 0]),
                account=account,
                fee_due_nano=fee,
                share_percent=terms.share_percent,
                key_percent=terms.key_percent,
                zone=topology.of(str(point.id)).zone,
                **members(traded.get(str(point.id), NOTHING_TRADED))
                | instructed.get(str(point.id), {}),
            )
        )
    head, loss_wh = _head(room, tx, start_s, known.isel(usage_point=slice(-1, None)))
    given = SettlementInput(
        start_s=start_s,
        usage_points=tuple(points),
        market=site.market,
        regulation=regulation,
        tariffs=tariffs,
        loss_wh=loss_wh,
        head_import_wh=head["import_wh"],
        head_export_wh=head["export_wh"],
        buy_price=buy_price,
        sell_price=sell_price,
    )
    return given, readings


def _head(
    room: Room, tx: Transaction, start_s: int, head: xr.Dataset
) -> tuple[dict[str, int], int]:
    """Return import and export at the feeder head, and the losses, in Wh."""
    state = datasets.require_dataset(tx, "network", start_s)
    wh = room.site.interval_s / 3.6
    metered = {name: int(head[name].values[0, 0]) for name in ("import_wh", "export_wh")}
    if int(head["quality"].values[0, 0]) not in METERED:
        metered = {
            "import_wh": round(float(state["head_import_kw"]) * wh),
            "export_wh": round(float(state["head_export_kw"]) * wh),
        }
    return metered, round(float(state["losses_kw"]) * wh)


def _traded(tx: Transaction, start_s: int, end_s: int) -> dict[str, Traded]:
    """Return what each usage point traded ahead."""
    of_battery = batteries.order_ids(tx, start_s, end_s)
    sides = []
    for row in store.trades(tx, start_s, end_s):
        fees = {name: row[name] for name in ("zone_fee", "loss_fee", "regional")}
        bought = Leg(Side.BUY, row["price"], row["energy_wh"], **fees)
        sides.append((row["buyer"], row["buy_order"] in of_battery, bought))
        sold = Leg(Side.SELL, row["sell_price"], row["energy_wh"])
        sides.append((row["seller"], row["sell_order"] in of_battery, sold))
    return traded_by_point(sides, [one for _, one in batteries.moves(tx, start_s, end_s)])


def _instructed(room: Room, did: xr.Dataset) -> dict[str, dict[str, int]]:
    """Return by usage point what its devices did on the operator's instruction, Wh."""
    done: dict[str, dict[str, int]] = {}

    row = {str(name): number for number, name in enumerate(did["usage_point"].values)}
    energy = {name: did[name].values[:, 0] for name in ("import_wh", "export_wh")}

    def of(register: str, name: str) -> int:
        return max(int(energy[register][row[name]]), 0)

    def add(point: str, key: str, energy_wh: int) -> None:
        facts = done.setdefault(point, {})
        facts[key] = facts.get(key, 0) + energy_wh

    for battery in room.site.battery:
        add(battery.usage_point, "charge_wh", of("import_wh", battery.id))
        add(battery.usage_point, "discharge_wh", of("export_wh", battery.id))
    for genset in room.site.genset:
        add(genset.usage_point, "produced_wh", of("export_wh", genset.id))
    for plant in room.site.plants:
        possible = of("export_wh", f"{plant.id}{AVAILABLE}")
        add(plant.usage_point, "curtailed_wh", max(possible - of("export_wh", plant.id), 0))
    return done


def _add_shed(
    room: Room,
    tx: Transaction,
    end_s: int,
    readings: xr.Dataset,
    instructed: dict[str, dict[str, int]],
) -> None:
    """Add what shedding kept from each usage point, in proportion to what it still took."""
    states = field_store.device_states(tx, end_s)
    for group in room.site.shedding:
        kept_w = states[group.id]["throttled_w"] if group.id in states else 0
        shed_wh = round(kept_w * room.site.interval_s / 3600)
        if shed_wh <= 0:
            continue
        rows = [room.row[point] for point in group.usage_points]
        taken = np.maximum(readings["import_wh"].values[rows, 0], 0)
        weight = taken if taken.sum() else np.ones_like(taken)
        shares = np.diff(shed_wh * np.concatenate([[0], np.cumsum(weight)]) // weight.sum())
        for point, share in zip(group.usage_points, shares, strict=True):
            instructed.setdefault(point, {})["shed_wh"] = int(share)


def _banks(room: Room, tx: Transaction, start_s: int, regulation: Regulation) -> dict[int, int]:
    """Return the energy bank that each agreement brings from the month before."""
    zone = room.site.time_zone
    before_s = interval.month_bounds(start_s, zone)[0] - 1
    accounts = store.month_accounts(tx, interval.month_label(before_s, zone))
    return opening_banks(accounts, interval.local_day(before_s, zone).month, regulation)
