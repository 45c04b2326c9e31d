"""Hours of a network in the seconds that its work takes: an event loop that leaps over waiting.

Everything runs as it would, on real sockets, but where all of it waits for a timer the loop's
clock leaps to that timer at once. Nothing is scaled: a time-out of five seconds is one of five
seconds of the loop. Time stands still while code runs, so a slow machine changes no outcome.

Both ends of every connection must live in the one loop: a peer elsewhere would need real time.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

SETTLE_S = 0.000_05
"""Real seconds that bytes on loopback have to arrive before a leap; they need none but rarely."""


class _LeapingSelector(selectors.BaseSelector):
    """Waits for no timer; tells at which instant the loop has arrived."""

    def __init__(self) -> None:
        self._inner = selectors.DefaultSelector()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._inner.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            return self._inner.select(None)
        time.sleep(SETTLE_S)
        ready = self._inner.select(0)
        if not ready:
            self.now_s += timeout
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def close(self) -> None:
        self._inner.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()


class LeapingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock begins at 0 s and leaps from timer to timer."""

    def __init__(self) -> None:
        self._leaping = _LeapingSelector()
        super().__init__(self._leaping)

    def time(self) -> float:
        """Return the loop's time, s."""
        return self._leaping.now_s


def leap_through(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end in a loop of its own, as :func:`asyncio.run` does."""
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        return runner.run(work)
