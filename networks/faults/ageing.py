"""How transformers age by their load: the hot spot of IEC 60076-7 and what it does to paper.

The thermal model is that of IEC 60076-7:2005, clause 8.2: two first-order systems for the gradient
of the hot spot and one for the oil. Load and ambient temperature are constant within an interval,
so that each is advanced exactly, and intervals may be longer than the half winding time constant
that the standard's difference equations (8.2.3) allow. Ageing within an interval is integrated by
Gauss-Legendre quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from grid.errors import BadInputError, Finding, Severity

Float = npt.NDArray[np.float64]
NODES = 12
"""Points at which the ageing rate is taken in each interval."""
HOT_SPOT_LIMIT_CELSIUS = 120.0
"""Under normal cyclic loading: IEC 60076-7:2005, table 4."""
_LOADING = (0.0, 3.0)
_AMBIENT = (-60.0, 70.0)


@dataclass(frozen=True, slots=True)
class ThermalModel:
    """Thermal characteristics of a transformer, as IEC 60076-7:2005 names them.

    Attributes
    ----------
    oil_rise_k : float
        Top-oil rise at rated losses.
    hot_spot_gradient_k : float
        Hot spot above top oil at rated current.
    loss_ratio : float
        R, load losses at rated current over no-load losses.
    oil_exponent, winding_exponent : float
        x and y.
    k11, k21, k22 : float
    oil_constant_s, winding_constant_s : float
        Time constants.
    """

    oil_rise_k: float
    hot_spot_gradient_k: float
    loss_ratio: float
    oil_exponent: float
    winding_exponent: float
    k11: float
    k21: float
    k22: float
    oil_constant_s: float
    winding_constant_s: float


DISTRIBUTION_ONAN = ThermalModel(55.0, 23.0, 5.0, 0.8, 1.6, 1.0, 1.0, 2.0, 180 * 60.0, 4 * 60.0)
"""Distribution transformers, natural oil and air: IEC 60076-7:2005, tables 5 and E.1."""
MEDIUM_ONAN = ThermalModel(52.0, 26.0, 6.0, 0.8, 1.3, 0.5, 2.0, 2.0, 210 * 60.0, 10 * 60.0)
"""Medium and large power transformers, natural oil and air: the same tables."""


def ageing_rate(hot_spot_celsius: Float, *, upgraded_paper: bool = False) -> Float:
    """Return the relative ageing rate V: IEC 60076-7:2005, clause 6.3.

    Kraft paper doubles every 6 K from 1 at 98 °C; thermally upgraded paper is 1 at 110 °C.
    """
    if upgraded_paper:
        kelvin = np.asarray(hot_spot_celsius) + 273.0
        return np.asarray(np.exp(15000.0 / 383.0 - 15000.0 / kelvin), dtype=np.float64)
    return np.asarray(2.0 ** ((np.asarray(hot_spot_celsius) - 98.0) / 6.0), dtype=np.float64)


def transformer_ageing(
    loading_pu: npt.ArrayLike,
    ambient_celsius: npt.ArrayLike,
    interval_s: float,
    *,
    model: ThermalModel = DISTRIBUTION_ONAN,
    upgraded_paper: bool = False,
    initial_oil_celsius: npt.ArrayLike | None = None,
) -> tuple[xr.Dataset, list[Finding]]:
    """Return temperatures and loss of life of transformers over a series.

    Parameters
    ----------
    loading_pu : array_like (interval, trafo)
        Current over rated current, 0 to 3.
    ambient_celsius : array_like (interval,) or (interval, trafo)
        -60 to 70 °C; of the air around the transformer, not outside of its station.
    interval_s : float
        1 to 86,400.
    model : ThermalModel
    upgraded_paper : bool
        Whether the paper is thermally upgraded.
    initial_oil_celsius : array_like (trafo,), optional
        Top oil before the first interval; when not given, the first interval's steady state, and
        so the gradient of the hot spot.

    Returns
    -------
    dataset : xarray.Dataset
        Dims (interval, trafo): ``top_oil_celsius`` and ``hot_spot_celsius`` at the end of each
        interval, ``hot_spot_highest_celsius`` within it, ``ageing_rate`` (its mean) and
        ``loss_of_life_h``; dims (trafo,): ``loss_of_life_total_h``.
    findings : list of Finding
        For each transformer whose hot spot is above the limit of normal cyclic loading.

    Raises
    ------
    BadInputError
        Naming the interval and transformer of a value that is missing or out of range.
    """
    load, ambient = _inputs(loading_pu, ambient_celsius, interval_s, "trafo")
    m = model
    oil_end = (
        ambient
        + m.oil_rise_k * ((1.0 + m.loss_ratio * load**2) / (1.0 + m.loss_ratio)) ** m.oil_exponent
    )
    gradient = m.hot_spot_gradient_k * load**m.winding_exponent
    constants_s = (
        m.k11 * m.oil_constant_s,
        m.k22 * m.winding_constant_s,
        m.oil_constant_s / m.k22,
    )
    ends = (oil_end, m.k21 * gradient, (m.k21 - 1.0) * gradient)
    starts = [end[0].copy() for end in ends]
    if initial_oil_celsius is not None:
        starts[0] = np.broadcast_to(
            np.asarray(initial_oil_celsius, dtype=np.float64), starts[0].shape
        ).copy()
        if not np.isfinite(starts[0]).all():
            raise BadInputError("initial_oil_celsius must be finite")
    before = [
        _before(end, start, constant, interval_s)
        for end, start, constant in zip(ends, starts, constants_s, strict=True)
    ]
    points, weights = np.polynomial.legendre.leggauss(NODES)
    rate, highest = np.zeros_like(load), np.full_like(load, -np.inf)
    for point, weight in zip(points, weights, strict=True):
        at = _hot_spot(ends, before, constants_s, 0.5 * (point + 1.0) * interval_s)
        rate += 0.5 * weight * ageing_rate(at, upgraded_paper=upgraded_paper)
        np.maximum(highest, at, out=highest)
    hot_spot = _hot_spot(ends, before, constants_s, interval_s)
    np.maximum(highest, hot_spot, out=highest)
    np.maximum(highest, _hot_spot(ends, before, constants_s, 0.0), out=highest)
    oil = oil_end + (before[0] - oil_end) * np.exp(-interval_s / constants_s[0])
    lost_h = rate * interval_s / 3600.0
    dims = ("interval", "trafo")
    dataset = xr.Dataset(
        {
            "top_oil_celsius": (dims, oil, {"units": "degC"}),
            "hot_spot_celsius": (dims, hot_spot, {"units": "degC"}),
            "hot_spot_highest_celsius": (dims, highest, {"units": "degC"}),
            "ageing_rate": (dims, rate, {"units": "1"}),
            "loss_of_life_h": (dims, lost_h, {"units": "h"}),
            "loss_of_life_total_h": (("trafo",), lost_h.sum(axis=0), {"units": "h"}),
        },
        attrs={
            "standard": "IEC 60076-7:2005",
            "interval_s": float(interval_s),
            "upgraded_paper": int(upgraded_paper),
        },
    )
    return dataset, _hot(highest, interval_s)


def steady_hot_spot(loading_pu: float, ambient_celsius: float, model: ThermalModel) -> float:
    """Return the hot spot in °C that a constant load ends at: IEC 60076-7:2005, 8.2.2."""
    oil = (
        model.oil_rise_k
        * ((1.0 + model.loss_ratio * loading_pu**2) / (1.0 + model.loss_ratio))
        ** model.oil_exponent
    )
    winding = model.hot_spot_gradient_k * loading_pu**model.winding_exponent
    return float(ambient_celsius + oil + winding)


def _hot_spot(
    ends: tuple[Float, Float, Float],
    before: list[Float],
    constants_s: tuple[float, float, float],
    after_s: float,
) -> Float:
    """Return the hot spot at a time after each interval's start."""
    oil, rise, lag = (
        end + (start - end) * np.exp(-after_s / constant)
        for end, start, constant in zip(ends, before, constants_s, strict=True)
    )
    return np.asarray(oil + rise - lag, dtype=np.float64)


