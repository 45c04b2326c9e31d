"""DLMS meters that answer wrongly, for :meth:`meters.simulator.dlms.DlmsServers.start`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from meters.dlms import xdlms
from meters.dlms.server import Request
from meters.simulator import hostile
from meters.simulator.dlms import DlmsConnection

DRIP_S = 1.0
_GETS = (xdlms.GetRequest, xdlms.GetList, xdlms.GetNext)
_BLOCK = bytes(200)


class BadTag(DlmsConnection):
    """Spoils the authentication tag of each protected answer."""

    def _answer(self, request: Request) -> bytes:
        told = super()._answer(request)
        if not isinstance(request, _GETS) or self._connection._cipher is None:
            return told
        return told[:-1] + bytes((told[-1] ^ 1,))


class Replaying(DlmsConnection):
    """Says its first protected answer again, whatever it is asked."""

    _recorded = b""

    def _answer(self, request: Request) -> bytes:
        if not isinstance(request, _GETS) or self._connection._cipher is None:
            return super()._answer(request)
        self._recorded = self._recorded or super()._answer(request)
        return self._recorded


class Downgrading(DlmsConnection):
    """Answers in clear where protection was agreed."""

    def _answer(self, request: Request) -> bytes:
        if isinstance(request, _GETS):
            self._connection._cipher = None
        return super()._answer(request)


class WrongInvoke(DlmsConnection):
    """Answers another request than it was asked."""

    def _answer(self, request: Request) -> bytes:
        if isinstance(request, _GETS):
            request = replace(request, invoke_id=request.invoke_id ^ 1)
        return super()._answer(request)


class Endless(DlmsConnection):
    """Answers in blocks of which none is the last."""

    def _answer(self, request: Request) -> bytes:
        if not isinstance(request, _GETS) or not self._connection.associated:
            return super()._answer(request)
        number = request.number + 1 if isinstance(request, xdlms.GetNext) else 1
        block = xdlms.encode_block(request.invoke_id, number, False, _BLOCK)
        return self._connection._frames(block)


class Garbage(DlmsConnection):
    """Answers with bytes that are no frame."""

    def data_received(self, data: bytes) -> None:
        """Send bytes without any meaning."""
        assert self._transport is not None
        self._transport.write(b"\xff" * 64)


class Drip(DlmsConnection):
    """Sends one byte of its answer each second."""

    def _answer(self, request: Request) -> bytes:
        self._drip(super()._answer(request))
        return b""

    def _drip(self, left: bytes) -> None:
        if left and self._transport is not None and not self._transport.is_closing():
            self._transport.write(left[:1])
            asyncio.get_running_loop().call_later(DRIP_S, self._drip, left[1:])


class BlackHole(DlmsConnection):
    """Takes every request and says nothing."""

    def data_received(self, data: bytes) -> None:
        """Say nothing."""


DLMS_FAULTS: dict[str, type[DlmsConnection]] = {
    "bad-tag": BadTag,
    "replay": Replaying,
    "downgrade": Downgrading,
    "invoke-id": WrongInvoke,
    "endless": Endless,
    "garbage": Garbage,
    "drip": Drip,
    "silent": BlackHole,
}
"""Wrong DLMS meters by name; the first three are right where nothing is protected."""


def catalogue() -> dict[str, str]:
    """Return what each named meter does, in one sentence."""
    return {name: (made.__doc__ or "").strip() for name, made in DLMS_FAULTS.items()}


def allot_all(
    modbus: Sequence[str], dlms: Sequence[str], shares: Mapping[str, float], seed: int
) -> dict[str, str]:
    """Return the fault of each meter that has one, whatever its protocol.

    A share counts among the meters of each protocol that has the fault.

    Raises
    ------
    BadInputError
        As :func:`meters.simulator.hostile.allot`.
    """
    hostile.allot([], shares, seed, dict.fromkeys([*hostile.FAULTS, *DLMS_FAULTS]))
    allotted: dict[str, str] = {}
    for meters, known in ((modbus, hostile.FAULTS.keys()), (dlms, DLMS_FAULTS.keys())):
        own = {name: share for name, share in shares.items() if name in known}
        allotted |= hostile.allot(meters, own, seed, known)
    return dict(sorted(allotted.items()))
