"""What an interval is settled from: meters, trades, and what devices did on instruction."""

from __future__ import annotations

import numpy as np
import xarray as xr

from grid import interval
from grid.operation import agreements
from grid.operation.commission import AVAILABLE
from grid.operation.market import prices_at
from grid.operation.room import Room
from grid.site import UsageKind
from grid.store import Transaction, datasets, series
from grid.store import field as field_store
from grid.store import market as store
from meters.vee import Quality
from meters.vee.quality import READ
from trading.settlement_facts import (
    Settlement,
    SettlementInput,
    UsagePointInput,
)

METERED = READ | {Quality.SCALED, Quality.EDITED}
"""Qualities in which the feeder head is billed as metered; otherwise the model stands in."""


def head_is_metered(room: Room, tx: Transaction, start_s: int) -> bool:
    """Return whether the feeder head was metered in an interval."""
    end_s = start_s + room.site.interval_s
    zone = room.site.time_zone
    quality = series.get_quality(tx, [room.head], start_s, end_s, time_zone=zone)
    return int(quality[0, 0]) in METERED


def settlement_input(
    room: Room,
    tx: Transaction,
    start_s: int,
    totals: dict[str, tuple[int, int, bool]],
    old: Settlement | None,
) -> tuple[SettlementInput, xr.Dataset]:
    site = room.site
    end_s = start_s + site.interval_s
    zone = site.time_zone
    readings = series.get_intervals(tx, room.points, start_s, end_s, time_zone=zone)
    devices = [str(asset.id) for asset in site.assets]
    devices += [f"{plant.id}{AVAILABLE}" for plant in site.plants]
    did = series.get_intervals(tx, devices, start_s, end_s, time_zone=zone)
    instructed = _instructed(room, did)
    _add_shed(room, tx, end_s, readings, instructed)
    carried = _carried(room, tx, start_s)
    standing = agreements.standing(tx, start_s)
    traded: dict[str, list[int]] = {}
    for row in store.trades(tx, start_s, end_s):
        traded.setdefault(row["buyer"], [0, 0])[0] += row["energy_wh"]
        traded.setdefault(row["seller"], [0, 0])[1] += row["energy_wh"]
    cleared = store.clearings(tx, start_s, end_s)
    due_before = {r.usage_point for r in old.usage_points if r.fixed_fee_due} if old else set()
    points = []
    for number, point in enumerate(site.usage_point):
        month_wh, bank_wh, fee_posted = totals.get(point.id, (0, carried.get(point.id, 0), False))
        bought, sold = traded.get(point.id, [0, 0])
        agreement = standing[str(point.id)]
        member = point.kind is not UsageKind.COMMUNITY
        points.append(
            UsagePointInput(
                usage_point=point.id,
                party=agreement.party,
                tariff=agreement.terms_at(start_s).tariff,
                import_wh=int(readings["import_wh"].values[number, 0]),
                export_wh=int(readings["export_wh"].values[number, 0]),
                bought_wh=bought,
                sold_wh=sold,
                month_wh=month_wh,
                bank_wh=bank_wh,
                fixed_fee_due=member and (not fee_posted or point.id in due_before),
                **instructed.get(str(point.id), {}),
            )
        )
    state = datasets.require_dataset(tx, "network", start_s)
    wh = site.interval_s / 3.6
    head = series.get_intervals(tx, [room.head], start_s, end_s, time_zone=zone)
    metered = {name: int(head[name].values[0, 0]) for name in ("import_wh", "export_wh")}
    if int(head["quality"].values[0, 0]) not in METERED:
        metered = {
            "import_wh": round(float(state["head_import_kw"]) * wh),
            "export_wh": round(float(state["head_export_kw"]) * wh),
        }
    buy_price, sell_price = prices_at(room, start_s)
    return (
        SettlementInput(
            start_s=start_s,
            usage_points=tuple(points),
            clearing_price=cleared[0]["price"] if cleared else None,
            market=site.market,
            tariffs={tariff.id: tariff for tariff in site.tariff},
            loss_wh=round(float(state["losses_kw"]) * wh),
            head_import_wh=metered["import_wh"],
            head_export_wh=metered["export_wh"],
            buy_price=buy_price,
            sell_price=sell_price,
        ),
        readings,
    )


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


def _carried(room: Room, tx: Transaction, start_s: int) -> dict[str, int]:
    """Return the energy bank that each usage point brings from the month before."""
    zone = room.site.time_zone
    first = interval.local_day(start_s, zone).replace(day=1)
    month_s, _ = interval.day_bounds(first, zone)
    before = store.month_totals(tx, interval.month_label(month_s - 1, zone))
    return {point: bank_wh for point, (_, bank_wh, _) in before.items() if bank_wh}
