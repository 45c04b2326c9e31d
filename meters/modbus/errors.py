"""What goes wrong when a Modbus unit is asked.

::

    PeerError
    └── ModbusError              the unit sent what the standard does not allow
        ├── RefusedError         the unit answered with an exception code
        ├── BusyError            too many are waiting for the same gateway
        └── SilentError          no complete answer came in time

Messages hold no port, path or latency, so that they may be hashed.
"""

from __future__ import annotations

from typing import ClassVar

from grid.errors import PeerError

ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
GATEWAY_CODES = frozenset({0x0A, 0x0B})
"""A gateway's own exception codes: the unit behind it did not answer."""

_CODE_NAMES = {
    1: "illegal function",
    ILLEGAL_ADDRESS: "illegal register address",
    ILLEGAL_VALUE: "illegal register value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
    8: "memory parity error",
}


class ModbusError(PeerError):
    """The peer's bytes are not Modbus, or not an answer to what was asked.

    Attributes
    ----------
    code : str
        Last part of the code of the :class:`grid.errors.Finding` that tells of it.
    """

    code: ClassVar[str] = "malformed"


class RefusedError(ModbusError):
    """The unit answered with an exception code."""

    code: ClassVar[str] = "access"

    def __init__(self, exception_code: int) -> None:
        name = _CODE_NAMES.get(exception_code, "unknown exception")
        super().__init__(f"refused with exception code {exception_code} ({name})")
        self.exception_code = exception_code


class BusyError(ModbusError):
    """The unit was not asked: too many wait for its gateway."""

    code: ClassVar[str] = "busy"

    def __init__(self, limit: int) -> None:
        super().__init__(f"was not asked: {limit} wait for its gateway, the most that may")


class SilentError(ModbusError):
    """No complete answer came in time, or the connection was lost."""

    code: ClassVar[str] = "silent"

    def __init__(self) -> None:
        super().__init__("gave no complete answer")
