"""How asking went: counts and latencies of one meter, or of one gateway.

For people who look after meters. Latencies are wall time: they never reach a
finding, an entry or a decision about energy.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

LATENCY_LIMITS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000)
"""Upper limits of the classes of the histogram; the last class has none."""

COUNTS = ("requests", "successes", "timeouts", "refusals", "malformed", "skipped")


@dataclass(slots=True)
class Statistics:
    """What became of the requests so far.

    Attributes
    ----------
    requests, successes, timeouts, refusals, malformed : int
        `refusals` are answers with an exception code; each request is one of the four.
    skipped : int
        Readings that were not begun, as a back-off had not ended.
    latency_count : list of int, shape (len(LATENCY_LIMITS_MS) + 1,)
        Answers by latency.
    """

    requests: int = 0
    successes: int = 0
    timeouts: int = 0
    refusals: int = 0
    malformed: int = 0
    skipped: int = 0
    latency_count: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_LIMITS_MS) + 1))

    def add(self, other: Statistics) -> None:
        """Count what another one counted too."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        pairs = zip(self.latency_count, other.latency_count, strict=True)
        self.latency_count = [ours + theirs for ours, theirs in pairs]

    def answered(self, latency_s: float) -> None:
        """Count an answer that was right."""
        self.requests += 1
        self.successes += 1
        self.latency_count[bisect_left(LATENCY_LIMITS_MS, 1000 * latency_s)] += 1

    def failed(self, kind: str) -> None:
        """Count a request that ended as `kind`: ``silent``, ``access`` or ``malformed``."""
        self.requests += 1
        if kind == "silent":
            self.timeouts += 1
        elif kind == "access":
            self.refusals += 1
        else:
            self.malformed += 1

    @property
    def success_percent(self) -> float | None:
        """Requests answered rightly; None before the first request."""
        return 100 * self.successes / self.requests if self.requests else None

    def latency_ms(self, percent: float) -> int | None:
        """Return a latency that `percent` of the answers did not exceed, as a class limit.

        None without an answer, or where it lies in the open class.
        """
        total = sum(self.latency_count)
        passed = 0
        for limit_ms, count in zip(LATENCY_LIMITS_MS, self.latency_count, strict=False):
            passed += count
            if total and 100 * passed >= percent * total:
                return limit_ms
        return None


class Record:
    """How asking went in one reading, of each meter and of each gateway.

    Attributes
    ----------
    meters, gateways : dict of str to Statistics
        A gateway is a host with its port, or a serial line.
    """

    def __init__(self) -> None:
        self.meters: dict[str, Statistics] = {}
        self.gateways: dict[str, Statistics] = {}

    def observers(self, meter: str, gateway: str) -> tuple[Statistics, Statistics]:
        """Return what counts a request to a meter behind a gateway."""
        return (
            self.meters.setdefault(meter, Statistics()),
            self.gateways.setdefault(gateway, Statistics()),
        )
