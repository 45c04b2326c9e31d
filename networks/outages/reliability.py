"""How reliable the supply was: the indices of IEEE Std 1366-2022.

An interruption of at most :data:`MOMENTARY_S` is momentary and counts in MAIFI only;
a longer one is sustained. Each belongs with its whole duration to the period in which
it began (the standard assigns it so to days, and we to months and years alike), so that
none is counted twice. One that is still open has lasted until now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from grid.errors import BadInputError
from grid.interval import label

MOMENTARY_S: Final = 300
_MINUTE_S: Final = 60


@dataclass(frozen=True, slots=True)
class Interruption:
    """A customer without supply during ``[start_s, end_s)``.

    Customers of one incident that are restored in stages have one each; a customer that is
    restored and interrupted again has two.

    Attributes
    ----------
    customer : str
    start_s : int
        Seconds UTC.
    end_s : int or None
        None while it lasts.
    is_planned : bool
    """

    customer: str
    start_s: int
    end_s: int | None
    is_planned: bool = False


@dataclass(frozen=True, slots=True)
class Indices:
    """The indices of a period.

    Attributes
    ----------
    customers_served : int
    interruptions, momentary : int
        Sustained and momentary customer interruptions.
    customers_interrupted : int
        Distinct customers with a sustained interruption.
    minutes : float
        Customer minutes of sustained interruption.
    saidi_minutes : float
        Minutes for each customer served.
    saifi : float
        Sustained interruptions for each customer served.
    caidi_minutes : float or None
        Minutes for each sustained interruption; None without one.
    ctaidi_minutes : float or None
        Minutes for each customer with a sustained interruption; None without one.
    maifi : float
        Momentary interruptions for each customer served.
    """

    customers_served: int
    interruptions: int
    momentary: int
    customers_interrupted: int
    minutes: float
    saidi_minutes: float
    saifi: float
    caidi_minutes: float | None
    ctaidi_minutes: float | None
    maifi: float


def indices(
    interruptions: Iterable[Interruption],
    start_s: int,
    end_s: int,
    *,
    customers_served: int,
    now_s: int,
    momentary_s: int = MOMENTARY_S,
    with_planned: bool = True,
) -> Indices:
    """Return the indices of the interruptions that began in ``[start_s, end_s)``.

    Parameters
    ----------
    interruptions : iterable of Interruption
    start_s, end_s : int
        The period, seconds UTC.
    customers_served : int
    now_s : int
        Until when an open interruption has lasted. One that is not longer than `momentary_s`
        yet is neither momentary nor sustained so far.
    momentary_s : int
        Longest momentary interruption.
    with_planned : bool
        Count planned interruptions, too.

    Raises
    ------
    BadInputError
        When nobody is served, the period is empty, or an interruption ends before it begins.
    """
    if customers_served < 1:
        raise BadInputError(f"customers_served is {customers_served}, must be at least 1")
    if end_s <= start_s:
        raise BadInputError(f"period ends {label(end_s)}, must be after {label(start_s)}")
    sustained: list[Interruption] = []
    lasted_s: list[int] = []
    momentary = 0
    for one in interruptions:
        until_s = now_s if one.end_s is None else one.end_s
        if one.end_s is not None and one.end_s < one.start_s:
            raise BadInputError(
                f"{one.customer} {label(one.start_s)}: interruption ends {label(one.end_s)}, "
                "must not be before it begins"
            )
        if not start_s <= one.start_s < end_s or (one.is_planned and not with_planned):
            continue
        if until_s - one.start_s > momentary_s:
            sustained.append(one)
            lasted_s.append(until_s - one.start_s)
        elif one.end_s is not None:
            momentary += 1
    minutes = sum(lasted_s) / _MINUTE_S
    count, distinct = len(sustained), len({one.customer for one in sustained})
    return Indices(
        customers_served=customers_served,
        interruptions=count,
        momentary=momentary,
        customers_interrupted=distinct,
        minutes=minutes,
        saidi_minutes=minutes / customers_served,
        saifi=count / customers_served,
        caidi_minutes=minutes / count if count else None,
        ctaidi_minutes=minutes / distinct if distinct else None,
        maifi=momentary / customers_served,
    )
