"""What a case needs before it is raised, and before it names anyone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a case needs. The defaults were set on trials of the demo feeder.

    Attributes
    ----------
    balance_sd : float
        Standard deviations of the sequential test: at 5 a feeder of 96 meters
        raises less than one false case in ten thousand months if its errors are
        as they are learned.
    least_kwh_per_day : float
        Less than this is not looked into.
    located : float
        Probability from which a usage point is named.
    share_sd : float
        By how many standard deviations the power that the voltages see at the
        named place may differ from the balance's.
    misfit : float
        How many times more than noise the voltages may leave unexplained at a named place.
    swap : float
        Log likelihood ratio from which a pair is called exchanged.
    gain_sd : float
        Standard deviations beyond its class from which a meter is called inaccurate.
    """

    balance_sd: float = 5.0
    least_kwh_per_day: float = 0.5
    located: float = 0.95
    share_sd: float = 4.0
    misfit: float = 2.0
    swap: float = 25.0
    gain_sd: float = 5.0
