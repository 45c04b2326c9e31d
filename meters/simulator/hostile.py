"""Gateways that answer wrongly: what a head-end must live with, to try it against.

Each is a protocol for :meth:`meters.simulator.modbus.ModbusServers.serve`.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Collection, Mapping, Sequence
from random import Random

from grid.errors import BadInputError
from meters.simulator.modbus import GatewayConnection

LATE_S = 1.5
DRIP_S = 1.0
_DEVICE_FAILURE = 4
_FLOOD = b"\xa5" * 16_384


class WrongUnit(GatewayConnection):
    """Answers as another unit."""

    def send(self, transaction: int, unit: int, pdu: bytes) -> None:
        """Send the answer of someone else."""
        super().send(transaction, unit ^ 1, pdu)


class WrongTransaction(GatewayConnection):
    """Answers another request."""

    def send(self, transaction: int, unit: int, pdu: bytes) -> None:
        """Send an answer that nobody asked for."""
        super().send(transaction ^ 1, unit, pdu)


class Short(GatewayConnection):
    """Answers with fewer registers than were asked for."""

    def send(self, transaction: int, unit: int, pdu: bytes) -> None:
        """Send an answer without its last register."""
        super().send(transaction, unit, pdu[:-2])


class Late(GatewayConnection):
    """Answers when nobody waits any more."""

    def send(self, transaction: int, unit: int, pdu: bytes) -> None:
        """Send the answer after a while, if the client is still there."""
        asyncio.get_running_loop().call_later(LATE_S, self._send_late, transaction, unit, pdu)

    def _send_late(self, transaction: int, unit: int, pdu: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            super().send(transaction, unit, pdu)


class Flood(GatewayConnection):
    """Sends as much as the client takes, from the first request on."""

    _may_write = True

    def send(self, transaction: int, unit: int, pdu: bytes) -> None:
        """Begin to flood."""
        if self._transport is not None and not self._transport.is_closing() and self._may_write:
            self._transport.write(_FLOOD)
            asyncio.get_running_loop().call_later(0.001, self.send, transaction, unit, pdu)

    def pause_writing(self) -> None:
        """Wait until the client has taken what there is."""
        self._may_write = False

    def resume_writing(self) -> None:
        """Go on."""
        self._may_write = True
        self.send(0, 0, b"")


class BlackHole(GatewayConnection):
    """Takes every request and says nothing."""

    def send(self, transaction: int, unit: int, pdu: bytes) -> None:
        """Say nothing."""


class Garbage(GatewayConnection):
    """Answers with bytes that are no frame."""

    def send(self, transaction: int, unit: int, pdu: bytes) -> None:
        """Send bytes without any meaning."""
        assert self._transport is not None
        self._transport.write(b"\xff" * 64)


class Refusing(GatewayConnection):
    """Answers each request with an exception: device failure."""

    def send(self, transaction: int, unit: int, pdu: bytes) -> None:
        """Send the exception of the function that was asked for."""
        super().send(transaction, unit, bytes([pdu[0] | 0x80, _DEVICE_FAILURE]))


class Drip(GatewayConnection):
    """Sends one byte of its answer each second."""

    def send(self, transaction: int, unit: int, pdu: bytes) -> None:
        """Begin to send."""
        self._drip(struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu)

    def _drip(self, left: bytes) -> None:
        if left and self._transport is not None and not self._transport.is_closing():
            self._transport.write(left[:1])
            asyncio.get_running_loop().call_later(DRIP_S, self._drip, left[1:])


class HangUp(GatewayConnection):
    """Ends the connection instead of answering."""

    def send(self, transaction: int, unit: int, pdu: bytes) -> None:
        """End the connection."""
        assert self._transport is not None
        self._transport.abort()


FAULTS: dict[str, type[GatewayConnection]] = {
    "unit": WrongUnit,
    "transaction": WrongTransaction,
    "short": Short,
    "late": Late,
    "flood": Flood,
    "silent": BlackHole,
    "garbage": Garbage,
    "exception": Refusing,
    "drip": Drip,
    "hang-up": HangUp,
}
"""Wrong Modbus TCP gateways by name."""


def catalogue() -> dict[str, str]:
    """Return what each named gateway does, in one sentence."""
    return {name: (made.__doc__ or "").strip() for name, made in FAULTS.items()}


def allot(
    meters: Sequence[str],
    shares: Mapping[str, float],
    seed: int,
    known: Collection[str] = FAULTS.keys(),
) -> dict[str, str]:
    """Return the fault of each meter that has one; the same for the same seed.

    Parameters
    ----------
    meters : sequence of str
    shares : mapping of str to float
        Part of all meters by name of a fault, 0 to 1 together.
    seed : int
    known : collection of str
        The faults that there are; those of Modbus gateways by default.

    Raises
    ------
    BadInputError
        When there is no such fault, or the shares are not within 0 to 1.
    """
    for name, share in shares.items():
        if name not in known:
            raise BadInputError(f"{name!r} is no fault, must be one of {', '.join(known)}")
        if not 0 <= share <= 1:
            raise BadInputError(f"the share of {name} is {share}, must be 0 to 1")
    if sum(shares.values()) > 1 + 1e-9:
        raise BadInputError(f"the shares are {sum(shares.values())} together, must be 1 at most")
    left = sorted(meters)
    count = len(left)
    Random(seed).shuffle(left)
    allotted: dict[str, str] = {}
    for name, share in shares.items():
        for _ in range(min(round(share * count), len(left))):
            allotted[left.pop()] = name
    return dict(sorted(allotted.items()))
