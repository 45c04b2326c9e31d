"""Stages ``clear`` and ``settle``: sealed books, trades, and what each interval is worth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import xarray as xr

from grid import interval
from grid.errors import Finding, Severity, VerificationError
from grid.ids import AccountId, PartyId, UsagePointId
from grid.operation import record
from grid.operation.commission import AVAILABLE, DRAW_SECRET
from grid.operation.metering import take_changed
from grid.operation.record import Personal
from grid.operation.room import Room
from grid.site import RegulationProfile, UsageKind
from grid.store import Transaction, control, datasets, series
from grid.store import field as field_store
from grid.store import market as store
from meters.vee import Quality
from trading.accounts import Posting, PostingKind, party_account
from trading.book import Book, trades
from trading.ledger.commitment import pseudonym
from trading.ledger.entry import Kind
from trading.mechanisms import mechanism
from trading.orders import TICK, AgentNeed, default_orders, receipt, seal
from trading.settlement import resettle, settle
from trading.settlement_facts import (
    Settlement,
    SettlementInput,
    UsagePointInput,
    UsagePointResult,
)
from trading.statements import market_summary
from trading.tariffs import marginal_block

_WH_PER_KW_INTERVAL = 250


def clear(room: Room, at_s: int) -> None:
    """Close, seal and clear the book of the interval after the next set-points."""
    start_s = at_s + room.site.interval_s
    with room.store.write() as tx:
        if room.site.market.profile is RegulationProfile.SANDBOX:
            _place_agents(room, tx, at_s, start_s)
        orders = seal(store.orders(tx, start_s))
        book = Book.of(orders)
        rules = mechanism(room.site.market.mechanism)
        outcome = rules.clear(book, TICK)
        if broken := rules.certify(book, outcome, TICK):
            raise VerificationError(f"{interval.label(start_s)} clearing: {broken[0]}")
        pairs = trades(book, outcome)
        rows = [
            {
                "buy_order": orders[int(buy)].id,
                "sell_order": orders[int(sell)].id,
                "buyer": orders[int(buy)].usage_point,
                "seller": orders[int(sell)].usage_point,
                "price": outcome.price,
                "energy_wh": int(energy_wh),
            }
            for buy, sell, energy_wh in pairs
        ]
        summary = market_summary(orders, outcome, room.site.market.minimum_group)
        facts = {
            "mechanism": outcome.mechanism,
            "price": outcome.price,
            "price_low": outcome.price_low,
            "price_high": outcome.price_high,
            "volume_wh": outcome.volume_wh,
            "summary": json.dumps(summary),
        }
        store.put_clearing(tx, start_s, facts, rows)
        personal = [Personal(o.party, "order", o.id, receipt(o)) for o in orders]
        party = {str(point.id): str(point.party) for point in room.site.usage_point}
        for number, row in enumerate(rows):
            for side in ("buyer", "seller"):
                payload = {"side": side, "usage_point": str(row[side])}
                payload |= {key: str(row[key]) for key in ("price", "energy_wh")}
                who = party[str(row[side])]
                personal.append(Personal(who, "trade", f"{number}-{side}", payload))
        record.append(tx, Kind.CLEARING, start_s, at_s, summary, personal)
        control.mark_done(tx, at_s, "clear")
    room.log(at_s, "clear", orders=len(orders), volume_wh=outcome.volume_wh, price=outcome.price)


def _place_agents(room: Room, tx: Transaction, at_s: int, start_s: int) -> None:
    """Let the default agents bid what the forecast says each usage point needs or spares."""
    forecast = datasets.require_dataset(tx, "forecast", at_s)
    step = (start_s - at_s) // room.site.interval_s
    mean = forecast["mean_kw"]
    kw = dict(zip(mean["series"].values.tolist(), mean.values[:, step].tolist(), strict=True))
    produced: dict[str, float] = {}
    for plant in room.site.plants:
        at = str(plant.usage_point)
        produced[at] = produced.get(at, 0.0) + kw[plant.id]
    totals = store.month_totals(tx, interval.month_label(start_s, room.site.time_zone))
    tariffs = {tariff.id: tariff for tariff in room.site.tariff}
    limits = store.limits(tx)
    needs = []
    for point in room.site.usage_point:
        if point.kind is UsageKind.COMMUNITY:
            continue
        net = kw[f"load:{point.id}"] - produced.get(point.id, 0.0)
        wh = round(abs(net) * _WH_PER_KW_INTERVAL)
        month_wh = totals.get(point.id, (0, 0, False))[0]
        buy, sell = limits.get(point.id, (None, None))
        needs.append(
            AgentNeed(
                usage_point=point.id,
                party=point.party,
                need_wh=wh if net > 0 else 0,
                surplus_wh=wh if net < 0 else 0,
                retail_price=marginal_block(tariffs[point.tariff], month_wh).price,
                buy_limit=buy,
                sell_limit=sell,
            )
        )
    placed = default_orders(
        needs,
        start_s=start_s,
        market=room.site.market,
        first_sequence=store.next_sequence(tx),
        secret=control.get_secret(tx, DRAW_SECRET),
    )
    store.put_orders(tx, placed, received_s=at_s)


def settle_intervals(room: Room, at_s: int) -> None:
    """Settle what is complete, correct what changed, make final what is past its deadline."""
    site = room.site
    final_before = at_s - site.operation.final_after_intervals * site.interval_s
    first_s = max(room.first_cycle_s, final_before)
    settled = corrected = 0
    with room.store.write() as tx:
        changed = set(take_changed(tx))
        states = set(datasets.instants(tx, "network", first_s, at_s))
        known = {row["start_s"] for row in store.settlements(tx, first_s, at_s)}
        for start_s in range(first_s, at_s, site.interval_s):
            if start_s not in states:
                continue
            if start_s not in known:
                if _waits_for_devices(room, tx, at_s, start_s):
                    continue
                _settle(room, tx, at_s, start_s, None)
                settled += 1
            elif start_s in changed:
                _settle(room, tx, at_s, start_s, newest(tx, start_s))
                corrected += 1
        final = store.finalise(tx, final_before)
        for start_s, version in final:
            body = {"part": 0, "state": "final", "version": version - 1}
            record.append(tx, Kind.SETTLEMENT, start_s, at_s, body)
        control.put_findings(tx, at_s, _too_late(changed, first_s))
        control.mark_done(tx, at_s, "settle")
    room.log(at_s, "settle", settled=settled, corrected=corrected, final=len(final))


def _waits_for_devices(room: Room, tx: Transaction, at_s: int, start_s: int) -> bool:
    """Return whether what was done on instruction may still become known in time."""
    site = room.site
    if at_s - start_s > site.operation.estimate_after_intervals * site.interval_s:
        return False
    names = [str(asset.id) for asset in site.assets]
    end_s = start_s + site.interval_s
    did = series.get_intervals(tx, names, start_s, end_s, time_zone=site.time_zone)
    return bool((did["quality"].values == Quality.MISSING).any())


def _too_late(changed: set[int], first_s: int) -> list[Finding]:
    """Return the intervals whose readings changed when their settlement was final already."""
    return [
        Finding(
            "settlement.late_reading",
            "settlement",
            interval.label(start_s),
            Severity.WARNING,
            f"settlement {interval.label(start_s)} is final: readings that changed since "
            "are kept and not settled",
        )
        for start_s in sorted(changed)
        if start_s < first_s
    ]


def newest(tx: Transaction, start_s: int) -> Settlement | None:
    """Return an interval's newest settlement, or ``None``."""
    found = store.newest_settlement(tx, start_s)
    return None if found is None else decode_settlement(found[2])