def _before(end: Float, start: Float, constant_s: float, interval_s: float) -> Float:
    """Return the state at each interval's start of a first-order system with a stepped input."""
    from scipy.signal import lfilter

    kept = float(np.exp(-interval_s / constant_s))
    after, _ = lfilter([1.0 - kept], [1.0, -kept], end, axis=0, zi=kept * start[None, :])
    return np.asarray(np.concatenate([start[None, :], after[:-1]]), dtype=np.float64)


def _inputs(
    loading_pu: npt.ArrayLike,
    ambient_celsius: npt.ArrayLike,
    interval_s: float,
    kind: str,
    most_pu: float = _LOADING[1],
) -> tuple[Float, Float]:
    """Return checked loading and ambient temperature, both (interval, element)."""
    if not 1.0 <= interval_s <= 86_400.0:
        raise BadInputError(f"interval_s is {interval_s}, must be within 1 to 86400")
    load = np.asarray(loading_pu, dtype=np.float64)
    if load.ndim != 2 or not load.size:
        raise BadInputError(f"loading has shape {load.shape}, must be (interval, {kind})")
    ambient = np.asarray(ambient_celsius, dtype=np.float64)
    if ambient.ndim == 1:
        ambient = ambient[:, None]
    if (
        ambient.ndim != 2
        or ambient.shape[0] != len(load)
        or ambient.shape[1]
        not in (
            1,
            load.shape[1],
        )
    ):
        raise BadInputError(
            f"ambient temperature has shape {ambient.shape}, must be {load.shape} or {len(load)}"
        )
    ambient = np.broadcast_to(ambient, load.shape)
    for name, values, low, high in (
        ("loading", load, _LOADING[0], most_pu),
        ("ambient temperature", ambient, *_AMBIENT),
    ):
        bad = np.argwhere(~((values >= low) & (values <= high)))
        if len(bad):
            step, column = bad[0]
            raise BadInputError(
                f"{kind} {column} interval {step}: {name} is {values[step, column]:g}, must be "
                f"within {low:g} to {high:g}"
            )
    return load, np.asarray(ambient)


def _hot(highest: Float, interval_s: float) -> list[Finding]:
    found = []
    above = highest > HOT_SPOT_LIMIT_CELSIUS
    for column in np.flatnonzero(above.any(axis=0)):
        hours = above[:, column].sum() * interval_s / 3600.0
        found.append(
            Finding(
                "ageing.hot_spot",
                f"trafo {column}",
                "",
                Severity.ALARM,
                f"trafo {column}: hot spot up to {highest[:, column].max():.1f} °C, above "
                f"{HOT_SPOT_LIMIT_CELSIUS:g} °C in {hours:.2f} h of intervals",
            )
        )
    return found
