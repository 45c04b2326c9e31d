"""A visit to a meter: do what an order says and read it back, or only look what became of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from enum import Enum, auto

from grid.errors import PeerError
from grid.store.meter_orders import MeterOrder, OrderKind
from meters.dlms.association import Association
from meters.dlms.client import open_association
from meters.dlms.cosem import ControlState, DisconnectState
from meters.dlms.counters import CounterStore
from meters.dlms.errors import AccessError
from meters.dlms.key_transfer import KeyId
from meters.reading import Ciphering, MeterAddress

READ_BACKS = 3
PAUSE_S = 0.3
"""A breaker needs a moment: so often, and so far apart, its state is read back."""


class Ending(Enum):
    """What came of a visit to a meter.

    Attributes
    ----------
    UNTOUCHED
        The meter could not be asked to act: it may be tried again.
    UNKNOWN
        It may have acted, and does not say so: it is asked again, never told again.
    """

    DONE = auto()
    FAILED = auto()
    UNTOUCHED = auto()
    UNKNOWN = auto()


Visit = tuple[Ending, str]


@dataclass(frozen=True, slots=True)
class Job:
    """An order with the way to its meter, and the keys of a replacement."""

    order: MeterOrder
    address: MeterAddress
    only_look: bool
    pending: Ciphering | None = None
    master: bytes = b""


async def visit(job: Job, timeout_s: float, counters: CounterStore) -> Visit:
    """Do at a meter what its order says, or only look what became of it.

    Parameters
    ----------
    timeout_s : float
        Longest time of one association, in seconds.
    """
    if job.pending is not None:
        return await _replace_key(job, job.pending, timeout_s, counters)
    return await _switch(job, timeout_s, counters)


async def _switch(job: Job, timeout_s: float, counters: CounterStore) -> Visit:
    acted = False
    try:
        async with open_association(job.address, timeout_s=timeout_s, counters=counters) as meter:
            found = await meter.disconnect_state()
            if _as_ordered(found, job.order.kind):
                was = "found" if job.only_look else "was so already"
                return Ending.DONE, f"{was}: {_shown(found)}"
            if job.only_look:
                return Ending.FAILED, f"was interrupted, and the meter says {_shown(found)}"
            acted = True
            await (meter.disconnect() if _off(job.order.kind) else meter.reconnect())
            found = await _read_back(meter, job.order.kind)
    except AccessError as error:
        if acted:
            return Ending.FAILED, f"the meter refused: {error}"
        return _before(job, error)
    except PeerError as error:
        return (Ending.UNKNOWN, str(error)) if acted else _before(job, error)
    if _as_ordered(found, job.order.kind):
        return Ending.DONE, f"read back: {_shown(found)}"
    return Ending.FAILED, f"read back {_shown(found)}, not as ordered"


def _before(job: Job, error: PeerError) -> Visit:
    """Return what an error before anything was ordered means."""
    return Ending.UNKNOWN if job.only_look else Ending.UNTOUCHED, str(error)


async def _read_back(meter: Association, kind: OrderKind) -> DisconnectState:
    found = await meter.disconnect_state()
    for _ in range(READ_BACKS - 1):
        if _as_ordered(found, kind):
            break
        await asyncio.sleep(PAUSE_S)
        found = await meter.disconnect_state()
    return found


def _off(kind: OrderKind) -> bool:
    return kind is OrderKind.DISCONNECT


def _as_ordered(found: DisconnectState, kind: OrderKind) -> bool:
    if _off(kind):
        return not found.is_on and found.state is ControlState.DISCONNECTED
    # Some meters let only a person at the meter switch on: then all that is ordered is done.
    ready = not found.is_on and found.state is ControlState.READY_FOR_RECONNECTION
    return ready or (found.is_on and found.state is ControlState.CONNECTED)


def _shown(found: DisconnectState) -> str:
    state = found.state.name.lower().replace("_", " ")
    return f"output {'on' if found.is_on else 'off'}, {state}"


async def _replace_key(
    job: Job, fresh: Ciphering, timeout_s: float, counters: CounterStore
) -> Visit:
    """Give a meter its new key, or look which one it has; a read under the key is the proof.

    The answer to the transfer decides nothing: it may be lost, or come under either key.
    """
    reason = "the meter kept its old key"
    if not job.only_look:
        sent = False
        try:
            async with open_association(
                job.address, timeout_s=timeout_s, counters=counters
            ) as meter:
                sent = True
                await meter.transfer_keys(
                    job.master, {KeyId.UNICAST_ENCRYPTION: fresh.encryption_key}
                )
        except AccessError as error:
            if not sent:
                return Ending.UNTOUCHED, str(error)
            reason = f"the meter refused: {error}"
        except PeerError as error:
            if not sent:
                return Ending.UNTOUCHED, str(error)
            reason = str(error)
    answers = []
    for name, ciphering in (("new", fresh), ("old", job.address.ciphering)):
        address = replace(job.address, ciphering=ciphering)
        try:
            async with open_association(address, timeout_s=timeout_s, counters=counters) as meter:
                await meter.clock()
        except PeerError as error:
            answers.append(f"under the {name} key {error}")
            continue
        if ciphering is fresh:
            return Ending.DONE, "read under the new key"
        return Ending.FAILED, f"{reason}, and was read under the old key"
    return Ending.UNKNOWN, "; ".join(answers)
