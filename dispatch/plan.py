"""What a plan is made from and what it is: the facts that cross the door of dispatch.

Powers are kW and never negative, energies kWh, prices currency per kWh. Step `t`
is the half-open interval that starts at ``start_s + t * interval_s``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid import interval
from grid.errors import SolverError
from grid.quantities import NANO, WH_PER_KWH
from grid.site import Asset, Battery, Genset, GridConnection, Shedding, Solar, Wind
from grid.site_devices import Charger, Flexible, Heat

Floats: TypeAlias = npt.NDArray[np.float64]
Value: TypeAlias = float | int | str

ASSET_COLUMNS = ("charge_kw", "discharge_kw", "produce_kw", "curtail_kw", "shed_kw", "limit_kw")
COMMUNITY_COLUMNS = ("import_kw", "export_kw", "unserved_kw", "reserve_short_kw")

KINDS = ("battery", "solar", "wind", "genset", "shedding", "charger", "flexible", "heat")
"""Kinds of controllable devices, in the order of the schedule."""

SERIES = (
    "demand_kw", "solar_available_kw", "wind_available_kw", "sheddable_kw", "buy_price",
    "sell_price", "grid_available", "reserve_kw", "energy_target_kwh", "ev_connected",
    "critical_kw", "ev_arrival_kwh", "ev_target_kwh", "flexible_need_kw", "flexible_low_kwh",
    "flexible_high_kwh", "import_limit_kw", "export_limit_kw", "limit_margin_kw", "heat_need_kw",
)  # fmt: skip
"""Fields of :class:`PlanInput` whose last axis is the step."""

NEW_PLAN = "new plan"
LAST_GOOD_PLAN = "last good plan"
SAFE_RULE = "safe rule"


def per_kwh(nano_per_wh: int) -> float:
    """Return currency per kWh from nano-currency per Wh."""
    return nano_per_wh * WH_PER_KWH / NANO


def currency(nano: int) -> float:
    """Return currency from nano-currency."""
    return nano / NANO


@dataclass(frozen=True, slots=True)
class LinearCut:
    """A network limit as seen by the plan, in one step.

    Meaning: ``sum(coefficient[a] * (injected_kw[a] - absorbed_kw[a])) <= limit_kw``
    over the named assets. Power not consumed by shed load counts as injected, import from
    the grid likewise.

    Attributes
    ----------
    step : int
        Index of the step within the plan, 0 to n - 1.
    name : str
        What it protects, in the words of the network: ``"vm_pu bus 25 <= 1.05"``.
    coefficient : Mapping[str, float]
        Per asset id, in any unit per kW.
    limit_kw : float
        In that same unit; kW where the coefficients are plain numbers.
    """

    step: int
    name: str
    coefficient: Mapping[str, float]
    limit_kw: float


@dataclass(frozen=True, eq=False)
class PlanInput:
    """All that a plan depends on, `n` steps long.

    Attributes
    ----------
    start_s, interval_s : int
        Start of step 0 in seconds UTC, and the length of a step.
    battery, solar, wind, genset, shedding, grid
        Facts of the site.
    demand_kw : ndarray, shape (n,)
        Everything uncontrolled with the estimated losses, whole community, kW.
    solar_available_kw, wind_available_kw : ndarray, shape (n_solar, n), (n_wind, n)
        What the plants could produce, kW.
    sheddable_kw : ndarray, shape (n_shedding, n)
        The part of `demand_kw` that each shedding group may withhold, kW. Critical load is
        never in it.
    buy_price, sell_price : ndarray, shape (n,)
        At the feeder head, currency per kWh.
    end_value_per_kwh : float
        Worth of a kWh that the batteries can still deliver after the last step, currency per kWh.
    grid_available : ndarray of bool, shape (n,)
        False while the community is islanded.
    battery_energy_kwh : ndarray, shape (n_battery,)
        Stored now.
    genset_on : ndarray of bool, shape (n_genset,)
        Running now.
    genset_intervals_in_state : ndarray of int, shape (n_genset,)
        Steps since it last started or stopped: minimum up and down times cross the border of
        the window.
    reserve_kw : ndarray, shape (n,)
        Headroom, up and down, that the forming batteries keep while islanded (running gensets
        where no battery forms), kW.
    cuts : tuple of LinearCut
    end_energy_min_kwh : ndarray, shape (n_battery,), optional
        Energy that must be stored after the last step.
    energy_target_kwh : ndarray, shape (n_battery, n), optional
        Energy that must be stored after a step; 0 where nothing is asked for.
    genset_output_kw : ndarray, shape (n_genset,), optional
        Output before the first step, from which ramps go on; without it the first step is free.
    genset_fuel_kwh : ndarray, shape (n_genset,), optional
        What the fuel at hand can still produce.
    peak_kw : float
        Highest import of the billing period until now, for the demand charge.
    co2_price_per_kg : float
        Currency.
    co2_cap_kg : float, optional
        Most that gensets and import may emit over all steps.
    critical_kw : ndarray, shape (n,), optional
        Load that is to be served for `survive_steps` steps after the public network is lost, at
        whatever step in which it is there; by forming batteries alone, so that it holds without
        sun and fuel.
    survive_steps : int
        See `critical_kw`; beyond the horizon the last value goes on.
    charger, flexible
        Facts of charge points and flexible loads; what follows is needed with them.
    ev_connected : ndarray of bool, shape (n_charger, n)
        Between two vehicles a step is free.
    ev_arrival_kwh, ev_target_kwh : ndarray, shape (n_charger, n)
        What a vehicle brings in its first step, and what it wants to hold after a step.
    ev_energy_kwh : ndarray, shape (n_charger,)
        Held by the vehicle that is there, before the first step.
    flexible_need_kw, flexible_low_kwh, flexible_high_kwh : ndarray, shape (n_flexible, n)
    flexible_energy_kwh : ndarray, shape (n_flexible,)
    import_limit_kw, export_limit_kw : ndarray, shape (n,), optional
        Most that somebody asks to be drawn or fed in, at or below what the connection can. A plan
        may exceed it at `limit_penalty_per_kwh` (:mod:`dispatch.asked`), and says so.
    limit_margin_kw : ndarray, shape (n,), optional
        By how much a plan stays below such a limit where that is worth half the penalty, for what
        a forecast misses.
    limit_penalty_per_kwh : float
        Currency. No day is charged for it.
    heat
        Facts of tanks with boilers; what follows is needed with them.
    heat_need_kw : ndarray, shape (n_heat, n)
    heat_energy_kwh : ndarray, shape (n_heat,)
    """

    start_s: int
    interval_s: int
    battery: tuple[Battery, ...]
    solar: tuple[Solar, ...]
    wind: tuple[Wind, ...]
    genset: tuple[Genset, ...]
    shedding: tuple[Shedding, ...]
    grid: GridConnection
    demand_kw: Floats
    solar_available_kw: Floats
    wind_available_kw: Floats
    sheddable_kw: Floats
    buy_price: Floats
    sell_price: Floats
    end_value_per_kwh: float
    grid_available: npt.NDArray[np.bool_]
    battery_energy_kwh: Floats
    genset_on: npt.NDArray[np.bool_]
    genset_intervals_in_state: npt.NDArray[np.int64]
    reserve_kw: Floats
    cuts: tuple[LinearCut, ...] = ()
    end_energy_min_kwh: Floats | None = None
    energy_target_kwh: Floats | None = None
    genset_output_kw: Floats | None = None
    genset_fuel_kwh: Floats | None = None
    peak_kw: float = 0.0
    co2_price_per_kg: float = 0.0
    co2_cap_kg: float | None = None
    critical_kw: Floats | None = None
    survive_steps: int = 0
    charger: tuple[Charger, ...] = ()
    flexible: tuple[Flexible, ...] = ()
    ev_connected: npt.NDArray[np.bool_] | None = None
    ev_arrival_kwh: Floats | None = None
    ev_target_kwh: Floats | None = None
    ev_energy_kwh: Floats | None = None
    flexible_need_kw: Floats | None = None
    flexible_low_kwh: Floats | None = None
    flexible_high_kwh: Floats | None = None
    flexible_energy_kwh: Floats | None = None
    import_limit_kw: Floats | None = None
    export_limit_kw: Floats | None = None
    limit_margin_kw: Floats | None = None
    limit_penalty_per_kwh: float = 0.0
    heat: tuple[Heat, ...] = ()
    heat_need_kw: Floats | None = None
    heat_energy_kwh: Floats | None = None

    @property
    def n(self) -> int:
        """Number of steps."""
        return int(np.shape(self.demand_kw)[0])

    @property
    def hours(self) -> float:
        """Length of a step in hours."""
        return self.interval_s / 3600.0

    @property
    def assets(self) -> tuple[Asset | Heat, ...]:
        """Everything that is scheduled, in the order of the schedule."""
        return tuple(asset for kind in KINDS for asset in getattr(self, kind))

    @property
    def asset_ids(self) -> tuple[str, ...]:
        """Identifiers of :attr:`assets`."""
        return tuple(asset.id for asset in self.assets)

    def rows(self, kind: str) -> slice:
        """Return where assets of `kind` (``"battery"``, ...) stand in :attr:`assets`."""
        start = 0
        for name in KINDS:
            count = len(getattr(self, name))
            if name == kind:
                return slice(start, start + count)
            start += count
        raise KeyError(kind)

    def series(self) -> dict[str, Any]:
        """Return the fields whose last axis is the step, by name; none that are not given."""
        known = {name: getattr(self, name) for name in SERIES}
        return {name: value for name, value in known.items() if value is not None}

    def label(self, step: int) -> str:
        """Return the UTC label of a step."""
        return interval.label(self.start_s + step * self.interval_s)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is as it is: a code with parameters for the console, and English.

    Attributes
    ----------
    subject : str
        Asset id, or ``"plan"``.
    code : str
        A key of :data:`dispatch.reasons.TEXT`.
    params : Mapping[str, float | int | str]
        What the text of the code takes; numbers in the unit of their name.
    text : str
        English.
    """

    subject: str
    code: str
    params: Mapping[str, Value]
    text: str


