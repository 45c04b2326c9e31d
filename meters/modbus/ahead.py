"""Questions asked ahead of those who wait for them: many units, one answer after the other.

Units behind a gateway are asked one by one, as the gateway's line has it, but nobody has to
be woken for each: as soon as an answer is there and right the next question goes out. The
answers then wait for whoever asks. What is not right ends it, and whatever goes wrong is told
to whoever asks for it, as if it had happened then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from meters.modbus.errors import ModbusError
from meters.modbus.framing import Request, TcpExchange
from meters.modbus.wire import Wire

MOST = 32
"""Questions asked ahead: so many turns of a line pass before somebody else may have it."""


class Answered(NamedTuple):
    """What became of a question that was asked ahead: an answer's PDU or an error."""

    request: Request
    outcome: bytes | ModbusError
    latency_s: float
    is_right: bool


class Pace(NamedTuple):
    """How long each question may take, and when to stop.

    Attributes
    ----------
    until_s : float
        Loop time at which all must have been asked.
    turns : int
        Questions to be asked until then, these and others; each has an equal share.
    answer_s : float
        Longest wait for one answer.
    may_go_on : callable
        Whether nobody else wants the line.
    """

    until_s: float
    turns: int
    answer_s: float
    may_go_on: Callable[[], bool]


class Run:
    """An exchange, as :class:`meters.modbus.framing.Exchange`, that is many.

    Attributes
    ----------
    answered : list of Answered
        Of the first questions; the last one may be no right answer.
    transaction : int
        Of the last question.
    """

    def __init__(
        self, wire: Wire, requests: Sequence[Request], transaction: int, pace: Pace
    ) -> None:
        self._wire = wire
        self._requests = requests
        self._pace = pace
        self.answered: list[Answered] = []
        self.transaction = transaction
        self._sent_s = wire.loop.time()
        self._exchange = self._next()
        self.frame = self._exchange.frame

    @property
    def asked(self) -> Request:
        """The last question that went out."""
        return self._requests[min(len(self.answered), len(self._requests) - 1)]

    @property
    def until_s(self) -> float:
        """Loop time until which the last question may wait."""
        pace = self._pace
        turns = max(1, pace.turns - len(self.answered))
        return self._sent_s + min(pace.answer_s, (pace.until_s - self._sent_s) / turns)

    def _next(self) -> TcpExchange:
        self.transaction = self.transaction % 0xFFFF + 1
        return TcpExchange(self._requests[len(self.answered)], self.transaction)

    def take(self, received: bytearray, *, last: bool = False) -> bytes | None:
        """Return the last PDU; ask the next question when an answer is there and right."""
        pdu = self._exchange.take(received, last=last)
        if pdu is None:
            return None
        heard_s = self._wire.heard_s
        request = self._requests[len(self.answered)]
        is_right = not request.mismatch(pdu)
        self.answered.append(Answered(request, pdu, heard_s - self._sent_s, is_right))
        is_over = last or received or len(self.answered) == len(self._requests)
        if not is_right or is_over or heard_s >= self._pace.until_s or not self._pace.may_go_on():
            return pdu
        self._sent_s = heard_s
        self._exchange = self._next()
        self._wire.go_on(self._exchange.frame, self.until_s)
        return None
