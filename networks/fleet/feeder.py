"""A feeder of the fleet: how it differs from its base, drawn by its number alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from networks.equipment import Equipment, Float, Int
from networks.fleet.base import Base, Series
from networks.model import NetworkModel
from networks.topology import connect

_LENGTH = (0.6, 1.4)
_LOAD = (0.6, 1.8)
_CUSTOMER_SPREAD = 0.25
_SOLAR_SHARE = (0.0, 1.0)
_PLANT_KW = (3.0, 20.0)


@dataclass(frozen=True, eq=False)
class Feeder:
    """A variation of a base feeder.

    Attributes
    ----------
    number : int
    source : str
        Of its base.
    line_length_factor : float
        Length of its lines over those of its base.
    load_factor : float
    order : int64 (customer,)
        Whose series of the base a customer has.
    scale : float64 (customer,)
        What that series is multiplied by, `load_factor` among it.
    plant : int64 (customer,)
        Whose solar series of the base a customer's plant has.
    plant_kw : float64 (customer,)
        Its rated power, 0 without a plant.
    """

    number: int
    source: str
    line_length_factor: float
    load_factor: float
    order: Int
    scale: Float
    plant: Int
    plant_kw: Float


def feeder(number: int, base: Base, *, seed: int) -> Feeder:
    """Return feeder `number` of a fleet: the same on every machine and in every order.

    Its lines are 0.6 to 1.4 times as long and its loads 0.6 to 1.8 times as large as those of its
    base; customers have each other's series, scaled log-normally (sigma 0.25), and a share of
    them, from none to all, a solar plant of 3 to 20 kW. The plants of the base give their series
    only.
    """
    draw = np.random.default_rng([seed, number])
    count = base.customers
    length, load, share = (draw.uniform(*span) for span in (_LENGTH, _LOAD, _SOLAR_SHARE))
    order = draw.permutation(count).astype(np.int64)
    scale = load * np.exp(_CUSTOMER_SPREAD * draw.standard_normal(count))
    has_plant = draw.random(count) < share
    plant = draw.integers(0, max(base.plants, 1), count)
    plant_kw = np.where(has_plant & (base.plants > 0), draw.uniform(*_PLANT_KW, count), 0.0)
    return Feeder(number, base.source, length, load, order, scale, plant, plant_kw)


def network(one: Feeder, equipment: Equipment) -> NetworkModel:
    """Return the network of a feeder.

    A line is a pi section: over `k` times its length its series admittance is a `k`-th and its
    shunt admittance `k` times that of the base.

    Parameters
    ----------
    equipment : Equipment
        Of its base.
    """
    k, line = one.line_length_factor, equipment.line
    through_from, through_to = line.yft / k, line.ytf / k
    longer = replace(
        line,
        yff=(line.yff + line.yft) * k - through_from,
        yft=through_from,
        ytf=through_to,
        ytt=(line.ytt + line.ytf) * k - through_to,
    )
    # Under its own name nothing can take the base's pandapower net for that of this feeder.
    name = f"feeder {one.number} of {one.source}"
    return connect(replace(equipment, source=name, line=longer))


def loads(one: Feeder, year: Series, part: slice | Int) -> tuple[Float, Float, Float, Float]:
    """Return the four inputs of a power flow (interval, customer), in the order of
    :data:`networks.injection.INPUTS`.

    Parameters
    ----------
    part : slice or int64 (interval,)
        The intervals.
    """
    absorbed = np.take(year.load_kw[part], one.order, axis=1) * one.scale
    reactive = np.take(year.load_kvar[part], one.order, axis=1) * one.scale
    if year.solar_per_unit.shape[1]:
        injected = np.take(year.solar_per_unit[part], one.plant, axis=1) * one.plant_kw
    else:
        injected = np.zeros_like(absorbed)
    return absorbed, injected, np.maximum(reactive, 0.0), np.maximum(-reactive, 0.0)