@dataclass(frozen=True, eq=False)
class Plan:
    """A schedule with its source, its worth and its reasons.

    Attributes
    ----------
    status : str
        ``"optimal"`` within the gap asked for, and what staying near the plan in force may cost
        (:mod:`dispatch.steady`); ``"limit"`` when the node limit came
        first (feasible, `gap` says how far); ``"reused"`` when it is the rest of an older plan;
        ``"rule"`` when no optimiser made it.
    source : str
        ``"new plan"``, ``"last good plan"`` or ``"safe rule"``.
    start_s, interval_s : int
    objective : float
        Cost of the schedule, currency (:func:`dispatch.evaluate.day_cost`); NaN for a rule.
    gap : float
        Proven relative distance to the optimum.
    schedule : xarray.Dataset
        Dims (asset, interval): ``charge_kw discharge_kw produce_kw curtail_kw shed_kw`` (0 where an
        asset has no such flow), ``limit_kw`` (the output or served power it is held to; NaN: not
        limited), ``energy_kwh`` at the end of the interval (NaN: no store), ``energy_price``, the
        worth of a kWh in a battery then, currency per kWh (NaN: not known), ``on`` bool; with
        chargers, flexible loads or heat ``missed_kwh``, what a target, corridor or need lacks; with
        heat ``boiler_kw``.
        Dim (interval): ``import_kw export_kw unserved_kw reserve_short_kw`` and ``marginal_price``
        in currency per kWh (NaN for a rule).
    reasons : tuple of Reason
        For each asset's first step, in the order of the schedule; then for the plan as a whole.
    binding_cuts : tuple of (int, str)
        Step and name of the cuts that hold with equality.
    cut_prices : tuple of (int, str, float)
        Step, name and price of the cuts that cost something: what one more of their limit's unit
        would save, currency per hour.
    """

    status: str
    source: str
    start_s: int
    interval_s: int
    objective: float
    gap: float
    schedule: xr.Dataset
    reasons: tuple[Reason, ...] = ()
    binding_cuts: tuple[tuple[int, str], ...] = field(default=())
    cut_prices: tuple[tuple[int, str, float], ...] = field(default=())


