"""What the village measured, planned and forecast: half a day of made-up facts."""

from __future__ import annotations

import numpy as np
import xarray as xr

from grid import interval
from grid.store import Transaction, control, datasets, events, reading, series
from grid.store.events import Cause, EventKind, EventState
from meters.statistics import Record
from tests.console.village_site import NOW, SITE, N


def _hours(count: int, start_s: int) -> np.ndarray:
    return ((start_s + 4 * 3600 + 900 * np.arange(count)) % 86_400) / 3600


def _sun(hours: np.ndarray) -> np.ndarray:
    return np.clip(np.sin((hours - 6) / 13 * np.pi), 0, None)


def put_intervals(tx: Transaction) -> None:
    """Readings of a day and a half, some estimated, some missing."""
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


def put_control(tx: Transaction, at_s: int, n: int) -> None:
    """What the devices did in an interval."""
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


def put_plan(tx: Transaction, cycle_s: int, n: int) -> None:
    """A plan with its reasons."""
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


def put_network(tx: Transaction) -> None:
    """The layout of the feeder and a state with two violations."""
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


def put_forecast(tx: Transaction) -> None:
    """A day of load, sun and wind in three quantiles."""
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


def put_asking(tx: Transaction) -> None:
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


def put_events(tx: Transaction) -> None:
    """An event of a utility that was declined."""
    events.put_event(
        tx, limits_w=[20_000] * 4, kind=EventKind.IMPORT_LIMIT, start_s=NOW - 7200,
        end_s=NOW - 3600, asked_w=20_000, reward=0, penalty=0, stake_w=80_000,
        asked_by="Utility", program="peak", name="noon", received_by="operator@example.org",
        received_s=NOW - 14_400, answer_by_s=NOW - 7200, closed_by="operator@example.org",
        closed_s=NOW - 10_000, cause=Cause.NOT_POSSIBLE, state=EventState.DECLINED,
    )  # fmt: skip
