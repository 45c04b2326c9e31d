"""Gateways that answer wrongly: what a head-end must live with, to try it against.

Each is a protocol for :meth:`meters.simulator.modbus.ModbusServers.serve`.
"""

from __future__ import annotations

import asyncio

from meters.simulator.modbus import Connection, GatewayConnection

LATE_S = 1.5
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


FAULTS: dict[str, Connection] = {
    "unit": WrongUnit,
    "transaction": WrongTransaction,
    "short": Short,
    "late": Late,
    "flood": Flood,
    "silent": BlackHole,
}
