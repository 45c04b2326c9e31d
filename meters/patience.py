"""How long a reading waits for meters that say nothing, and who was silent before.

Meters that answer share :data:`CONNECTIONS` slots. One that has not let us in within
:data:`PROMPT_S` gives its slot up and goes on in one of :data:`SLOW`; one that was silent
last time starts in a slot apart. So a dead meter never holds what a live one waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

CONNECTIONS = 128
"""DLMS meters that are read at the same time."""

SLOW = 256
"""Meters more that may be waited for, while others are read in their slots."""

SUSPECTED = 128
"""Meters that were silent last time and are asked at the same time, beside the others."""

PROMPT_S = 0.05
"""How long a meter may take to let us in before its slot goes to another, in seconds.

Short, for it costs a slow meter nothing: it is waited for as long as any other.
"""


class Patience:
    """Which meters were silent when they were last asked; kept by the caller between readings.

    Attributes
    ----------
    silent : set of str
        Never more than were asked.
    """

    def __init__(self) -> None:
        self.silent: set[str] = set()

    def learn(self, asked: Collection[str], silent: Collection[str]) -> None:
        """Take what a reading found."""
        self.silent.difference_update(asked)
        self.silent.update(silent)


class Slots:
    """The slots of one reading.

    Parameters
    ----------
    patience : Patience
        As it is before the reading.
    """

    def __init__(self, patience: Patience) -> None:
        self._suspected = frozenset(patience.silent)
        self._prompt = asyncio.Semaphore(CONNECTIONS)
        self._apart = asyncio.Semaphore(SUSPECTED)
        self._slow = 0

    def suspects(self, meter: str) -> bool:
        """Return whether a meter was silent when it was last asked."""
        return meter in self._suspected

    @asynccontextmanager
    async def slot(self, meter: str) -> AsyncIterator[Callable[[], None]]:
        """Wait for a slot; yield what is to be called once the meter has let us in."""
        if self.suspects(meter):
            async with self._apart:
                yield _nothing
            return
        await self._prompt.acquire()
        is_slow = False

        def give_up() -> None:
            nonlocal is_slow
            if self._slow < SLOW:
                is_slow = True
                self._slow += 1
                self._prompt.release()

        timer = asyncio.get_running_loop().call_later(PROMPT_S, give_up)
        try:
            yield timer.cancel
        finally:
            timer.cancel()
            if is_slow:
                self._slow -= 1
            else:
                self._prompt.release()


def _nothing() -> None:
    """Take note of nothing: a slot apart is kept to the end."""
