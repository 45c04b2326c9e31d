"""Sets the clock of a meter where it allows that, and reads it back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from grid.errors import BadInputError
from meters.clocks import ClockSet
from meters.dlms.association import Association
from meters.dlms.client import open_association
from meters.dlms.counters import CounterStore
from meters.dlms.errors import AccessError, DlmsError
from meters.dlms.profile import load_profile
from meters.reading import MeterAddress

AT_ONCE = 16
"""Meters whose clocks are set at the same time."""


async def set_clocks(
    addresses: Sequence[MeterAddress],
    *,
    clock: Callable[[], float],
    timeout_s: float,
    counters: CounterStore | None = None,
) -> list[ClockSet]:
    """Set the clocks of meters; return what that did, in the order of `addresses`.

    Parameters
    ----------
    addresses : sequence of MeterAddress
    clock : callable
        Gives our time, seconds UTC.
    timeout_s : float
        Longest time spent on one meter, s.
    counters : CounterStore, optional
        Needed by ciphered meters.
    """
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(address: MeterAddress) -> ClockSet:
        async with slots:
            return await _set(address, clock, timeout_s, counters)

    return list(await asyncio.gather(*map(one, addresses)))


async def _set(
    address: MeterAddress,
    clock: Callable[[], float],
    timeout_s: float,
    counters: CounterStore | None,
) -> ClockSet:
    before_s: int | None = None
    try:
        async with open_association(address, timeout_s=timeout_s, counters=counters) as meter:
            before_s = await _offset_s(meter, clock)
            await _require_writable(meter, address)
            await meter.set_clock(round(clock()))
            return ClockSet(address.meter, before_s, await _offset_s(meter, clock))
    except (DlmsError, BadInputError) as error:
        return ClockSet(address.meter, before_s, None, str(error))


async def _offset_s(meter: Association, clock: Callable[[], float]) -> int:
    """Return how far a clock is ahead, taken half way between the question and the answer."""
    asked_s = clock()
    told = await meter.clock()
    return told.at_s - int((asked_s + clock()) / 2)


async def _require_writable(meter: Association, address: MeterAddress) -> None:
    """Refuse to write where the association does not say that this is allowed."""
    wanted = load_profile(address.profile).clock
    for entry in await meter.object_list():
        if (entry.class_id, entry.obis) == (wanted.class_id, wanted.obis):
            if wanted.index in entry.writable:
                return
            break
    raise AccessError("its association does not allow the clock to be written")
