"""What is asked of a meter and what it answered, whatever the protocol."""

from __future__ import annotations

from dataclasses import dataclass, field

CHANNELS = ("import_wh", "export_wh", "import_varh", "export_varh")
"""The cumulative registers of a meter, in the order in which values stand everywhere."""

MISSING = -1
"""An energy that is not known; never 0."""


@dataclass(frozen=True, slots=True)
class MeterAddress:
    """Where a meter answers and how it lets us in.

    Attributes
    ----------
    meter : str
        Meter identifier (:data:`grid.ids.MeterId`).
    url : str
        ``modbus://HOST:PORT/UNIT`` or ``dlms://HOST:PORT/SERVER_WPORT``.
    profile : str
        Name of a register map in ``meters/profiles``.
    auth : str
        ``"none"`` or ``"lls"`` (DLMS low level security).
    secret : bytes
        The password of ``"lls"``; never shown, never logged.
    since_s, until_s : int or None
        DLMS: also read the load-profile rows captured in ``[since_s, until_s]``.
    """

    meter: str
    url: str
    profile: str
    auth: str = "none"
    secret: bytes = field(default=b"", repr=False)
    since_s: int | None = None
    until_s: int | None = None


@dataclass(frozen=True, slots=True)
class RegisterRow:
    """The registers at one instant.

    Attributes
    ----------
    at_s : int
        Seconds UTC at which the registers stood so.
    values : tuple of int
        Cumulative Wh and varh in :data:`CHANNELS` order, :data:`MISSING` where
        the meter gave none.
    """

    at_s: int
    values: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class MeterRead:
    """One complete answer of one meter.

    Attributes
    ----------
    meter : str
    now : RegisterRow
        The registers at the time of reading.
    load_profile : tuple of RegisterRow
        Rows that the meter itself captured, oldest first; empty when not asked.
    voltage_v : float or None
        Phase voltage in volts where the meter has it.
    raw_sha256 : bytes
        SHA-256 over every application byte received, in order.
    """

    meter: str
    now: RegisterRow
    load_profile: tuple[RegisterRow, ...]
    voltage_v: float | None
    raw_sha256: bytes