def _settle(room: Room, tx: Transaction, at_s: int, start_s: int, old: Settlement | None) -> None:
    month = interval.month_label(start_s, room.site.time_zone)
    totals = store.month_totals(tx, month)
    given, readings = _input(room, tx, start_s, totals, old)
    done = settle(given) if old is None else resettle(old, given)
    store.put_month_totals(
        tx,
        month,
        {
            str(result.usage_point): (
                result.month_wh,
                result.bank_wh,
                result.fixed_fee_due or totals.get(str(result.usage_point), (0, 0, False))[2],
            )
            for result in done.usage_points
        },
    )
    store.put_settlement(
        tx,
        start_s=start_s,
        version=done.version,
        cycle_s=at_s,
        state="provisional",
        residual_wh=done.residual_wh,
        content=encode_settlement(done),
        postings=done.postings,
        month=month,
    )
    _record(room, tx, at_s, start_s, given, done, readings)
    control.put_findings(tx, at_s, _residual(room, given, done))


def _residual(room: Room, given: SettlementInput, done: Settlement) -> list[Finding]:
    """Return a finding when the meters and the losses do not add up to the feeder head."""
    flows = sum(point.import_wh + point.export_wh for point in given.usage_points)
    limit_wh = flows // 1000 + len(room.site.meter)
    if abs(done.residual_wh) <= limit_wh:
        return []
    when = interval.label(given.start_s)
    message = (
        f"feeder {when}: the usage points and the losses differ from the feeder head by "
        f"{done.residual_wh} Wh, more than {limit_wh} Wh: a meter is wrong or energy is not metered"
    )
    return [Finding("settlement.residual", "feeder", when, Severity.ALARM, message)]


