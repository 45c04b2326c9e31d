"""Which meters are to be asked now, and for which part of their load profiles.

A round asks every meter whose profile has a gap, the oldest gaps first. What a meter told
before a connection broke is not asked for again; a meter that broke off is asked again after
a pause of its own, longer each time and never the same for two, and for fewer rows at once.

Pure: the clock is passed in, pauses follow from the seed and the meter's name.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from random import Random

from grid.errors import BadInputError

Span = tuple[int, int]
"""First and last instant at which rows were captured, seconds UTC, both included."""

NEVER_S = float("inf")


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard meters are asked.

    Attributes
    ----------
    retry_s, longest_retry_s : float
        The pause after the first failure in a row; it doubles from one to the next, up to the
        longest, and is shortened by up to half so that meters do not come back together.
    connections : int
        Meters asked at the same time.
    per_gateway : int
        Of these, behind one gateway.
    rows_at_once : int
        Rows asked for in one question; half of it after each break without a row, down to 1.

    Raises
    ------
    BadInputError
        When one is not above zero, or the longest pause is shorter than the first.
    """

    retry_s: float = 60.0
    longest_retry_s: float = 900.0
    connections: int = 128
    per_gateway: int = 2
    rows_at_once: int = 12

    def __post_init__(self) -> None:
        for name in ("retry_s", "connections", "per_gateway", "rows_at_once"):
            if not getattr(self, name) > 0:
                raise BadInputError(f"pace: {name} is {getattr(self, name)}, must be above 0")
        if self.longest_retry_s < self.retry_s:
            raise BadInputError(
                f"pace: longest_retry_s is {self.longest_retry_s}, must be at least {self.retry_s}"
            )


@dataclass(frozen=True, slots=True)
class Question:
    """What a meter is to be asked.

    Attributes
    ----------
    meter : str
    spans : tuple of Span
        Gaps of its load profile, oldest first.
    rows_at_once : int
    """

    meter: str
    spans: tuple[Span, ...]
    rows_at_once: int


@dataclass(slots=True)
class _Meter:
    """What is known of one meter."""

    gateway: str
    missing: list[int]
    failures: int = 0
    asked: int = 0
    rows_at_once: int = 1


@dataclass(slots=True)
class _Gateway:
    """How many meters behind it are being asked, and who waits for that."""

    busy: int = 0
    parked: deque[str] = field(default_factory=deque)


class Rounds:
    """The rounds of one reading: who still has a gap, who is being asked, who waits.

    Parameters
    ----------
    missing : mapping of str to iterable of int
        By meter, the instants whose rows are not known, seconds UTC.
    gateways : mapping of str to str
        What stands between us and a meter; one that is not named has none beside it.
    pace : Pace
    step_s : int
        Distance of two rows, seconds.
    seed : int
        Of the pauses.
    """

    def __init__(
        self,
        missing: Mapping[str, Iterable[int]],
        gateways: Mapping[str, str],
        pace: Pace,
        *,
        step_s: int,
        seed: int = 0,
    ) -> None:
        self._pace = pace
        self._step_s = step_s
        self._seed = seed
        self._meters: dict[str, _Meter] = {}
        self._gateways: dict[str, _Gateway] = {}
        self._ready: list[tuple[int, int, str]] = []
        self._later: list[tuple[float, str]] = []
        self._busy: set[str] = set()
        for name, instants in missing.items():
            gaps = sorted(set(instants))
            if gaps:
                gateway = gateways.get(name, name)
                self._gateways.setdefault(gateway, _Gateway())
                self._meters[name] = _Meter(gateway, gaps, rows_at_once=pace.rows_at_once)
                self._offer(name)

    @property
    def incomplete(self) -> set[str]:
        """The meters that still have a gap, those that are being asked included."""
        return set(self._meters)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be asked."""
        return not self._meters

    def due(self, now_s: float) -> list[Question]:
        """Return whom to ask now; each is being asked until :meth:`told`."""
        while self._later and self._later[0][0] <= now_s:
            self._offer(heapq.heappop(self._later)[1])
        questions = []
        while self._ready and len(self._busy) < self._pace.connections:
            name = heapq.heappop(self._ready)[2]
            meter = self._meters[name]
            gateway = self._gateways[meter.gateway]
            if gateway.busy >= self._pace.per_gateway:
                gateway.parked.append(name)
                continue
            gateway.busy += 1
            self._busy.add(name)
            meter.asked += 1
            questions.append(Question(name, self._spans(meter.missing), meter.rows_at_once))
        return questions

    def wake_s(self) -> float:
        """Return when somebody who waits is due; `NEVER_S` when nobody does."""
        return self._later[0][0] if self._later else NEVER_S

    def told(self, meter: str, now_s: float, answered: Iterable[Span], *, is_broken: bool) -> None:
        """Take what became of a question.

        Parameters
        ----------
        meter : str
        now_s : float
        answered : iterable of Span
            What the meter answered for. A row that was not in its answer is not in the meter:
            it is not asked for again in this reading.
        is_broken : bool
            Whether it ended before all was answered.
        """
        one = self._meters[meter]
        self._busy.discard(meter)
        gateway = self._gateways[one.gateway]
        gateway.busy -= 1
        if gateway.parked:
            self._offer(gateway.parked.popleft())
        has_told = False
        for first_s, last_s in answered:
            low, high = bisect_left(one.missing, first_s), bisect_left(one.missing, last_s + 1)
            has_told |= high > low
            del one.missing[low:high]
        if not one.missing:
            del self._meters[meter]
            return
        if not is_broken:
            self._offer(meter)
            return
        one.failures = 1 if has_told else one.failures + 1
        if not has_told:
            one.rows_at_once = max(1, one.rows_at_once // 2)
        heapq.heappush(self._later, (now_s + self._pause_s(meter, one), meter))

    def _pause_s(self, name: str, meter: _Meter) -> float:
        doubled_s = self._pace.retry_s * 2.0 ** min(meter.failures - 1, 16)
        draw = Random(f"{self._seed} {name} {meter.asked}")
        return min(doubled_s, self._pace.longest_retry_s) * draw.uniform(0.5, 1.0)

    def _offer(self, name: str) -> None:
        meter = self._meters[name]
        heapq.heappush(self._ready, (meter.missing[0], meter.asked, name))

    def _spans(self, missing: list[int]) -> tuple[Span, ...]:
        """Return instants as runs without a gap."""
        runs = groupby(enumerate(missing), key=lambda one: one[1] - self._step_s * one[0])
        spans = []
        for _, run in runs:
            instants = [at_s for _, at_s in run]
            spans.append((instants[0], instants[-1]))
        return tuple(spans)


def parts(spans: Iterable[Span], step_s: int, rows_at_once: int) -> Iterable[Span]:
    """Yield spans cut into parts of at most `rows_at_once` rows, in their order."""
    length_s = step_s * rows_at_once
    for first_s, last_s in spans:
        for from_s in range(first_s, last_s + 1, length_s):
            yield from_s, min(last_s, from_s + length_s - step_s)
