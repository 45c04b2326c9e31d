"""A day's linear problem written by hand for HiGHS: the floor that a modelling layer has.

Batteries, solar, wind, shedding and the grid, as :mod:`dispatch.model` states them, without
its tie-breaks; no gensets, reserve or cuts. Columns: charge, discharge and energy of each
battery, solar, wind, shedding, import, export; of each the steps in order. Rows: the energy
of each battery, then the balance.
"""

from __future__ import annotations

from typing import Any

import highspy
import numpy as np
import scipy.sparse as sp

from dispatch.plan import Floats, PlanInput, per_kwh


def direct(day: PlanInput) -> Any:
    """Return the HiGHS problem of a day without gensets, reserve and cuts, cost in currency."""
    n, h, stores = day.n, day.hours, len(day.battery)
    plants = (len(day.solar) + len(day.wind) + len(day.shedding)) * n
    gain = np.array([h * b.charge_efficiency for b in day.battery])
    loss = np.array([h / b.discharge_efficiency for b in day.battery])
    step = sp.eye_array(n)
    energy = sp.kron(sp.eye_array(stores), step - sp.eye_array(n, k=-1))
    dynamics = [sp.kron(sp.diags_array(-gain), step), sp.kron(sp.diags_array(loss), step), energy]
    each = sp.kron(np.ones((1, stores)), step)
    given = sp.kron(np.ones((1, plants // n)), step)
    matrix = sp.block_array(
        [[*dynamics, None, None, None], [-each, each, None, given, step, -step]], format="csc"
    )
    side = np.zeros((stores, n))
    side[:, 0] = day.battery_energy_kwh
    rhs = np.concatenate([side.ravel(), day.demand_kw])
    lower, upper = _bounds(day)
    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = matrix.shape
    lp.col_cost_, lp.offset_ = _cost(day)
    lp.col_lower_, lp.col_upper_ = lower, upper
    lp.row_lower_ = lp.row_upper_ = rhs
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = matrix.indptr
    lp.a_matrix_.index_ = matrix.indices
    lp.a_matrix_.value_ = matrix.data
    return lp


def _bounds(day: PlanInput) -> tuple[Floats, Floats]:
    n = day.n
    power = np.repeat([b.power_kw for b in day.battery], n)
    least = np.repeat([b.min_energy_kwh for b in day.battery], n)
    plants = [day.solar_available_kw, day.wind_available_kw, day.sheddable_kw]
    limits = [day.grid.import_limit_kw, day.grid.export_limit_kw]
    upper = [
        *(power, power, np.repeat([b.energy_kwh for b in day.battery], n)),
        *(available.ravel() for available in plants),
        *(limit * day.grid_available for limit in limits),
    ]
    whole = np.concatenate(upper)
    lower = np.zeros(len(whole))
    lower[2 * len(power) : 3 * len(power)] = least
    return lower, whole


def _cost(day: PlanInput) -> tuple[Floats, float]:
    """Return the cost of each column, and what the energy stored before is worth."""
    n, h, stores = day.n, day.hours, len(day.battery)
    wear = h * np.repeat([per_kwh(b.wear) for b in day.battery], n)
    worth = day.end_value_per_kwh * np.array([b.discharge_efficiency for b in day.battery])
    energy = np.zeros((stores, n))
    energy[:, -1] = -worth
    penalty = h * np.repeat([per_kwh(s.penalty) for s in day.shedding], n)
    produced = np.zeros((len(day.solar) + len(day.wind)) * n)
    grid = (h * day.buy_price, -h * day.sell_price)
    columns = (np.zeros(stores * n), wear, energy.ravel(), produced, penalty, *grid)
    return np.concatenate(columns), float(worth @ day.battery_energy_kwh)
