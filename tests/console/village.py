"""A village with half a day of made-up facts, written through the store's own functions."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import xarray as xr

from grid import interval, site_file
from grid.console.auth_passwords import hash_password
from grid.console.permissions import ROLES
from grid.errors import Finding, Severity
from grid.ids import UsagePointId
from grid.operation import agreements, record
from grid.store import (
    Store,
    Transaction,
    books,
    control,
    datasets,
    events,
    field,
    log,
    market,
    people,
    reading,
    series,
)
from grid.store.events import Cause, EventKind, EventState
from meters.device import Setpoint
from meters.reading import MeterRead, RegisterRow
from meters.statistics import Record
from trading.accounts import COMMUNITY, MARKET, SUPPLIER, Posting, PostingKind, party_account
from trading.book import Order, Side
from trading.ledger import checkpoint, entry, merkle, note
from trading.ledger.commitment import Label, Opening, commit, commitments
from trading.orders import receipt

PASSWORD = "a long enough password"
NOW = interval.parse("2026-05-27T14:00+04:00")
N = 8

TOML = """
id = "village"
name = "Sarı Qaya"
time_zone = "Asia/Baku"
currency = "AZN"
interval_s = 900
[network]
source = "simbench:1-LV-rural1--0-sw"
[field]
kind = "simulated"
[operation]
[market]
mechanism = "uniform_price"
profile = "sandbox"
feed_in = "0.05"
shortfall = "0.15"
surplus = "0.04"
grid_fee = "0.01"
battery_use_fee = "0.02"
[grid]
id = "GRID"
import_limit_kw = 100
export_limit_kw = 100
[[grid.price]]
from_time = "00:00"
buy = "0.08"
sell = "0.04"
[[grid.price]]
from_time = "17:00"
buy = "0.16"
sell = "0.06"
[[tariff]]
id = "home"
name = "Home"
fixed_fee = "1.00"
[[tariff.block]]
up_to_kwh = 200
price = "0.084"
[[tariff.block]]
up_to_kwh = 0
price = "0.10"
[[party]]
id = "community"
name = "Community"
kind = "community"
[[meter]]
id = "M-HEAD"
protocol = "modbus"
profile = "sdm630"
role = "feeder_head"
[[battery]]
id = "BAT-1"
usage_point = "UP-1"
power_kw = 30
energy_kwh = 120
forming = true
[[charger]]
id = "EV-1"
usage_point = "UP-2"
power_kw = 11
energy_kwh = 60
missed = "2.0"
[[solar]]
id = "PV-1"
usage_point = "UP-2"
power_kw = 40
[[wind]]
id = "WIND-1"
usage_point = "UP-3"
power_kw = 20
[[genset]]
id = "DG-1"
usage_point = "UP-1"
power_kw = 25
min_power_kw = 5
fuel = "0.35"
no_load_per_hour = "1.2"
start = "3.0"
""" + "".join(
    f"""