def _input(
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
        member = point.kind is not UsageKind.COMMUNITY
        points.append(
            UsagePointInput(
                usage_point=point.id,
                party=point.party,
                tariff=point.tariff,
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
    if int(head["quality"].values[0, 0]) != Quality.VALID:
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


def prices_at(room: Room, at_s: int) -> tuple[int, int]:
    """Return the community's buy and sell price at the feeder head, nano per Wh."""
    clock = interval.local_time(at_s, room.site.time_zone)
    step = [price for price in room.site.grid.price if price.from_time <= clock][-1]
    return step.buy, step.sell


def _record(
    room: Room,
    tx: Transaction,
    at_s: int,
    start_s: int,
    given: SettlementInput,
    done: Settlement,
    readings: xr.Dataset,
) -> None:
    """Append readings and postings of an interval: sums in clear, the rest committed to."""
    version = done.version - 1
    personal: list[Personal] = []
    party = {str(point.id): str(point.party) for point in room.site.usage_point}
    for number, name in enumerate(room.points):
        payload = {
            register: int(readings[register].values[number, 0]) for register in series.REGISTERS
        }
        quality = Quality(int(readings["quality"].values[number, 0])).code
        fact = {**payload, "quality": quality}
        personal.append(Personal(party[name], "reading", name, fact, version))
    public = {"usage_points": len(room.points), "version": version}
    if version == 0:
        # Corrected sums less these would be the corrected household's.
        public |= {
            "head_export_wh": given.head_export_wh,
            "head_import_wh": given.head_import_wh,
            "loss_wh": given.loss_wh,
        }
    record.append(tx, Kind.READINGS, start_s, at_s, public, personal)
    who = record.community(room.site)
    month = interval.month_label(start_s, room.site.time_zone)
    secrets = control.secrets(tx, record.PARTY_SECRET)
    names = {party_account(PartyId(name)): pseudonym(secrets[name], month) for name in secrets}
    lines = [
        Personal(
            party[str(line.usage_point)] if line.usage_point else who,
            "posting",
            str(number),
            _payload(line, names),
            version,
        )
        for number, line in enumerate(done.postings)
    ]
    kind = Kind.SETTLEMENT if done.corrects is None else Kind.CORRECTION
    for part in range(0, max(len(lines), 1), 400):
        body = {"part": part // 400, "state": "provisional", "version": version}
        record.append(tx, kind, start_s, at_s, body, lines[part : part + 400])


def _payload(line: Posting, names: Mapping[AccountId, str]) -> dict[str, Any]:
    """Return what the ledger commits to: people's accounts under this month's names."""
    return {
        "amount_nano": str(line.amount_nano),
        "credit": names.get(line.credit, str(line.credit)),
        "debit": names.get(line.debit, str(line.debit)),
        "energy_wh": str(line.energy_wh),
        "kind": str(line.kind),
        "price": str(line.price),
        "reversal": line.reversal,
        "usage_point": line.usage_point or "",
    }


def encode_settlement(done: Settlement) -> dict[str, Any]:
    """Return a settlement as plain values for the store."""
    return {
        **_plain(done),
        "postings": [_plain(line) for line in done.postings],
        "lines": [_plain(line) for line in done.lines],
        "usage_points": [_plain(result) for result in done.usage_points],
    }


def _plain(fact: Settlement | Posting | UsagePointResult) -> dict[str, Any]:
    return {field.name: getattr(fact, field.name) for field in fields(fact)}


def decode_settlement(raw: dict[str, Any]) -> Settlement:
    """Return the settlement of :func:`encode_settlement` after JSON."""
    return Settlement(
        start_s=raw["start_s"],
        version=raw["version"],
        corrects=raw["corrects"],
        postings=tuple(_line(line) for line in raw["postings"]),
        lines=tuple(_line(line) for line in raw["lines"]),
        usage_points=tuple(_result(result) for result in raw["usage_points"]),
        residual_wh=raw["residual_wh"],
    )


def _line(raw: dict[str, Any]) -> Posting:
    known = {field.name for field in fields(Posting)}
    assert set(raw) == known, raw
    return Posting(**{**raw, "kind": PostingKind(raw["kind"])})


def _result(raw: dict[str, Any]) -> UsagePointResult:
    point, party = UsagePointId(raw["usage_point"]), PartyId(raw["party"])
    block_wh = tuple(raw["block_wh"])
    return UsagePointResult(**{**raw, "usage_point": point, "party": party, "block_wh": block_wh})
