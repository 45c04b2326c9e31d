"""The one place that makes primary energy of secondary, by the facts of the time.

A register is converted as a whole, counted from where it stood when its facts began, and the
primary energy of an interval is the difference of two converted registers: so intervals add up
to what the register says, to the Wh, whatever part of the time is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from grid.site_metering import REGISTER_MOST_WH, Summation
from meters.facts import Installation, Registers
from meters.reading import CHANNELS, MISSING
from meters.vee.facts import Tenure

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

PHASE_V: Final = 230.0
"""Nominal phase voltage where no transformer stands before the meter."""


def counting(installed: Sequence[Installation]) -> list[Installation]:
    """Return installations with those joined whose registers go on from each other."""
    found: list[Installation] = []
    for one in installed:
        if found and found[-1].counts_as(one):
            found[-1] = replace(found[-1], until_s=one.until_s, last=one.last)
        else:
            found.append(one)
    return found


def primary(
    registers: Ints, at_s: Ints, installed: Sequence[Installation]
) -> tuple[Ints, list[Tenure]]:
    """Return what a meter's registers are worth, and when they were those of which device.

    Where facts changed and nobody wrote the registers down, those that were read at that very
    instant count as the last and the first.

    Parameters
    ----------
    registers : ndarray of int64 (channel, boundary)
        As the devices showed them, :data:`~meters.reading.CHANNELS`; MISSING where not read.
    at_s : ndarray of int64 (boundary,)
    installed : sequence of Installation
        Of one meter, oldest first.

    Returns
    -------
    registers : ndarray of int64 (channel, boundary)
        Primary Wh and varh; MISSING also where a value is beyond any register.
    tenures : list of Tenure
        With their first and last registers in primary units.
    """
    parts = counting(installed)
    shown = {int(at): number for number, at in enumerate(at_s)}

    def read(at: int | None, apart: bool) -> Registers | None:
        if at not in shown or apart:
            return None
        a, b, c, d = registers[:, shown[at]].tolist()
        return a, b, c, d

    result = np.full(registers.shape, MISSING, np.int64)
    tenures = []
    for number, one in enumerate(parts):
        new = number > 0 and parts[number - 1].serial != one.serial
        gone = number + 1 < len(parts) and parts[number + 1].serial != one.serial
        first = one.first or read(one.from_s, new)
        last = one.last or read(one.until_s, gone)
        here = np.ones(at_s.size, np.bool_)
        if one.from_s is not None:
            here &= at_s >= one.from_s
        if one.until_s is not None:
            here &= at_s < one.until_s
        result[:, here] = _worth(registers[:, here], one)
        tenures.append(
            Tenure(
                one.meter, one.serial, one.from_s, one.until_s, one.metering.register_digits,
                one.factor, _registers(first, one), _registers(last, one),
            )
        )  # fmt: skip
    return result, tenures


def _registers(values: Registers | None, one: Installation) -> Registers | None:
    if values is None:
        return None
    a, b, c, d = _worth(np.array(values, np.int64)[:, None], one)[:, 0].tolist()
    return a, b, c, d


def _worth(values: Ints, one: Installation) -> Ints:
    """Return registers (channel, …) of one installation in primary units."""
    if one.metering.summation is Summation.FERRARIS:
        # Its disc does not turn back: it has no register for what cannot be.
        values = values.copy()
        values[1] = np.where(values[0] >= 0, 0, MISSING)
    factor = one.factor
    if factor == 1:
        return values
    fits = (values >= 0) & (values <= REGISTER_MOST_WH * factor.denominator // factor.numerator)
    # From where the facts begin, so that what it counted since is exact; what is not written
    # down begins at 0.
    begun = [max(value, 0) for value in one.first or (0,) * len(CHANNELS)]
    base = np.array(begun, np.int64)[:, None]
    offset = np.array([math.ceil(value * factor) for value in begun], np.int64)[:, None]
    counted = times(np.where(fits, values, base) - base, factor) + offset
    return np.where(fits, counted, MISSING)


def times(values: Ints, factor: Fraction) -> Ints:
    """Return the floor of values times a factor, without leaving 64 bits on the way."""
    whole, rest = np.divmod(values, factor.denominator)
    product: Ints = whole * factor.numerator + rest * factor.numerator // factor.denominator
    return product


def primary_intervals(energy: Ints, block: Ints, factor: Fraction) -> Ints:
    """Return primary energies of intervals from secondary ones, where no register is known.

    What is lost by rounding in one interval is in the next: those of a block add up to its sum
    times the factor, rounded once.

    Parameters
    ----------
    energy : ndarray of int64 (interval,)
        MISSING where not known.
    block : ndarray of int64 (interval,)
        Rising numbers of what adds up together.
    """
    known = energy != MISSING
    total = np.cumsum(np.where(known, energy, 0))
    first = np.flatnonzero(np.diff(block, prepend=block[:1] - 1))
    before = np.concatenate([[0], total])[first]
    since = np.repeat(before, np.diff(np.append(first, block.size)))
    after = _rounded(total - since, factor)
    ahead = _rounded(total - np.where(known, energy, 0) - since, factor)
    return np.where(known, after - ahead, MISSING)


def _rounded(values: Ints, factor: Fraction) -> Ints:
    whole, rest = np.divmod(values, factor.denominator)
    half = rest * factor.numerator + factor.denominator // 2
    rounded: Ints = whole * factor.numerator + half // factor.denominator
    return rounded


def nominal_v(one: Installation) -> float:
    """Return the nominal phase voltage on the primary side of a meter's transformers, V."""
    ratio = one.metering.voltage
    return PHASE_V if ratio.value == 1 else ratio.primary / math.sqrt(3)


def primary_voltage(
    voltage_v: Floats, at_s: Ints, installed: Sequence[Installation]
) -> tuple[Floats, Floats]:
    """Return phase voltages on the primary side, and what is nominal there.

    Parameters
    ----------
    voltage_v : ndarray of float (instant,)
        As the meter showed them, NaN where it did not.
    at_s : ndarray of int64 (instant,)
    """
    nominal = np.full(voltage_v.shape, PHASE_V)
    scale = np.ones(voltage_v.shape)
    for one in installed:
        if one.metering.voltage.value == 1:
            continue
        here = np.array([one.there(int(at)) for at in at_s], np.bool_)
        nominal[here], scale[here] = nominal_v(one), float(one.metering.voltage.value)
    return voltage_v * scale, nominal
