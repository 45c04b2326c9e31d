"""Slows down who guesses passwords, without shutting out whose account it is.

Attempts are counted before the password is looked at, per account and caller,
per account and per caller. A browser that has signed in before carries a
signed mark and is counted on its own, so that guesses from elsewhere, even
behind the same address, do not keep its owner out.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Final

PAIR_ATTEMPTS_MAX: Final = 8
"""For one account from one caller."""
ACCOUNT_ATTEMPTS_MAX: Final = 40
"""For one account from all callers that do not carry its mark."""
CALLER_ATTEMPTS_MAX: Final = 60
"""For one caller over all accounts."""
WINDOW_S: Final = 300.0
_KEYS_MAX = 20_000


class Limiter:
    """Counts attempts within a sliding window, in this process.

    Parameters
    ----------
    clock : callable
        Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # In order of the newest attempt, so that what is forgotten first stands first.
        self._attempts: dict[Hashable, deque[float]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._attempts)

    def attempt(self, *keys: tuple[Hashable, int]) -> int:
        """Count one attempt under each key with its limit, or under none.

        Returns
        -------
        int
            0 when it was counted and may go on, else the seconds to wait.
        """
        with self._lock:
            now = self._clock()
            wait_s = max(self._wait_s(key, limit, now) for key, limit in keys)
            if not wait_s:
                for key, _ in keys:
                    self._count(key, now)
            return wait_s

    def withdraw(self, key: Hashable) -> None:
        """Take back the newest attempt of `key`: it was none, or it was right."""
        with self._lock:
            if times := self._attempts.get(key):
                times.pop()

    def forget(self, key: Hashable) -> None:
        """Forget the attempts of `key`."""
        with self._lock:
            self._attempts.pop(key, None)

    def _wait_s(self, key: Hashable, limit: int, now: float) -> int:
        times = self._attempts.get(key, ())
        recent = [at for at in times if at > now - WINDOW_S]
        return 0 if len(recent) < limit else max(1, int(recent[-limit] + WINDOW_S - now) + 1)

    def _count(self, key: Hashable, now: float) -> None:
        times = self._attempts.pop(key, None) or deque(maxlen=CALLER_ATTEMPTS_MAX)
        times.append(now)
        self._attempts[key] = times
        while len(self._attempts) > 1:
            oldest = next(iter(self._attempts))
            last = self._attempts[oldest]
            if len(self._attempts) <= _KEYS_MAX and last and last[-1] > now - WINDOW_S:
                break
            del self._attempts[oldest]


class HashSlots:
    """Bounds how many passwords are hashed at once: each takes 64 MiB and a core.

    Parameters
    ----------
    running, waiting : int
        How many hash, and how many more may wait for them.
    patience_s : float
        How long one waits.
    """

    def __init__(self, running: int = 4, waiting: int = 12, patience_s: float = 3.0) -> None:
        self._running = threading.BoundedSemaphore(running)
        self._present = threading.BoundedSemaphore(running + waiting)
        self._patience_s = patience_s

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Yield whether there is a place to hash in; it is given back at the end."""
        if not self._present.acquire(blocking=False):
            yield False
            return
        try:
            got = self._running.acquire(timeout=self._patience_s)
            try:
                yield got
            finally:
                if got:
                    self._running.release()
        finally:
            self._present.release()
