"""How cables age by their load: conductor temperature of first order, and Arrhenius.

A cable in the ground has many time constants (IEC 60853-2); one stands for them here, and is the
caller's to state. A short one is on the safe side for peaks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError, Finding, Severity
from networks.faults.ageing import NODES, Float, _inputs

BOLTZMANN_EV_PER_K = 8.617333262e-5
KELVIN = 273.15
ALPHA_PER_K = 0.00403
"""Temperature coefficient of aluminium at 20 °C: IEC 60287-1-1, table 1."""
MOST_PU = 2.0
"""Above this loading resistance and heat grow without end; a fuse would have operated."""


@dataclass(frozen=True, slots=True)
class Insulation:
    """An insulation and what heat does to it.

    Attributes
    ----------
    name : str
    limit_celsius : float
        Highest conductor temperature of a long life: the rating's (IEC 60502-1, table 3).
    activation_ev : float
        Activation energy of its ageing.
    source : str
        Where the activation energy is from.
    """

    name: str
    limit_celsius: float
    activation_ev: float
    source: str


XLPE = Insulation(
    "XLPE",
    90.0,
    12430.0 * BOLTZMANN_EV_PER_K,
    "B = 12,430 K of G. Mazzanti, IEEE Trans. Power Delivery 22 (2007), "
    "doi:10.1109/TPWRD.2007.905547",
)
PVC = Insulation(
    "PVC",
    70.0,
    float(np.log(2.0) * BOLTZMANN_EV_PER_K / (1.0 / (70.0 + KELVIN) - 1.0 / (80.0 + KELVIN))),
    "the rule of half a life each 10 K (V. M. Montsinger, Trans. AIEE 49 (1930), "
    "doi:10.1109/T-AIEE.1930.5055572), met at 70 to 80 °C",
)


def arrhenius_rate(conductor_celsius: Float, insulation: Insulation) -> Float:
    """Return the ageing rate relative to the insulation's temperature limit."""
    kelvin = np.asarray(conductor_celsius, dtype=np.float64) + KELVIN
    limit = insulation.limit_celsius + KELVIN
    slope = insulation.activation_ev / BOLTZMANN_EV_PER_K
    return np.asarray(np.exp(slope * (1.0 / limit - 1.0 / kelvin)), dtype=np.float64)


def cable_ageing(
    loading_pu: npt.ArrayLike,
    ambient_celsius: npt.ArrayLike,
    interval_s: float,
    *,
    insulation: Insulation,
    time_constant_s: float,
    rated_ambient_celsius: float = 20.0,
) -> tuple[xr.Dataset, list[Finding]]:
    """Return conductor temperature and ageing of cables over a series.

    The rated current brings the conductor from the rated ambient to the insulation's limit; losses
    grow with the square of the current and with resistance, as that does with temperature
    (IEC 60287-1-1, 2.1).

    Parameters
    ----------
    loading_pu : array_like (interval, line)
        Current over rated current, 0 to 2.
    ambient_celsius : array_like (interval,) or (interval, line)
        Of the ground or air around the cable.
    interval_s : float
    insulation : Insulation
    time_constant_s : float
        Of the conductor's temperature; hours for a cable in the ground.
    rated_ambient_celsius : float
        That the rated current holds for.

    Returns
    -------
    dataset : xarray.Dataset
        Dims (interval, line): ``conductor_celsius`` at the end of each interval, ``ageing_rate``
        (its mean, 1 at the limit), ``loss_of_life_h``; dims (line,): ``loss_of_life_total_h``,
        ``overload_h`` (above rated current), ``over_temperature_h`` (above the limit).
    findings : list of Finding
        For each cable above its limit.

    Raises
    ------
    BadInputError
        Naming the interval and line of a value that is missing or out of range.
    """
    load, ambient = _inputs(loading_pu, ambient_celsius, interval_s, "line", MOST_PU)
    if not 60.0 <= time_constant_s <= 30 * 86_400.0:
        raise BadInputError(f"time_constant_s is {time_constant_s}, must be within 60 to 2592000")
    rise = insulation.limit_celsius - rated_ambient_celsius
    if not rise > 0:
        raise BadInputError(
            f"rated_ambient_celsius is {rated_ambient_celsius}, must be below "
            f"{insulation.limit_celsius:g}"
        )
    # d(theta)/dt = (pull - hold * theta) / tau, constant within an interval.
    heat = rise * load**2 / (1.0 + ALPHA_PER_K * (insulation.limit_celsius - 20.0))
    hold = 1.0 - ALPHA_PER_K * heat
    pull = ambient + heat * (1.0 - 20.0 * ALPHA_PER_K)
    end = pull / hold
    kept = np.exp(-hold * interval_s / time_constant_s)
    before = np.empty_like(load)
    conductor = end[0].copy()
    for step in range(len(load)):
        before[step] = conductor
        conductor = end[step] + (conductor - end[step]) * kept[step]
    after = end + (before - end) * kept
    rate = np.zeros_like(load)
    for point, weight in zip(*np.polynomial.legendre.leggauss(NODES), strict=True):
        share = np.exp(-hold * 0.5 * (point + 1.0) * interval_s / time_constant_s)
        rate += 0.5 * weight * arrhenius_rate(end + (before - end) * share, insulation)
    lost_h = rate * interval_s / 3600.0
    hours = interval_s / 3600.0
    dims = ("interval", "line")
    dataset = xr.Dataset(
        {
            "conductor_celsius": (dims, after, {"units": "degC"}),
            "ageing_rate": (dims, rate, {"units": "1"}),
            "loss_of_life_h": (dims, lost_h, {"units": "h"}),
            "loss_of_life_total_h": (("line",), lost_h.sum(axis=0), {"units": "h"}),
            "overload_h": (("line",), (load > 1.0).sum(axis=0) * hours, {"units": "h"}),
            "over_temperature_h": (
                ("line",),
                (after > insulation.limit_celsius + 1e-9).sum(axis=0) * hours,
                {"units": "h"},
            ),
        },
        attrs={
            "insulation": insulation.name,
            "activation_ev": insulation.activation_ev,
            "activation_source": insulation.source,
            "interval_s": float(interval_s),
            "time_constant_s": float(time_constant_s),
        },
    )
    return dataset, _hot(dataset, insulation)


def _hot(dataset: xr.Dataset, insulation: Insulation) -> list[Finding]:
    highest = dataset["conductor_celsius"].max("interval").to_numpy()
    hours = dataset["over_temperature_h"].to_numpy()
    return [
        Finding(
            "ageing.conductor",
            f"line {line}",
            "",
            Severity.ALARM,
            f"line {line}: conductor up to {highest[line]:.1f} °C, above the "
            f"{insulation.limit_celsius:g} °C of {insulation.name} for {hours[line]:.2f} h",
        )
        for line in np.flatnonzero(hours > 0)
    ]