[[party]]
id = "P-{n}"
name = "Household {n}"
kind = "household"
[[usage_point]]
id = "UP-{n}"
bus = {n}
party = "P-{n}"
kind = "household"
tariff = "home"
connection_kw = 50
[[meter]]
id = "M-{n}"
protocol = "dlms"
profile = "standard"
usage_point = "UP-{n}"
"""
    for n in range(1, N + 1)
)
SITE = site_file.parse(TOML)


def token(page: str) -> str:
    """Return the CSRF token of a page."""
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert found, page
    return found[1]


def _hours(count: int, start_s: int) -> np.ndarray:
    return ((start_s + 4 * 3600 + 900 * np.arange(count)) % 86_400) / 3600


def _sun(hours: np.ndarray) -> np.ndarray:
    return np.clip(np.sin((hours - 6) / 13 * np.pi), 0, None)


def _intervals(tx: Transaction) -> None:
    start_s = interval.day_bounds(interval.local_day(NOW, SITE.time_zone), SITE.time_zone)[0]
    start_s -= 86_400
    count = (NOW - start_s) // 900
    hours = _hours(count, start_s)
    names = [point.id for point in SITE.usage_point]
    load = 90 + 60 * np.exp(-((hours - 20) ** 2) / 6) + 40 * np.exp(-((hours - 8) ** 2) / 3)
    wave = load[None, :] * (1 + 0.1 * np.arange(N)[:, None])
    wave = wave + 15 * np.sin(np.arange(count) * 1.7 + np.arange(N)[:, None])
    solar = np.where(np.arange(N)[:, None] % 2 == 1, 700 * _sun(hours)[None, :], 0)
    net = wave - solar
    imports, exports = np.clip(net, 0, None).astype(np.int64), np.clip(-net, 0, None).astype(int)
    quality = np.ones((N, count), np.uint16)
    quality[:, 100:112] = 3
    for values in (imports, exports):
        values[:, 120:126] = -1
        values[:, count - 2 :] = -1
    quality[:, 120:126] = quality[:, count - 2 :] = 0
    dims = ("usage_point", "interval")
    zeros = np.where(imports < 0, -1, 0)
    content = xr.Dataset(
        {
            "import_wh": (dims, imports),
            "export_wh": (dims, exports.astype(np.int64)),
            "import_varh": (dims, zeros),
            "export_varh": (dims, zeros),
            "quality": (dims, quality),
        },
        coords={"usage_point": names, "interval": interval.starts(start_s, count, 900)},
    )
    series.put_intervals(tx, content, time_zone=SITE.time_zone, cycle_s=NOW)


def _control(tx: Transaction, at_s: int, n: int) -> None:
    hour = _hours(1, at_s)[0]
    solar, demand = 40 * _sun(np.array([hour]))[0], 30 + 8 * np.sin(hour) + n % 3
    charge = max(0.0, solar - 25)
    facts = {
        "demand_kw": demand,
        "solar_kw": solar,
        "wind_kw": 6.0 + 2 * np.sin(n / 5),
        "battery_charge_kw": charge,
        "battery_discharge_kw": 4.0 if solar < 5 else 0.0,
        "genset_kw": 0.0,
        "import_kw": max(0.0, demand - solar),
        "export_kw": max(0.0, solar - demand - charge),
        "stored_kwh": 50 + n * 0.7,
    }
    datasets.put_dataset(
        tx, "actual", at_s, xr.Dataset({k: ((), float(v)) for k, v in facts.items()})
    )


def _plan(tx: Transaction, cycle_s: int, n: int) -> None:
    steps, assets = 96, [asset.id for asset in SITE.assets]
    hours = _hours(steps, cycle_s)
    shape = (len(assets), steps)
    columns = ("charge_kw", "discharge_kw", "produce_kw", "curtail_kw", "shed_kw", "limit_kw")
    table = {name: (("asset", "interval"), np.zeros(shape)) for name in columns}
    sun = 40 * _sun(hours)
    table["produce_kw"][1][1], table["produce_kw"][1][2] = sun * 0.95, 6.5 + 0 * hours
    table["charge_kw"][1][0] = np.clip(sun - 24, 0, None)
    table["discharge_kw"][1][0] = np.where((hours > 18) & (hours < 22), 12, 0)
    energy = 50 + n * 0.7 + np.cumsum(table["charge_kw"][1][0] - table["discharge_kw"][1][0]) / 4
    stored = np.full(shape, np.nan)
    stored[0] = np.clip(energy, 0, 120)
    schedule = xr.Dataset(
        {
            **table,
            "energy_kwh": (("asset", "interval"), stored),
            "import_kw": ("interval", np.clip(30 - sun, 0, None)),
            "export_kw": ("interval", np.clip(sun - 36, 0, None)),
            "marginal_price": ("interval", np.where(hours > 17, 0.15, 0.075)),
        },
        coords={"asset": assets, "interval": interval.starts(cycle_s, steps, 900)},
    )
    datasets.put_dataset(tx, "plan", cycle_s, schedule)
    reasons = [
        (
            "BAT-1",
            "charge",
            "BAT-1 charges 14.2 kW: the surplus is worth more from 18:00, at 0.16.",
        ),
        ("PV-1", "full", "PV-1 runs free: nothing limits it."),
        ("DG-1", "off", "DG-1 is off: the grid costs 0.08, the genset 0.35 per kWh."),
        ("plan", "cost", "The day costs 41.70 AZN."),
    ]
    control.put_plan(
        tx,
        cycle_s,
        {
            "status": "optimal",
            "source": "last good plan" if n == 20 else "new plan",
            "objective": 41.7,
            "gap": 0.0,
            "rounds": 2,
            "cuts": 3,
        },
        {
            "reasons": [{"subject": s, "code": c, "params": {}, "text": t} for s, c, t in reasons],
            "binding": [[3, "vm_pu bus 7 <= 1.10"]],
            "input_sha256": "00" * 32,
        },
    )


def _network(tx: Transaction) -> None:
    buses = N + 2
    x = np.array([0, 1, 2, 3, 4, 5, 2, 3, 4, 5], float)
    y = np.array([0, 0, 0.1, 0, -0.1, 0, 1, 1.2, -1, -1.1], float)
    layout = xr.Dataset(
        {
            "x": ("bus", x),
            "y": ("bus", y),
            "bus_name": ("bus", [f"LV {n}" for n in range(buses)]),
            "line_from": ("line", [1, 2, 3, 4, 1, 6, 3, 8]),
            "line_to": ("line", [2, 3, 4, 5, 6, 7, 8, 9]),
            "line_name": ("line", [f"Line {n}" for n in range(8)]),
            "trafo_from": ("trafo", [0]),
            "trafo_to": ("trafo", [1]),
            "trafo_name": ("trafo", ["Trafo"]),
        }
    )
    datasets.put_dataset(tx, "layout", 0, layout)
    vm = np.linspace(1.0, 1.06, buses)
    vm[9] = 1.112
    state = xr.Dataset(
        {
            "vm_pu": ("bus", vm),
            "line_loading_percent": ("line", np.array([30, 25, 18, 9, 44, 12, 103.5, 60.0])),
            "trafo_loading_percent": ("trafo", np.array([51.2])),
            "losses_kw": ((), 0.83),
        }
    )
    datasets.put_dataset(tx, "network", NOW - 900, state)


def _forecast(tx: Transaction) -> None:
    hours = _hours(96, NOW)
    load = 32 + 9 * np.exp(-((hours - 20) ** 2) / 8)
    groups = np.stack([load, 40 * _sun(hours), 6 + 0 * hours])
    table = groups[None] * np.array([0.88, 1.0, 1.13])[:, None, None]
    content = xr.Dataset(
        {"total_kw": (("quantile", "group", "interval"), table)},
        coords={
            "quantile": [0.1, 0.5, 0.9],
            "group": ["load", "solar", "wind"],
            "interval": interval.starts(NOW, 96, 900),
        },
    )
    datasets.put_dataset(tx, "forecast", NOW, content)


def _market(tx: Transaction) -> None:
    number = 0
    for n in range(8):
        start_s = NOW - 3600 - 900 * n
        orders = [
            Order(f"O-{n}-1", "P-1", "UP-1", start_s, Side.BUY, 84_000, 250, number),
            Order(f"O-{n}-2", "P-2", "UP-2", start_s, Side.SELL, 50_000, 250, number + 1),
        ]
        number += 2
        books.put_orders(tx, orders, received_s=start_s - 1800)
        trade = {
            "buy_order": f"O-{n}-1",
            "sell_order": f"O-{n}-2",
            "buyer": "UP-1",
            "seller": "UP-2",
            "price": 66_000,
            "energy_wh": 250,
        }
        facts = {
            "mechanism": "uniform_price",
            "price": 66_000,
            "price_low": 50_000,
            "price_high": 84_000,
            "volume_wh": 250,
            "summary": "{}",
        }
        market.put_clearing(tx, start_s, facts, [trade])
        point, first = UsagePointId("UP-2"), UsagePointId("UP-1")
        buyer, seller = party_account("P-1"), party_account("P-2")
        lines = [
            Posting(MARKET, seller, 250 * 66_000, 250, PostingKind.SALE, point, 66_000),
            Posting(buyer, MARKET, 250 * 66_000, 250, PostingKind.PURCHASE, first, 66_000),
            Posting(SUPPLIER, seller, 90 * 50_000, 90, PostingKind.FEED_IN, point, 50_000),
            Posting(seller, SUPPLIER, 40 * 84_000, 40, PostingKind.SUPPLY, point, 84_000),
            Posting(seller, COMMUNITY, 10**9 if n == 0 else 10**7, 0, PostingKind.FIXED_FEE, point),
        ]  # fmt: skip
        market.put_settlement(
            tx,
            start_s=start_s,
            version=1,
            cycle_s=NOW,
            state="provisional",
            residual_wh=0,
            content={
                "usage_points": [
                    {"usage_point": "UP-2", "baseline_import_wh": 40, "baseline_export_wh": 340}
                ]
            },
            postings=lines,
            month="2026-05",
        )


def _committed(tx: Transaction, label: str) -> list[tuple[str, Opening]]:
    return [
        (order.party, commit(bytes(32), Label(label, "order", order.id), receipt(order))[1])
        for order in books.orders(tx, interval.parse(label))
    ]


SIGNER = note.signer("khazri/village", bytes(range(32)))


def signs(head: checkpoint.Checkpoint, *_: object) -> str:
    """Sign a checkpoint as the process with the ledger's key does."""
    return checkpoint.sign(head, SIGNER)


