"""Slows down who guesses passwords, without shutting out whose account it is.

Failures are counted per account and caller. A browser that has signed in
before carries a signed mark and is counted on its own, so that guesses from
elsewhere, even behind the same address, do not keep its owner out.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Final

FAILURES_MAX: Final = 8
CALLER_FAILURES_MAX: Final = 60
WINDOW_S: Final = 300.0
_KEYS_MAX: Final = 20_000


class Limiter:
    """Counts failures within a sliding window, in this process.

    Parameters
    ----------
    clock : callable
        Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[Hashable, deque[float]] = {}
        self._lock = threading.Lock()

    def wait_s(self, key: Hashable, limit: int = FAILURES_MAX) -> int:
        """Return how long `key` has to wait; 0 when it need not."""
        with self._lock:
            times = self._recent(key)
            if len(times) < limit:
                return 0
            return max(1, int(times[0] + WINDOW_S - self._clock()) + 1)

    def failed(self, key: Hashable) -> None:
        """Count one failure."""
        with self._lock:
            if len(self._failures) >= _KEYS_MAX:
                for old in list(self._failures):
                    if not self._recent(old):
                        self._failures.pop(old, None)
            self._failures.setdefault(key, deque(maxlen=CALLER_FAILURES_MAX)).append(self._clock())

    def succeeded(self, key: Hashable) -> None:
        """Forget the failures of `key`."""
        with self._lock:
            self._failures.pop(key, None)

    def _recent(self, key: Hashable) -> deque[float]:
        times = self._failures.get(key, deque())
        while times and times[0] <= self._clock() - WINDOW_S:
            times.popleft()
        return times