class InfeasiblePlan(SolverError):  # noqa: N818 - a verdict on a plan
    """No schedule keeps every limit; `reasons` name which, when and by how much."""

    def __init__(self, reasons: tuple[Reason, ...]) -> None:
        self.reasons = reasons
        super().__init__("; ".join(reason.text for reason in reasons) or "no feasible plan")


def empty_schedule(plan_input: PlanInput, n: int | None = None) -> xr.Dataset:
    """Return a schedule in which nothing happens.

    Parameters
    ----------
    n : int, optional
        Number of steps; taken from `plan_input` when not given.
    """
    steps = plan_input.n if n is None else n
    shape, dims = (len(plan_input.assets), steps), ("asset", "interval")
    # one construction: a column that is added to a dataset is aligned with all before
    columns: dict[str, Any] = {
        name: (dims, np.zeros(shape), {"units": "kW"}) for name in ASSET_COLUMNS
    }
    columns["limit_kw"] = (dims, np.full(shape, np.nan), {"units": "kW"})
    columns["energy_kwh"] = (dims, np.full(shape, np.nan), {"units": "kWh"})
    columns["energy_price"] = (dims, np.full(shape, np.nan), {"units": "currency/kWh"})
    columns["on"] = (dims, np.zeros(shape, dtype=np.bool_))
    if plan_input.charger or plan_input.flexible or plan_input.heat:
        columns["missed_kwh"] = (dims, np.zeros(shape), {"units": "kWh"})
    if plan_input.heat:
        columns["boiler_kw"] = (dims, np.zeros(shape), {"units": "kW"})
    for name in COMMUNITY_COLUMNS:
        columns[name] = ("interval", np.zeros(steps), {"units": "kW"})
    price = np.full(steps, np.nan)
    columns["marginal_price"] = ("interval", price, {"units": "currency/kWh"})
    coords = {
        "asset": list(plan_input.asset_ids),
        "interval": interval.starts(plan_input.start_s, steps, plan_input.interval_s),
    }
    return xr.Dataset(columns, coords=coords)