def _ledger(tx: Transaction) -> None:
    secrets = {f"party/{party.id}": party.id.encode().ljust(32, b".") for party in SITE.party}
    control.put_secrets(tx, {"receipts.ed25519": bytes(range(1, 33)), **secrets})
    key = SIGNER.key.encode()
    control.put_meta(tx, "ledger_vkey", key)
    one = entry.genesis("village", key)
    entries = [one]
    opened: dict[int, list[tuple[str, Opening]]] = {}
    for n in range(1, 24):
        kind = (entry.Kind.PLAN, entry.Kind.BOOK, entry.Kind.READINGS)[n % 3]
        label = interval.label(NOW - 900 * (8 - n // 3))
        body = {"price": "0.0660", "note": n} if n % 3 == 1 else {"commitments": ["ab" * 32]}
        opened[n] = _committed(tx, label) if kind is entry.Kind.BOOK else []
        if opened[n]:
            body["commitments"] = commitments(opening.digest for _, opening in opened[n])
        one = entry.following(one, kind, label, body)
        entries.append(one)
    for one in entries:
        log.append(
            tx,
            sequence=one.sequence,
            kind=str(one.kind),
            label=one.interval,
            cycle_s=NOW,
            content=one.encode(),
            leaf_hash=one.leaf_hash,
            openings=[
                {"digest": o.digest, "party": p, "content": o.encode(one.sequence).decode()}
                for p, o in opened.get(one.sequence, [])
            ],
        )
    leaves = [one.leaf_hash for one in entries]
    for size in (8, 16, 24):
        point = checkpoint.Checkpoint("khazri/village", size, merkle.root(leaves[:size]))
        log.put_checkpoint(tx, size, NOW - 900 * (24 - size), signs(point))


def _commit(tx: Transaction) -> None:
    """Record each interval's orders, trades and postings as the control room does."""
    party = {str(point.id): str(point.party) for point in SITE.usage_point}
    known = {json.loads(row["content"])["subject"] for row in log.openings(tx)}
    for n in range(8):
        start_s = NOW - 3600 - 900 * n
        facts = [
            record.Personal(one.party, "order", one.id, receipt(one))
            for one in books.orders(tx, start_s)
            if one.id not in known
        ]
        record.append(tx, entry.Kind.BOOK, start_s, NOW, {"by": "members"}, facts)
        facts = []
        for row in market.trades(tx, start_s, start_s + 900):
            payload = {name: str(row[name]) for name in ("buyer", "seller", "price", "energy_wh")}
            for side in ("buyer", "seller"):
                subject = f"{row['number']}-{side}"
                facts.append(record.Personal(party[row[side]], "trade", subject, payload))
        record.append(tx, entry.Kind.CLEARING, start_s, NOW, {"price": "0.0660"}, facts)
        lines = [
            record.Personal(
                party[str(line.usage_point)],
                "posting",
                str(number),
                {
                    "amount_nano": str(line.amount_nano),
                    "credit": str(line.credit),
                    "debit": str(line.debit),
                    "energy_wh": str(line.energy_wh),
                    "kind": str(line.kind),
                    "price": str(line.price),
                    "reversal": line.reversal,
                    "usage_point": line.usage_point or "",
                },
            )
            for number, (_, _, line) in enumerate(market.postings(tx, start_s=start_s))
        ]
        record.append(tx, entry.Kind.SETTLEMENT, start_s, NOW, {"version": 0}, lines)
    record.checkpoint(tx, signs, NOW)


def _asking(tx: Transaction) -> None:
    """Meters behind two gateways; M-3 has said nothing for three hours, M-2's clock is off."""
    for hour in range(6):
        asked = Record()
        for n in range(1, N + 1):
            for one in asked.observers(f"M-{n}", f"10.0.0.{n % 2 + 1}:4059"):
                for turn in range(20):
                    if n == 3 and hour < 3:
                        one.failed("silent")
                    else:
                        one.answered(0.04 * n + (1.4 if turn == 19 else 0))
        reading.add_statistics(tx, asked, cycle_s=NOW - 3600 * hour - 900)
    reading.put_clocks(tx, [reading.ClockRow(f"M-{n}", NOW - 900, 7 * (n == 2)) for n in (1, 2, 4)])


def _events(tx: Transaction) -> None:
    events.put_event(
        tx, limits_w=[20_000] * 4, kind=EventKind.IMPORT_LIMIT, start_s=NOW - 7200,
        end_s=NOW - 3600, asked_w=20_000, reward=0, penalty=0, stake_w=80_000,
        asked_by="Utility", program="peak", name="noon", received_by="operator@example.org",
        received_s=NOW - 14_400, answer_by_s=NOW - 7200, closed_by="operator@example.org",
        closed_s=NOW - 10_000, cause=Cause.NOT_POSSIBLE, state=EventState.DECLINED,
    )  # fmt: skip


def fill(folder: Path) -> None:
    """Make a store with the village's facts."""
    store = Store.at(folder, create=True)
    password = hash_password(PASSWORD)
    with store.write() as tx:
        control.put_secrets(tx, {"console.secret_key": bytes(range(32))})
        control.put_meta(tx, "clock_s", str(NOW))
        for number, role in enumerate(ROLES):
            party = "P-2" if role == "prosumer" else None
            people.create(
                tx,
                email=f"{role}@example.org",
                name=role.title(),
                password_hash=password,
                roles=[role],
                at_s=NOW - number,
                party=party,
            )
        agreements.take(tx, SITE)
        _intervals(tx)
        for n in range(48):
            _control(tx, NOW - 900 * (48 - n), n)
        for n in range(24):
            _plan(tx, NOW - 900 * (23 - n), n)
        _network(tx)
        _forecast(tx)
        _market(tx)
        _ledger(tx)
        _commit(tx)
        _asking(tx)
        _events(tx)
        for name in ("read", "validate", "forecast", "clear", "plan"):
            control.mark_done(tx, NOW, name)
        label = interval.label(NOW)
        found = [
            Finding("network.voltage", "LV 9", label, Severity.ALARM, "LV 9 vm_pu 1.112 > 1.100"),
            Finding("meter.silent", "M-3", label, Severity.WARNING, "M-3 did not answer in 5 s"),
            Finding("vee.spike", "UP-4", label, Severity.INFO, "UP-4 import 9000 Wh > 7500 Wh"),
        ]
        control.put_findings(tx, NOW, found)
        wishes = [
            Setpoint("BAT-1", "storage", charge_w=14_200),
            Setpoint("PV-1", "limit", limit_w=40_000),
            Setpoint("WIND-1", "limit", limit_w=20_000),
            Setpoint("DG-1", "genset", running=False),
        ]
        control.put_setpoints(tx, NOW, wishes[:3], "confirmed")
        control.put_setpoints(tx, NOW, wishes[3:], "failed")
        reads = [
            MeterRead(
                f"M-{n}", RegisterRow(NOW - 900 * (n % 3), (n, 0, 0, 0)), (), 230.0, bytes(32)
            )
            for n in range(1, N + 1)
        ]
        field.put_reads(tx, reads, cycle_s=NOW)
    store.close()
