"""What is known about meters beside their registers.

A part that is not given switches off the rules that need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from grid.errors import BadInputError
from grid.interval import label

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Registers = tuple[int, int, int, int]


class EventKind(StrEnum):
    """What a meter's log can say that matters to its energy."""

    TAMPER = "tamper"
    CLOCK_SET = "clock_set"


@dataclass(frozen=True, slots=True, order=True)
class MeterEvent:
    """An entry of a meter's event log; `shift_s` is how far a clock was set, forward > 0."""

    meter: str
    at_s: int
    kind: EventKind
    shift_s: int = 0


@dataclass(frozen=True, slots=True)
class Tenure:
    """A device at a meter's place during ``[from_s, until_s)``, worth the same throughout.

    Attributes
    ----------
    meter, serial : str
    from_s, until_s : int or None
        None where it has no end on that side.
    digits : int
    factor : Fraction
        Primary Wh for each that it shows; the register goes round at ``10**digits * factor``.
    first, last : tuple of int or None
        Registers when it was installed and removed, in the order of
        :data:`~meters.reading.CHANNELS`; None where nobody wrote them down.
    """

    meter: str
    serial: str
    from_s: int | None
    until_s: int | None
    digits: int
    factor: Fraction | int = 1
    first: Registers | None = None
    last: Registers | None = None

    @property
    def wrap_wh(self) -> int:
        """The energy at which its register goes round, whole Wh."""
        return int(10**self.digits * self.factor)

    def __post_init__(self) -> None:
        if not 1 <= self.digits <= 18 or self.factor <= 0:
            raise BadInputError(
                f"meter {self.meter} {self.serial}: {self.digits} digits must be within 1 to 18 "
                f"and its factor {self.factor} above 0"
            )
        if 10**self.digits * self.factor > 10**18:
            raise BadInputError(f"meter {self.meter} {self.serial}: register beyond 10**18 Wh")
        if self.from_s is not None and self.until_s is not None and self.until_s <= self.from_s:
            raise BadInputError(
                f"meter {self.meter} {self.serial}: ends {label(self.until_s)}, "
                f"must be after {label(self.from_s)}"
            )


@dataclass(frozen=True, slots=True)
class FeederHead:
    """What went through the head of a feeder.

    Attributes
    ----------
    name : str
    net_wh, net_varh : ndarray of int64 (interval,)
        Into the feeder less out of it.
    known : ndarray of bool (interval,)
    loss_wh : ndarray of int64 (interval,)
        Losses between the head and the meters.
    member : ndarray of bool (meter,)
        Which of the meters are behind it.
    """

    name: str
    net_wh: Ints
    net_varh: Ints
    known: Bools
    loss_wh: Ints
    member: Bools


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about the meters of one validation.

    Attributes
    ----------
    captured : mapping of channel to ndarray of int64 (meter, interval)
        Energies that the meter counted per interval by itself; negative where none.
    captured_quality : ndarray of uint16 (meter, interval)
        Marks of the captured energies: :attr:`~meters.vee.Quality.INVALID` is not counted.
    shape : mapping of channel to ndarray of int64 (meter, interval)
        Load shape of the meter's group, Wh in any scale, negative where unknown.
    outage : ndarray of bool (meter, interval)
        Power was lost in some part of the interval.
    active : ndarray of bool (meter,)
        Someone has a contract.
    average_day_wh, zero_days, estimated_days : ndarray of int64 (meter,)
        Average daily import, and whole days before this window without import and without a
        read; negative where unknown.
    capture_s : ndarray of int64 (meter,)
        The meter's own capture period, negative where unknown.
    offset_s : ndarray of int64 (meter, boundary)
        How far from its boundary a register was read.
    ratio : ndarray of int64 (meter,)
        Transformer ratio times multiplier.
    voltage_v : ndarray of float (meter, interval), NaN where unknown
    nominal_v : ndarray of float (meter,)
    serial : ndarray of str (meter,)
        What the device that answered last calls itself, empty where it told nothing.
    tenures : tuple of Tenure
    events : tuple of MeterEvent
    checks : tuple of (main, check) meters
    feeder : FeederHead or None
    siblings : bool
        No two meters may tell the same series; false where loads are simulated, for
        those share their profiles.
    """

    captured: Mapping[str, Ints] | None = None
    captured_quality: npt.NDArray[np.uint16] | None = None
    shape: Mapping[str, Ints] | None = None
    outage: Bools | None = None
    active: Bools | None = None
    average_day_wh: Ints | None = None
    zero_days: Ints | None = None
    estimated_days: Ints | None = None
    capture_s: Ints | None = None
    offset_s: Ints | None = None
    ratio: Ints | None = None
    voltage_v: npt.NDArray[np.floating] | None = None
    nominal_v: npt.NDArray[np.floating] | None = None
    serial: npt.NDArray[np.str_] | None = None
    tenures: tuple[Tenure, ...] = ()
    events: tuple[MeterEvent, ...] = field(default=())
    checks: tuple[tuple[str, str], ...] = ()
    feeder: FeederHead | None = None
    siblings: bool = False

    def has(self, *names: str) -> bool:
        """Return whether every one of these parts is given."""
        parts = [getattr(self, name) for name in names]
        return not any(
            part is None or part is False or (isinstance(part, tuple) and not part)
            for part in parts
        )

    def require(self, meters: int, intervals: int) -> None:
        """Check the shapes.

        Raises
        ------
        BadInputError
            Naming the part, its shape and what it must be.
        """
        wide = ("captured_quality", "outage", "voltage_v")
        for one in fields(self):
            part = getattr(self, one.name)
            if isinstance(part, np.ndarray):
                shape: tuple[int, ...] = (meters,)
                if one.name == "offset_s":
                    shape = (meters, intervals + 1)
                elif one.name in wide:
                    shape = (meters, intervals)
                _same(one.name, part.shape, shape)
            elif isinstance(part, Mapping):
                for channel, values in part.items():
                    _same(f"{one.name} {channel}", values.shape, (meters, intervals))
        if self.feeder is not None:
            for name in ("net_wh", "net_varh", "known", "loss_wh"):
                _same(f"feeder {name}", getattr(self.feeder, name).shape, (intervals,))
            _same("feeder member", self.feeder.member.shape, (meters,))


def _same(name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if shape != wanted:
        raise BadInputError(f"{name}: shape is {shape}, must be {wanted}")
