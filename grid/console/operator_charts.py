"""The operator's charts: plan against what happened, as plain columns for uPlot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from flask_babel import gettext as _

from grid import interval
from grid.console.operator_readings import with_estimates
from grid.console.web_view import stored
from grid.operation.survival import LASTS
from grid.quantities import NANO, WH_PER_KWH
from grid.site import Site
from grid.store import Transaction, datasets, views

_BACK_S = 12 * 3600
_AHEAD_S = 24 * 3600

# Okabe-Ito
_BLUE, _SKY, _ORANGE, _GREEN = "#0072b2", "#56b4e9", "#e69f00", "#009e73"
_VERMILION, _PURPLE, _BLACK = "#d55e00", "#cc79a7", "#222222"
_DASH = [6, 4]

Column = list[float | None]


class _Grid:
    """A common time axis with columns that know nothing where nothing is stored."""

    def __init__(self, start_s: int, end_s: int, step_s: int) -> None:
        self.start_s, self.step_s = start_s, step_s
        self.x = list(range(start_s, end_s, step_s))

    def column(self) -> np.ndarray:
        return np.full(len(self.x), np.nan)

    def place(self, at_s: int) -> int | None:
        slot = (at_s - self.start_s) // self.step_s
        return slot if 0 <= slot < len(self.x) else None


def _out(values: np.ndarray) -> Column:
    return [None if value != value else round(float(value), 4) for value in values]


def _actual(tx: Transaction, grid: _Grid, now_s: int) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {}
    for at_s in datasets.instants(tx, "actual", grid.start_s, now_s + 1):
        found, slot = stored(tx, "actual", at_s), grid.place(at_s)
        if found is None or slot is None:
            continue
        for name, variable in found.data_vars.items():
            if variable.ndim == 0:
                columns.setdefault(str(name), grid.column())[slot] = float(variable.values)
    return columns


def _sums(schedule: xr.Dataset, site: Site) -> dict[str, np.ndarray]:
    assets = [str(name) for name in schedule["asset"].values]

    def of(kind: tuple[Any, ...], column: str) -> np.ndarray:
        wanted = {asset.id for asset in kind}
        rows = [n for n, name in enumerate(assets) if name in wanted]
        return np.asarray(schedule[column].values[rows].sum(axis=0), np.float64)

    found = {
        "solar_kw": of(site.solar, "produce_kw"),
        "wind_kw": of(site.wind, "produce_kw"),
        "genset_kw": of(site.genset, "produce_kw"),
        "battery_charge_kw": of(site.battery, "charge_kw"),
        "battery_discharge_kw": of(site.battery, "discharge_kw"),
        "stored_kwh": of(site.battery, "energy_kwh"),
        "vehicle_charge_kw": of(site.charger, "charge_kw"),
        "vehicle_discharge_kw": of(site.charger, "discharge_kw"),
        "flexible_kw": of(site.flexible, "charge_kw"),
    }
    for name in ("import_kw", "export_kw", "marginal_price", LASTS):
        if name in schedule:
            found[name] = np.asarray(schedule[name].values, np.float64)
    return found


def _planned(tx: Transaction, grid: _Grid, now_s: int, site: Site) -> dict[str, np.ndarray]:
    """Return, for the past, the first step of each plan, and the newest plan from there on."""
    columns: dict[str, np.ndarray] = {}
    cycles = datasets.instants(tx, "plan", grid.start_s, now_s + 1)
    for cycle_s in cycles:
        schedule = stored(tx, "plan", cycle_s)
        if schedule is None:
            continue
        starts = schedule["interval"].values.astype("datetime64[s]").astype(np.int64)
        steps = len(starts) if cycle_s == cycles[-1] else 1
        for name, values in _sums(schedule, site).items():
            column = columns.setdefault(name, grid.column())
            for at_s, value in zip(starts[:steps], values[:steps], strict=False):
                slot = grid.place(int(at_s))
                if slot is not None:
                    column[slot] = value
    return columns


def _forecast(tx: Transaction, grid: _Grid, now_s: int) -> dict[str, np.ndarray]:
    at_s = views.latest(tx, "forecast", now_s)
    found = None if at_s is None else stored(tx, "forecast", at_s)
    if found is None or "total_kw" not in found:
        return {}
    table = found["total_kw"].transpose("quantile", "group", "interval")
    groups = [str(name) for name in table["group"].values]
    if "load" not in groups:
        return {}
    starts = table["interval"].values.astype("datetime64[s]").astype(np.int64)
    columns: dict[str, np.ndarray] = {}
    for quantile, values in zip(
        table["quantile"].values, table.values[:, groups.index("load")], strict=True
    ):
        column = columns.setdefault(f"q{round(float(quantile) * 100):02d}", grid.column())
        for start_s, value in zip(starts, values, strict=True):
            slot = grid.place(int(start_s))
            if slot is not None:
                column[slot] = value
    return columns


def _prices(grid: _Grid, site: Site) -> tuple[np.ndarray, np.ndarray]:
    buy, sell = grid.column(), grid.column()
    for slot, at_s in enumerate(grid.x):
        civil = interval.local_time(at_s, site.time_zone)
        step = [one for one in site.grid.price if one.from_time <= civil][-1]
        buy[slot] = step.buy * WH_PER_KWH / NANO
        sell[slot] = step.sell * WH_PER_KWH / NANO
    return buy, sell


def _series(
    label: str, color: str, values: np.ndarray | None, grid: _Grid, *, dash: bool = False
) -> dict[str, Any]:
    column = grid.column() if values is None else values
    return {
        "label": label,
        "color": color,
        "dash": _DASH if dash else None,
        "values": _out(column),
    }


def _pair(
    label: str, color: str, name: str, done: dict[str, Any], plan: dict[str, Any], grid: _Grid
) -> list[dict[str, Any]]:
    return [
        _series(_("%(what)s, metered", what=label), color, done.get(name), grid),
        _series(_("%(what)s, planned", what=label), color, plan.get(name), grid, dash=True),
    ]


def _moved(
    pair: Callable[[str, str, str], list[dict[str, Any]]], site: Site
) -> list[dict[str, Any]]:
    """Return the charts of vehicles and flexible loads, where there are any."""
    found = []
    if site.charger:
        series = pair(_("Charge"), _BLUE, "vehicle_charge_kw")
        if any(one.discharge_kw for one in site.charger):
            series += pair(_("Discharge"), _VERMILION, "vehicle_discharge_kw")
        found.append({"title": _("Vehicles"), "unit": "kW", "series": series})
    if site.flexible:
        series = pair(_("Use"), _BLUE, "flexible_kw")
        found.append({"title": _("Flexible loads"), "unit": "kW", "series": series})
    return found


def _outlived(plan: dict[str, np.ndarray], grid: _Grid, site: Site) -> list[dict[str, Any]]:
    """Return the chart of how long critical load would last, where something is known of it."""
    if LASTS not in plan:
        return []
    series = [_series(_("Critical load would last"), _GREEN, plan[LASTS], grid)]
    if wanted_h := site.operation.survive_h:
        wanted = np.full(len(grid.x), wanted_h)
        series.append(_series(_("To be kept"), _VERMILION, wanted, grid, dash=True))
    return [{"title": _("If the public network is lost"), "unit": "h", "series": series}]


def charts(tx: Transaction, site: Site, now_s: int | None) -> dict[str, Any]:
    """Return the charts of the dispatch page on one time axis of seconds UTC."""
    if now_s is None:
        return {"x": [], "charts": [], "estimated": [], "now_s": None, "zone": site.time_zone}
    grid = _Grid(now_s - _BACK_S, now_s + _AHEAD_S, site.interval_s)
    done, plan = _actual(tx, grid, now_s), _planned(tx, grid, now_s, site)
    load = _forecast(tx, grid, now_s)
    buy, sell = _prices(grid, site)

    def pair(label: str, color: str, name: str) -> list[dict[str, Any]]:
        return _pair(label, color, name, done, plan, grid)

    demand = [
        _series(_("Demand, metered"), _BLACK, done.get("demand_kw"), grid),
        _series(_("Demand, forecast"), _BLUE, load.get("q50"), grid, dash=True),
        _series(_("Forecast, 10 % quantile"), _SKY, load.get("q10"), grid),
        _series(_("Forecast, 90 % quantile"), _SKY, load.get("q90"), grid),
    ]
    plants = pair(_("Solar"), _ORANGE, "solar_kw") + pair(_("Wind"), _SKY, "wind_kw")
    if site.genset:
        plants += pair(_("Genset"), _VERMILION, "genset_kw")
    stores = pair(_("Charge"), _BLUE, "battery_charge_kw")
    stores += pair(_("Discharge"), _VERMILION, "battery_discharge_kw")
    return {
        "x": grid.x,
        "now_s": now_s,
        "zone": site.time_zone,
        "step_s": site.interval_s,
        "estimated": with_estimates(tx, site, grid.start_s, now_s),
        "charts": [
            {"title": _("Demand"), "unit": "kW", "series": demand, "band": [4, 3], "metered": True},
            {"title": _("Production"), "unit": "kW", "series": plants},
            {"title": _("Batteries"), "unit": "kW", "series": stores},
            {
                "title": _("Stored energy"),
                "unit": "kWh",
                "series": pair(_("Stored"), _GREEN, "stored_kwh"),
            },
            *_outlived(plan, grid, site),
            *_moved(pair, site),
            {
                "title": _("Public grid"),
                "unit": "kW",
                "metered": True,
                "series": pair(_("Import"), _BLACK, "import_kw")
                + pair(_("Export"), _PURPLE, "export_kw"),
            },
            {
                "title": _("Prices"),
                "unit": f"{site.currency}/kWh",
                "step": True,
                "series": [
                    _series(_("Buy from the grid"), _BLACK, buy, grid),
                    _series(_("Sell to the grid"), _PURPLE, sell, grid),
                    _series(
                        _("Marginal price of the plan"),
                        _BLUE,
                        plan.get("marginal_price"),
                        grid,
                        dash=True,
                    ),
                ],
            },
        ],
    }
