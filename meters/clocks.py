"""How far a meter's clock may be off, and what is done about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from grid.errors import Finding, Severity
from grid.interval import label

ONCE_S = 3600
"""A clock is set no more than once in this many seconds, whether or not it took."""


class Verdict(Enum):
    """What an offset asks for."""

    FINE = auto()
    TELL = auto()
    SET = auto()
    ALARM = auto()


@dataclass(frozen=True, slots=True)
class ClockLimits:
    """Offsets in seconds above which something is done.

    Attributes
    ----------
    warn_s : int
        Told of.
    correct_s : int or None
        Set; None: never.
    max_s : int
        Too far to be set without a person: whose rows lie so far off must be looked at.
    """

    warn_s: int
    correct_s: int | None
    max_s: int

    def judge(self, offset_s: int, now_s: int, last_set_s: int | None) -> Verdict:
        """Return what is to be done about a clock.

        Parameters
        ----------
        offset_s : int
            How far it is ahead, negative behind.
        now_s : int
            Seconds UTC.
        last_set_s : int or None
            When it was last set, or that was tried.
        """
        off_s = abs(offset_s)
        if off_s > self.max_s:
            return Verdict.ALARM
        if self.correct_s is not None and off_s > self.correct_s:
            rests = last_set_s is not None and now_s - last_set_s < ONCE_S
            return Verdict.TELL if rests else Verdict.SET
        return Verdict.TELL if off_s > self.warn_s else Verdict.FINE


@dataclass(frozen=True, slots=True)
class ClockSet:
    """What setting a clock did.

    Attributes
    ----------
    meter : str
    before_s, after_s : int or None
        How far it was ahead before and on reading it back; None where that is not known.
    failure : str
        Why it was not set; empty where it was.
    """

    meter: str
    before_s: int | None
    after_s: int | None
    failure: str = ""

    @property
    def shift_s(self) -> int:
        """How far the clock went forward, negative back; 0 where it did not."""
        if self.before_s is None or self.after_s is None:
            return 0
        return self.after_s - self.before_s


def told(meter: str, at_s: int, offset_s: int, verdict: Verdict, limits: ClockLimits) -> Finding:
    """Return the finding about a clock that is off and not set now."""
    where = f"{meter} {label(at_s)} clock is {offset_s:+d} s off"
    if verdict is Verdict.ALARM:
        message = f"{where}, beyond {limits.max_s} s: it is not set without a person"
        return Finding("meter.clock_beyond", meter, label(at_s), Severity.ALARM, message)
    message = f"{where}, told above {limits.warn_s} s"
    return Finding("meter.clock_off", meter, label(at_s), Severity.WARNING, message)


def outcome(done: ClockSet, at_s: int, limits: ClockLimits) -> Finding:
    """Return the finding about a clock that was to be set."""
    meter, at = done.meter, label(at_s)
    if done.failure:
        message = (
            f"{meter} {at} clock is {_seconds(done.before_s)} off and was not set: {done.failure}"
        )
        return Finding("meter.clock_not_set", meter, at, Severity.WARNING, message)
    message = (
        f"{meter} {at} clock was {_seconds(done.before_s)} off, was set, "
        f"and reads back {_seconds(done.after_s)} off"
    )
    if done.after_s is None or abs(done.after_s) > limits.warn_s:
        return Finding("meter.clock_not_set", meter, at, Severity.ALARM, message)
    return Finding("meter.clock_set", meter, at, Severity.INFO, message)


def _seconds(offset_s: int | None) -> str:
    return "an unknown time" if offset_s is None else f"{offset_s:+d} s"
