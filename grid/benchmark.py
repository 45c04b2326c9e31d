"""What a benchmark row is: two timings of the same work, and what was wanted of them.

A row holds what was measured and nothing else; every figure it shows is derived
from its timings. The crafts give rows from their ``bench`` modules; the command
``khazri bench`` shows them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from time import perf_counter_ns

Progress = Callable[[str], None]
"""Takes one line of progress."""


class Measure(StrEnum):
    """What a reach is about."""

    SPEED = "x as fast"
    TIME = "x the time"
    RATE = "a second"


@dataclass(frozen=True, slots=True)
class Timing:
    """`count` units of work took `ns` nanoseconds."""

    count: int
    ns: int

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.count * 1e9 / self.ns


@dataclass(frozen=True, slots=True)
class Reach:
    """What is wanted: at least `bound` as speed or rate, at most `bound` as time."""

    measure: Measure
    bound: Fraction

    def holds(self, figure: float) -> bool:
        """Return whether `figure`, in this measure, is within reach."""
        return figure <= self.bound if self.measure is Measure.TIME else figure >= self.bound

    @property
    def text(self) -> str:
        """The reach in words, such as ``at least 1,000 x as fast``."""
        side = "at most" if self.measure is Measure.TIME else "at least"
        whole = self.bound.denominator == 1
        bound = f"{int(self.bound):,}" if whole else f"{float(self.bound):g}"
        return f"{side} {bound} {self.measure}"


def faster(times: int | Fraction) -> Reach:
    """Return the reach of at least `times` the peer's speed."""
    return Reach(Measure.SPEED, Fraction(times))


def within(times: int | Fraction) -> Reach:
    """Return the reach of at most `times` the peer's time."""
    return Reach(Measure.TIME, Fraction(times))


def per_second(units: int) -> Reach:
    """Return the reach of at least `units` a second."""
    return Reach(Measure.RATE, Fraction(units))


@dataclass(frozen=True, slots=True)
class Error:
    """How far the outcome is from a reference: `value` in `unit`, at most `limit`."""

    value: float
    unit: str
    limit: float
    reference: str

    @property
    def ok(self) -> bool:
        """Whether it is within its limit; NaN is not."""
        return self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the benchmark.

    Attributes
    ----------
    craft, name : str
    work : str
        What was done, with its size.
    unit : str
        What is counted, in the plural: ``"steps"``.
    taken : str
        Which of the repetitions the timings are: ``"best of 3"``.
    ours : Timing
    peer : str
        Who did the same work.
    theirs : Timing or None
        None when the peer is not installed.
    reach : Reach or None
    error : Error or None
    note : str
        What a reader must know to read the figures rightly.
    """

    craft: str
    name: str
    work: str
    unit: str
    taken: str
    ours: Timing
    peer: str
    theirs: Timing | None
    reach: Reach | None = None
    error: Error | None = None
    note: str = ""

    @property
    def measure(self) -> Measure:
        """What :attr:`ratio` is: the reach's measure where that is a ratio, else speed."""
        is_time = self.reach is not None and self.reach.measure is Measure.TIME
        return Measure.TIME if is_time else Measure.SPEED

    @property
    def ratio(self) -> float | None:
        """Ours to the peer's, in :attr:`measure`; None without a peer."""
        if self.theirs is None:
            return None
        speed = self.ours.rate / self.theirs.rate
        return 1.0 / speed if self.measure is Measure.TIME else speed

    @property
    def met(self) -> bool | None:
        """Whether the reach is met; None when there is none or no peer to tell."""
        if self.reach is None:
            return None
        figure = self.ours.rate if self.reach.measure is Measure.RATE else self.ratio
        return None if figure is None else self.reach.holds(figure)


def alternate(rounds: int, *works: Callable[[int], object]) -> list[int]:
    """Run `works` in turn, `rounds` times; return the shortest time of each, in ns.

    Each is called with the number of the round, from 0. In turn, so that what
    slows the machine for a while slows all of them; the shortest, because
    whatever else runs only ever adds time.
    """
    best: list[int] = []
    for turn in range(rounds):
        for place, work in enumerate(works):
            began = perf_counter_ns()
            work(turn)
            taken = perf_counter_ns() - began
            if turn == 0:
                best.append(taken)
            else:
                best[place] = min(best[place], taken)
    return best
